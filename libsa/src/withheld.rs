//! Upcall stacks and save slots that are kept although the library is done with them: for tests of the kernel, which has to
//! do with what it has meanwhile.
//!
//! [`withhold`] says how many; they go back by [`give_back`] only. Whoever withholds answers for what comes of it: an
//! UNBLOCKED is held back as long as the stack of its BLOCKED, so it must be a thread that never sleeps in the kernel
//! which gives back.

use crate::pending;
use crate::runtime;
use abi::activations::SaUpcall;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, Ordering::Relaxed};

/// Things of one kind.
struct Kind<const COUNT: usize> {
    /// How many may be kept.
    most: AtomicU32,
    /// How many are, or are about to be.
    kept: AtomicU32,
    /// For each that is kept which use of it was the last; 0 for the others.
    uses: [AtomicU32; COUNT],
}

static STACKS: Kind<{ runtime::STACKS_MAX }> = Kind::new();
static SLOTS: Kind<{ runtime::SLOTS_MAX }> = Kind::new();

impl<const COUNT: usize> Kind<COUNT> {
    const fn new() -> Kind<COUNT> {
        let uses = [const { AtomicU32::new(0) }; COUNT];
        Kind { most: AtomicU32::new(0), kept: AtomicU32::new(0), uses }
    }

    /// Whether one more is kept.
    #[inline(always)]
    fn keeps(&self) -> bool {
        self.most.load(Relaxed) != 0 && self.keeps_one_more()
    }

    #[cold]
    fn keeps_one_more(&self) -> bool {
        let most = self.most.load(Relaxed);
        let one_more = |kept| (kept < most).then_some(kept + 1);
        self.kept.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// Those that are kept are no longer: says for each its number.
    fn take_all(&self, mut give_back: impl FnMut(usize, u32)) {
        for (number, place) in self.uses.iter().enumerate() {
            let used = place.swap(0, Ordering::Acquire);
            if used != 0 {
                self.kept.fetch_sub(1, Relaxed);
                give_back(number, used);
            }
        }
    }
}

/// From now on so many stacks and slots are kept, but a few of each kind never: the kernel could not begin an upcall, and
/// nobody would ever be interrupted.
pub fn withhold(stacks: u32, slots: u32) {
    let processors = runtime::scheduler().processors() as u32;
    STACKS.most.store(stacks.min(runtime::stacks().saturating_sub(2)), Relaxed);
    SLOTS.most.store(slots.min(runtime::slots().saturating_sub(4 * processors + 4)), Relaxed);
}

/// All that are kept go back, except those that are just being left. Says how many stacks and slots went back.
pub fn give_back() -> (u32, u32) {
    let (mut stacks, mut slots) = (0, 0);
    crate::line::critical(|| {
        STACKS.take_all(|number, used| {
            stacks += 1;
            pending::returns_stack(runtime::upcall(number as u32), used);
        });
        SLOTS.take_all(|number, used| {
            slots += 1;
            pending::returns_slot(runtime::slot_ref(number as u32), used);
        });
    });
    (stacks, slots)
}

/// How many stacks and slots are kept.
pub fn kept() -> (u32, u32) {
    (STACKS.kept.load(Relaxed), SLOTS.kept.load(Relaxed))
}

/// Where the use of a stack is stored by who has left it.
#[inline(always)]
pub fn place_of_return(upcall: &SaUpcall) -> *const AtomicU32 {
    if STACKS.keeps() {
        return ptr::from_ref(&STACKS.uses[runtime::look(&upcall.told.stack) as usize]);
    }
    ptr::from_ref(&upcall.returned)
}

/// Whether a slot is kept, of which this was the last use.
#[inline(always)]
pub fn keeps_slot(slot: u32, used: u32) -> bool {
    let keeps = SLOTS.keeps();
    if keeps {
        SLOTS.uses[slot as usize].store(used, Ordering::Release);
    }
    keeps
}
