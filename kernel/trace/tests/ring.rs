//! The ring, with a reader beside the writer: no event is ever read in parts; and with a writer on top
//! of another: no event is lost. The same bodies run on plain threads, under loom and under shuttle.

use std::sync::Arc;
use trace::{Event, EventId, Kind, Ring, Slot};

#[cfg(feature = "loom")]
use loom::{model, thread};
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
use shuttle::thread;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
use std::thread;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
fn model(body: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(body, 500);
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn model(body: impl Fn()) {
    for _ in 0..200 {
        body();
    }
}

/// A ring that owns its slots, so that a model can make one and let it go.
struct Owned {
    slots: Vec<Slot>,
}

impl Owned {
    fn new(slots: usize) -> Arc<Owned> {
        Arc::new(Owned { slots: (0..slots).map(|_| Slot::new()).collect() })
    }
}

/// Writes an event of which every part says which one it is.
fn write(ring: &Ring<'_>, number: u64) {
    let id = ring.write(number, Kind::Switch, number * 3, EventId::new(7, number));
    assert_eq!(id, EventId::new(5, number));
}

fn is_whole(event: &Event) {
    let number = event.id.number();
    assert_eq!(event.stamp, number, "{event:?}");
    assert_eq!(event.argument, number * 3, "{event:?}");
    assert_eq!(event.cause, EventId::new(7, number), "{event:?}");
}

#[test]
fn a_reader_sees_whole_events_or_none() {
    model(|| {
        // One slot, so that the second event is written over the first.
        let owned = Owned::new(1);
        let shared: &'static Owned = {
            // The ring borrows its slots; both threads end before the model does.
            let pointer = Arc::as_ptr(&owned);
            // SAFETY: `owned` outlives both threads, which are joined below.
            unsafe { &*pointer }
        };
        let ring: Arc<Ring<'static>> = Arc::new(Ring::new(5, &shared.slots));
        let reader = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                for number in 1..=2 {
                    if let Some(event) = ring.read(number) {
                        is_whole(&event);
                    }
                }
            })
        };
        write(&ring, 1);
        write(&ring, 2);
        reader.join().unwrap();
        assert_eq!(ring.read(1), None, "it has been overwritten");
        is_whole(&ring.read(2).expect("nobody writes any more"));
        drop(ring);
        drop(owned);
    });
}

#[test]
fn two_writers_at_the_same_time_get_slots_of_their_own() {
    model(|| {
        // As an interrupt's event on top of a thread's, at any step. A thread beside it can do all
        // that the interrupt can, and more.
        let owned = Owned::new(4);
        let shared: &'static Owned = {
            let pointer = Arc::as_ptr(&owned);
            // SAFETY: `owned` outlives both threads, of which the other is joined below.
            unsafe { &*pointer }
        };
        let ring: Arc<Ring<'static>> = Arc::new(Ring::new(5, &shared.slots));
        // Nobody knows beforehand which number an event gets; its words say who has written it.
        let write = |ring: &Ring<'_>, writer: u64| {
            ring.write(writer, Kind::Switch, writer * 3, EventId::new(7, writer)).number()
        };
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || write(&ring, 2))
        };
        let mine = write(&ring, 1);
        let theirs = other.join().unwrap();
        assert_ne!(mine, theirs, "two events have the same number");
        assert_eq!((mine + theirs, ring.count()), (3, 2));
        for (number, writer) in [(mine, 1), (theirs, 2)] {
            let event = ring.read(number).expect("nobody writes any more");
            assert_eq!(event.id, EventId::new(5, number));
            assert_eq!(event.stamp, writer, "{event:?}");
            assert_eq!(event.argument, writer * 3, "{event:?}");
            assert_eq!(event.cause, EventId::new(7, writer), "{event:?}");
        }
        drop(ring);
        drop(owned);
    });
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[test]
fn the_latest_are_kept_in_order() {
    let owned = Owned::new(8);
    let ring = Ring::new(5, &owned.slots);
    for number in 1..=20 {
        write(&ring, number);
    }
    let numbers: Vec<u64> = ring.latest(100).map(|event| event.id.number()).collect();
    assert_eq!(numbers, (13..=20).collect::<Vec<_>>());
    let numbers: Vec<u64> = ring.latest(3).map(|event| event.id.number()).collect();
    assert_eq!(numbers, [18, 19, 20]);
    assert_eq!(ring.count(), 20);
    assert_eq!((ring.read(0), ring.read(12), ring.read(21)), (None, None, None));
}
