//! The limits of maps, and what happens where there is no memory: errors, and nothing is lost.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::dispatcher::{Flag, wait_until};
use common::program::{BASE, anonymous, page, read_write};
use common::{PAGE_SIZE, Program, Rights, Tables, run_short, single, spawn, system};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use machine::MayFault;
use machine::pmap::USER_END;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vm::entry::{Advice, Inheritance};
use vm::map::{ENTRIES_MAX, MapError, Place, Request};
use vm::read::Reach;
use vm::space::USER_START;
use vm::{FaultError, Space, Vm};

fn entries(space: &Space, may_fault: &mut MayFault) -> usize {
    space.map().read(may_fault).entries().len()
}

#[test]
fn what_says_the_same_again_is_one_entry_again() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        program.map(0, 8, may_fault);
        program.act(
            |user, may_fault| (0..8).for_each(|page| user.write(page, 1, may_fault).unwrap()),
            may_fault,
        );
        let space = program.space();
        let range = |first, pages| page(first)..page(first + pages);
        let one = |may_fault: &mut MayFault| assert_eq!(entries(space, may_fault), 1);
        for first in 0..6 {
            let pieces = if first == 0 { 2 } else { 3 };
            space.protect(range(first, 2), Rights::READ, may_fault).unwrap();
            assert_eq!(entries(space, may_fault), if first == 6 { 2 } else { pieces });
            space.protect(range(first, 2), read_write(), may_fault).unwrap();
            one(may_fault);
            space.inherit(range(first, 2), Inheritance::Share, may_fault).unwrap();
            assert_eq!(entries(space, may_fault), pieces);
            space.inherit(range(first, 2), Inheritance::Copy, may_fault).unwrap();
            one(may_fault);
            space.advise(range(first, 2), Advice::Random, may_fault).unwrap();
            space.advise(range(first, 2), Advice::Normal, may_fault).unwrap();
            one(may_fault);
            space.wire(range(first, 2), true, may_fault).unwrap();
            assert_eq!(entries(space, may_fault), pieces);
            space.wire(range(first, 2), false, may_fault).unwrap();
            one(may_fault);
        }
        // Memory that nobody has touched joins its neighbour, and so does what is put between two.
        program.map(20, 2, may_fault);
        program.map(24, 2, may_fault);
        program.map(22, 2, may_fault);
        assert_eq!(entries(space, may_fault), 2);
        program.exit(may_fault);
    });
}

#[test]
fn bad_ranges_and_rights_are_refused() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        let space = program.space();
        let request =
            |address, length, place| Request { address, length, place, ..anonymous(0, 1) };
        for (address, length) in [
            (page(0) + 1, PAGE_SIZE),
            (page(0), PAGE_SIZE + 1),
            (page(0), 0),
            (USER_START - PAGE_SIZE, PAGE_SIZE),
            (USER_END, PAGE_SIZE),
            (USER_END - PAGE_SIZE, 2 * PAGE_SIZE),
            (u64::MAX - PAGE_SIZE + 1, PAGE_SIZE),
            (page(0), u64::MAX - PAGE_SIZE + 1),
        ] {
            let fixed = request(address, length, Place::Fixed);
            assert_eq!(space.insert(&fixed, None, may_fault), Err(MapError::BadRange));
            let range = address..address.wrapping_add(length);
            assert_eq!(space.remove(range.clone(), may_fault), Err(MapError::BadRange));
            assert!(space.protect(range, Rights::READ, may_fault).is_err());
        }
        // More than there is, at a hint.
        let all = USER_END - USER_START;
        let hint = |address, length| request(address, length, Place::Hint);
        assert_eq!(
            space.insert(&hint(0, all + PAGE_SIZE), None, may_fault),
            Err(MapError::NoSpace)
        );
        // Of what can be mapped, `rights_max` says what the program may ask for.
        let only_read =
            Request { rights: Rights::READ, rights_max: Rights::READ, ..anonymous(0, 2) };
        space.insert(&only_read, None, may_fault).unwrap();
        let range = page(0)..page(1);
        assert_eq!(
            space.protect(range.clone(), read_write(), may_fault),
            Err(MapError::NotPermitted)
        );
        assert_eq!(space.protect(range, Rights::NONE, may_fault), Ok(()));
        assert_eq!(
            space.protect(page(1)..page(3), Rights::READ, may_fault),
            Err(MapError::NotMapped)
        );
        program.exit(may_fault);
    });
}

#[test]
fn the_only_gap_is_found_from_wherever_the_hint_lies() {
    single(1, 64, |may_fault| {
        for hint in [BASE - PAGE_SIZE, BASE, BASE + PAGE_SIZE, BASE + 7 * PAGE_SIZE, USER_END] {
            let program = Program::new();
            let space = program.space();
            let fixed = |address, length| Request {
                address,
                length,
                place: Place::Fixed,
                ..anonymous(0, 1)
            };
            // All is mapped but two pages from BASE on.
            space.insert(&fixed(USER_START, BASE - USER_START), None, may_fault).unwrap();
            let above = BASE + 2 * PAGE_SIZE;
            space.insert(&fixed(above, USER_END - above), None, may_fault).unwrap();
            let place = Place::Hint;
            let request = Request { place, ..fixed(hint, 2 * PAGE_SIZE) };
            assert_eq!(space.insert(&request, None, may_fault), Ok(BASE), "from {hint:#x}");
            assert_eq!(space.insert(&request, None, may_fault), Err(MapError::NoSpace));
            program.exit(may_fault);
        }
    });
}

const _: () = assert!(ENTRIES_MAX > 100_000, "a map with a hundred thousand entries works");

#[test]
fn a_map_has_as_many_entries_as_it_may_and_no_more() {
    single(1, 64, |may_fault| {
        let program = Program::new();
        let space = program.space();
        // Every other one of two pages each, so that none joins.
        let mut count = 0;
        let error = loop {
            match space.insert(&anonymous(3 * count, 2), None, may_fault) {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error, MapError::TooManyEntries);
        assert_eq!(entries(space, may_fault), ENTRIES_MAX - 1);
        // Cutting a piece out of the middle of an entry takes two more.
        let hole = |of: u64| page(3 * of) + PAGE_SIZE;
        program.unmap(0, 1, may_fault);
        let middle = space.protect(hole(5)..hole(5) + PAGE_SIZE, Rights::READ, may_fault);
        assert_eq!(middle, Err(MapError::TooManyEntries));
        // What makes it smaller works all the time.
        space.remove(page(3)..page(3 * 1000), may_fault).unwrap();
        assert_eq!(entries(space, may_fault), ENTRIES_MAX - 1 - 999);
        assert_eq!(
            space.protect(hole(5000)..hole(5000) + PAGE_SIZE, Rights::READ, may_fault),
            Ok(())
        );
        program.exit(may_fault);
    });
}

/// The end of a life: the step, whose error can be this one only.
fn refused(step: usize) -> impl Fn(MapError) -> usize {
    move |error| {
        assert_eq!(error, MapError::OutOfMemory);
        step
    }
}

/// A fault waits where there is no memory, until it is told to give up.
fn given_up(step: usize) -> impl Fn(FaultError) -> usize {
    move |error| {
        assert_eq!(error, FaultError::Interrupted);
        step
    }
}

/// What a program does, from its beginning to the first error; says which step that was.
fn live(space: &Space, may_fault: &mut MayFault) -> Result<(), usize> {
    fn write(space: &Space, number: u64, may_fault: &mut MayFault) -> Result<(), FaultError> {
        vm::fault(space, page(number), read_write(), may_fault)
    }
    space.insert(&anonymous(0, 4), None, may_fault).map_err(refused(1))?;
    for number in 0..4 {
        write(space, number, may_fault).map_err(given_up(2))?;
    }
    let shared = page(1)..page(2);
    space.inherit(shared.clone(), Inheritance::Share, may_fault).map_err(refused(3))?;
    let child = space.fork(&Tables, may_fault).map_err(|_| 4usize)?;
    let beside = |may_fault: &mut MayFault| {
        for number in [0, 1, 2] {
            vm::fault(&child, page(number), Rights::READ, may_fault).map_err(given_up(5))?;
            write(&child, number, may_fault).map_err(given_up(6))?;
            write(space, number, may_fault).map_err(given_up(7))?;
        }
        child.remove(shared.clone(), may_fault).map_err(refused(8))?;
        space.wire(page(2)..page(4), true, may_fault).map_err(|_| 9usize)
    };
    let result = beside(may_fault);
    // Needs no memory.
    child.clear(may_fault);
    result
}

#[test]
fn where_memory_runs_out_at_any_moment_an_error_says_so_and_nothing_is_lost() {
    let reached: Arc<[AtomicUsize; 11]> = Arc::default();
    for frames in 0..80 {
        let reached = Arc::clone(&reached);
        run_short(1, frames, move |may_fault| {
            let over = Flag::new();
            let is_over = over.clone();
            let thread = spawn(system(60), move |may_fault| {
                let end = match Space::new(&Tables) {
                    Err(_) => 0,
                    Ok(space) => {
                        let end = live(&space, may_fault).err().unwrap_or(10);
                        // Needs no memory.
                        space.clear(may_fault);
                        end
                    }
                };
                reached[end].fetch_add(1, Ordering::SeqCst);
                take_interrupt();
                is_over.set();
            });
            wait_until(|| over.is_set() || Vm::current().waiting() != 0);
            if !over.is_set() {
                interrupt(thread.thread());
            }
            thread.join(may_fault);
        });
    }
    let reached: Vec<_> = reached.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    println!("ends: {reached:?}");
    // It ended in several places, and where there was enough it came through.
    assert!(reached[0] > 0 && reached[1] > 0 && reached[2] > 0 && reached[10] > 0, "{reached:?}");
}

#[test]
fn what_is_read_ahead_can_be_taken_away_again() {
    single(1, 128, |may_fault| {
        let store: &'static common::store::MemoryStore =
            Box::leak(Box::new(common::store::MemoryStore::new(32)));
        let device = Box::leak(Box::new(common::store::Device(store)));
        (0..20).for_each(|number| store.put(number, 100 + number));
        let bytes = 18 * PAGE_SIZE + 8;
        let file: &'static vm::store::File =
            Box::leak(Box::new(vm::store::File { store: device, first: 1, bytes }));
        let object = vm::Object::make(vm::object::Kind::File(file), 20).unwrap();
        let program = Program::new();
        program.space().insert(&anonymous(0, 20), Some((object, 0)), may_fault).unwrap();
        program.act(|user, may_fault| assert_eq!(user.read(2, may_fault), Ok(103)), may_fault);
        // A cluster has come, of which one page is used. All of it is in the queues.
        assert_eq!(Vm::current().census.page_ins.get(), 16);
        assert_eq!(Vm::current().queue_counts().iter().sum::<u32>(), 16);
        program.act(
            |user, may_fault| {
                assert_eq!(user.read(17, may_fault), Ok(118));
                assert_eq!(user.read(18, may_fault), Ok(119));
                assert_eq!(user.read(19, may_fault), Err(FaultError::BehindEnd));
                user.write(17, 5, may_fault).unwrap();
                assert_eq!(user.read(17, may_fault), Ok(5));
            },
            may_fault,
        );
        program.exit(may_fault);
    });
}

#[test]
fn the_kernel_reads_files_through_the_pages_that_programs_map() {
    single(1, 128, |may_fault| {
        let store: &'static common::store::MemoryStore =
            Box::leak(Box::new(common::store::MemoryStore::new(64)));
        let device = Box::leak(Box::new(common::store::Device(store)));
        (0..64).for_each(|number| store.put(number, 0x1111 * number));
        let file: &'static vm::store::File = Box::leak(Box::new(vm::store::File {
            store: device,
            first: 1,
            bytes: 40 * PAGE_SIZE + 6,
        }));
        let object = vm::Object::make(vm::object::Kind::File(file), 41).unwrap();
        let kept = vm::shadow::another(&object, may_fault);
        let program = Program::new();
        program.space().insert(&anonymous(0, 41), Some((object, 0)), may_fault).unwrap();
        let read = |from: u64, reach: Reach, may_fault: &mut MayFault| {
            let mut bytes = [0xff; 16];
            vm::read::read(&kept, from, &mut bytes, reach, may_fault).map(|()| bytes)
        };
        let ins = || Vm::current().census.page_ins.get();
        // Not there: only who may go to the device gets it, and only as much as was asked for.
        assert_eq!(read(0, Reach::Memory, may_fault), Err(FaultError::Interrupted));
        assert!(!vm::read::peek(&kept, 0, &mut [0; 4]));
        assert_eq!(ins(), 0);
        // The rest of a page is what was in memory before.
        let expected = |number: u64| (0x1111 * number).to_le_bytes();
        assert_eq!(read(0, Reach::Device, may_fault).unwrap()[..8], expected(1));
        assert_eq!(ins(), 1);
        assert_eq!(read(0, Reach::Memory, may_fault).unwrap()[..8], expected(1));
        // Across the end of a page, with what lies behind.
        let across = read(2 * PAGE_SIZE - 8, Reach::DeviceAndAhead, may_fault).unwrap();
        assert_eq!(across[8..], expected(3));
        assert_eq!(ins(), 1 + 16);
        let mut peeked = [0; 8];
        assert!(vm::read::peek(&kept, 2 * PAGE_SIZE, &mut peeked));
        assert_eq!(peeked, expected(3));
        // The pages are the program's too, who maps what was read, and the other way round.
        program.act(|user, may_fault| assert_eq!(user.read(2, may_fault), Ok(0x3333)), may_fault);
        program.act(
            |user, may_fault| assert_eq!(user.read(39, may_fault), Ok(0x1111 * 40)),
            may_fault,
        );
        assert_eq!(read(39 * PAGE_SIZE, Reach::Memory, may_fault).unwrap()[..8], expected(40));
        // The end, and behind it.
        let last = read(40 * PAGE_SIZE, Reach::Device, may_fault).unwrap();
        assert_eq!((&last[..8], &last[8..]), (&expected(41)[..], &[0; 8][..]));
        assert_eq!(read(41 * PAGE_SIZE, Reach::Device, may_fault), Err(FaultError::BehindEnd));
        assert_eq!(read(!4095, Reach::Memory, may_fault), Err(FaultError::BehindEnd));
        // An error is told, and what it left behind does no harm.
        store.failures.store(1, Ordering::SeqCst);
        assert_eq!(read(30 * PAGE_SIZE, Reach::Device, may_fault), Err(FaultError::Device));
        assert_eq!(read(30 * PAGE_SIZE, Reach::Device, may_fault).unwrap()[..8], expected(31));
        // One of the pages that come along cannot be read: that is nobody's error but its own.
        store.bad_page.store(1 + 34, Ordering::SeqCst);
        let wanted = read(32 * PAGE_SIZE, Reach::DeviceAndAhead, may_fault).unwrap();
        assert_eq!(wanted[..8], expected(33));
        program.act(
            |user, may_fault| {
                assert_eq!(user.read(33, may_fault), Ok(0x1111 * 34));
                assert_eq!(user.read(34, may_fault), Err(FaultError::Device));
                assert_eq!(user.read(35, may_fault), Ok(0x1111 * 36));
            },
            may_fault,
        );
        store.bad_page.store(u64::MAX, Ordering::SeqCst);
        program.exit(may_fault);
        vm::shadow::release(kept, may_fault);
    });
}
