//! The races of copy-on-write, in every order: `docs/history` tells of those that the features bring back.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::Program;
use common::explore::{Cast, explore, preemptions};
use machine::MayFault;
use std::sync::{Arc, Mutex};
use vm::entry::Inheritance;

/// Preemptions of an order at most.
fn most() -> usize {
    preemptions(2)
}

/// Three levels. C has page 0 and page 1, written by q0. Its child q1 writes page 1, so B is in front of C, and is shared
/// by q1 and p2. p1 has a private copy of that: it has read page 0, and by writing page 1 has got A in front of B.
fn three_levels(may_fault: &mut MayFault) -> [Program; 4] {
    let q0 = Program::new();
    q0.map(0, 2, may_fault);
    q0.act(
        |user, may_fault| {
            user.write(0, 10, may_fault).unwrap();
            user.write(1, 11, may_fault).unwrap();
        },
        may_fault,
    );
    let q1 = q0.fork(may_fault);
    q1.act(|user, may_fault| user.write(1, 21, may_fault).unwrap(), may_fault);
    q1.inherit(0, 2, Inheritance::Share, may_fault);
    let p2 = q1.fork(may_fault);
    q1.inherit(0, 2, Inheritance::Copy, may_fault);
    let p1 = q1.fork(may_fault);
    p1.act(
        |user, may_fault| {
            assert_eq!(user.read(0, may_fault), Ok(10));
            user.write(1, 31, may_fault).unwrap();
        },
        may_fault,
    );
    [q0, q1, p1, p2]
}

fn exit_all(programs: impl IntoIterator<Item = Program>, may_fault: &mut MayFault) {
    for program in programs {
        program.exit(may_fault);
    }
}

#[test]
fn a_source_stays_while_a_fault_three_levels_up_is_about_to_replace_it() {
    let explored = explore(64, most(), |cast: &mut Cast, may_fault| {
        let [q0, q1, p1, p2] = three_levels(may_fault);
        cast.add("p1 writes", &p1, |user, may_fault| user.write(0, 30, may_fault).unwrap());
        cast.add("p2 writes", &p2, |user, may_fault| user.write(0, 20, may_fault).unwrap());
        let leaver = q0.clone();
        cast.add("q0 exits", &p2, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            p1.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(30)), may_fault);
            p2.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(20)), may_fault);
            drop(q0);
            exit_all([q1, p1, p2], may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn a_source_goes_only_when_those_who_idle_do_not_map_it() {
    let explored = explore(64, most(), |cast: &mut Cast, may_fault| {
        let [q0, q1, p1, p2] = three_levels(may_fault);
        cast.add("p2 writes", &p2, |user, may_fault| user.write(0, 20, may_fault).unwrap());
        let leaver = q0.clone();
        cast.add("q0 exits", &p2, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            // It did not write, so it sees what was written to the object below its own.
            p1.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(20)), may_fault);
            drop(q0);
            exit_all([q1, p1, p2], may_fault);
        })
    });
    println!("{explored:?}");
}

#[test]
fn a_fault_that_begins_again_hides_nothing() {
    let explored = explore(64, most(), |cast: &mut Cast, may_fault| {
        let p1 = Program::new();
        p1.map(0, 2, may_fault);
        p1.act(|user, may_fault| user.write(0, 10, may_fault).unwrap(), may_fault);
        let p2 = p1.fork(may_fault);
        // Both have a shadow in front of the object with page 0, and both map page 0 of it.
        for program in [&p1, &p2] {
            program.act(
                |user, may_fault| {
                    user.write(1, 11, may_fault).unwrap();
                    assert_eq!(user.read(0, may_fault), Ok(10));
                },
                may_fault,
            );
        }
        cast.add("p1 writes", &p1, |user, may_fault| user.write(0, 30, may_fault).unwrap());
        let (forks, child) = (p1.clone(), Arc::new(Mutex::new(None)));
        let born = Arc::clone(&child);
        cast.add("p1 forks", &p1, move |_, may_fault| {
            *born.lock().unwrap() = Some(forks.fork(may_fault));
        });
        let leaver = p2.clone();
        cast.add("p2 exits", &p1, move |_, may_fault| leaver.exit(may_fault));
        Box::new(move |may_fault| {
            p1.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(30)), may_fault);
            let child: Program = child.lock().unwrap().take().expect("it was born");
            child.act(
                |user, may_fault| {
                    let word = user.read(0, may_fault).unwrap();
                    assert!(word == 10 || word == 30, "{word}");
                },
                may_fault,
            );
            drop(p2);
            exit_all([p1, child], may_fault);
        })
    });
    println!("{explored:?}");
}
