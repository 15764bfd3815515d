//! Arrays of stacks: guards, cuts, copies, giving back, and what a million of them cost.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::program::{anonymous, page};
use common::{PAGE_SIZE, Program, Rights, single};
use machine::MayFault;
use memory::Memory;
use std::ops::Range;
use vm::entry::Inheritance;
use vm::map::{MapError, Place, Request};
use vm::stacks::StackShape;
use vm::{FaultError, Vm};

/// Pages of a stride, and of its guard.
const STRIDE: u64 = 5;
const GUARD: u64 = 2;

const SHAPE: StackShape = StackShape { stride: STRIDE * PAGE_SIZE, guard: GUARD * PAGE_SIZE };

/// An array of so many stacks, from a page on.
fn array(first: u64, count: u64) -> Request {
    Request { stacks: Some(SHAPE), ..anonymous(first, count * STRIDE) }
}

/// Writes its number into each page of a range, and expects the guards of the array that begins with page 0.
fn write(program: &Program, pages: Range<u64>, may_fault: &mut MayFault) {
    let body = move |user: &common::program::User, may_fault: &mut MayFault| {
        for number in pages {
            let expected = match number % STRIDE < GUARD {
                true => Err(FaultError::Guard { stack: number / STRIDE }),
                false => Ok(()),
            };
            assert_eq!(user.write(number, number + 1, may_fault), expected, "page {number}");
        }
    };
    program.act(body, may_fault);
}

/// What the pages of a range hold; none where there is a guard.
fn read(program: &Program, pages: Range<u64>, may_fault: &mut MayFault) -> Vec<Option<u64>> {
    let found = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let to = std::sync::Arc::clone(&found);
    let body = move |user: &common::program::User, may_fault: &mut MayFault| {
        for number in pages {
            let word = match user.read(number, may_fault) {
                Ok(word) => Some(word),
                Err(FaultError::Guard { .. }) => None,
                Err(error) => panic!("page {number}: {error}"),
            };
            to.lock().unwrap().push(word);
        }
    };
    program.act(body, may_fault);
    std::mem::take(&mut found.lock().unwrap())
}

fn entries(program: &Program, may_fault: &mut MayFault) -> usize {
    program.space().map().read(may_fault).entries().len()
}

#[test]
fn an_array_has_a_guard_in_each_stride_also_when_it_is_cut() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        program.space().insert(&array(0, 6), None, may_fault).unwrap();
        // Cut within a stack and within a guard, before it has been touched and after, and copied for a child.
        program.unmap(8, 1, may_fault);
        write(&program, 9..20, may_fault);
        program.unmap(11, 2, may_fault);
        write(&program, 13..30, may_fault);
        let child = program.fork(may_fault);
        write(&child, 0..8, may_fault);
        write(&child, 13..30, may_fault);
        write(&program, 9..11, may_fault);
        // The same for a grandchild, of an array whose first strides are gone.
        child.unmap(0, 13, may_fault);
        let grandchild = child.fork(may_fault);
        write(&grandchild, 13..30, may_fault);
        [program, child, grandchild].into_iter().for_each(|program| program.exit(may_fault));
    });
}

#[test]
fn nobody_reaches_a_guard_whatever_is_asked_for() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        let space = program.space();
        space.insert(&array(0, 3), None, may_fault).unwrap();
        let all = page(0)..page(3 * STRIDE);
        for rights in [Rights::NONE, Rights::READ, Rights::READ | Rights::WRITE] {
            space.protect(page(1)..page(7), rights, may_fault).unwrap();
        }
        space.inherit(all.clone(), Inheritance::Share, may_fault).unwrap();
        write(&program, 0..15, may_fault);
        // Wiring passes the guards by, and brings in everything else.
        let before = Memory::current().frames.free_frames();
        space.discard(all.clone(), may_fault).unwrap();
        assert_eq!(Memory::current().frames.free_frames(), before + 9);
        space.wire(all.clone(), true, may_fault).unwrap();
        assert_eq!(Memory::current().frames.free_frames(), before);
        write(&program, 0..15, may_fault);
        // What is wired is not given back.
        space.discard(all.clone(), may_fault).unwrap();
        assert_eq!(read(&program, 6..8, may_fault), [None, Some(8)]);
        space.wire(all, false, may_fault).unwrap();
        // What is put in a guard's place is no guard.
        program.map(5, 1, may_fault);
        assert_eq!(read(&program, 5..7, may_fault), [Some(0), None]);
        let child = program.fork(may_fault);
        write(&child, 10..15, may_fault);
        assert_eq!(read(&program, 12..13, may_fault), [Some(13)]);
        program.exit(may_fault);
        child.exit(may_fault);
    });
}

#[test]
fn arrays_that_cannot_be_are_refused_and_neighbours_stay_apart() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        let space = program.space();
        let shape = |stride, guard| StackShape { stride, guard };
        for (shape, pages) in [
            (shape(0, 0), 4),
            (shape(PAGE_SIZE, PAGE_SIZE), 4),
            (shape(2 * PAGE_SIZE, 0), 4),
            (shape(2 * PAGE_SIZE, 3 * PAGE_SIZE), 4),
            (shape(2 * PAGE_SIZE + 8, PAGE_SIZE), 4),
            (shape(2 * PAGE_SIZE, 8), 4),
            (shape(2 * PAGE_SIZE, PAGE_SIZE), 3),
        ] {
            let request = Request { stacks: Some(shape), ..anonymous(0, pages) };
            assert_eq!(space.insert(&request, None, may_fault), Err(MapError::BadRange));
        }
        // Two arrays side by side are two, each with its own numbers; what is cut and mended is one again.
        space.insert(&array(0, 2), None, may_fault).unwrap();
        space.insert(&array(10, 2), None, may_fault).unwrap();
        assert_eq!(entries(&program, may_fault), 2);
        space.protect(page(13)..page(17), Rights::READ, may_fault).unwrap();
        assert_eq!(entries(&program, may_fault), 4);
        space.protect(page(13)..page(17), Rights::READ | Rights::WRITE, may_fault).unwrap();
        assert_eq!(entries(&program, may_fault), 2);
        let guard = |number, may_fault: &mut MayFault| {
            vm::fault(space, page(number), Rights::READ, may_fault)
        };
        assert_eq!(guard(16, may_fault), Err(FaultError::Guard { stack: 1 }));
        assert_eq!(guard(6, may_fault), Err(FaultError::Guard { stack: 1 }));
        program.exit(may_fault);
    });
}

#[test]
fn a_stack_is_given_back_and_the_array_stays_one_entry() {
    single(1, 128, |may_fault| {
        let program = Program::new();
        let space = program.space();
        space.insert(&array(0, 10), None, may_fault).unwrap();
        write(&program, 0..50, may_fault);
        let before = Memory::current().frames.free_frames();
        for stack in [1, 4, 8, 9] {
            let range = page(stack * STRIDE)..page((stack + 1) * STRIDE);
            space.discard(range, may_fault).unwrap();
        }
        assert_eq!(entries(&program, may_fault), 1);
        assert_eq!(Memory::current().frames.free_frames(), before + 4 * (STRIDE - GUARD));
        let found = read(&program, 0..50, may_fault);
        for (number, word) in (0..).zip(found) {
            let expected = match number {
                number if number % STRIDE < GUARD => None,
                number if [1, 4, 8, 9].contains(&(number / STRIDE)) => Some(0),
                number => Some(number + 1),
            };
            assert_eq!(word, expected, "page {number}");
        }
        // A child still sees what its parent gives back, and the other way round.
        let child = program.fork(may_fault);
        space.discard(page(0)..page(5), may_fault).unwrap();
        child.space().discard(page(10)..page(15), may_fault).unwrap();
        assert_eq!(read(&program, 2..5, may_fault), [Some(0); 3]);
        assert_eq!(read(&program, 12..15, may_fault), [Some(13), Some(14), Some(15)]);
        assert_eq!(read(&child, 2..5, may_fault), [Some(3), Some(4), Some(5)]);
        assert_eq!(read(&child, 12..15, may_fault), [Some(0); 3]);
        child.exit(may_fault);
        program.exit(may_fault);
    });
}

/// A million stacks of 64 KiB each, 61 GiB of addresses; a thousand of them are touched, far apart from each other.
/// What that costs is a page for each, and what leads there.
#[test]
fn of_a_million_stacks_those_are_paid_for_that_are_touched() {
    const COUNT: u64 = 1_000_000;
    const TOUCHED: u64 = 1_000;
    const PAGES: u64 = 16;
    common::once(|| {
        common::run_short(1, 8192, |may_fault| {
            let program = Program::new();
            let space = program.space();
            let free = || Memory::current().frames.free_frames();
            let shape = StackShape { stride: PAGES * PAGE_SIZE, guard: PAGE_SIZE };
            let request = Request {
                stacks: Some(shape),
                place: Place::Hint,
                address: 1 << 40,
                ..anonymous(0, COUNT * PAGES)
            };
            // The first entry takes a page of entries, which serves many.
            program.map(0, 1, may_fault);
            let start = free();
            let first = space.insert(&request, None, may_fault).unwrap();
            assert!(start - free() <= 1, "{} frames for what nobody has touched", start - free());
            for number in 0..TOUCHED {
                let stack = number * (COUNT / TOUCHED);
                let top = first + (stack + 1) * shape.stride - PAGE_SIZE;
                vm::fault(space, top, Rights::READ | Rights::WRITE, may_fault).unwrap();
                let guard = vm::fault(space, top - 15 * PAGE_SIZE, Rights::READ, may_fault);
                assert_eq!(guard, Err(FaultError::Guard { stack }));
            }
            let spent = start - free();
            println!("{spent} frames for {TOUCHED} of {COUNT} stacks");
            // So far apart each has a page, a table that leads to it, and two nodes of the index, of which seven share a
            // page; and for each GiB or so there is one table and one node more.
            let most = 2 * TOUCHED + 2 * TOUCHED / 7 + 100;
            assert!((2 * TOUCHED..=most).contains(&spent), "{spent} frames");
            assert_eq!(entries(&program, may_fault), 2);
            // Each given back by itself: the pages come back, and it is still one entry.
            for number in 0..TOUCHED {
                let start = first + number * (COUNT / TOUCHED) * shape.stride;
                space.discard(start..start + shape.stride, may_fault).unwrap();
            }
            assert_eq!(start - free(), spent - TOUCHED);
            assert_eq!(entries(&program, may_fault), 2);
            program.exit(may_fault);
            Vm::current().reclaim();
        });
    });
}
