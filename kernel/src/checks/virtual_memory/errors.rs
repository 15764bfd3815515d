//! Disks that fail. A page that cannot be read is its program's misfortune, and only its: SIGBUS, with the address and
//! the reason. A page that cannot be written stays where it is, as dirty as it was.

use super::pressure::{Pressure, disk, sleep_until, twice};
use super::spaces::Program;
use super::{HOGS, SPARE, Scene, ensure_came_to};
use crate::checks::dispatcher::run_threads;
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::disk::injection::Fault;
use crate::disk::{ARCHIVE, Disk, Operation, SWAP};
use crate::kernel::Kernel;
use crate::process::{self, Outcome as Ended, execute};
use crate::signal::SIGBUS;
use crate::virtual_memory::archive;
use core::ops::Range;
use machine::{MayFault, SpinLock};
use vm::{FaultError, PAGE_SIZE, Vm};

/// Until further notice.
const EVERY_READ: Fault =
    Fault { operation: Some(Operation::Read), pages: 0..u64::MAX, count: u64::MAX };

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
        a_page_cannot_be_read_back(run)?;
        what_cannot_be_read_is_not_lost(run)
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

/// A program's own page cannot be read back. It alone reads from swap space, and every read fails, as one that brings
/// several pages is tried again for one.
fn a_page_cannot_be_read_back(run: &mut Run<'_>) -> Outcome {
    const COMMAND: &str = "stress_memory hog 150 50";
    fn disturb(scene: &Scene, may_fault: &mut MayFault) -> Outcome {
        let (swap, before) = scene.wait_for_page_ins(may_fault)?;
        swap.inject(Some(EVERY_READ));
        let over = sleep_until(may_fault, || scene.is_over());
        swap.inject(None);
        ensure!(over, "a program goes on without its page");
        ensure!(swap.statistics().errors > before.errors, "no read has failed");
        Ok(())
    }
    let pressure = Pressure::new(run, SPARE)?;
    let outcome = Scene::play(run, COMMAND, disturb);
    drop(pressure);
    ensure_came_to(COMMAND, outcome?, Ended::Killed(SIGBUS))
}

/// A program of the check's own, and what its thread has found.
struct Swapped {
    program: Program,
    pages: u64,
    found: SpinLock<Option<Outcome>, 13>,
}

fn word(page: u64) -> u64 {
    page ^ 0x3c3c_0000
}

/// Lets a single read fail for one page after the other, until one comes nevertheless: it was read with others, and once
/// more alone. Whether there was one.
fn one_error_hurts_nobody(
    Swapped { program, pages, .. }: &Swapped,
    swap: &Disk,
    may_fault: &mut MayFault,
) -> Result<bool, Wrong> {
    for page in 0..*pages {
        if !program.is_swapped(page, may_fault) {
            continue;
        }
        let errors = swap.statistics().errors;
        swap.inject(Some(Fault { count: 1, ..EVERY_READ }));
        let found = program.read(page, may_fault);
        swap.inject(None);
        let errors = swap.statistics().errors - errors;
        ensure!(errors == 1, "page {page}: {errors} errors, not the one that was wanted");
        match found {
            Err(FaultError::Device) => {}
            Ok(found) if found == word(page) => return Ok(true),
            other => return Err(Wrong::new(format_args!("page {page}: {other:?}"))),
        }
    }
    Ok(false)
}

/// While swap space cannot be read, whoever asks is told so, and what needs nothing from there goes on. Afterwards
/// everything is there.
fn what_cannot_be_read_is_not_lost(run: &mut Run<'_>) -> Outcome {
    /// Pages that must be in swap space.
    const SURPLUS: u64 = 256;
    fn fill(swapped: &Swapped, _: usize, may_fault: &mut MayFault) {
        let write = |page| swapped.program.write(page, word(page), &mut *may_fault);
        let failed = (0..swapped.pages).map(write).find_map(Result::err);
        if let Some(error) = failed {
            let wrong = Wrong::new(format_args!("a page cannot be written: {error:?}"));
            *swapped.found.lock(may_fault) = Some(Err(wrong));
        }
    }
    fn look(swapped: &Swapped, _: usize, may_fault: &mut MayFault) {
        let found = judge(swapped, may_fault);
        *swapped.found.lock(may_fault) = Some(found);
    }
    fn judge(swapped: &Swapped, may_fault: &mut MayFault) -> Outcome {
        let Swapped { program, pages, .. } = swapped;
        let swap = disk(Kernel::current(), SWAP)?;
        let gone = (0..*pages).find(|&page| program.is_swapped(page, may_fault));
        let here = (0..*pages).rev().find(|&page| !program.is_swapped(page, may_fault));
        let (Some(gone), Some(here)) = (gone, here) else {
            return Err(Wrong::new(format_args!("in swap space: {gone:?}, here: {here:?}")));
        };
        swap.inject(Some(EVERY_READ));
        let refused = [(); 2].map(|()| program.read(gone, may_fault));
        let other = program.read(here, may_fault);
        swap.inject(None);
        ensure!(refused == [Err(FaultError::Device); 2], "page {gone}: {refused:?}");
        ensure!(other == Ok(word(here)), "page {here}, which was resident: {other:?}");
        ensure!(one_error_hurts_nobody(swapped, swap, may_fault)?, "every page came alone");
        for page in 0..*pages {
            let found = program.read(page, may_fault);
            ensure!(found == Ok(word(page)), "page {page} afterwards: {found:?}");
        }
        Ok(())
    }
    let Some(reserves) = run.kernel.reserves.get() else {
        return Err(Wrong::new(format_args!("there is no page daemon")));
    };
    let pages = reserves.high() + SPARE + SURPLUS;
    let program = Program::new(pages, run.may_fault)?;
    let swapped = Swapped { program, pages, found: SpinLock::new(None) };
    // SAFETY: `run_threads` waits for its threads, and the program is ended after them.
    let inside = unsafe { swapped.program.inside() };
    let thread = || core::iter::once(inside.thread());
    let mut outcome = Pressure::new(run, SPARE)
        .and_then(|_short| run_threads(&swapped, thread(), fill, run.may_fault));
    if outcome.is_ok() && swapped.found.lock_anywhere().is_none() {
        outcome = run_threads(&swapped, thread(), look, run.may_fault);
    }
    let found = swapped.found.lock_anywhere().take();
    swapped.program.end(run.may_fault);
    outcome.and(found.unwrap_or(Ok(())))
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
