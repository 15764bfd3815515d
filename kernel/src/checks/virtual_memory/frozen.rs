//! A swap disk that hangs. Whoever needs a page from it sleeps; everybody else goes on; a processor that has nothing to
//! do halts, and nobody looks again and again whether it is over.

use super::pressure::{Pressure, disk, pause, sleep_until, twice};
use super::spaces::Program;
use super::{HOGS, SPARE, Scene, ensure_came_to};
use crate::checks::dispatcher::run_threads;
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::disk::{Disk, SWAP};
use crate::kernel::Kernel;
use crate::process::{self, Outcome as Ended};
use crate::virtual_memory::archive;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::CpuDispatch;
use dispatch::kernel_thread::Attributes;
use machine::{MayFault, SpinLock, poke};
use vm::Vm;

/// How long it hangs, in nanoseconds; `scale` makes that longer (`scale=20`: ten seconds).
const FROZEN: u64 = 500_000_000;

/// How long the processors are watched, and between two looks at one, in nanoseconds.
const WATCHED: u64 = 100_000_000;
const LOOK: u64 = 20_000_000;

/// Switches that there may be while nothing happens, per processor: the watch's own, of what it wakes up, and a
/// page daemon that tries again a hundred times a second.
const SWITCHES: u64 = 100;

fn frozen() -> u64 {
    FROZEN * Kernel::current().options.scale.min(20)
}

/// Whether every processor halts, and goes back to that when it has been made to look. Nobody but those who wait for
/// the disk has anything to do.
fn ensure_idle(may_fault: &mut MayFault) -> Outcome {
    let kernel = Kernel::current();
    let switches = || -> u64 {
        let of = |cpu| CpuDispatch::of(cpu).counts().switches.load(Ordering::Relaxed);
        kernel.system.cpus().map(of).sum()
    };
    let before = switches();
    pause(WATCHED, may_fault);
    let switched = switches() - before;
    let most = SWITCHES * kernel.system.cpu_count() as u64;
    ensure!(switched <= most, "{switched} switches while nothing was to be done");
    for cpu in kernel.system.cpus() {
        let halts = || CpuDispatch::of(cpu).counts().halts.load(Ordering::Relaxed);
        let before = halts();
        poke::poke(cpu);
        pause(LOOK, may_fault);
        let halted = sleep_until(may_fault, || halts() > before);
        ensure!(halted, "processor {} does not halt", cpu.index());
    }
    Ok(())
}

/// Threads that wait for a page from the disk.
const WAITERS: usize = 8;
/// Pages between those that they wait for: more than are read at a time.
const APART: u64 = 32;

/// What the threads of the check share.
struct Cast {
    swap: &'static Disk,
    /// Has pages that are in swap space.
    swapped: Program,
    pages: u64,
    /// Touches new ones.
    busy: Program,
    /// Threads that do so.
    workers: usize,
    wanted: [AtomicU64; WAITERS],
    came: AtomicU64,
    wrong: AtomicU64,
    /// Turns of each worker.
    turns: [AtomicU64; machine::system::CPU_MAX],
    over: AtomicBool,
    /// What the first thread has found.
    found: SpinLock<Option<Outcome>, 13>,
}

fn word(page: u64) -> u64 {
    page ^ 0x5a5a_0000
}

/// Pages of the busy program: each worker has its own.
const OWN: u64 = 64;

pub fn a_frozen_swap_disk_stops_nobody(run: &mut Run<'_>) -> Outcome {
    twice(run, once)
}

fn once(run: &mut Run<'_>) -> Outcome {
    let Some(reserves) = run.kernel.reserves.get() else {
        return Err(Wrong::new(format_args!("there is no page daemon")));
    };
    let pages = reserves.high() + SPARE + 2 * APART * WAITERS as u64;
    let workers = run.kernel.system.cpu_count();
    let cast = Cast {
        swap: disk(run.kernel, SWAP)?,
        swapped: Program::new(pages, run.may_fault)?,
        pages,
        busy: Program::new(OWN * workers as u64, run.may_fault)?,
        workers,
        wanted: [const { AtomicU64::new(0) }; WAITERS],
        came: AtomicU64::new(0),
        wrong: AtomicU64::new(0),
        turns: [const { AtomicU64::new(0) }; machine::system::CPU_MAX],
        over: AtomicBool::new(false),
        found: SpinLock::new(None),
    };
    let outcome = play(run, &cast);
    cast.swapped.end(run.may_fault);
    cast.busy.end(run.may_fault);
    outcome
}

fn play(run: &mut Run<'_>, cast: &Cast) -> Outcome {
    // SAFETY: `run_threads` waits for its threads, and both programs are ended after it.
    let in_swapped = unsafe { cast.swapped.inside() };
    // SAFETY: as above.
    let in_busy = unsafe { cast.busy.inside() };
    let pressure = Pressure::new(run, SPARE)?;
    let filled = run_threads(cast, core::iter::once(in_swapped.thread()), fill, run.may_fault);
    drop(pressure);
    filled?;
    // What the laundry still has to write is not to hang with the rest.
    let mut quiet = 0;
    sleep_until(run.may_fault, || {
        quiet = if cast.swap.statistics().under_way == 0 { quiet + 1 } else { 0 };
        quiet == 10
    });
    let mut swapped = 0;
    for page in (0..cast.pages).step_by(APART as usize) {
        if swapped < WAITERS && cast.swapped.is_swapped(page, run.may_fault) {
            cast.wanted[swapped].store(page, Ordering::Relaxed);
            swapped += 1;
        }
    }
    ensure!(swapped == WAITERS, "only {swapped} pages of {} are in swap space", cast.pages);
    cast.swap.freeze();
    let threads = core::iter::once(Attributes::system("check"))
        .chain((0..WAITERS).map(|_| in_swapped.thread()))
        .chain(run.kernel.system.cpus().map(|cpu| in_busy.thread().bound(CpuDispatch::of(cpu))));
    // The first thread looks on, and thaws the disk.
    let ran = run_threads(cast, threads, act, run.may_fault);
    cast.swap.thaw();
    ran?;
    if let Some(found) = cast.found.lock_anywhere().take() {
        found?;
    }
    let (came, wrong) = (cast.came.load(Ordering::Relaxed), cast.wrong.load(Ordering::Relaxed));
    ensure!(wrong == 0, "{wrong} pages were not as they were written");
    ensure!(came == WAITERS as u64, "{came} pages came, of {WAITERS}");
    Ok(())
}

/// Writes more pages than there is memory for.
fn fill(cast: &Cast, _: usize, may_fault: &mut MayFault) {
    for page in 0..cast.pages {
        let written = cast.swapped.write(page, word(page), may_fault);
        cast.wrong.fetch_add(u64::from(written.is_err()), Ordering::Relaxed);
    }
}

fn act(cast: &Cast, number: usize, may_fault: &mut MayFault) {
    match number {
        0 => {
            let found = look_on(cast, may_fault);
            cast.over.store(true, Ordering::Release);
            cast.swap.thaw();
            *cast.found.lock(may_fault) = Some(found);
        }
        _ if number <= WAITERS => wait(cast, number - 1, may_fault),
        _ => work(cast, number - 1 - WAITERS, may_fault),
    }
}

/// Reads a page that is in swap space.
fn wait(cast: &Cast, number: usize, may_fault: &mut MayFault) {
    let page = cast.wanted[number].load(Ordering::Relaxed);
    let found = cast.swapped.read(page, may_fault);
    cast.wrong.fetch_add(u64::from(found != Ok(word(page))), Ordering::Relaxed);
    cast.came.fetch_add(1, Ordering::Release);
}

/// Touches new pages, looks at old ones, and sleeps in between.
fn work(cast: &Cast, number: usize, may_fault: &mut MayFault) {
    /// In nanoseconds.
    const BETWEEN_TURNS: u64 = 2_000_000;
    let first = number as u64 * OWN;
    for turn in 0.. {
        if cast.over.load(Ordering::Acquire) {
            return;
        }
        let page = first + turn % OWN;
        let expected = turn.saturating_sub(OWN);
        let found = cast.busy.read(page, may_fault);
        let written = cast.busy.write(page, turn, may_fault);
        let right = found == Ok(expected) && written.is_ok();
        cast.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
        cast.turns[number].fetch_add(1, Ordering::Relaxed);
        pause(BETWEEN_TURNS, may_fault);
    }
}

/// What is to be seen meanwhile.
fn look_on(cast: &Cast, may_fault: &mut MayFault) -> Outcome {
    /// Turns that each worker must have done at least.
    const TURNS: u64 = 10;
    const COMMAND: &str = "hello --status 5";
    let under_way = || cast.swap.statistics().under_way;
    // The laundry may have begun one more.
    let asked = sleep_until(may_fault, || under_way() >= WAITERS as u64);
    ensure!(asked, "{} transfers are under way, of {WAITERS}", under_way());
    pause(frozen() / 2, may_fault);
    // A program comes and goes; its pages are on the other disk.
    let kernel = Kernel::current();
    if let Ok(files) = archive::get(kernel) {
        files.forget_pages(may_fault);
    }
    let outcome = process::run(kernel, COMMAND, may_fault);
    ensure_came_to(COMMAND, outcome, Ended::Exited(5))?;
    for (worker, turns) in cast.turns.iter().enumerate().take(cast.workers) {
        let enough = sleep_until(may_fault, || turns.load(Ordering::Relaxed) >= TURNS);
        ensure!(enough, "worker {worker} has done {} turns", turns.load(Ordering::Relaxed));
    }
    cast.over.store(true, Ordering::Release);
    pause(frozen() / 2, may_fault);
    ensure_idle(may_fault)?;
    let came = cast.came.load(Ordering::Acquire);
    ensure!(came == 0, "{came} pages came from a disk that hangs");
    Ok(())
}

/// Programs for which there is not enough memory sleep while the disk hangs, those that wait for memory too: nobody has
/// to go because the disk is slow, and the page daemon does not run in circles.
pub fn programs_outlast_a_frozen_swap_disk(run: &mut Run<'_>) -> Outcome {
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        let (swap, _) = scene.wait_for_page_ins(may_fault)?;
        swap.freeze();
        pause(frozen(), may_fault);
        let idle = if scene.is_over() { Ok(()) } else { ensure_idle(may_fault) };
        let over = scene.is_over();
        swap.thaw();
        ensure!(!over, "it was over before the disk went on");
        idle
    }
    fn once(run: &mut Run<'_>) -> Outcome {
        let victims = Vm::current().census.victims.get();
        let pressure = Pressure::new(run, SPARE)?;
        let outcome = Scene::play(run, HOGS, disturb);
        drop(pressure);
        let victims = Vm::current().census.victims.get() - victims;
        ensure!(victims == 0, "{victims} programs had to go");
        ensure_came_to(HOGS, outcome?, Ended::Exited(0))
    }
    twice(run, once)
}
