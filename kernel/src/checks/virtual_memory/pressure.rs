//! What checks of virtual memory share: making memory short, and counting what must be back afterwards.

use crate::checks::memory::{give_frames, take_frames};
use crate::checks::programs::frames_in_use;
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::disk::Disk;
use crate::kernel::Kernel;
use crate::threads::ticks;
use dispatch::sleep;
use machine::{MayFault, System};
use memory::Memory;
use vm::Vm;

/// While it lives memory is short: so many frames are free above what the page daemon tries to keep free.
pub struct Pressure {
    system: &'static System,
    taken: u64,
}

impl Pressure {
    /// Leaves `spare` frames above the page daemon's goal.
    pub fn new(run: &Run<'_>, spare: u64) -> Result<Pressure, Wrong> {
        let Some(reserves) = run.kernel.reserves.get() else {
            return Err(Wrong::new(format_args!("there is no page daemon")));
        };
        let frames = &Memory::current().frames;
        frames.empty_cache();
        let most = frames.free_frames().saturating_sub(reserves.high() + spare);
        let (taken, _) = take_frames(run.kernel.system, most);
        reserves.set();
        Ok(Pressure { system: run.kernel.system, taken })
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        give_frames(self.system, self.taken);
    }
}

/// What must be as it was when all is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Frames in use.
    frames: u64,
    /// Objects, entries, index nodes, further mappings, transfers and physical maps.
    live: [u64; 6],
    /// Anonymous objects, and entries that lead to one.
    anonymous: [i64; 2],
    /// Slots of swap space in use.
    slots: u64,
    /// Threads that wait for memory.
    waiting: u32,
}

impl Counts {
    /// What there is, once everything that can be given back is.
    pub fn now(run: &mut Run<'_>) -> Counts {
        let frames = frames_in_use(run);
        let vm = Vm::current();
        let anonymous = [&vm.census.anonymous_objects, &vm.census.anonymous_entries];
        let swap = vm.swap.counts();
        Counts {
            frames,
            live: vm.live(),
            anonymous: anonymous.map(|count| count.get()),
            slots: swap.slots - swap.free,
            waiting: vm.waiting(),
        }
    }

    /// Whether all is as it was `before`.
    fn ensure_same(&self, before: &Counts) -> Outcome {
        let (was, is) = (before, self);
        ensure!(was.live == is.live, "{:?} of each before, {:?} after", was.live, is.live);
        ensure!(
            was.anonymous == is.anonymous,
            "anonymous: {:?} before, {:?} after",
            was.anonymous,
            is.anonymous
        );
        ensure!(was.slots == is.slots, "{} slots in use before, {} after", was.slots, is.slots);
        ensure!(was.frames == is.frames, "{} frames before, {} after", was.frames, is.frames);
        ensure!(was.waiting == is.waiting, "{} threads still wait for memory", is.waiting);
        Ok(())
    }
}

/// Does something twice. The first time fills what is kept (threads, stacks, nodes of files' indices); after the
/// second everything must be as it was after the first, to the last frame and slot. On many processors more may run at
/// once the second time, and more be kept; hence a few times more, of which one must leave nothing. A leak never does.
pub fn twice(run: &mut Run<'_>, mut act: impl FnMut(&mut Run<'_>) -> Outcome) -> Outcome {
    const MORE: u32 = 3;
    act(run)?;
    let mut before = Counts::now(run);
    for _ in 0..MORE {
        act(run)?;
        let after = Counts::now(run);
        if after == before {
            return Ok(());
        }
        before = after;
    }
    act(run)?;
    Counts::now(run).ensure_same(&before)
}

/// The disk with that name.
pub fn disk(kernel: &'static Kernel, name: &'static str) -> Result<&'static Disk, Wrong> {
    let found = kernel.disks.find(name);
    found.ok_or_else(|| Wrong::new(format_args!("there is no disk with the name '{name}'")))
}

/// Sleeps.
pub fn pause(nanoseconds: u64, may_fault: &mut MayFault) {
    sleep::delay(ticks(Kernel::current(), nanoseconds), may_fault);
}

/// Sleeps until something holds; says whether it did in time.
pub fn sleep_until(may_fault: &mut MayFault, mut holds: impl FnMut() -> bool) -> bool {
    /// How often it is looked, and how far apart in nanoseconds: half a minute in all.
    const LOOKS: u32 = 30_000;
    const APART: u64 = 1_000_000;
    for _ in 0..LOOKS {
        if holds() {
            return true;
        }
        pause(APART, may_fault);
    }
    holds()
}
