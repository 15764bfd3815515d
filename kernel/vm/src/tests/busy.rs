//! Busy words: one at a time or several who share, and nobody sleeps for ever.

use super::*;
use atomics::cell::SharedCell;
use machine::sim::model;
use std::sync::Arc;

/// A word, and what who has it exclusively may touch.
struct Protected {
    busy: Busy,
    content: SharedCell<u32>,
}

// SAFETY: `content` belongs to who has `busy` exclusively, and may be read by who shares it.
unsafe impl Sync for Protected {}

/// The word alone, without anybody who sleeps: so loom can look at all of it.
mod alone {
    use super::*;
    use machine::sim::{self, Quiet};

    /// What two processors do with a word at the same time.
    fn two(acts: [fn(&Protected); 2]) {
        model(move || {
            let protected = Arc::new(Protected { busy: Busy::new(), content: SharedCell::new(0) });
            sim::run(2, Quiet, |machine| {
                for (index, act) in acts.into_iter().enumerate() {
                    let protected = Arc::clone(&protected);
                    machine.start(index, move |_| act(&protected));
                }
            });
            assert!(!protected.busy.is_busy());
        });
    }

    fn takes(protected: &Protected) {
        if protected.busy.try_exclusive() {
            // SAFETY: ours exclusively.
            *unsafe { protected.content.access() } += 1;
            protected.busy.release_exclusive();
        }
    }

    fn shares(protected: &Protected) {
        if protected.busy.try_share() {
            // SAFETY: nobody has it exclusively, and nobody else shares it.
            let _ = *unsafe { protected.content.access() };
            protected.busy.release_shared();
        }
    }

    #[test]
    fn who_takes_it_sees_what_the_last_holder_did() {
        two([takes, takes]);
    }

    #[test]
    fn who_takes_it_exclusively_comes_after_those_who_shared() {
        two([takes, shares]);
    }
}

#[cfg(not(feature = "loom"))]
mod asleep {
    use super::*;
    use crate::test_machine::{run, spawn, system};
    use machine::MayFault;

    /// Takes it again and again, and waits while others have it. Lost wake-ups end in a deadlock.
    fn take_turns(threads: [fn(&Protected, &mut MayFault); 3]) {
        model(move || {
            run(2, 16, move |may_fault| {
                let protected =
                    Arc::new(Protected { busy: Busy::new(), content: SharedCell::new(0) });
                let threads = threads.map(|act| {
                    let protected = Arc::clone(&protected);
                    spawn(system(60), move |may_fault| {
                        for _ in 0..2 {
                            act(&protected, may_fault);
                        }
                    })
                });
                for thread in threads {
                    thread.join(may_fault);
                }
                assert!(!protected.busy.is_busy());
            });
        });
    }

    fn exclusively(protected: &Protected, may_fault: &mut MayFault) {
        while !protected.busy.try_exclusive() {
            protected.busy.wait(may_fault);
        }
        // SAFETY: ours exclusively.
        let mut content = unsafe { protected.content.access() };
        let before = *content;
        dispatch::preempt::yield_now();
        *content = before + 1;
        protected.busy.release_exclusive();
    }

    fn shared(protected: &Protected, may_fault: &mut MayFault) {
        while !protected.busy.try_share() {
            protected.busy.wait(may_fault);
        }
        dispatch::preempt::yield_now();
        assert!(!protected.busy.is_exclusive());
        protected.busy.release_shared();
    }

    #[test]
    fn nobody_who_waits_for_a_word_sleeps_for_ever() {
        take_turns([exclusively, exclusively, exclusively]);
    }

    #[test]
    fn nobody_who_waits_for_those_who_share_sleeps_for_ever() {
        take_turns([shared, shared, exclusively]);
        take_turns([exclusively, shared, exclusively]);
    }

    #[test]
    fn who_waits_for_nobody_does_not_sleep() {
        model(|| {
            run(1, 16, |may_fault| {
                let busy = Busy::new();
                busy.wait(may_fault);
                assert!(busy.try_share());
                assert!(busy.try_share() && !busy.try_exclusive());
                busy.release_shared();
                assert!(busy.is_busy() && !busy.try_exclusive());
                busy.release_shared();
                assert!(busy.try_exclusive() && !busy.try_share());
                busy.release_exclusive();
            });
        });
    }
}
