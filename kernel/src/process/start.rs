//! How a process begins: its space, its place in the table, its thread, and what that does first.

use super::ending::leave;
use super::{
    Beginning, CannotRun, NAME_MAX, Outcome, PRIORITY, Process, execute, own_frame, table,
};
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use crate::processors::refill_reserve;
use crate::virtual_memory::patience::patiently;
use crate::{options, report_channel, system_call};
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::resources::StackKind;
use dispatch::thread::asynchronous;
use dispatch::{Class, Thread, sleep_queue};
use machine::MayFault;
use machine::tracing::emit;
use machine::x86_64::descriptors::USER_CODE;
use machine::x86_64::frame::TrapFrame;
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
    *process.beginning.lock(may_fault) = beginning;
    *kernel.foreground.lock(may_fault) = Some(process);
    let started = patiently(may_fault, |may_fault| start_thread(kernel, process, may_fault));
    if started.is_ok() {
        table::wait_for_end(kernel, process, may_fault);
    }
    *kernel.foreground.lock(may_fault) = None;
    let outcome = process.outcome.load(Ordering::Relaxed);
    let refusal = match started {
        Ok(()) => process.refusal.lock(may_fault).take(),
        Err(error) => {
            table::remove(kernel, process, may_fault);
            Some(error.into())
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

/// Makes a process's thread. On an error the process has never run, and is the caller's to take out of the table; else
/// see [`table::note_begin`].
pub(super) fn start_thread(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    let attributes = Attributes {
        owner: Some(process),
        stack: StackKind::Eager,
        ..Attributes::system("process").scheduled(Class::TimeSharing, PRIORITY)
    };
    let argument = core::ptr::from_ref(process).expose_provenance();
    let handle = kernel_thread::create(&attributes, begin, argument).map_err(|_| OutOfMemory)?;
    table::note_begin(kernel, process, handle, may_fault);
    Ok(())
}

/// Where a process's thread begins.
fn begin(argument: usize, may_fault: &mut MayFault) -> usize {
    // SAFETY: `start_thread` passed the address of a process, which stays until this thread is over.
    let process = unsafe { &*core::ptr::with_exposed_provenance::<Process>(argument) };
    process.thread.call_once(Thread::running);
    // First the thread, then the look; who asks does it the other way round. So one of the two sees the other.
    fence(Ordering::SeqCst);
    // No frame of an earlier program's is to be taken for this one's.
    // SAFETY: the place of the frame, at the top of this thread's own stack, kept free for it.
    unsafe { own_frame(may_fault).write(TrapFrame::default()) };
    if process.killed.load(Ordering::Acquire) != 0 {
        // It was said before there was a thread to ask.
        Thread::running().ask(asynchronous::OWNER);
        sleep_queue::interrupt(Thread::running());
    }
    let beginning = core::mem::replace(&mut *process.beginning.lock(may_fault), Beginning::Begun);
    let loaded = match beginning {
        Beginning::Fork(frame) => system_call::enter_user_with(frame, may_fault),
        Beginning::Program(words, start) => patiently(may_fault, |may_fault| {
            execute::load_command(process, &words, start, may_fault)
        }),
        Beginning::Begun => unreachable!("a process begins twice"),
    };
    match loaded {
        Ok(ready) => system_call::enter_user(ready.start, ready.stack_pointer, may_fault),
        Err(_) if process.is_killed() => {
            let signal = process.killed.load(Ordering::Acquire) as u8;
            leave(Outcome::Killed(signal), may_fault)
        }
        Err(error) => {
            *process.refusal.lock(may_fault) = Some(error);
            leave(Outcome::Exited(127), may_fault)
        }
    }
}
