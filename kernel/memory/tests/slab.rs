//! Slabs on one processor: what goes out comes back, pages too.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::HostPages;
use machine::sim::{Machine, Quiet, run};
use memory::{OutOfMemory, Slab, SlabBox};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Runs a test with a slab of `T` on the one processor of a machine, and checks that all is given
/// back when the objects are.
fn with_slab<T: Send + 'static>(
    most: usize,
    act: impl FnOnce(&Machine, &'static Slab<T>, &'static HostPages),
) {
    run(1, Quiet, |machine| {
        let pages = machine.keep(HostPages::new(most));
        let slab = machine.keep(Slab::new(pages));
        machine.on(0, |_| {
            act(machine, slab, pages);
            slab.reclaim();
            assert_eq!(slab.counts().live, 0);
            assert_eq!(slab.counts().pages, 0);
            assert_eq!(pages.given(), 0);
        });
    });
}

#[test]
fn objects_are_apart_and_aligned() {
    #[repr(align(64))]
    struct Aligned([u8; 72]);

    with_slab(1000, |_, slab, _| {
        let boxes: Vec<_> = (0..500u32)
            .map(|number| slab.allocate(Aligned([number as u8; 72])).ok().unwrap())
            .collect();
        for (number, object) in boxes.iter().enumerate() {
            assert!(object.0.iter().all(|&byte| byte == number as u8));
            assert_eq!(std::ptr::from_ref(&**object) as usize % 64, 0);
        }
        let addresses: HashSet<_> = boxes.iter().map(|o| std::ptr::from_ref(&**o)).collect();
        assert_eq!(addresses.len(), 500);
    });
}

#[test]
fn counts_are_exact() {
    with_slab::<[u64; 8]>(1000, |_, slab, pages| {
        let per_page = slab.counts().per_page;
        assert!((40..=64).contains(&per_page), "{per_page} objects of 64 bytes a page");
        let mut boxes = Vec::new();
        for live in 1..=3 * per_page {
            boxes.push(slab.allocate([live as u64; 8]).unwrap());
            assert_eq!(slab.counts().live, live as u64);
            assert_eq!(slab.counts().pages, live.div_ceil(per_page));
            assert_eq!(pages.given(), slab.counts().pages);
        }
        while boxes.pop().is_some() {
            assert_eq!(slab.counts().live, boxes.len() as u64);
        }
        assert_eq!(slab.counts().pages, 3);
        assert_eq!(slab.reclaim(), 3);
        assert_eq!(slab.reclaim(), 0);
    });
}

#[test]
fn freed_objects_are_used_again() {
    with_slab::<u64>(1, |_, slab, _| {
        for round in 0..10_000 {
            let first = slab.allocate(round).unwrap();
            let second = slab.allocate(round + 1).unwrap();
            assert_eq!((*first, *second), (round, round + 1));
        }
        assert_eq!(slab.counts().pages, 1);
    });
}

#[test]
fn running_out_gives_the_value_back() {
    with_slab(2, |_, slab, _| {
        let mut boxes = Vec::new();
        let left = loop {
            match slab.allocate(Box::new(boxes.len())) {
                Ok(object) => boxes.push(object),
                Err((OutOfMemory, value)) => break value,
            }
        };
        assert_eq!(*left, boxes.len());
        assert_eq!(boxes.len(), 2 * slab.counts().per_page);
        let called = Cell::new(false);
        let result = slab.allocate_with(|| {
            called.set(true);
            Box::new(0)
        });
        assert!(result.is_err() && !called.get());
        assert_eq!(slab.counts().live, boxes.len() as u64);
        // From the magazine first, then from a page in which it is the only free place.
        boxes.pop();
        boxes.push(slab.allocate(left).ok().unwrap());
        let last = boxes.pop().map(|object| Box::new(**object)).unwrap();
        assert_eq!(slab.reclaim(), 0);
        boxes.push(slab.allocate(last).ok().unwrap());
        for (index, object) in boxes.iter().enumerate() {
            assert!(***object == index || index + 1 == boxes.len());
        }
    });
}

#[test]
fn pages_in_use_are_kept() {
    with_slab::<[u8; 1000]>(100, |_, slab, _| {
        let per_page = slab.counts().per_page;
        let mut boxes: Vec<_> =
            (0..per_page * 10).map(|_| slab.allocate_with(|| [1; 1000]).unwrap()).collect();
        let page_of = |object: &SlabBox<[u8; 1000]>| object.as_ptr() as usize / 4096;
        let kept = boxes.swap_remove(per_page * 5 + 1);
        drop(boxes);
        assert_eq!(slab.reclaim(), 9);
        assert_eq!(slab.counts().pages, 1);
        assert!(kept.iter().all(|&byte| byte == 1));
        let beside = slab.allocate([2; 1000]).unwrap();
        assert_eq!(page_of(&beside), page_of(&kept));
    });
}

#[test]
fn every_size_from_nothing_to_a_page() {
    with_slab::<()>(1, |_, slab, _| drop(slab.allocate(()).unwrap()));
    with_slab::<u8>(1, |_, slab, _| assert_eq!(*slab.allocate(7).unwrap(), 7));
    with_slab::<[u8; 3900]>(2, |_, slab, _| {
        assert_eq!(slab.counts().per_page, 1);
        let two = (slab.allocate([1; 3900]).unwrap(), slab.allocate([2; 3900]).unwrap());
        assert!(slab.allocate([3; 3900]).is_err());
        assert_eq!((two.0[3899], two.1[0]), (1, 2));
    });
}

#[test]
fn objects_are_dropped_once() {
    with_slab(10, |_, slab, _| {
        let counted = Arc::new(());
        let boxes: Vec<_> = (0..20).map(|_| slab.allocate(Arc::clone(&counted))).collect();
        assert_eq!(Arc::strong_count(&counted), 21);
        drop(boxes);
        assert_eq!(Arc::strong_count(&counted), 1);
    });
}

#[test]
fn a_panic_while_the_value_is_made_loses_nothing() {
    with_slab::<u64>(10, |_, slab, _| {
        let result = catch_unwind(AssertUnwindSafe(|| slab.allocate_with(|| panic!("on purpose"))));
        assert!(result.is_err());
        assert_eq!(slab.counts().live, 0);
    });
}

#[test]
fn raw_objects_come_back() {
    with_slab::<u64>(10, |_, slab, _| {
        let raw = slab.allocate(5).unwrap().into_raw();
        assert_eq!(slab.counts().live, 1);
        // SAFETY: from `into_raw`, once.
        let mut object = unsafe { SlabBox::from_raw(raw) };
        *object += 1;
        assert_eq!(*object, 6);
    });
}

#[test]
#[cfg(debug_assertions)]
fn a_write_after_free_is_found() {
    for byte in [0, 9, 23, 39] {
        with_slab::<[u8; 40]>(10, |_, slab, _| {
            let raw = slab.allocate([0; 40]).unwrap().into_raw();
            // SAFETY: from `into_raw`, once.
            drop(unsafe { SlabBox::from_raw(raw) });
            // SAFETY: within the object, which is wrong on purpose: it is free.
            let victim = unsafe { raw.cast::<u8>().add(byte) };
            // SAFETY: the page is still there.
            unsafe { victim.write(1) };
            let panic = catch_unwind(AssertUnwindSafe(|| slab.allocate([0; 40]))).unwrap_err();
            let said = panic.downcast::<String>().unwrap();
            assert!(said.ends_with(&format!("written to: byte {byte} is 0x1")), "{said}");
            // SAFETY: as above. The object that was found out stays lost; it is repaired to end well.
            unsafe { victim.write(memory::slab_page::POISON) };
            // SAFETY: the place was taken by the allocation that panicked, and nobody has it.
            drop(unsafe { SlabBox::from_raw(raw) });
        });
    }
}
