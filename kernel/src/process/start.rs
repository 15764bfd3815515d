//! How the kernel begins a process, and waits for its end.

use super::{CannotRun, NAME_MAX, Outcome, table};
use crate::files::terminal;
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use crate::lwp::{Beginning, Registers, begin};
use crate::processors::refill_reserve;
use crate::virtual_memory::patience::patiently;
use crate::{options, report_channel};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use machine::MayFault;
use machine::tracing::emit;
use machine::x86_64::descriptors::USER_CODE;
use memory::OutOfMemory;
use report::Line;
use trace::{EventId, Kind};
use vm::Space;

/// Where and how a program starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The first instruction.
    pub rip: u64,
    /// The selector of the code segment.
    pub code_segment: u16,
}

impl Start {
    /// At an instruction, as user mode.
    pub fn at(rip: u64) -> Start {
        Start { rip, code_segment: USER_CODE }
    }
}

/// Runs the program that a command names, with its arguments, to its end; what it has started ends with it.
pub fn run(
    kernel: &'static Kernel,
    command: &str,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    let words = split(command)?;
    let name = words.split(|&byte| byte == 0).next().unwrap_or_default();
    let Ok(name) = core::str::from_utf8(name) else { return Err(CannotRun::NotFound) };
    let mut kept = [0; NAME_MAX];
    let name = keep_name(name, &mut kept);
    let outcome = run_beginning(kernel, Beginning::Program(words, None), may_fault)?;
    report_channel::send(match outcome {
        Outcome::Exited(status) => Line::Exited { program: name, status },
        Outcome::Killed(signal) => Line::Killed { program: name, signal },
    });
    Ok(outcome)
}

/// A name, cut to what is kept.
pub(super) fn keep_name<'a>(name: &str, kept: &'a mut [u8; NAME_MAX]) -> &'a str {
    let length = name.len().min(NAME_MAX);
    kept[..length].copy_from_slice(&name.as_bytes()[..length]);
    core::str::from_utf8(&kept[..length]).unwrap_or("?")
}

/// Runs a program from another start than its own; for the checks.
pub fn run_from(
    kernel: &'static Kernel,
    program: &str,
    start: Start,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    run_beginning(kernel, Beginning::Program(split(program)?, Some(start)), may_fault)
}

fn run_beginning(
    kernel: &'static Kernel,
    beginning: Beginning,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    refill_reserve();
    let mut space = Some(patiently(may_fault, |_| Space::new(&TableFrames))?);
    let begin = emit(Kind::ProgramBegin, 0, EventId::NONE);
    let process = patiently(may_fault, |may_fault| {
        let unused = space.take().expect("who fails gives it back");
        table::add(kernel, 0, unused, may_fault).map_err(|(error, unused)| {
            space = Some(unused);
            error
        })
    });
    // Programs run one after the other, so there is never a process too many.
    let process = process.map_err(|_| CannotRun::OutOfMemory)?;
    process.join_group(process.id, process.id);
    if terminal::open_for(process, may_fault).is_err() {
        table::remove(kernel, process, may_fault);
        return Err(CannotRun::OutOfMemory);
    }
    *kernel.foreground.lock(may_fault) = Some(process);
    let mut beginning = Some(beginning);
    let started = patiently(may_fault, |_| {
        let made = process.lwps.lock_anywhere().find(process.id);
        let lwp = match made {
            Some(lwp) => lwp,
            None => begin::add(kernel, process, process.id, Registers::fresh(), 0)?,
        };
        begin::start(lwp, &mut beginning)
    });
    if started.is_ok() {
        table::note_begin(kernel, process, may_fault);
        table::wait_for_end(kernel, process, may_fault);
    }
    *kernel.foreground.lock(may_fault) = None;
    let outcome = process.outcome.load(Ordering::Acquire);
    let refusal = match started {
        Ok(()) => process.refusal.lock(may_fault).take(),
        Err(OutOfMemory) => {
            process.descriptors.close_all(may_fault);
            table::remove(kernel, process, may_fault);
            Some(CannotRun::OutOfMemory)
        }
    };
    table::end_all(kernel, may_fault);
    emit(Kind::ProgramEnd, u64::from(outcome), begin);
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Outcome::from_bits(outcome)),
    }
}

/// The words of a command, each with a null byte behind it.
fn split(command: &str) -> Result<Vec<u8>, CannotRun> {
    let mut bytes = Vec::new();
    // A word is no longer than what it was written as, and its null byte takes the place of a space.
    bytes.try_reserve_exact(command.len() + 1).map_err(|_| CannotRun::OutOfMemory)?;
    options::words(command, |word| bytes.extend(word.chain([0])));
    Ok(bytes)
}
