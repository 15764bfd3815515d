//! A page that is mapped in many places: every one of them is found, and wired ones keep it.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::test_machine::program::page as address;
use crate::test_machine::{Program, single};
use machine::MayFault;

/// A page that `count` programs map at the same address, for reading, and those programs.
fn mapped_by(count: usize, may_fault: &mut MayFault) -> (Vec<Program>, &'static Page) {
    let parent = Program::new();
    parent.map(0, 1, may_fault);
    parent.act(|user, may_fault| user.write(0, 5, may_fault).unwrap(), may_fault);
    let mut programs = vec![parent];
    while programs.len() < count {
        programs.push(programs[0].fork(may_fault));
    }
    for program in &programs {
        program.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(5)), may_fault);
    }
    let page = page_of(&programs[0]);
    assert_eq!(page.mappings.count() as usize, count);
    (programs, page)
}

/// What a program has at its first page.
fn page_of(program: &Program) -> &'static Page {
    let there = program.space().pmap().lookup(address(0)).expect("it is mapped");
    Vm::current().pages.page_of(memory::FrameNumber::containing(there.frame))
}

fn exit_all(programs: Vec<Program>, may_fault: &mut MayFault) {
    for program in programs {
        program.exit(may_fault);
    }
}

#[test]
fn a_page_is_unmapped_wherever_it_is_mapped() {
    single(1, 128, |may_fault| {
        let (programs, page) = mapped_by(6, may_fault);
        let held = page.try_exclusive().expect("nobody else is here");
        unmap_all(&held);
        assert_eq!(page.mappings.count(), 0);
        for program in &programs {
            assert_eq!(program.space().pmap().lookup(address(0)), None);
            assert_eq!(program.space().pmap().resident_pages(), 0);
        }
        drop(held);
        for program in &programs {
            program.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(5)), may_fault);
        }
        exit_all(programs, may_fault);
    });
}

#[test]
fn each_mapping_goes_by_itself_whichever_was_the_first() {
    for first in 0..4 {
        single(1, 128, move |may_fault| {
            let (mut programs, page) = mapped_by(4, may_fault);
            programs.rotate_left(first);
            for (left, program) in (0..4).rev().zip(&programs) {
                // All but the last: with that the page goes.
                if left != 0 {
                    program.unmap(0, 1, may_fault);
                    assert_eq!(page.mappings.count(), left);
                }
            }
            exit_all(programs, may_fault);
        });
    }
}

#[test]
fn a_page_is_wired_as_often_as_wired_mappings_lead_to_it() {
    single(1, 128, |may_fault| {
        let (programs, page) = mapped_by(3, may_fault);
        for program in &programs {
            program.space().pmap().lookup(address(0)).expect("mapped");
            page.set_wired(program.space().pmap(), address(0), true);
            // A second time is no second wiring.
            page.set_wired(program.space().pmap(), address(0), true);
        }
        assert_eq!(page.wired(), 3);
        assert_eq!(Vm::current().queue_counts(), [0; 3]);
        page.set_wired(programs[0].space().pmap(), address(0), false);
        assert_eq!(page.wired(), 2);
        programs[1].unmap(0, 1, may_fault);
        assert_eq!(page.wired(), 1);
        let held = page.try_exclusive().expect("nobody else is here");
        unmap_all(&held);
        drop(held);
        assert_eq!(page.wired(), 0);
        assert_eq!(Vm::current().queue_counts(), [1, 0, 0]);
        exit_all(programs, may_fault);
    });
}

#[test]
fn what_processors_have_noted_is_on_the_page_when_it_is_unmapped() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        program.map(0, 1, may_fault);
        // Entered for reading, with the right to write: the write is noted in the page table alone.
        program.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(0)), may_fault);
        let page = page_of(&program);
        assert!(!page.is_dirty());
        program.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
        assert!(!page.is_dirty());
        assert!(take_accessed(page) && !take_accessed(page));
        let held = page.try_exclusive().expect("nobody else is here");
        unmap_all(&held);
        assert!(page.is_dirty());
        drop(held);
        program.exit(may_fault);
    });
}

#[test]
fn what_a_program_wrote_before_it_unmapped_a_shared_page_is_known() {
    single(1, 128, |may_fault| {
        let parent = Program::new();
        parent.map(0, 1, may_fault);
        parent.inherit(0, 1, vm::entry::Inheritance::Share, may_fault);
        parent.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(0)), may_fault);
        let child = parent.fork(may_fault);
        let page = page_of(&parent);
        parent.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
        assert!(!page.is_dirty());
        parent.unmap(0, 1, may_fault);
        assert!(page.is_dirty());
        child.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(1)), may_fault);
        parent.exit(may_fault);
        child.exit(may_fault);
    });
}

/// What knows a page on a processor of its own knows it no longer when it has been unmapped.
#[cfg(not(feature = "shuttle"))]
#[test]
fn who_writes_a_page_that_was_unmapped_elsewhere_faults() {
    use crate::test_machine::dispatcher::{Flag, on, wait_for_processors};
    crate::test_machine::run(2, 96, |may_fault| {
        wait_for_processors(2);
        let program = Program::new();
        program.map(0, 1, may_fault);
        let (knows, done) = (Flag::new(), Flag::new());
        let (it_knows, is_done) = (knows.clone(), done.clone());
        let thread = program.run(on(1, 70), move |user, may_fault| {
            user.write(0, 1, may_fault).unwrap();
            user.write(0, 2, may_fault).unwrap();
            it_knows.set();
            is_done.spin();
            user.write(0, 3, may_fault).unwrap();
        });
        knows.wait();
        let page = page_of(&program);
        let held = page.try_exclusive().expect("its fault is over");
        unmap_all(&held);
        drop(held);
        done.set();
        thread.join(may_fault);
        assert_eq!(page.mappings.count(), 1, "it was written without a mapping");
        program.exit(may_fault);
    });
}
