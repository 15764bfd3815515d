//! Giving contents back, and keeping them: what is discarded is as it was before anybody touched it, what is wired is
//! there, and neither goes on for ever.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::program::{anonymous, page};
use common::store::{Device, MemoryStore};
use common::{PAGE_SIZE, Program, Rights, once, run_short, single, system};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use machine::MayFault;
use memory::Memory;
use std::sync::atomic::Ordering;
use vm::entry::Advice;
use vm::map::Request;
use vm::space::WireError;
use vm::stacks::StackShape;
use vm::store::File;
use vm::{FaultError, Object, ObjectRef};

/// Pages of the file.
const PAGES: u64 = 8;

/// A file; the first word of each page is 100 and its number.
fn file() -> ObjectRef {
    let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(PAGES)));
    store.at_once.store(true, Ordering::SeqCst);
    (0..PAGES).for_each(|number| store.put(number, 100 + number));
    let device = Box::leak(Box::new(Device(store)));
    let file = Box::leak(Box::new(File { store: device, first: 0, bytes: PAGES * PAGE_SIZE }));
    Object::make(vm::object::Kind::File(file), PAGES).unwrap()
}

/// Writes `add` and its number to each page.
fn write_all(program: &Program, add: u64, may_fault: &mut MayFault) {
    program.act(
        move |user, may_fault| {
            (0..PAGES).for_each(|number| user.write(number, add + number, may_fault).unwrap());
        },
        may_fault,
    );
}

/// Every page has what `expected` says.
fn expect(program: &Program, expected: fn(u64) -> u64, may_fault: &mut MayFault) {
    program.act(
        move |user, may_fault| {
            for number in 0..PAGES {
                assert_eq!(user.read(number, may_fault), Ok(expected(number)), "page {number}");
            }
        },
        may_fault,
    );
}

#[test]
fn a_private_file_is_seen_again_where_what_was_written_is_discarded() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        program.space().insert(&anonymous(0, PAGES), Some((file(), 0)), may_fault).unwrap();
        write_all(&program, 1000, may_fault);
        program.space().discard(page(2)..page(5), may_fault).unwrap();
        let seen = |number| if (2..5).contains(&number) { 100 + number } else { 1000 + number };
        expect(&program, seen, may_fault);
        // Nothing has been cut: its pages have gone, and nothing else.
        assert_eq!(program.space().map().read(may_fault).entries().len(), 1);
        program.exit(may_fault);
    });
}

#[test]
fn a_private_file_is_seen_again_also_through_what_a_parent_has_written() {
    single(1, 128, |may_fault| {
        let parent = Program::new();
        let (first, pages) = (1, PAGES - 1);
        parent.space().insert(&anonymous(first, pages), Some((file(), first)), may_fault).unwrap();
        // Below it there is something else, so that places and pages do not agree by chance.
        parent.map(0, 1, may_fault);
        write_all(&parent, 1000, may_fault);
        let child = parent.fork(may_fault);
        write_all(&child, 2000, may_fault);
        child.space().discard(page(2)..page(5), may_fault).unwrap();
        let of_child = |number| match number {
            2..5 => 100 + number,
            _ => 2000 + number,
        };
        expect(&child, of_child, may_fault);
        expect(&parent, |number| 1000 + number, may_fault);
        // What is written there from now on is the child's again.
        write_all(&child, 3000, may_fault);
        expect(&child, |number| 3000 + number, may_fault);
        child.space().discard(page(0)..page(PAGES), may_fault).unwrap();
        expect(&child, |number| if number == 0 { 0 } else { 100 + number }, may_fault);
        parent.exit(may_fault);
        expect(&child, |number| if number == 0 { 0 } else { 100 + number }, may_fault);
        child.exit(may_fault);
    });
}

// Of an entry that was cut after a child had exited one part has got a shadow, and the other has not. What the other
// gives up the shadow does not see.
#[test]
fn a_part_is_discarded_beside_a_part_with_a_shadow() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        program.map(0, PAGES, may_fault);
        write_all(&program, 1000, may_fault);
        program.fork(may_fault).exit(may_fault);
        program.space().advise(page(5)..page(6), Advice::Random, may_fault).unwrap();
        program.act(|user, may_fault| user.write(0, 7, may_fault).unwrap(), may_fault);
        program.space().discard(page(5)..page(6), may_fault).unwrap();
        let seen = |number| match number {
            0 => 7,
            5 => 0,
            _ => 1000 + number,
        };
        expect(&program, seen, may_fault);
        let child = program.fork(may_fault);
        write_all(&program, 2000, may_fault);
        expect(&child, seen, may_fault);
        child.exit(may_fault);
        program.exit(may_fault);
    });
}

#[test]
fn more_than_a_batch_is_discarded_too() {
    single(1, 500, |may_fault| {
        let program = Program::new();
        program.map(0, 400, may_fault);
        program.act(
            |user, may_fault| (0..400).for_each(|page| user.write(page, 7, may_fault).unwrap()),
            may_fault,
        );
        program.space().discard(page(10)..page(390), may_fault).unwrap();
        assert_eq!(program.space().count_pages(may_fault), (20, 0));
        program.act(
            |user, may_fault| {
                for number in 0..400 {
                    let expected = if (10..390).contains(&number) { 0 } else { 7 };
                    assert_eq!(user.read(number, may_fault), Ok(expected));
                }
            },
            may_fault,
        );
        program.exit(may_fault);
    });
}

#[test]
fn discarding_takes_no_memory_for_what_it_cuts() {
    // More entries than the kernel's own data has room for without another frame.
    const COUNT: u64 = 60;
    once(|| {
        run_short(1, 400, |may_fault| {
            let parent = Program::new();
            for number in 0..COUNT + 2 {
                parent.map(number, 1, may_fault);
                // So that none joins.
                let advice = if number % 2 == 0 { Advice::Random } else { Advice::Sequential };
                let range = page(number)..page(number + 1);
                parent.space().advise(range, advice, may_fault).unwrap();
            }
            parent.act(
                |user, may_fault| {
                    (0..COUNT).for_each(|page| user.write(page, 1, may_fault).unwrap());
                },
                may_fault,
            );
            let child = parent.fork(may_fault);
            // Room for the two ends of a range; and then all memory is gone.
            child.unmap(COUNT, 2, may_fault);
            let frames = &Memory::current().frames;
            let all: Vec<_> = std::iter::from_fn(|| frames.allocate_anywhere().ok()).collect();
            child.space().discard(page(0)..page(COUNT), may_fault).unwrap();
            assert_eq!(child.space().count_pages(may_fault), (0, 0), "it says that it has");
            all.into_iter().for_each(|frame| frames.free_anywhere(frame));
            assert_eq!(parent.space().count_pages(may_fault), (COUNT, 0));
            child.exit(may_fault);
            parent.exit(may_fault);
        });
    });
}

/// 64 TiB: as many pages take days.
const HUGE: u64 = (64 << 40) / PAGE_SIZE;

#[test]
fn wiring_passes_by_what_nobody_may_touch() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        let space = program.space();
        let none = Request { rights: Rights::NONE, ..anonymous(0, HUGE) };
        space.insert(&none, None, may_fault).unwrap();
        space.wire(page(0)..page(HUGE), true, may_fault).unwrap();
        // A guard, and one stack of two pages.
        let shape = StackShape { stride: HUGE * PAGE_SIZE, guard: (HUGE - 2) * PAGE_SIZE };
        let stacks = Request { stacks: Some(shape), ..anonymous(0, HUGE) };
        space.insert(&stacks, None, may_fault).unwrap();
        space.wire(page(0)..page(HUGE), true, may_fault).unwrap();
        assert_eq!(space.count_pages(may_fault), (2, 0));
        program.exit(may_fault);
    });
}

#[test]
fn who_wires_can_be_interrupted_where_nothing_sleeps() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        program.map(0, PAGES, may_fault);
        write_all(&program, 1, may_fault);
        let interrupted = Err(WireError::Fault(FaultError::Interrupted));
        let thread = program.run(system(60), move |user, may_fault| {
            interrupt(dispatch::Thread::running());
            let space = user.program().space();
            assert_eq!(space.wire(page(0)..page(4), true, may_fault), interrupted);
            assert!(take_interrupt());
            assert_eq!(space.wire(page(0)..page(4), true, may_fault), Ok(()));
            assert_eq!(space.wire(page(0)..page(4), false, may_fault), Ok(()));
        });
        thread.join(may_fault);
        program.exit(may_fault);
    });
}
