//! Pages and rights that are taken away from a program that runs on another processor, and what a program leaves.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::dispatcher::{Flag, on, wait_for_processors};
use common::program::page;
use common::{Program, Rights, run, single};
use machine::MayFault;
use vm::{FaultError, Vm};

/// A thread on processor 1 that knows page 0 well, with the right to write; `then` is done on processor 0, and after that
/// `finally` by the thread, which has not left its processor.
fn beside(
    then: impl FnOnce(&Program, &mut MayFault) + Send + 'static,
    finally: impl FnOnce(&common::program::User, &mut MayFault) + Send + 'static,
) {
    run(2, 96, move |may_fault| {
        wait_for_processors(2);
        let program = Program::new();
        program.map(0, 2, may_fault);
        let (knows, done) = (Flag::new(), Flag::new());
        let (it_knows, is_done) = (knows.clone(), done.clone());
        let thread = program.run(on(1, 70), move |user, may_fault| {
            user.write(0, 1, may_fault).unwrap();
            assert_eq!(user.read(0, may_fault), Ok(1));
            it_knows.set();
            is_done.spin();
            finally(user, may_fault);
        });
        knows.wait();
        then(&program, may_fault);
        done.set();
        thread.join(may_fault);
        program.exit(may_fault);
    });
}

#[test]
fn who_unmaps_a_page_takes_it_away_from_all_processors() {
    beside(
        |program, may_fault| program.unmap(0, 1, may_fault),
        |user, may_fault| assert_eq!(user.read(0, may_fault), Err(FaultError::NotMapped)),
    );
}

#[test]
fn who_protects_a_page_protects_it_from_all_processors() {
    beside(
        |program, may_fault| {
            let range = page(0)..page(1);
            program.space().protect(range, Rights::READ, may_fault).unwrap();
        },
        |user, may_fault| {
            assert_eq!(user.write(0, 2, may_fault), Err(FaultError::NotPermitted));
            assert_eq!(user.read(0, may_fault), Ok(1));
        },
    );
}

#[test]
fn many_pages_are_unmapped_in_one_go() {
    single(1, 256, |may_fault| {
        let program = Program::new();
        program.map(0, 150, may_fault);
        program.act(
            |user, may_fault| (0..150).for_each(|page| user.write(page, 1, may_fault).unwrap()),
            may_fault,
        );
        assert_eq!(program.space().pmap().resident_pages(), 150);
        program.unmap(0, 149, may_fault);
        assert_eq!(program.space().pmap().resident_pages(), 1);
        program.exit(may_fault);
    });
}

#[test]
fn part_of_what_a_program_has_can_be_given_back() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        program.map(0, 12, may_fault);
        program.act(
            |user, may_fault| (0..12).for_each(|page| user.write(page, 1, may_fault).unwrap()),
            may_fault,
        );
        let free = || memory::Memory::current().frames.free_frames();
        let before = free();
        program.unmap(2, 8, may_fault);
        assert_eq!(free(), before + 8);
        assert_eq!(Vm::current().queue_counts(), [4, 0, 0]);
        program.exit(may_fault);
    });
}
