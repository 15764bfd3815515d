//! The bound on chains of shadows: with collapse and bypass it holds, without them it is broken. So it says something.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::{Program, single};
use machine::MayFault;
use vm::Vm;
use vm::census::BrokenLemma;

/// What a shell does: forks, writes while the child is there, waits for its end. Then all is at rest.
fn live_as_a_shell(turns: u64, may_fault: &mut MayFault) -> Program {
    let shell = Program::new();
    shell.map(0, 2, may_fault);
    shell.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
    for turn in 0..turns {
        let child = shell.fork(may_fault);
        shell.act(move |user, may_fault| user.write(1, turn, may_fault).unwrap(), may_fault);
        child.exit(may_fault);
    }
    shell.act(
        move |user, may_fault| {
            assert_eq!(user.read(0, may_fault), Ok(1));
            assert_eq!(user.read(1, may_fault), Ok(turns - 1));
        },
        may_fault,
    );
    shell
}

#[test]
fn a_shell_has_one_object_however_often_it_forks() {
    single(1, 128, |may_fault| {
        let shell = live_as_a_shell(20, may_fault);
        let census = &Vm::current().census;
        assert_eq!(census.broken_lemma(), None);
        assert_eq!((census.anonymous_objects.get(), census.anonymous_entries.get()), (1, 1));
        shell.exit(may_fault);
    });
}

#[test]
fn without_collapse_its_chain_grows_with_every_fork() {
    single(1, 128, |may_fault| {
        Vm::current().leave_chains();
        let shell = live_as_a_shell(20, may_fault);
        let broken = Vm::current().census.broken_lemma();
        assert_eq!(broken, Some(BrokenLemma { objects: 21, entries: 1 }));
        assert_eq!(broken.map(|broken| broken.too_many()), Some(20));
        shell.exit(may_fault);
    });
}

#[test]
fn what_a_family_shares_counts_for_each_of_them() {
    single(1, 128, |may_fault| {
        let parent = Program::new();
        parent.map(0, 20, may_fault);
        parent.act(
            |user, may_fault| (0..20).for_each(|page| user.write(page, 1, may_fault).unwrap()),
            may_fault,
        );
        let child = parent.fork(may_fault);
        for (program, page) in [(&parent, 3), (&child, 5)] {
            program.act(move |user, may_fault| user.write(page, 2, may_fault).unwrap(), may_fault);
            // The 20, and the copy of one that it hides.
            assert_eq!(program.space().count_pages(may_fault), (21, 0));
        }
        // Only a part of it is mapped.
        child.unmap(4, 16, may_fault);
        assert_eq!(child.space().count_pages(may_fault), (4, 0));
        child.exit(may_fault);
        parent.exit(may_fault);
    });
}
