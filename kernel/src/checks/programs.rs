//! Checks of programs: what they are given comes back, and bad ones are refused.

use super::virtual_memory::twice;
use super::{Outcome, Run, Wrong, ensure, memory};
use crate::disk::injection::Fault;
use crate::disk::{ARCHIVE, Operation};
use crate::process::{self, CannotRun, Start, image};
use crate::signal::{SIGBUS, SIGILL, SIGKILL, SIGSEGV};
use crate::virtual_memory::archive;
use ::memory::Memory;
use alloc::vec::Vec;
use machine::x86_64::descriptors::KERNEL_DATA;
use vm::Vm;
use vm::read::Reach;

/// The program that the checks run.
const HELLO: &str = "hello";

/// Frames that are neither free nor in a cache, once everything that can be given back is.
pub fn frames_in_use(run: &mut Run<'_>) -> u64 {
    if let Ok(archive) = archive::get(run.kernel) {
        archive.forget_pages(run.may_fault);
    }
    // Also what lies with processors on which the program ran.
    let _ = memory::empty_all_caches(run);
    Memory::current().frames.counts().used
}

pub fn program_gives_everything_back(run: &mut Run<'_>) -> Outcome {
    const COMMANDS: [&str; 4] =
        ["hello --status 7", "fault null", "hello a \"b c\" d", "fault stack-overflow"];
    let run_all = |run: &mut Run<'_>| {
        for command in COMMANDS {
            let outcome = process::run(run.kernel, command, run.may_fault);
            ensure!(outcome.is_ok(), "'{command}' came to {outcome:?}");
        }
        Ok(())
    };
    run_all(run)?;
    let heap = run.kernel.heap.lock_anywhere().used();
    twice(run, run_all)?;
    let heap_after = run.kernel.heap.lock_anywhere().used();
    ensure!(heap == heap_after, "{heap} bytes of heap before, {heap_after} after");
    Ok(())
}

/// After trees of processes everything of virtual memory's is back, to the last object, entry, mapping and slot.
/// (Stacks and threads are kept, as many as there were at a time.)
pub fn processes_give_everything_back(run: &mut Run<'_>) -> Outcome {
    let state = || {
        let vm = Vm::current();
        let anonymous = [&vm.census.anonymous_objects, &vm.census.anonymous_entries];
        (vm.live(), anonymous.map(|count| count.get()), vm.swap.counts().free)
    };
    // What files have read stays, and so do the nodes of their indices.
    let tree = "stress_memory tree 3 3 1 1";
    let first = process::run(run.kernel, tree, run.may_fault);
    ensure!(first == Ok(process::Outcome::Exited(0)), "'{tree}' came to {first:?}");
    let before = state();
    for command in [tree, "stress_memory tree 2 4 3 7"] {
        let outcome = process::run(run.kernel, command, run.may_fault);
        ensure!(outcome == Ok(process::Outcome::Exited(0)), "'{command}' came to {outcome:?}");
    }
    let after = state();
    ensure!(before == after, "{before:?} before, {after:?} after");
    Ok(())
}

/// A program leaves while its children make children: at any place of the making.
pub fn whoever_makes_a_child_may_have_to_go(run: &mut Run<'_>) -> Outcome {
    /// So often that the end comes at any place.
    const ROUNDS: u32 = 5;
    /// After different times, in microseconds.
    const COMMANDS: [&str; 4] = [
        "stress_memory orphans 6 500",
        "stress_memory orphans 6 1300",
        "stress_memory orphans 6 2900",
        "stress_memory orphans 6 6100",
    ];
    let state = || {
        let vm = Vm::current();
        let anonymous = [&vm.census.anonymous_objects, &vm.census.anonymous_entries];
        (vm.live(), anonymous.map(|count| count.get()), vm.swap.counts().free)
    };
    let mut before = None;
    for round in 0..ROUNDS {
        for command in COMMANDS {
            let outcome = process::run(run.kernel, command, run.may_fault);
            ensure!(outcome == Ok(process::Outcome::Exited(0)), "'{command}' came to {outcome:?}");
        }
        let after = state();
        let before = *before.get_or_insert(after);
        ensure!(before == after, "{before:?} before, {after:?} after {round} rounds");
    }
    Ok(())
}

pub fn non_canonical_return_takes_iretq(run: &mut Run<'_>) -> Outcome {
    const NON_CANONICAL: u64 = 1 << 47;
    let iretq_returns = || run.kernel.sum(|cpu| &cpu.iretq_returns);
    let before = iretq_returns();
    let outcome = process::run_from(run.kernel, HELLO, Start::at(NON_CANONICAL), run.may_fault);
    ensure!(
        outcome == Ok(process::Outcome::Killed(SIGSEGV)),
        "a program at a non-canonical address came to {outcome:?}"
    );
    ensure!(iretq_returns() == before + 1, "{} returns by iretq", iretq_returns() - before);
    let outcome = process::run(run.kernel, "hello", run.may_fault);
    ensure!(outcome == Ok(process::Outcome::Exited(0)), "afterwards 'hello' came to {outcome:?}");
    ensure!(iretq_returns() == before + 1, "an ordinary program returned by iretq");
    Ok(())
}

pub fn a_bad_frame_is_the_programs_fault(run: &mut Run<'_>) -> Outcome {
    // The `iretq` that loads such a segment faults in the kernel.
    for code_segment in [KERNEL_DATA | 3, 0x18 | 3, 0xfff8 | 3] {
        let start = Start { code_segment, ..Start::at(0x20_0000) };
        let outcome = process::run_from(run.kernel, HELLO, start, run.may_fault);
        ensure!(
            matches!(outcome, Ok(process::Outcome::Killed(SIGSEGV | SIGBUS))),
            "a program in segment {code_segment:#x} came to {outcome:?}"
        );
    }
    let outcome = process::run(run.kernel, "hello", run.may_fault);
    ensure!(outcome == Ok(process::Outcome::Exited(0)), "afterwards 'hello' came to {outcome:?}");
    Ok(())
}

pub fn refused_entries_are_counted(run: &mut Run<'_>) -> Outcome {
    let count = || run.kernel.sum(|cpu| &cpu.refused_entries);
    for (command, signals) in
        [("fault int80", [SIGSEGV, SIGSEGV]), ("fault sysenter", [SIGSEGV, SIGILL])]
    {
        let before = count();
        let outcome = process::run(run.kernel, command, run.may_fault);
        let killed = matches!(outcome, Ok(process::Outcome::Killed(by)) if signals.contains(&by));
        ensure!(killed, "'{command}' came to {outcome:?}");
        ensure!(count() == before + 1, "'{command}' counted {} times", count() - before);
    }
    let before = count();
    let outcome = process::run(run.kernel, "fault general-protection", run.may_fault);
    ensure!(outcome == Ok(process::Outcome::Killed(SIGSEGV)), "it came to {outcome:?}");
    ensure!(count() == before, "another fault was taken for a refused entry");
    Ok(())
}

/// A small generator: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

pub fn damaged_programs_are_refused(run: &mut Run<'_>) -> Outcome {
    const SEED: u64 = 0x5eed;
    /// Where headers are, and so where damage tells.
    const HEADERS: usize = 1024;
    let archive = archive::get(run.kernel).map_err(|why| Wrong::new(format_args!("{why}")))?;
    let hello = archive.find(HELLO).ok_or_else(|| Wrong::new(format_args!("no {HELLO}")))?;
    let mut short = [0; image::HEAD as usize];
    let read = hello.read(0, &mut short, Reach::Device, run.may_fault);
    ensure!(read.is_ok(), "reading {HELLO} came to {read:?}");
    let before = frames_in_use(run);
    let mut refused = 0;
    let mut file = Vec::<u8>::new();
    let no_memory = |_| Wrong::new(format_args!("no memory for a copy of a program"));
    file.try_reserve_exact(short.len()).map_err(no_memory)?;
    let mut random = Random(SEED);
    for round in 0..400 {
        file.clear();
        file.extend(short);
        for _ in 0..=round % 4 {
            let place = random.next() as usize % HEADERS.min(file.len());
            file[place] = random.next() as u8;
        }
        file.truncate(if round % 8 == 0 {
            random.next() as usize % short.len()
        } else {
            short.len()
        });
        // Whatever comes out, it must not panic, and everything must come back.
        refused += u32::from(image::check(&file, file.len() as u64).is_err());
        let _ = image::check(&file, hello.length());
    }
    ensure!(refused > 100, "only {refused} of 400 damaged files were refused");
    let after = frames_in_use(run);
    ensure!(before == after, "{before} frames in use before, {after} after");
    Ok(())
}

/// Its headers cannot be read: that says nothing of the program.
pub fn a_failing_disk_is_no_bad_program(run: &mut Run<'_>) -> Outcome {
    let archive = archive::get(run.kernel).map_err(|why| Wrong::new(format_args!("{why}")))?;
    let hello = archive.find(HELLO).ok_or_else(|| Wrong::new(format_args!("no {HELLO}")))?;
    let disk = run.kernel.disks.find(ARCHIVE);
    let disk = disk.ok_or_else(|| Wrong::new(format_args!("no disk '{ARCHIVE}'")))?;
    archive.forget_pages(run.may_fault);
    let pages = hello.first_page()..hello.first_page() + 1;
    disk.inject(Some(Fault { operation: Some(Operation::Read), pages, count: 100 }));
    let outcome = process::run(run.kernel, HELLO, run.may_fault);
    disk.inject(None);
    ensure!(outcome == Err(CannotRun::Device), "it came to {outcome:?}");
    let outcome = process::run(run.kernel, HELLO, run.may_fault);
    ensure!(outcome == Ok(process::Outcome::Exited(0)), "afterwards it came to {outcome:?}");
    Ok(())
}

pub fn program_start_fails_without_memory(run: &mut Run<'_>) -> Outcome {
    // What it reads first stays.
    let first = process::run(run.kernel, HELLO, run.may_fault);
    ensure!(first == Ok(process::Outcome::Exited(0)), "'hello' came to {first:?}");
    twice(run, start_with_too_little)
}

fn start_with_too_little(run: &mut Run<'_>) -> Outcome {
    // A program starts from what lies with processors, too.
    memory::empty_all_caches(run)?;
    let frames = &Memory::current().frames;
    // With each number of frames that is too small there is one more place at which it fails.
    let mut enough = None;
    // Pages of files that nobody has changed are given up for a program that starts; each of these takes some of them.
    let mut others = 100;
    let mut left = 0;
    while left < 200 {
        frames.empty_cache();
        let free = frames.free_frames();
        let (list, _) = memory::take_frames(run.kernel.system, free.saturating_sub(left));
        let outcome = process::run(run.kernel, "hello --status 3", run.may_fault);
        memory::give_frames(run.kernel.system, list);
        match outcome {
            Err(CannotRun::OutOfMemory) => left += 1,
            // There was enough to begin with, and nobody else who could have gone.
            Ok(process::Outcome::Killed(SIGKILL)) => left += 1,
            Ok(process::Outcome::Exited(3)) if left <= 10 && others > 0 => others -= 1,
            Ok(process::Outcome::Exited(3)) => {
                enough = Some(left);
                break;
            }
            other => {
                return Err(Wrong::new(format_args!("with {left} frames it came to {other:?}")));
            }
        }
    }
    ensure!(enough.is_some_and(|left| left > 10), "it started with {enough:?} frames");
    Ok(())
}
