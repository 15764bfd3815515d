//! Programs that are killed while they wait for a page, and programs that have to go because there is neither memory
//! nor swap space.

use super::pressure::{Pressure, disk, pause, sleep_until, twice};
use super::{SPARE, Scene, ensure_came_to, foreground};
use crate::checks::{Outcome, Run, ensure};
use crate::disk::{ARCHIVE, Disk};
use crate::kernel::Kernel;
use crate::process::{self, Outcome as Ended};
use crate::signal::SIGKILL;
use crate::threads;
use crate::virtual_memory::archive;
use dispatch::tick;
use machine::MayFault;
use vm::Vm;

/// How long a program is left to itself before it is concluded that it sleeps, in nanoseconds.
const ASLEEP: u64 = 50_000_000;

pub fn page_in_sleeps_can_be_killed(run: &mut Run<'_>) -> Outcome {
    twice(run, |run| {
        killed_while_a_file_is_read(run)?;
        killed_while_a_page_is_read_back(run)
    })
}

/// Kills the program in the foreground.
fn kill(may_fault: &mut MayFault) -> Outcome {
    let kernel = Kernel::current();
    let killed =
        foreground(kernel).is_some_and(|id| process::signal(kernel, id, SIGKILL, may_fault));
    ensure!(killed, "there was no program to kill");
    Ok(())
}

/// A page of a program's file is on its way, and does not come. The program goes at once, without it; the page stays
/// the archive's.
fn killed_while_a_file_is_read(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "hello";
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        fn go(archive: &Disk, scene: &Scene, may_fault: &mut MayFault) -> Outcome {
            let asked = sleep_until(may_fault, || archive.statistics().under_way != 0);
            ensure!(asked, "nobody has asked for the program's pages");
            pause(ASLEEP, may_fault);
            ensure!(!scene.is_over(), "the program was over without its pages");
            kill(may_fault)?;
            ensure!(
                sleep_until(may_fault, || scene.is_over()),
                "it waits on although it is killed"
            );
            let under_way = archive.statistics().under_way;
            ensure!(under_way != 0, "the disk has gone on");
            Ok(())
        }
        let archive = disk(Kernel::current(), ARCHIVE)?;
        let outcome = go(archive, scene, may_fault);
        archive.thaw();
        let still = || archive.statistics().under_way != 0;
        ensure!(sleep_until(may_fault, || !still()), "a transfer does not end");
        outcome
    }
    if let Ok(files) = archive::get(run.kernel) {
        files.forget_pages(run.may_fault);
    }
    let archive = disk(run.kernel, ARCHIVE)?;
    archive.freeze();
    let outcome = Scene::play(run, COMMAND, disturb);
    // Also if there was no thread to disturb it.
    archive.thaw();
    ensure_came_to(COMMAND, outcome?, Ended::Killed(SIGKILL))
}

/// A page of a program's own is on its way. The frame is the device's until it answers; then all is over.
fn killed_while_a_page_is_read_back(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "stress_memory hog 150 50";
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        let (swap, _) = scene.wait_for_page_ins(may_fault)?;
        swap.freeze();
        let asked = sleep_until(may_fault, || swap.statistics().under_way != 0 || scene.is_over());
        pause(ASLEEP, may_fault);
        let killed = kill(may_fault);
        pause(ASLEEP, may_fault);
        swap.thaw();
        ensure!(asked, "nobody has asked for a page");
        killed
    }
    let pressure = Pressure::new(run, SPARE)?;
    let outcome = Scene::play(run, COMMAND, disturb);
    drop(pressure);
    ensure_came_to(COMMAND, outcome?, Ended::Killed(SIGKILL))
}

/// Two hogs that together want more than there is of memory and swap space: somebody has to go, and is the one to blame;
/// who is left has all that it has written.
pub fn swap_space_runs_out_and_comes_back(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "stress_memory overfill 2 67 3";
    fn once(run: &mut Run<'_>) -> Outcome {
        let victims = Vm::current().census.victims.get();
        let pressure = Pressure::new(run, SPARE)?;
        // On one processor, too, both have their turns.
        threads::set_tick(run.kernel, tick::INTERVAL);
        let outcome = process::run(run.kernel, COMMAND, run.may_fault);
        threads::set_tick(run.kernel, 0);
        drop(pressure);
        ensure_came_to(COMMAND, outcome, Ended::Exited(16))?;
        let victims = Vm::current().census.victims.get() - victims;
        ensure!(victims == 1, "{victims} programs had to go");
        Ok(())
    }
    twice(run, once)
}

/// Two hogs that each want more than there is: both have to go, one after the other. The second is chosen when the
/// memory of the first is back, and used up again.
pub fn victims_go_one_at_a_time(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "stress_memory overfill 2 105 1";
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        /// In nanoseconds.
        const BETWEEN_LOOKS: u64 = 1_000_000;
        let vm = Vm::current();
        let before = vm.census.victims.get();
        let (mut at_a_time, mut back) = (0, 0);
        while !scene.is_over() {
            let victims = vm.census.victims.get() - before;
            // The scene's other thread would see its own processes die when it is over: of the two hogs' time.
            if victims < 2 {
                at_a_time = at_a_time.max(process::dying(may_fault));
            }
            if victims == 1 {
                back = back.max(vm.swap.counts().free);
            }
            pause(BETWEEN_LOOKS, may_fault);
        }
        let slots = vm.swap.counts().slots;
        ensure!(at_a_time <= 1, "{at_a_time} processes had to go at a time");
        ensure!(back > slots / 4, "{back} of {slots} slots were free before the second had to go");
        Ok(())
    }
    fn once(run: &mut Run<'_>) -> Outcome {
        let victims = Vm::current().census.victims.get();
        let pressure = Pressure::new(run, SPARE)?;
        threads::set_tick(run.kernel, tick::INTERVAL);
        let outcome = Scene::play(run, COMMAND, disturb);
        threads::set_tick(run.kernel, 0);
        drop(pressure);
        ensure_came_to(COMMAND, outcome?, Ended::Exited(32))?;
        let victims = Vm::current().census.victims.get() - victims;
        ensure!(victims == 2, "{victims} programs had to go");
        Ok(())
    }
    twice(run, once)
}
