//! Disks that fail. A page that cannot be read is its program's misfortune, and only its: SIGBUS, with the address and
//! the reason. A page that cannot be written stays where it is, as dirty as it was.

use super::pressure::{Pressure, disk, sleep_until, twice};
use super::{SPARE, Scene, ensure_came_to};
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::disk::injection::Fault;
use crate::disk::{ARCHIVE, Operation, SWAP};
use crate::kernel::Kernel;
use crate::process::{self, Outcome as Ended, execute};
use crate::traps::signal::SIGBUS;
use crate::virtual_memory::archive;
use core::ops::Range;
use machine::MayFault;
use vm::{PAGE_SIZE, Vm};

/// Three hogs that want nearly twice what there is.
const HOGS: &str = "stress_memory hogs 3 60 2";

/// The page of the archive's disk that has a program's first instruction.
fn page_of_entry(run: &mut Run<'_>, name: &str) -> Option<Range<u64>> {
    let file = archive::get(run.kernel).ok()?.find(name)?;
    let image = execute::check_file(file, run.may_fault).ok()?;
    let page = file.first_page() + image.place_in_file(image.entry)? / PAGE_SIZE;
    Some(page..page + 1)
}

pub fn page_in_errors_reach_who_asked(run: &mut Run<'_>) -> Outcome {
    twice(run, |run| {
        a_program_cannot_be_read(run)?;
        a_page_cannot_be_read_back(run)
    })
}

fn a_program_cannot_be_read(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "hello --status 3";
    let archive = disk(run.kernel, ARCHIVE)?;
    let Some(pages) = page_of_entry(run, "hello") else {
        return Err(Wrong::new(format_args!("there is no program 'hello'")));
    };
    if let Ok(files) = archive::get(run.kernel) {
        files.forget_pages(run.may_fault);
    }
    let errors = archive.statistics().errors;
    // Each time, also when it comes along with pages that are wanted before.
    archive.inject(Some(Fault { operation: Some(Operation::Read), pages, count: 100 }));
    let outcome = process::run(run.kernel, COMMAND, run.may_fault);
    archive.inject(None);
    ensure_came_to(COMMAND, outcome, Ended::Killed(SIGBUS))?;
    let errors = archive.statistics().errors - errors;
    ensure!((1..=4).contains(&errors), "the archive had {errors} errors");
    // It was the disk's fault, and it is over.
    let outcome = process::run(run.kernel, COMMAND, run.may_fault);
    ensure_came_to(COMMAND, outcome, Ended::Exited(3))
}

/// One of the hogs loses a page, and the others go on. Each looks at all that it has written.
fn a_page_cannot_be_read_back(run: &mut Run<'_>) -> Outcome {
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        let swap = disk(Kernel::current(), SWAP)?;
        let before = swap.statistics();
        let is_busy = || swap.statistics().reads > before.reads + 8 || scene.is_over();
        ensure!(sleep_until(may_fault, is_busy), "nobody has read from swap space");
        let operation = Some(Operation::Read);
        swap.inject(Some(Fault { operation, pages: 0..u64::MAX, count: 1 }));
        let has_failed = || swap.statistics().errors > before.errors || scene.is_over();
        let failed = sleep_until(may_fault, has_failed);
        swap.inject(None);
        ensure!(failed, "no read has failed");
        Ok(())
    }
    let pressure = Pressure::new(run, SPARE)?;
    let outcome = Scene::play(run, HOGS, disturb);
    drop(pressure);
    ensure_came_to(HOGS, outcome?, Ended::Exited(1))
}

pub fn page_out_errors_lose_nothing(run: &mut Run<'_>) -> Outcome {
    /// Writes that fail one after the other.
    const FAILING: u64 = 5;
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        let swap = disk(Kernel::current(), SWAP)?;
        for round in 0..4 {
            let before = swap.statistics();
            let is_busy = || swap.statistics().writes > before.writes + 8 || scene.is_over();
            ensure!(sleep_until(may_fault, is_busy), "round {round}: nobody writes to swap space");
            if scene.is_over() {
                break;
            }
            let operation = Some(Operation::Write);
            swap.inject(Some(Fault { operation, pages: 0..u64::MAX, count: FAILING }));
            let errors = || swap.statistics().errors - before.errors;
            let failed = sleep_until(may_fault, || errors() == FAILING || scene.is_over());
            swap.inject(None);
            ensure!(failed, "round {round}: only {} writes have failed", errors());
        }
        Ok(())
    }
    fn once(run: &mut Run<'_>) -> Outcome {
        let census = &Vm::current().census;
        let (errors, victims) = (census.page_out_errors.get(), census.victims.get());
        let pressure = Pressure::new(run, SPARE)?;
        let outcome = Scene::play(run, HOGS, disturb);
        drop(pressure);
        let victims = census.victims.get() - victims;
        ensure!(victims == 0, "{victims} programs had to go");
        ensure_came_to(HOGS, outcome?, Ended::Exited(0))?;
        let errors = census.page_out_errors.get() - errors;
        ensure!(errors >= FAILING as i64, "only {errors} errors were met");
        Ok(())
    }
    twice(run, once)
}
