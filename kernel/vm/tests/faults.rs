//! What a program sees of its memory: zeros, what it wrote, and after a fork its own.

#![cfg(not(feature = "loom"))]

mod common;

use common::program::{anonymous, page};
use common::{Program, Rights, model, run, single};
use machine::MayFault;
use memory::FrameNumber;
use vm::entry::Inheritance;
use vm::map::Request;
use vm::object::Kind;
use vm::{FaultError, Object};

#[test]
fn untouched_memory_is_zero_and_keeps_what_is_written() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        program.map(0, 4, may_fault);
        program.act(
            |user, may_fault| {
                assert_eq!(user.read(0, may_fault), Ok(0));
                assert_eq!(user.write(1, 7, may_fault), Ok(()));
                assert_eq!(user.read(1, may_fault), Ok(7));
                assert_eq!(user.read(2, may_fault), Ok(0));
                assert_eq!(user.read(4, may_fault), Err(FaultError::NotMapped));
            },
            may_fault,
        );
        program.exit(may_fault);
    });
}

#[test]
fn after_a_fork_each_has_its_own() {
    single(2, 64, |may_fault| {
        let parent = Program::new();
        parent.map(0, 3, may_fault);
        parent.act(
            |user, may_fault| {
                user.write(0, 1, may_fault).unwrap();
                user.write(1, 2, may_fault).unwrap();
            },
            may_fault,
        );
        let child = parent.fork(may_fault);
        parent.act(|user, may_fault| user.write(0, 10, may_fault).unwrap(), may_fault);
        child.act(
            |user, may_fault| {
                assert_eq!(user.read(0, may_fault), Ok(1));
                user.write(1, 20, may_fault).unwrap();
                user.write(2, 30, may_fault).unwrap();
            },
            may_fault,
        );
        parent.act(
            |user, may_fault| {
                assert_eq!(user.read(0, may_fault), Ok(10));
                assert_eq!(user.read(1, may_fault), Ok(2));
                assert_eq!(user.read(2, may_fault), Ok(0));
            },
            may_fault,
        );
        child.act(|user, may_fault| assert_eq!(user.read(1, may_fault), Ok(20)), may_fault);
        parent.exit(may_fault);
        child.exit(may_fault);
    });
}

#[test]
fn a_chain_does_not_grow_with_fork_write_exit() {
    single(1, 256, |may_fault| {
        let program = Program::new();
        program.map(0, 4, may_fault);
        for turn in 0..100 {
            program.act(
                move |user, may_fault| user.write(turn % 4, turn, may_fault).unwrap(),
                may_fault,
            );
            let child = program.fork(may_fault);
            program.act(move |user, may_fault| user.write(0, turn, may_fault).unwrap(), may_fault);
            child.exit(may_fault);
            assert_eq!(vm::Vm::current().census.anonymous_objects.get(), 1);
        }
        program.act(
            |user, may_fault| {
                for number in 0..4 {
                    let expected = [99, 97, 98, 99][number as usize];
                    assert_eq!(user.read(number, may_fault), Ok(expected));
                }
            },
            may_fault,
        );
        program.exit(may_fault);
    });
}

#[test]
fn shared_memory_is_one() {
    single(2, 64, |may_fault| {
        let parent = Program::new();
        parent.map(0, 2, may_fault);
        parent.inherit(0, 1, Inheritance::Share, may_fault);
        parent.inherit(1, 1, Inheritance::None, may_fault);
        let child = parent.fork(may_fault);
        child.act(|user, may_fault| user.write(0, 5, may_fault).unwrap(), may_fault);
        parent.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(5)), may_fault);
        child.act(
            |user, may_fault| assert_eq!(user.read(1, may_fault), Err(FaultError::NotMapped)),
            may_fault,
        );
        parent.exit(may_fault);
        child.exit(may_fault);
    });
}

#[test]
fn threads_that_touch_the_same_pages_see_the_same() {
    model(|| {
        run(2, 64, |may_fault| {
            let program = Program::new();
            program.map(0, 2, may_fault);
            let add = |user: &common::program::User, may_fault: &mut machine::MayFault| {
                for number in [0, 1, 0] {
                    user.add(number, 1, may_fault).unwrap();
                }
            };
            let threads: Vec<_> = (0..2).map(|_| program.run(common::system(60), add)).collect();
            for thread in threads {
                thread.join(may_fault);
            }
            program.act(
                |user, may_fault| {
                    assert_eq!(user.read(0, may_fault), Ok(4));
                    assert_eq!(user.read(1, may_fault), Ok(2));
                },
                may_fault,
            );
            program.exit(may_fault);
        });
    });
}

#[test]
fn frames_of_a_device_are_mapped_as_they_are_and_shared_with_a_child() {
    single(1, 64, |may_fault| {
        // Behind all memory: nobody has a page for these.
        let first = FrameNumber::new(1 << 20);
        let frames = 4;
        let object = Object::make(Kind::Device(first), frames).expect("there is memory");
        let program = Program::new();
        let request = Request { shared: true, inheritance: Inheritance::Share, ..anonymous(2, 3) };
        program.space().insert(&request, Some((object, 1)), may_fault).expect("it can be mapped");
        let child = program.fork(may_fault);
        for program in [&program, &child] {
            let touch = |number, rights, may_fault: &mut MayFault| {
                vm::fault(program.space(), page(number), rights, may_fault)
            };
            let there = |number| program.space().pmap().lookup(page(number));
            for number in 2..5 {
                assert_eq!(there(number), None);
                assert_eq!(touch(number, Rights::READ, may_fault), Ok(()));
                assert_eq!(touch(number, Rights::READ | Rights::WRITE, may_fault), Ok(()));
                let expected = FrameNumber::new(first.number() + number - 1).address();
                let found = there(number).expect("it has been touched");
                assert_eq!((found.frame, found.rights.contains(Rights::WRITE)), (expected, true));
            }
            assert_eq!(touch(5, Rights::READ, may_fault), Err(FaultError::NotMapped));
            // Nothing in it is anybody's to forget, or to count.
            program.space().discard(page(2)..page(5), may_fault).unwrap();
            assert!(there(3).is_some());
            assert_eq!(program.space().count_pages(may_fault), (0, 0));
            program.unmap(3, 1, may_fault);
            assert_eq!((there(2).is_some(), there(3), there(4).is_some()), (true, None, true));
        }
        child.exit(may_fault);
        program.exit(may_fault);
    });
}
