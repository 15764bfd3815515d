//! Frames that lie in the caches of other processors, when there are no others: they are found before somebody has to
//! go, and for a program that starts.

use super::super::dispatcher::run_threads;
use super::ensure_came_to;
use super::pressure::sleep_until;
use super::spaces::Program;
use crate::checks::memory::{give_frames, take_frames};
use crate::checks::{Outcome, Run, ensure};
use crate::process::{self, Outcome as Ended};
use crate::virtual_memory::archive;
use core::sync::atomic::{AtomicBool, Ordering};
use dispatch::CpuDispatch;
use dispatch::kernel_thread::Attributes;
use machine::{MayFault, System};
use memory::{FrameNumber, Memory};

/// Pages that are wanted: fewer than one processor's cache holds.
const PAGES: u64 = 8;

struct Cast {
    program: Program,
    system: &'static System,
    taken: AtomicBool,
    written: AtomicBool,
    in_time: AtomicBool,
}

/// Leaves free frames in the cache of the processor on which it runs, as many as fit.
fn fill_cache(_: &(), _: usize, _: &mut MayFault) {
    let frames = &Memory::current().frames;
    let mut some = [None::<FrameNumber>; memory::frame_pool::CACHE_SIZE - 1];
    for place in &mut some {
        *place = frames.allocate_anywhere().ok();
    }
    some.into_iter().flatten().for_each(|frame| frames.free_anywhere(frame));
}

/// Fills the caches of all processors but the first.
fn fill_other_caches(run: &mut Run<'_>) -> Outcome {
    let others = run.kernel.system.cpus().skip(1);
    let bound = others.map(|cpu| Attributes::system("check").bound(CpuDispatch::of(cpu)));
    run_threads(&(), bound, fill_cache, run.may_fault)
}

fn act(cast: &Cast, number: usize, may_fault: &mut MayFault) {
    if number == 0 {
        sleep_until(may_fault, || cast.taken.load(Ordering::Acquire));
        let written = (0..PAGES).all(|page| cast.program.write(page, page, may_fault).is_ok());
        cast.written.store(written, Ordering::Release);
    } else {
        Memory::current().frames.empty_cache();
        let (taken, _) = take_frames(cast.system, u64::MAX);
        cast.taken.store(true, Ordering::Release);
        let written = sleep_until(may_fault, || cast.written.load(Ordering::Acquire));
        cast.in_time.store(written, Ordering::Release);
        give_frames(cast.system, taken);
    }
}

pub fn frames_in_caches_are_found(run: &mut Run<'_>) -> Outcome {
    if run.kernel.system.cpus().count() == 1 {
        return Ok(());
    }
    let program = Program::new(PAGES, run.may_fault)?;
    // There are to be no pages that could go instead.
    if let Ok(files) = archive::get(run.kernel) {
        files.forget_pages(run.may_fault);
    }
    if let Err(wrong) = fill_other_caches(run) {
        program.end(run.may_fault);
        return Err(wrong);
    }
    // SAFETY: `run_threads` waits for its threads, and the program is ended after it.
    let inside = unsafe { program.inside() };
    let here = CpuDispatch::of(run.kernel.system.cpu(0).expect("there is a first processor"));
    // All on one processor, which gives its own frames away.
    let threads = [inside.thread().bound(here), Attributes::system("check").bound(here)];
    let cast = Cast {
        program,
        system: run.kernel.system,
        taken: AtomicBool::new(false),
        written: AtomicBool::new(false),
        in_time: AtomicBool::new(false),
    };
    let ran = run_threads(&cast, threads.into_iter(), act, run.may_fault);
    cast.program.end(run.may_fault);
    ran?;
    ensure!(cast.in_time.load(Ordering::Acquire), "there were free frames, and nobody got them");
    Ok(())
}

/// The same for what cannot wait for memory as a fault does: programs start, and make children.
pub fn programs_start_from_frames_in_caches(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "stress_memory hogs 1 10 1";
    if run.kernel.system.cpus().count() == 1 {
        return Ok(());
    }
    // Its file is in memory afterwards.
    let outcome = process::run(run.kernel, COMMAND, run.may_fault);
    ensure_came_to(COMMAND, outcome, Ended::Exited(0))?;
    fill_other_caches(run)?;
    let frames = &Memory::current().frames;
    frames.empty_cache();
    let (taken, _) = take_frames(run.kernel.system, u64::MAX);
    let outcome = process::run(run.kernel, COMMAND, run.may_fault);
    give_frames(run.kernel.system, taken);
    ensure_came_to(COMMAND, outcome, Ended::Exited(0))
}
