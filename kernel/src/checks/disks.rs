//! Checks of the disks: what is written is read back, whoever asks and from wherever; errors reach who asked;
//! a disk that hangs keeps nobody waiting but those who wait for it.

use super::dispatcher::{THREADS_MAX, run_threads};
use super::processors::wait_until;
use super::{Outcome, Run, Wrong, ensure};
use crate::disk::injection::Fault;
use crate::disk::requests::SLOTS;
use crate::disk::{ARCHIVE, CLUSTER, Disk, DiskError, Operation, SWAP, dma};
use crate::kernel::Kernel;
use crate::virtual_memory::archive;
use abi::boot::{CHECKSUM_START, checksum};
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::kernel_thread::Attributes;
use dispatch::{CpuDispatch, sleep};
use machine::{MayFault, poke};
use memory::Memory;
use vm::read::Reach;

const WORDS: usize = dma::FRAME / 8;

fn disk(run: &Run<'_>, name: &'static str) -> Result<&'static Disk, Wrong> {
    let found = run.kernel.disks.find(name);
    found.ok_or_else(|| Wrong::new(format_args!("there is no disk with the name '{name}'")))
}

/// Frames for a transfer, neighbours nowhere: every other one of twice as many, from the last to the first.
struct Frames {
    all: [u64; 2 * CLUSTER],
    scattered: [u64; CLUSTER],
}

impl Frames {
    fn new() -> Result<Frames, Wrong> {
        let mut frames = Frames { all: [0; 2 * CLUSTER], scattered: [0; CLUSTER] };
        for place in &mut frames.all {
            let frame = Memory::current().frames.allocate_block(0);
            *place =
                frame.map_err(|_| Wrong::new(format_args!("no memory for a frame")))?.address();
        }
        let mut sorted = frames.all;
        sorted.sort_unstable();
        for (place, pair) in frames.scattered.iter_mut().zip(sorted.rchunks_exact(2)) {
            *place = pair[0];
        }
        Ok(frames)
    }

    fn words(&self, index: usize) -> *mut [u64; WORDS] {
        dma::pointer(self.scattered[index])
    }

    /// Fills the first frames: each word says for which page of which round it is.
    fn fill(&self, count: usize, page: u64, round: u64) {
        for index in 0..count {
            let words = core::array::from_fn(|word| content(page + index as u64, round, word));
            // SAFETY: a frame of our own, of which no transfer is under way.
            unsafe { self.words(index).write(words) };
        }
    }

    /// Whether the first frames hold what [`Frames::fill`] writes.
    fn hold(&self, count: usize, page: u64, round: u64) -> bool {
        (0..count).all(|index| {
            // SAFETY: a frame of our own, of which no transfer is under way.
            let words = unsafe { &*self.words(index) };
            let number = page + index as u64;
            words.iter().enumerate().all(|(word, &found)| found == content(number, round, word))
        })
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for &frame in self.all.iter().filter(|&&frame| frame != 0) {
            dma::free(frame);
        }
    }
}

fn content(page: u64, round: u64, word: usize) -> u64 {
    (page << 32 | round << 16 | word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Writes pages, spoils the frames, reads the pages back.
fn write_and_read_back(
    disk: &'static Disk,
    frames: &Frames,
    (page, count, round): (u64, usize, u64),
    may_fault: &mut MayFault,
) -> Outcome {
    let used = &frames.scattered[..count];
    frames.fill(count, page, round);
    let written = disk.transfer(Operation::Write, page, used, may_fault);
    ensure!(written.is_ok(), "writing {count} pages at {page} failed");
    frames.fill(count, page, round + 1);
    let read = disk.transfer(Operation::Read, page, used, may_fault);
    ensure!(read.is_ok(), "reading {count} pages at {page} failed");
    ensure!(
        frames.hold(count, page, round),
        "{count} pages at {page} are not as they were written"
    );
    Ok(())
}

/// What is on the disk is what was put there, to the last byte: the disk says itself what its bytes add up to.
pub fn archive_is_whole(run: &mut Run<'_>) -> Outcome {
    let disk = disk(run, ARCHIVE)?;
    ensure!(disk.is_read_only(), "the archive can be written");
    let archive = archive::get(run.kernel).map_err(|why| Wrong::new(format_args!("{why}")))?;
    let Some(file) = &archive.checksum else { return Err(Wrong::new(format_args!("no checksum"))) };
    let mut digits = [0; 16];
    let read = file.read(0, &mut digits, Reach::Device, run.may_fault);
    ensure!(read.is_ok(), "reading the checksum came to {read:?}");
    let expected =
        core::str::from_utf8(&digits).ok().and_then(|it| u64::from_str_radix(it, 16).ok());
    let pages = file.first_page();
    ensure!(pages < disk.pages(), "the checksum is in page {pages} of {}", disk.pages());
    let frames = Frames::new()?;
    let mut sum = CHECKSUM_START;
    for page in (0..pages).step_by(CLUSTER) {
        let count = (pages - page).min(CLUSTER as u64) as usize;
        let read = disk.transfer(Operation::Read, page, &frames.scattered[..count], run.may_fault);
        ensure!(read.is_ok(), "reading {count} pages at {page} failed");
        for index in 0..count {
            // SAFETY: a frame of our own, of which no transfer is under way.
            sum = checksum(sum, unsafe { &*frames.words(index).cast::<[u8; dma::FRAME]>() });
        }
    }
    ensure!(Some(sum) == expected, "{pages} pages add up to {sum:x}, not to {expected:x?}");
    Ok(())
}

pub fn swap_keeps_what_is_written(run: &mut Run<'_>) -> Outcome {
    let disk = disk(run, SWAP)?;
    ensure!(!disk.is_read_only(), "it cannot be written");
    let frames = Frames::new()?;
    for count in 1..=CLUSTER {
        let last = disk.pages() - count as u64;
        for page in [0, last / 2, last] {
            write_and_read_back(disk, &frames, (page, count, count as u64), run.may_fault)?;
        }
    }
    Ok(())
}

pub fn transfers_beyond_the_end_fail(run: &mut Run<'_>) -> Outcome {
    let (swap, archive) = (disk(run, SWAP)?, disk(run, ARCHIVE)?);
    let frames = Frames::new()?;
    let last = swap.pages() - 1;
    write_and_read_back(swap, &frames, (last, 1, 7), run.may_fault)?;
    let before = swap.statistics().errors;
    frames.fill(2, last, 8);
    for (operation, page, count) in [
        (Operation::Write, last, 2),
        (Operation::Read, last, 2),
        (Operation::Read, last + 1, 1),
        (Operation::Write, last + 1, 1),
        (Operation::Read, u64::MAX, CLUSTER),
        (Operation::Write, u64::MAX / 8, 1),
    ] {
        let used = &frames.scattered[..count];
        let refused = swap.transfer(operation, page, used, run.may_fault);
        ensure!(refused == Err(DiskError), "{operation:?} of {count} pages at {page} succeeded");
    }
    let read_only = archive.transfer(Operation::Write, 0, &frames.scattered[..1], run.may_fault);
    ensure!(read_only == Err(DiskError), "the archive was written");
    let errors = swap.statistics().errors - before;
    ensure!(errors == 6, "{errors} errors were counted, of 6");
    let read = swap.transfer(Operation::Read, last, &frames.scattered[..1], run.may_fault);
    ensure!(read.is_ok() && frames.hold(1, last, 7), "the last page has changed");
    Ok(())
}

/// What threads that use a disk share.
struct Users {
    swap: &'static Disk,
    archive: &'static Disk,
    wrong: AtomicU64,
    failed: AtomicU64,
    done: AtomicU64,
}

impl Users {
    fn new(run: &Run<'_>) -> Result<Users, Wrong> {
        let zero = || AtomicU64::new(0);
        let (swap, archive) = (disk(run, SWAP)?, disk(run, ARCHIVE)?);
        Ok(Users { swap, archive, wrong: zero(), failed: zero(), done: zero() })
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    fn note(&self, right: bool) {
        self.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
    }

    fn judge(&self, expected: u64) -> Outcome {
        let (done, wrong) = (self.done(), self.wrong.load(Ordering::Relaxed));
        ensure!(wrong == 0, "{wrong} transfers went wrong");
        ensure!(done == expected, "{done} threads of {expected} came to their end");
        Ok(())
    }
}

/// Pages that a thread has for itself.
const OWN: u64 = CLUSTER as u64;

fn unbound() -> Attributes {
    Attributes::system("disk user")
}

fn on_every_processor(kernel: &'static Kernel) -> impl Iterator<Item = Attributes> {
    kernel.system.cpus().map(|cpu| unbound().bound(CpuDispatch::of(cpu)))
}

pub fn many_threads_use_the_disks(run: &mut Run<'_>) -> Outcome {
    const ROUNDS: u64 = 12;
    fn work(users: &Users, number: usize, may_fault: &mut MayFault) {
        let Ok(frames) = Frames::new() else { return };
        let first = number as u64 * OWN;
        for round in 0..ROUNDS {
            let count = 1 + (number + 5 * round as usize) % CLUSTER;
            let place = (first + round % (OWN - count as u64 + 1), count, round);
            users.note(write_and_read_back(users.swap, &frames, place, may_fault).is_ok());
            // Of this disk all read the same pages.
            let used = &frames.scattered[..1];
            users.note(users.archive.transfer(Operation::Read, round, used, may_fault).is_ok());
        }
        users.done.fetch_add(1, Ordering::Release);
    }
    let users = Users::new(run)?;
    // More than there are slots for requests, wherever they like, and one on each processor.
    let cpus = run.kernel.system.cpu_count();
    let free = (2 * SLOTS).min(THREADS_MAX - cpus);
    let threads = on_every_processor(run.kernel).chain((0..free).map(|_| unbound()));
    let before = users.swap.statistics();
    run_threads(&users, threads, work, run.may_fault)?;
    users.judge((cpus + free) as u64)?;
    let after = users.swap.statistics();
    let transfers = (cpus + free) as u64 * ROUNDS;
    ensure!(after.reads - before.reads == transfers, "{} reads", after.reads - before.reads);
    ensure!(after.writes - before.writes == transfers, "{} writes", after.writes - before.writes);
    ensure!(after.under_way == 0, "{} are still under way", after.under_way);
    Ok(())
}

pub fn every_processor_uses_the_disks(run: &mut Run<'_>) -> Outcome {
    fn work(users: &Users, number: usize, may_fault: &mut MayFault) {
        let Ok(frames) = Frames::new() else { return };
        let place = (number as u64 * OWN, CLUSTER, 3);
        users.note(write_and_read_back(users.swap, &frames, place, may_fault).is_ok());
        users.done.fetch_add(1, Ordering::Release);
    }
    let users = Users::new(run)?;
    run_threads(&users, on_every_processor(run.kernel), work, run.may_fault)?;
    users.judge(run.kernel.system.cpu_count() as u64)
}

pub fn disk_errors_reach_who_asked(run: &mut Run<'_>) -> Outcome {
    const FAILING: u64 = 5;
    const TRANSFERS: u64 = 20;
    /// Thread 0 has the bad pages.
    fn work(users: &Users, number: usize, may_fault: &mut MayFault) {
        let Ok(frames) = Frames::new() else { return };
        let first = number as u64 * OWN;
        for round in 0..TRANSFERS {
            let operation = if round % 2 == 0 { Operation::Write } else { Operation::Read };
            let outcome = users.swap.transfer(operation, first, &frames.scattered[..3], may_fault);
            if number == 0 {
                users.failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
            } else {
                users.note(outcome.is_ok());
            }
        }
        users.done.fetch_add(1, Ordering::Release);
    }
    for operation in [None, Some(Operation::Read), Some(Operation::Write)] {
        let users = Users::new(run)?;
        // The last page but one of what thread 0 transfers.
        users.swap.inject(Some(Fault { operation, pages: 1..2, count: FAILING }));
        run_threads(&users, (0..8).map(|_| unbound()), work, run.may_fault)?;
        users.judge(8)?;
        let failed = users.failed.load(Ordering::Relaxed);
        ensure!(failed == FAILING, "{operation:?}: {failed} transfers failed, of {FAILING}");
    }
    let users = Users::new(run)?;
    users.swap.inject(Some(Fault { operation: None, pages: 0..u64::MAX, count: u64::MAX }));
    let frames = Frames::new()?;
    let failed = users.swap.transfer(Operation::Read, 9, &frames.scattered, run.may_fault);
    users.swap.inject(None);
    ensure!(failed == Err(DiskError), "a disk on which everything fails has read something");
    write_and_read_back(users.swap, &frames, (0, CLUSTER, 1), run.may_fault)
}

/// Sleeps.
fn sleep_nanoseconds(kernel: &Kernel, nanoseconds: u64, may_fault: &mut MayFault) {
    let frequency = kernel.system.backend.clock.frequency().expect("the clock is calibrated");
    sleep::delay(frequency.ticks(nanoseconds), may_fault);
}

pub fn a_frozen_disk_stops_nobody(run: &mut Run<'_>) -> Outcome {
    /// More than there are slots for requests.
    const WAITING: usize = SLOTS + 6;
    const FROZEN: u64 = 300_000_000;
    const LATE: u64 = 50_000_000;

    fn wait(users: &Users, number: usize, may_fault: &mut MayFault) {
        let Ok(frames) = Frames::new() else { return };
        let page = number as u64 * OWN;
        let used = &frames.scattered[..2];
        users.note(users.swap.transfer(Operation::Read, page, used, may_fault).is_ok());
        users.note(frames.hold(2, page, 4));
        users.done.fetch_add(1, Ordering::Release);
    }

    /// What the others find out meanwhile: the last thread.
    fn look(users: &Users, may_fault: &mut MayFault) {
        let kernel = Kernel::current();
        sleep_nanoseconds(kernel, FROZEN / 2, may_fault);
        // The other disk does its work.
        let Ok(frames) = Frames::new() else { return };
        let used = &frames.scattered[..1];
        users.note(users.archive.transfer(Operation::Read, 0, used, may_fault).is_ok());
        // No processor spins: each halts again when it was made to look.
        for cpu in kernel.system.cpus() {
            let halts = || CpuDispatch::of(cpu).counts().halts.load(Ordering::Relaxed);
            let before = halts();
            poke::poke(cpu);
            sleep_nanoseconds(kernel, 20_000_000, may_fault);
            users.note(wait_until(kernel, || halts() > before));
        }
        sleep_nanoseconds(kernel, FROZEN / 2, may_fault);
        let late = || users.swap.statistics().late - users.failed.load(Ordering::Relaxed);
        users.note(wait_until(kernel, || late() == SLOTS as u64));
        // Nobody was told of anything, and the device has done all that fitted into its queue.
        users.note(users.done() == 0);
        users.note(users.swap.statistics().under_way == SLOTS as u64);
        users.swap.thaw();
    }

    fn body(users: &Users, number: usize, may_fault: &mut MayFault) {
        if number < WAITING { wait(users, number, may_fault) } else { look(users, may_fault) }
    }

    let users = Users::new(run)?;
    let frames = Frames::new()?;
    for number in 0..WAITING {
        let place = (number as u64 * OWN, 2, 4);
        write_and_read_back(users.swap, &frames, place, run.may_fault)?;
    }
    users.failed.store(users.swap.statistics().late, Ordering::Relaxed);
    users.swap.set_limit(LATE);
    users.swap.freeze();
    let ran = run_threads(&users, (0..=WAITING).map(|_| unbound()), body, run.may_fault);
    users.swap.thaw();
    users.swap.set_limit(crate::disk::watch::LIMIT);
    ran?;
    users.judge(WAITING as u64)
}
