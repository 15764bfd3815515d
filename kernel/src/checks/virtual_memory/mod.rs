//! Checks of virtual memory under adversity: disks that fail and hang, programs that are killed at a bad moment, swap
//! space that is used up. Nothing is lost, everybody who has nothing to do with it goes on, and afterwards everything
//! is back. And the histories of copy-on-write, in the order of events that they had.
//!
//! | file | subject |
//! |---|---|
//! | [`errors`] | disks that fail |
//! | [`frozen`] | a disk that hangs |
//! | [`killed`] | kills during a page-in; neither memory nor swap space left |
//! | [`schedules`] | the histories |
//! | [`stage`] | threads that stop at schedule points, and a director |
//! | [`spaces`] | address spaces of the checks' own |
//! | [`pressure`] | making memory short, and counting what must come back |
//! | [`caches`] | frames in the caches of other processors |

mod caches;
mod errors;
mod frozen;
mod killed;
mod pressure;
mod schedules;
mod spaces;
mod stage;

pub use caches::{frames_in_caches_are_found, programs_start_from_frames_in_caches};
pub use errors::{page_in_errors_reach_who_asked, page_out_errors_lose_nothing};
pub use frozen::{a_frozen_swap_disk_stops_nobody, programs_outlast_a_frozen_swap_disk};
pub use killed::{
    page_in_sleeps_can_be_killed, swap_space_runs_out_and_comes_back, victims_go_one_at_a_time,
};
pub use pressure::twice;
pub use schedules::{history_cow_2019, history_cow_d23155, history_cow_restart, history_cow_tlb};
pub use stage::{CurrentStage, at_schedule_point};

use self::pressure::{disk, sleep_until};
use super::dispatcher::run_threads;
use super::{Outcome, Run, ensure};
use crate::disk::{Disk, SWAP, Statistics};
use crate::kernel::Kernel;
use crate::process::{self, CannotRun};
use core::sync::atomic::{AtomicBool, Ordering};
use dispatch::kernel_thread::Attributes;
use machine::{MayFault, SpinLock};

/// Frames above the page daemon's goal where memory is to be short.
const SPARE: u64 = 256;

/// Two programs, each of which wants more than there is: so it does not matter whether they run side by side.
const HOGS: &str = "stress_memory hogs 2 110 2";

/// A program that runs, and a thread beside it that disturbs it.
struct Scene {
    command: &'static str,
    /// What the other thread does.
    disturb: fn(&Scene, &mut MayFault) -> Outcome,
    /// What the program has come to.
    outcome: SpinLock<Option<Result<process::Outcome, CannotRun>>, 13>,
    /// It is over.
    over: AtomicBool,
    disturbed: SpinLock<Option<Outcome>, 13>,
}

impl Scene {
    /// Runs a program to its end while `disturb` goes on, too. What was wrong in that, or what the program came to.
    fn play(
        run: &mut Run<'_>,
        command: &'static str,
        disturb: fn(&Scene, &mut MayFault) -> Outcome,
    ) -> Result<Result<process::Outcome, CannotRun>, super::Wrong> {
        fn body(scene: &Scene, number: usize, may_fault: &mut MayFault) {
            if number == 0 {
                let outcome = process::run(Kernel::current(), scene.command, may_fault);
                *scene.outcome.lock(may_fault) = Some(outcome);
                scene.over.store(true, Ordering::Release);
            } else {
                let disturbed = (scene.disturb)(scene, may_fault);
                *scene.disturbed.lock(may_fault) = Some(disturbed);
            }
        }
        let scene = Scene {
            command,
            disturb,
            outcome: SpinLock::new(None),
            over: AtomicBool::new(false),
            disturbed: SpinLock::new(None),
        };
        let threads = (0..2).map(|_| Attributes::system("scene"));
        run_threads(&scene, threads, body, run.may_fault)?;
        let outcome = scene.outcome.lock_anywhere().take();
        // If the program did not start, that is what is wrong.
        if let Some(disturbed) = scene.disturbed.lock_anywhere().take()
            && !matches!(outcome, Some(Err(_)))
        {
            disturbed?;
        }
        outcome.ok_or_else(|| super::Wrong::new(format_args!("'{command}' did not run")))
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Sleeps until a few pages have been read from the swap disk. Returns the disk, and what it had counted before.
    fn wait_for_page_ins(
        &self,
        may_fault: &mut MayFault,
    ) -> Result<(&'static Disk, Statistics), super::Wrong> {
        const READS: u64 = 8;
        let swap = disk(Kernel::current(), SWAP)?;
        let before = swap.statistics();
        let is_busy = || swap.statistics().reads > before.reads + READS || self.is_over();
        ensure!(sleep_until(may_fault, is_busy), "nobody has read from swap space");
        Ok((swap, before))
    }
}

/// Whether a program came to this.
fn ensure_came_to(
    command: &str,
    outcome: Result<process::Outcome, CannotRun>,
    expected: process::Outcome,
) -> Outcome {
    ensure!(outcome == Ok(expected), "'{command}' came to {outcome:?}, not {expected:?}");
    Ok(())
}

/// The number of the program in the foreground.
fn foreground(kernel: &Kernel) -> Option<u64> {
    kernel.foreground.lock_anywhere().map(|process| process.id)
}
