//! Waiting until one of several files is ready.
//!
//! There is one place for all who wait: a change of any file wakes them, and each looks at its own files again. That is
//! simple, and costs something only while somebody waits.
//!
//! # No wake-up is lost
//!
//! Who waits counts itself before it looks at its files; whoever changes a file looks at the count after the change.
//! Between the two of each stands a fence. So either the look finds the change, or the change finds somebody counted,
//! and then it raises the number of changes, which the waiter has noted before it looked.

use core::sync::atomic::{AtomicU32, Ordering, fence};
use dispatch::{Condvar, MayBlock, Mutex, Woken};
use machine::MayFault;

/// Who waits for one of several files. See the module.
pub struct Watch {
    waiters: AtomicU32,
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Watch {
    /// Nobody waits.
    pub fn new() -> Watch {
        Watch { waiters: AtomicU32::new(0), changes: Mutex::new(0), changed: Condvar::new() }
    }

    /// A file has become ready for something. Not with a lock of the file held.
    pub fn tell(&self, may_block: &mut impl MayBlock) {
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) != 0 {
            *self.changes.lock(may_block) += 1;
            self.changed.broadcast();
        }
    }

    /// Looks until there is something, a deadline has passed, or the thread is interrupted; says which it was. Before the
    /// deadline has passed and after it is looked at least once.
    pub fn wait_until<R>(
        &self,
        deadline: Option<u64>,
        may_fault: &mut MayFault,
        mut look: impl FnMut(&mut MayFault) -> Option<R>,
    ) -> (Woken, Option<R>) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut why = Woken::NotYet;
        let result = loop {
            let before = *self.changes.lock(may_fault);
            let found = look(may_fault);
            if found.is_some() || why != Woken::NotYet {
                break found;
            }
            let mut changes = self.changes.lock(may_fault);
            while *changes == before && why == Woken::NotYet {
                let (guard, woken) = match deadline {
                    Some(deadline) => {
                        self.changed.wait_interruptible_until(changes, deadline, may_fault)
                    }
                    None => self.changed.wait_interruptible(changes, may_fault),
                };
                changes = guard;
                if woken != Woken::ByEvent {
                    why = woken;
                }
            }
        };
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        (why, result)
    }
}
