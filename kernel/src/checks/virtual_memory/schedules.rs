//! The histories of copy-on-write (`docs/history`), replayed in the running kernel. Each orders the steps of a few threads
//! as it was then; what must come of it comes, and where a bug has been brought back the kernel stops, with both facts,
//! when a page is freed that is mapped, or the check sees what must not be seen.
//!
//! Threads are held at schedule points ([`vm::schedule`]), and those are nothing without debug assertions: there the checks
//! that need some pass at once. `history-cow-d23155` needs none.

use super::pressure::{sleep_until, twice};
use super::spaces::Program;
use super::stage::{Play, Stage, Stopped};
use crate::checks::dispatcher::run_threads;
use crate::checks::processors::wait_until;
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::CpuDispatch;
use dispatch::kernel_thread::Attributes;
use machine::{MayFault, SpinLock};
use vm::entry::Inheritance;
use vm::schedule::Point;

/// Pages of each program.
const PAGES: u64 = 2;

/// One access, in a thread of the program.
struct Access<'a> {
    program: &'a Program,
    page: u64,
    /// To be written, or to be read.
    word: u64,
    writes: bool,
    right: AtomicBool,
}

fn access(run: &mut Run<'_>, program: &Program, page: u64, word: u64, writes: bool) -> Outcome {
    fn body(access: &Access<'_>, _: usize, may_fault: &mut MayFault) {
        let Access { program, page, word, writes, .. } = *access;
        let right = match writes {
            true => program.write(page, word, may_fault).is_ok(),
            false => program.read(page, may_fault) == Ok(word),
        };
        access.right.store(right, Ordering::Release);
    }
    let access = Access { program, page, word, writes, right: AtomicBool::new(false) };
    // SAFETY: `run_threads` waits for its threads, and the program outlives this call.
    let inside = unsafe { program.inside() };
    run_threads(&access, core::iter::once(inside.thread()), body, run.may_fault)?;
    let what = if writes { "written" } else { "read" };
    ensure!(access.right.load(Ordering::Acquire), "{word} could not be {what} in page {page}");
    Ok(())
}

fn write(run: &mut Run<'_>, program: &Program, page: u64, word: u64) -> Outcome {
    access(run, program, page, word, true)
}

fn expect(run: &mut Run<'_>, program: &Program, page: u64, word: u64) -> Outcome {
    access(run, program, page, word, false)
}

fn actor() -> Attributes {
    Attributes::system("actor")
}

/// Lets `act` make programs and play with them, and ends all that there are then, also if something was wrong: a
/// program that is only dropped still has its pages.
fn with_programs<const COUNT: usize>(
    run: &mut Run<'_>,
    act: fn(&mut Run<'_>, &mut [Option<Program>; COUNT]) -> Outcome,
) -> Outcome {
    let mut programs = [const { None }; COUNT];
    let outcome = act(run, &mut programs);
    for program in programs.into_iter().flatten() {
        program.end(run.may_fault);
    }
    outcome
}

/// Three levels: C has both pages, written by q0. Its child q1 writes page 1, so B is in front of C, shared by q1 and p2.
/// p1 has a copy of that: it has read page 0, and by writing page 1 has got A in front of B. Returned: q0, q1, p1, p2.
fn three_levels<'a>(
    run: &mut Run<'_>,
    [q0, q1, p1, p2]: &'a mut [Option<Program>; 4],
) -> Result<[&'a Program; 4], Wrong> {
    let q0 = &*q0.insert(Program::new(PAGES, run.may_fault)?);
    write(run, q0, 0, 10)?;
    write(run, q0, 1, 11)?;
    let q1 = &*q1.insert(q0.fork(run.may_fault)?);
    write(run, q1, 1, 21)?;
    q1.inherit(PAGES, Inheritance::Share, run.may_fault)?;
    let p2 = &*p2.insert(q1.fork(run.may_fault)?);
    q1.inherit(PAGES, Inheritance::Copy, run.may_fault)?;
    let p1 = &*p1.insert(q1.fork(run.may_fault)?);
    expect(run, p1, 0, 10)?;
    write(run, p1, 1, 31)?;
    Ok([q0, q1, p1, p2])
}

/// Whether threads can be held at schedule points.
const HAS_POINTS: bool = cfg!(debug_assertions);

/// Which actor is which in both plays of three levels.
const P1_WRITES: usize = 0;
const P2_WRITES: usize = 1;
const Q0_EXITS: usize = 2;

pub fn history_cow_2019(run: &mut Run<'_>) -> Outcome {
    fn direct(stage: &Stage, _: &[&Program; 3], may_fault: &mut MayFault) -> Outcome {
        stage.must(P1_WRITES, Some(Point::FaultCopied), Stopped::Held, may_fault)?;
        // Both have to wait for the source; with the bug they do not.
        stage.go(P2_WRITES, None, may_fault);
        stage.go(Q0_EXITS, None, may_fault);
        let others = [P2_WRITES, Q0_EXITS].map(|actor| stage.look(actor, may_fault));
        ensure!(others == [Stopped::Asleep; 2], "p2 and q0 did not wait for p1: {others:?}");
        Ok(())
    }
    fn once(run: &mut Run<'_>, programs: &mut [Option<Program>; 4]) -> Outcome {
        let [q0, q1, p1, p2] = three_levels(run, programs)?;
        let play = Play {
            share: [p1, p2, q0],
            cast: [
                (Some(p1), actor(), |[p1, _, _], may_fault| {
                    let _ = p1.write(0, 30, may_fault);
                }),
                (Some(p2), actor(), |[_, p2, _], may_fault| {
                    let _ = p2.write(0, 20, may_fault);
                }),
                (None, actor(), |[_, _, q0], may_fault| q0.clear(may_fault)),
            ],
            direct,
        };
        play.play(run)?;
        expect(run, p1, 0, 30)?;
        expect(run, p2, 0, 20)?;
        expect(run, q1, 0, 20)
    }
    if !HAS_POINTS {
        return Ok(());
    }
    twice(run, |run| with_programs(run, once))
}

pub fn history_cow_d23155(run: &mut Run<'_>) -> Outcome {
    fn direct(stage: &Stage, _: &[&Program; 3], may_fault: &mut MayFault) -> Outcome {
        stage.must(P2_WRITES, None, Stopped::Over, may_fault)?;
        stage.must(Q0_EXITS, None, Stopped::Over, may_fault)
    }
    fn once(run: &mut Run<'_>, programs: &mut [Option<Program>; 4]) -> Outcome {
        let [q0, _, p1, p2] = three_levels(run, programs)?;
        let play = Play {
            share: [p1, p2, q0],
            cast: [
                // It has read the page, and idles.
                (Some(p1), actor(), |_, _| {}),
                (Some(p2), actor(), |[_, p2, _], may_fault| {
                    let _ = p2.write(0, 20, may_fault);
                }),
                (None, actor(), |[_, _, q0], may_fault| q0.clear(may_fault)),
            ],
            direct,
        };
        play.play(run)?;
        // p1 did not write: it sees what was written to the object below its own.
        expect(run, p1, 0, 20)
    }
    twice(run, |run| with_programs(run, once))
}

/// What the actors of the third history share.
struct Restart<'a> {
    p1: &'a Program,
    p2: &'a Program,
    child: &'a SpinLock<Option<Program>, 13>,
}

pub fn history_cow_restart(run: &mut Run<'_>) -> Outcome {
    const WRITES: usize = 0;
    const FORKS: usize = 1;
    const EXITS: usize = 2;
    fn direct(stage: &Stage, _: &Restart<'_>, may_fault: &mut MayFault) -> Outcome {
        stage.must(WRITES, Some(Point::FaultHasSource), Stopped::Held, may_fault)?;
        stage.must(FORKS, None, Stopped::Asleep, may_fault)?;
        // Somebody waits for the map: the fault lets go of it, and copies.
        stage.must(WRITES, Some(Point::FaultLooksAgain), Stopped::Held, may_fault)?;
        let forks = stage.look(FORKS, may_fault);
        ensure!(forks == Stopped::Over, "the fork: {forks:?}");
        // The map has changed, and the fault begins again.
        stage.must(WRITES, Some(Point::FaultLooks), Stopped::Held, may_fault)?;
        stage.must(EXITS, None, Stopped::Over, may_fault)?;
        stage.must(WRITES, None, Stopped::Over, may_fault)
    }
    fn once(run: &mut Run<'_>, [p1, p2, forked]: &mut [Option<Program>; 3]) -> Outcome {
        let p1 = &*p1.insert(Program::new(PAGES, run.may_fault)?);
        write(run, p1, 0, 10)?;
        let p2 = &*p2.insert(p1.fork(run.may_fault)?);
        // Both have a shadow in front of the object with page 0, and both map page 0 of it.
        for program in [p1, p2] {
            write(run, program, 1, 11)?;
            expect(run, program, 0, 10)?;
        }
        let child = SpinLock::new(None);
        let play = Play {
            share: Restart { p1, p2, child: &child },
            cast: [
                (Some(p1), actor(), |share, may_fault| {
                    let _ = share.p1.write(0, 30, may_fault);
                }),
                (Some(p1), actor(), |share, may_fault| {
                    let child = share.p1.fork(may_fault).ok();
                    *share.child.lock(may_fault) = child;
                }),
                (None, actor(), |share, may_fault| share.p2.clear(may_fault)),
            ],
            direct,
        };
        let played = play.play(run);
        *forked = child.lock_anywhere().take();
        played?;
        expect(run, p1, 0, 30)?;
        let Some(child) = forked else {
            return Err(Wrong::new(format_args!("no memory for the child")));
        };
        expect(run, child, 0, 10)
    }
    if !HAS_POINTS {
        return Ok(());
    }
    twice(run, |run| with_programs(run, once))
}

/// What the actors of the fourth history share.
struct Stale<'a> {
    program: &'a Program,
    has_read: AtomicBool,
    written: AtomicBool,
    /// What was read when it was known that there is something new.
    seen: AtomicU64,
    gives_up: AtomicBool,
}

/// Needs three processors.
pub fn history_cow_tlb(run: &mut Run<'_>) -> Outcome {
    const FAULTS: usize = 0;
    const READS: usize = 1;
    const WRITES: usize = 2;
    const NEW: u64 = 77;
    fn read(share: &Stale<'_>, may_fault: &mut MayFault) {
        let before = share.program.read(0, may_fault);
        share.has_read.store(before == Ok(1), Ordering::Release);
        // Stays on its processor, which knows the source.
        let is_told =
            || share.written.load(Ordering::Acquire) || share.gives_up.load(Ordering::Acquire);
        wait_until(Kernel::current(), is_told);
        let seen = share.program.read(0, may_fault).unwrap_or(0);
        share.seen.store(seen, Ordering::Release);
    }
    fn direct(stage: &Stage, share: &Stale<'_>, may_fault: &mut MayFault) -> Outcome {
        stage.start(READS);
        let reads = sleep_until(may_fault, || share.has_read.load(Ordering::Acquire));
        ensure!(reads, "the reader has not read");
        let held = stage.go(FAULTS, Some(Point::FaultEntered), may_fault);
        let written = stage.go(WRITES, None, may_fault);
        if written == Stopped::Over {
            // Nobody has told the reader's processor yet.
            stage.look(READS, may_fault);
        }
        let faults = stage.go(FAULTS, None, may_fault);
        let reads = stage.look(READS, may_fault);
        share.gives_up.store(true, Ordering::Release);
        ensure!(held == Stopped::Held, "the fault: {held:?}");
        ensure!(faults == Stopped::Over && reads == Stopped::Over, "{faults:?}, {reads:?}");
        let seen = share.seen.load(Ordering::Acquire);
        ensure!(seen == NEW, "the source is read after the copy was written: {seen}");
        Ok(())
    }
    fn once(run: &mut Run<'_>, [program, child]: &mut [Option<Program>; 2]) -> Outcome {
        let program = &*program.insert(Program::new(PAGES, run.may_fault)?);
        write(run, program, 0, 1)?;
        // The copy is made because of the child.
        *child = Some(program.fork(run.may_fault)?);
        let mut cpus = run.kernel.system.cpus().map(CpuDispatch::of);
        let mut on = || cpus.next().map_or(actor(), |cpu| actor().bound(cpu));
        let play = Play {
            share: Stale {
                program,
                has_read: AtomicBool::new(false),
                written: AtomicBool::new(false),
                seen: AtomicU64::new(0),
                gives_up: AtomicBool::new(false),
            },
            cast: [
                (Some(program), on(), |share, may_fault| {
                    let _ = share.program.touch(0, may_fault);
                }),
                (Some(program), on(), read),
                (Some(program), on(), |share, may_fault| {
                    let _ = share.program.write(0, NEW, may_fault);
                    share.written.store(true, Ordering::Release);
                }),
            ],
            direct,
        };
        play.play(run)
    }
    if !HAS_POINTS || run.kernel.system.cpu_count() < 3 {
        return Ok(());
    }
    twice(run, |run| with_programs(run, once))
}
