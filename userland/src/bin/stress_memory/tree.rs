//! A tree of processes. Each has the same two pieces of memory as its parent: one that is handed down by copy or by
//! sharing, as chance will have it, and one that is always copied. It writes some pages, makes its children, writes
//! some more, and looks at every page: of what is always copied a process sees what was there when it was made, and what
//! it has written itself since.
//!
//! In shared pages anybody of those who share may have written; then the page must say one of the family's numbers and
//! its own place, and both ends the same unless somebody is writing just then.

use crate::{child, wait};
use abi::calls::Counter;
use userland::pattern::{Memory, Says};
use userland::random::Random;
use userland::system::{self, raw};
use userland::{eprintln, println};

/// Pages of each piece.
const PAGES: usize = 24;
/// Most children of a process.
const WIDTH_MAX: usize = 16;

/// The status if chains have become longer than they may.
const BOUND_BROKEN: i32 = 3;

/// What a process has.
struct Family {
    /// Always copied.
    own: Memory,
    /// Copied or shared.
    common: Memory,
    /// What this process must see in its own piece.
    sees: [Says; PAGES],
    random: Random,
    /// Versions, never the same twice in a process.
    version: u64,
}

pub fn run(depth: u64, width: u64, rounds: u64, seed: u64) -> i32 {
    let width = width.min(WIDTH_MAX as u64);
    let mut status = 0;
    for round in 0..rounds {
        let pages = PAGES as u64;
        let (Some(own), Some(common)) = (Memory::map(pages), Memory::map(pages)) else {
            eprintln!("tree: nothing can be mapped");
            return 1;
        };
        let sees = [Says::NOTHING; PAGES];
        let random = Random((seed + round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut family = Family { own, common, sees, random, version: 0 };
        if !family.live(depth, width) {
            return 1;
        }
        // All descendants are gone: what this process has of shadows is what chains come to at rest.
        let [objects, entries] =
            [Counter::AnonymousObjects, Counter::AnonymousEntries].map(system::counter);
        let too_many = system::counter(Counter::ObjectsTooMany);
        println!(
            "tree: round {round}: {objects} objects for {entries} entries, {} collapses, {} bypasses, deepest walk {}",
            system::counter(Counter::Collapses),
            system::counter(Counter::Bypasses),
            system::counter(Counter::DeepestWalk),
        );
        own.unmap();
        common.unmap();
        match too_many {
            0 => println!("tree: at most 2 n - 1 objects for n entries: the bound on chains holds"),
            _ => {
                println!("tree: {too_many} objects too many: the bound on chains is broken");
                status = BOUND_BROKEN;
            }
        }
    }
    status
}

impl Family {
    /// Writes some pages.
    fn write(&mut self) {
        let me = system::getpid();
        for _ in 0..PAGES / 3 {
            let page = self.random.below(PAGES as u64);
            self.version += 1;
            self.own.write(page, me, self.version);
            self.sees[page as usize] = Says { owner: me, page, version: self.version };
            self.common.write(self.random.below(PAGES as u64), me, self.version);
        }
    }

    /// Looks at every page.
    fn look(&self) -> bool {
        for page in 0..PAGES as u64 {
            let (found, expected) = (self.own.read(page), self.sees[page as usize]);
            if found != Some(expected) {
                let me = system::getpid();
                eprintln!("tree: process {me}, page {page}: {found:?}, not {expected:?}");
                return false;
            }
            let common = self.common.read(page);
            if common.is_some_and(|says| says != Says::NOTHING && says.page != page) {
                eprintln!("tree: page {page} of what may be shared says {common:?}");
                return false;
            }
        }
        true
    }

    /// The life of a process; says whether all was well with it and its descendants.
    fn live(&mut self, depth: u64, width: u64) -> bool {
        self.write();
        let mut children = [None; WIDTH_MAX];
        for (which, place) in children.iter_mut().take(width as usize).enumerate() {
            if depth == 0 {
                break;
            }
            let shares = self.random.below(2) == 0;
            let inheritance = i32::from(!shares);
            // SAFETY: a piece of our own.
            let said =
                unsafe { raw::minherit(self.common.start, self.common.pages * 4096, inheritance) };
            if said.is_err() {
                return false;
            }
            let seed = self.random.below(1 << 40) + which as u64;
            *place = child(|| {
                self.random = Random(seed | 1);
                // Versions of a child are its own: it writes its own number beside them.
                i32::from(!self.live(depth - 1, width))
            });
            if place.is_none() {
                eprintln!("tree: no memory for a child");
                return false;
            }
            self.write();
        }
        let mut well = self.look();
        // Some leave before their children do: those are nobody's then.
        for child in children.into_iter().flatten() {
            well &= wait(child) == 0;
            well &= self.look();
        }
        well
    }
}
