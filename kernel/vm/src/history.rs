//! Historical bugs, re-created in the shipped code: which of them is in. `docs/history` tells each.
//!
//! Each is a feature of its own. A build with the feature `history` has them all and none, until one is chosen
//! ([`Vm::bring_back`]): so one kernel can show each. In every other build what is asked here is a constant.

use crate::Vm;
use core::sync::atomic::{AtomicU8, Ordering};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// The source of a copy is let go of too early; fullness is judged by counts.
    Cow2019 = 1,
    /// Those who idle still map the source.
    CowD23155,
    /// A fault that begins again has hidden something.
    CowRestart,
    /// A copy is writable before all processors have forgotten the source.
    CowTlb,
}

impl Bug {
    /// All of them, by name.
    const ALL: [(&str, Bug); 4] = [
        ("cow-2019", Bug::Cow2019),
        ("cow-d23155", Bug::CowD23155),
        ("cow-restart", Bug::CowRestart),
        ("cow-tlb", Bug::CowTlb),
    ];

    /// The bug with this name, if this build has it.
    pub fn find(name: &str) -> Option<Bug> {
        let found = Bug::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, bug)| *bug).filter(|_| cfg!(feature = "history"))
    }

    fn is_always_in(self) -> bool {
        match self {
            Bug::Cow2019 => cfg!(feature = "bug-cow-2019"),
            Bug::CowD23155 => cfg!(feature = "bug-cow-d23155"),
            Bug::CowRestart => cfg!(feature = "bug-cow-restart"),
            Bug::CowTlb => cfg!(feature = "bug-cow-tlb"),
        }
    }
}

/// The bug that was chosen. Part of the system.
#[derive(Default)]
pub(crate) struct Chosen(AtomicU8);

impl Vm {
    /// Brings a bug back, while nothing has happened yet.
    pub fn bring_back(&self, bug: Bug) {
        self.bug.0.store(bug as u8, Ordering::Relaxed);
    }
}

/// Whether a bug is in.
#[inline]
pub(crate) fn has(bug: Bug) -> bool {
    bug.is_always_in()
        || cfg!(feature = "history") && Vm::current().bug.0.load(Ordering::Relaxed) == bug as u8
}
