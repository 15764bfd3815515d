//! Everything that threads wait for at the same time: mutexes, condition variables, semaphores and
//! readers-writer locks, nested in each thread, while threads of all classes preempt each other and migrate. What
//! goes wrong only between two of them has no other test.

#![cfg(not(feature = "loom"))]

mod common;

use common::{real_time, run, spawn, system, time_sharing};
use dispatch::{Condvar, Mutex, Priority, RwLock, Semaphore, Thread, preempt, turnstile};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Goods that each maker makes, and each buyer buys.
const GOODS: u32 = 2;
/// Seats in the shop.
const SEATS: u32 = 2;

/// A shop with few seats, a price list, and a shelf.
struct Shop {
    seats: Semaphore,
    seated: AtomicU32,
    /// The same number twice.
    prices: RwLock<(u32, u32)>,
    shelf: Mutex<u32>,
    filled: Condvar,
}

impl Shop {
    /// Takes a seat, and gives it back after `visit`.
    fn visit(&self, may_fault: &mut MayFault, visit: impl FnOnce(&mut MayFault)) {
        self.seats.p(may_fault);
        assert!(self.seated.fetch_add(1, Ordering::SeqCst) < SEATS, "more visitors than seats");
        visit(may_fault);
        self.seated.fetch_sub(1, Ordering::SeqCst);
        self.seats.v();
    }

    /// Changes the prices and fills the shelf, which a maker holds while it has the list.
    fn make(&self, may_fault: &mut MayFault) {
        self.visit(may_fault, |may_fault| {
            let mut prices = self.prices.write(may_fault);
            prices.0 += 1;
            preempt::yield_now();
            *self.shelf.lock(may_fault) += 1;
            prices.1 += 1;
        });
        self.filled.signal();
    }

    /// Looks at the prices, then waits for goods, without a seat.
    fn buy(&self, may_fault: &mut MayFault) {
        self.visit(may_fault, |may_fault| {
            let prices = self.prices.read(may_fault);
            preempt::yield_now();
            assert_eq!(prices.0, prices.1, "read while somebody writes");
        });
        let mut shelf = self.shelf.lock(may_fault);
        while *shelf == 0 {
            shelf = self.filled.wait(shelf, may_fault);
        }
        *shelf -= 1;
    }
}

fn trade(cpus: usize) {
    run(cpus, |may_fault| {
        let shop = Arc::new(Shop {
            seats: Semaphore::new(SEATS),
            seated: AtomicU32::new(0),
            prices: RwLock::new((0, 0)),
            shelf: Mutex::new(0),
            filled: Condvar::new(),
        });
        let threads: Vec<_> = [time_sharing(30), real_time(120), system(61), real_time(110)]
            .into_iter()
            .enumerate()
            .map(|(number, attributes)| {
                let shop = Arc::clone(&shop);
                spawn(attributes, move |may_fault| {
                    for _ in 0..GOODS {
                        if number < 2 { shop.make(may_fault) } else { shop.buy(may_fault) }
                    }
                    assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
                })
            })
            .collect();
        for thread in threads {
            thread.join(may_fault);
        }
        assert_eq!(*shop.prices.read(may_fault), (2 * GOODS, 2 * GOODS));
        assert_eq!(*shop.shelf.lock(may_fault), 0);
        assert_eq!(shop.seats.units(), SEATS);
        assert_eq!(turnstile::in_use(), 0);
    });
}

#[test]
fn all_kinds_of_locks_at_once_on_one_processor() {
    common::model(|| trade(1));
}

#[test]
fn all_kinds_of_locks_at_once_on_two_processors() {
    common::model(|| trade(2));
}

#[test]
fn all_kinds_of_locks_at_once_on_three_processors() {
    common::model(|| trade(3));
}
