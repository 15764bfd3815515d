//! More races in every order: with pages that are in swap space, with maps that change, with siblings that stay.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::explore::{Cast, explore, preemptions, stop_here};
use common::program::{page, read_write};
use common::store::LateDevice;
use common::swapped::{attach, swap_all_out};
use common::{Program, Rights};
use machine::MayFault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use vm::{FaultError, Vm};

const FRAMES: u64 = 64;

/// The pages that a family has: the one that nobody has written since, two copies of the other and what it was before.
const FAMILY_PAGES: u64 = 4;

/// A parent that has written two pages, and its child; both have read page 0, which is neither's own.
fn family(may_fault: &mut MayFault) -> [Program; 2] {
    let parent = Program::new();
    parent.map(0, 2, may_fault);
    parent.act(
        |user, may_fault| {
            user.write(0, 10, may_fault).unwrap();
            user.write(1, 11, may_fault).unwrap();
        },
        may_fault,
    );
    let child = parent.fork(may_fault);
    for (program, word) in [(&parent, 21), (&child, 31)] {
        program.act(
            move |user, may_fault| {
                user.write(1, word, may_fault).unwrap();
                assert_eq!(user.read(0, may_fault), Ok(10));
            },
            may_fault,
        );
    }
    [parent, child]
}

/// An actor that answers for the device, `count` times, each time when it is its turn.
fn answers(cast: &mut Cast, device: &'static LateDevice, count: usize) {
    let nobody = Program::new();
    cast.add("the device answers", &nobody, move |_, may_fault| {
        for _ in 0..count {
            device.waiting.p(may_fault);
            stop_here(may_fault);
            device.answer();
        }
    });
}

fn exit_all(programs: impl IntoIterator<Item = Program>, may_fault: &mut MayFault) {
    for program in programs {
        program.exit(may_fault);
    }
}

fn reads(
    program: &Program,
    number: u64,
    expected: Result<u64, FaultError>,
    may_fault: &mut MayFault,
) {
    program
        .act(move |user, may_fault| assert_eq!(user.read(number, may_fault), expected), may_fault);
}

#[test]
fn who_waits_for_a_page_from_swap_gets_its_own_copy_while_the_others_go() {
    let explored = explore(FRAMES, preemptions(2), |cast: &mut Cast, may_fault| {
        let (device, store) = attach(64);
        let [parent, child] = family(may_fault);
        swap_all_out(FAMILY_PAGES, may_fault);
        store.at_once.store(false, Ordering::SeqCst);
        cast.add("the parent writes", &parent, |user, may_fault| {
            user.write(0, 20, may_fault).unwrap();
        });
        let leaver = child.clone();
        cast.add("the child exits", &parent, move |_, may_fault| leaver.exit(may_fault));
        answers(cast, device, 1);
        Box::new(move |may_fault| {
            store.at_once.store(true, Ordering::SeqCst);
            reads(&parent, 0, Ok(20), may_fault);
            reads(&parent, 1, Ok(21), may_fault);
            drop(child);
            parent.exit(may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn two_who_wait_for_the_same_page_from_swap_both_get_it() {
    let explored = explore(FRAMES, preemptions(2), |cast: &mut Cast, may_fault| {
        let (device, store) = attach(64);
        let [parent, child] = family(may_fault);
        swap_all_out(FAMILY_PAGES, may_fault);
        store.at_once.store(false, Ordering::SeqCst);
        cast.add("the parent writes", &parent, |user, may_fault| {
            user.write(0, 20, may_fault).unwrap();
        });
        cast.add("the child reads", &child, |user, may_fault| {
            assert_eq!(user.read(0, may_fault), Ok(10));
        });
        answers(cast, device, 1);
        Box::new(move |may_fault| {
            store.at_once.store(true, Ordering::SeqCst);
            reads(&parent, 0, Ok(20), may_fault);
            reads(&child, 0, Ok(10), may_fault);
            exit_all([parent, child], may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn what_is_unmapped_while_it_comes_from_swap_is_gone() {
    let explored = explore(FRAMES, preemptions(1), |cast: &mut Cast, may_fault| {
        let (device, store) = attach(64);
        let [parent, child] = family(may_fault);
        swap_all_out(FAMILY_PAGES, may_fault);
        store.at_once.store(false, Ordering::SeqCst);
        cast.add("the parent writes", &parent, |user, may_fault| {
            let result = user.write(0, 20, may_fault);
            assert!(matches!(result, Ok(()) | Err(FaultError::NotMapped)), "{result:?}");
        });
        let unmaps = parent.clone();
        cast.add("the parent unmaps", &parent, move |_, may_fault| unmaps.unmap(0, 1, may_fault));
        // If the page is gone before it was asked for, this asks.
        cast.add("the child reads", &child, |user, may_fault| {
            assert_eq!(user.read(0, may_fault), Ok(10));
        });
        answers(cast, device, 1);
        Box::new(move |may_fault| {
            store.at_once.store(true, Ordering::SeqCst);
            reads(&parent, 0, Err(FaultError::NotMapped), may_fault);
            reads(&child, 0, Ok(10), may_fault);
            exit_all([parent, child], may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn what_is_unmapped_while_it_is_written_is_gone() {
    let explored = explore(FRAMES, preemptions(3), |cast: &mut Cast, may_fault| {
        let [parent, child] = family(may_fault);
        cast.add("the parent writes", &parent, |user, may_fault| {
            let result = user.write(0, 20, may_fault);
            assert!(matches!(result, Ok(()) | Err(FaultError::NotMapped)), "{result:?}");
        });
        let unmaps = parent.clone();
        cast.add("the parent unmaps", &parent, move |user, may_fault| {
            unmaps.unmap(0, 1, may_fault);
            assert_eq!(user.read(0, may_fault), Err(FaultError::NotMapped));
        });
        let leaver = child.clone();
        cast.add("the child exits", &parent, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            reads(&parent, 1, Ok(21), may_fault);
            drop(child);
            parent.exit(may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn what_is_protected_while_it_is_written_is_protected() {
    let explored = explore(FRAMES, preemptions(3), |cast: &mut Cast, may_fault| {
        let [parent, child] = family(may_fault);
        cast.add("the parent writes", &parent, |user, may_fault| {
            let result = user.write(0, 20, may_fault);
            assert!(matches!(result, Ok(()) | Err(FaultError::NotPermitted)), "{result:?}");
        });
        let protects = parent.clone();
        let seen = Arc::new(AtomicU64::new(0));
        let last = Arc::clone(&seen);
        cast.add("the parent protects", &parent, move |user, may_fault| {
            let range = page(0)..page(1);
            protects.space().protect(range, Rights::READ, may_fault).unwrap();
            last.store(user.read(0, may_fault).unwrap(), Ordering::SeqCst);
            assert_eq!(user.write(0, 77, may_fault), Err(FaultError::NotPermitted));
        });
        let leaver = child.clone();
        cast.add("the child exits", &parent, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            // Nothing has changed after it was protected.
            reads(&parent, 0, Ok(seen.load(Ordering::SeqCst)), may_fault);
            drop(child);
            parent.exit(may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn what_one_thread_has_seen_of_anothers_write_it_sees_again() {
    let explored = explore(FRAMES, preemptions(2), |cast: &mut Cast, may_fault| {
        let [parent, child] = family(may_fault);
        cast.add("one writes", &parent, |user, may_fault| user.write(0, 20, may_fault).unwrap());
        cast.add("the other reads", &parent, |user, may_fault| {
            let mut last = 10;
            for _ in 0..3 {
                let word = user.read(0, may_fault).unwrap();
                assert!(word == 20 || word == 10 && last == 10, "{word} after {last}");
                last = word;
                stop_here(may_fault);
            }
        });
        let leaver = child.clone();
        cast.add("the child exits", &parent, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            reads(&parent, 0, Ok(20), may_fault);
            drop(child);
            parent.exit(may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn a_child_sees_what_was_there_when_it_was_born_whoever_writes_then() {
    let explored = explore(FRAMES, preemptions(1), |cast: &mut Cast, may_fault| {
        let [parent, sibling] = family(may_fault);
        cast.add("one writes", &parent, |user, may_fault| user.write(0, 20, may_fault).unwrap());
        let (forks, child) = (parent.clone(), Arc::new(Mutex::new(None)));
        let born = Arc::clone(&child);
        cast.add("the other forks and writes", &parent, move |user, may_fault| {
            let child = forks.fork(may_fault);
            user.write(1, 22, may_fault).unwrap();
            user.write(0, 23, may_fault).unwrap();
            *born.lock().unwrap() = Some(child);
        });
        cast.add("the sibling writes", &sibling, |user, may_fault| {
            user.write(0, 30, may_fault).unwrap();
        });
        Box::new(move |may_fault| {
            let child: Program = child.lock().unwrap().take().expect("it was born");
            reads(&child, 1, Ok(21), may_fault);
            child.act(
                |user, may_fault| {
                    let word = user.read(0, may_fault).unwrap();
                    assert!(word == 10 || word == 20, "{word}");
                },
                may_fault,
            );
            reads(&sibling, 0, Ok(30), may_fault);
            reads(&parent, 1, Ok(22), may_fault);
            exit_all([parent, sibling, child], may_fault);
        })
    });
    println!("{explored:?}");
}

/// The grandparent stays. The parent has A in front of the grandparent's object, and a child that shares A; it has
/// written both of its pages since, or is about to.
fn bypassed(may_fault: &mut MayFault) -> [Program; 3] {
    let grandparent = Program::new();
    grandparent.map(0, 2, may_fault);
    grandparent.act(
        |user, may_fault| {
            user.write(0, 10, may_fault).unwrap();
            user.write(1, 11, may_fault).unwrap();
        },
        may_fault,
    );
    let parent = grandparent.fork(may_fault);
    parent.act(
        |user, may_fault| {
            user.write(1, 21, may_fault).unwrap();
            assert_eq!(user.read(0, may_fault), Ok(10));
        },
        may_fault,
    );
    let child = parent.fork(may_fault);
    parent.act(|user, may_fault| user.write(1, 22, may_fault).unwrap(), may_fault);
    [grandparent, parent, child]
}

#[test]
fn an_object_that_stays_is_looked_past_only_when_nothing_of_it_can_be_seen() {
    let explored = explore(FRAMES, preemptions(2), |cast: &mut Cast, may_fault| {
        let [grandparent, parent, child] = bypassed(may_fault);
        cast.add("the parent writes", &parent, |user, may_fault| {
            user.write(0, 20, may_fault).unwrap();
        });
        let leaver = child.clone();
        cast.add("the child exits", &parent, move |_, may_fault| leaver.exit(may_fault));
        cast.add("the grandparent writes", &grandparent, |user, may_fault| {
            user.write(0, 12, may_fault).unwrap();
        });
        Box::new(move |may_fault| {
            reads(&parent, 0, Ok(20), may_fault);
            reads(&parent, 1, Ok(22), may_fault);
            reads(&grandparent, 0, Ok(12), may_fault);
            reads(&grandparent, 1, Ok(11), may_fault);
            drop(child);
            exit_all([grandparent, parent], may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn an_object_is_looked_past_when_all_of_it_is_hidden() {
    common::single(1, FRAMES, |may_fault| {
        let [grandparent, parent, child] = bypassed(may_fault);
        parent.act(|user, may_fault| user.write(0, 20, may_fault).unwrap(), may_fault);
        assert_eq!(Vm::current().census.bypasses.get(), 0);
        child.exit(may_fault);
        // A became one with the parent's shadow, which has both pages: the grandparent's object is not its business.
        assert_eq!(Vm::current().census.bypasses.get(), 1);
        assert_eq!(Vm::current().census.collapses.get(), 1);
        let word = vm::fault(grandparent.space(), page(0), read_write(), may_fault);
        assert_eq!(word, Ok(()));
        reads(&grandparent, 0, Ok(10), may_fault);
        exit_all([grandparent, parent], may_fault);
    });
}

#[test]
fn what_is_left_to_one_becomes_one_whoever_goes_first() {
    common::single(1, FRAMES, |may_fault| {
        let [grandparent, parent, child] = bypassed(may_fault);
        let objects = || Vm::current().census.anonymous_objects.get();
        // The grandparent's, A, and the parent's shadow.
        assert_eq!(objects(), 3);
        child.exit(may_fault);
        assert_eq!(objects(), 2);
        // The parent's shadow is in front of the grandparent's object now, and is all that is left of it.
        grandparent.exit(may_fault);
        assert_eq!((objects(), Vm::current().census.collapses.get()), (1, 2));
        reads(&parent, 0, Ok(10), may_fault);
        reads(&parent, 1, Ok(22), may_fault);
        parent.exit(may_fault);
    });
}

#[test]
fn who_is_alone_with_an_object_writes_it() {
    common::single(1, FRAMES, |may_fault| {
        let [parent, child] = family(may_fault);
        child.exit(may_fault);
        let made = Vm::current().census.shadows_made.get();
        parent.fork(may_fault).exit(may_fault);
        parent.act(|user, may_fault| user.write(1, 22, may_fault).unwrap(), may_fault);
        assert_eq!(Vm::current().census.shadows_made.get(), made, "nobody else would see the copy");
        reads(&parent, 0, Ok(10), may_fault);
        parent.exit(may_fault);
    });
}
