//! The ring, with a reader beside the writer: no event is ever read in parts. The same body runs on
//! plain threads, under loom and under shuttle.

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
