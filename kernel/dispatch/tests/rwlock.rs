//! Readers-writer locks: who gets in, and who is next. One test for each rule.

#![cfg(not(feature = "loom"))]

mod common;

use common::{model, once, real_time, run, spawn};
use dispatch::kernel_thread::JoinHandle;
use dispatch::{Priority, RwLock, State, Thread, preempt, set_priority, turnstile};
use machine::MayFault;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex as HostMutex};

/// What happened, in order.
type Log = Arc<HostMutex<Vec<&'static str>>>;

fn lock_and_log() -> (Arc<RwLock<u32>>, Log) {
    (Arc::new(RwLock::new(0)), Log::default())
}

fn reader(at: u8, name: &'static str, of: &(Arc<RwLock<u32>>, Log)) -> JoinHandle {
    let (lock, log) = (Arc::clone(&of.0), Arc::clone(&of.1));
    spawn(real_time(at), move |may_fault| {
        let held = lock.read(may_fault);
        log.lock().unwrap().push(name);
        drop(held);
    })
}

fn writer(at: u8, name: &'static str, of: &(Arc<RwLock<u32>>, Log)) -> JoinHandle {
    let (lock, log) = (Arc::clone(&of.0), Arc::clone(&of.1));
    spawn(real_time(at), move |may_fault| {
        let mut held = lock.write(may_fault);
        log.lock().unwrap().push(name);
        *held += 1;
        drop(held);
    })
}

fn join_all(threads: impl IntoIterator<Item = JoinHandle>, may_fault: &mut MayFault) {
    for thread in threads {
        thread.join(may_fault);
    }
    assert_eq!(turnstile::in_use(), 0);
    assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
}

/// Readers and writers that check that they are alone, or among readers.
fn mix(cpus: usize, threads: usize, downgrade: bool) {
    run(cpus, move |may_fault| {
        let lock = Arc::new(RwLock::new((0, 0)));
        // Readers inside, or -1 for a writer.
        let inside = Arc::new(AtomicIsize::new(0));
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
                spawn(real_time(100 + number as u8 % 3), move |may_fault| {
                    for turn in 0..2 {
                        if (number + turn) % 2 == 0 {
                            let read = lock.read(may_fault);
                            assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0);
                            preempt::yield_now();
                            assert_eq!(read.0, read.1);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            continue;
                        }
                        let mut write = lock.write(may_fault);
                        assert_eq!(inside.swap(-1, Ordering::SeqCst), 0);
                        write.0 += 1;
                        preempt::yield_now();
                        write.1 += 1;
                        assert_eq!(inside.swap(0, Ordering::SeqCst), -1);
                        if downgrade {
                            let before = write.0;
                            let read = write.downgrade();
                            assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0);
                            preempt::yield_now();
                            assert_eq!(*read, (before, before), "somebody else wrote");
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                    assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
                })
            })
            .collect();
        let count = threads.len();
        join_all(threads, may_fault);
        assert_eq!(*lock.read(may_fault), (count, count));
    });
}

#[test]
fn readers_and_writers_keep_apart_on_one_processor() {
    model(|| mix(1, 4, false));
}

#[test]
fn readers_and_writers_keep_apart_on_two_processors() {
    model(|| mix(2, 4, false));
}

#[test]
fn readers_and_writers_keep_apart_on_three_processors() {
    model(|| mix(3, 4, false));
}

#[test]
fn who_was_a_writer_and_reads_on_keeps_writers_out() {
    model(|| mix(2, 4, true));
}

#[test]
fn readers_share_and_a_writer_does_not() {
    once(|| {
        run(1, |may_fault| {
            let lock = RwLock::new(7);
            let (one, two) = (lock.read(may_fault), lock.try_read().expect("readers share"));
            assert_eq!((*one, *two, lock.readers()), (7, 7, 2));
            assert!(lock.try_write().is_none());
            drop(one);
            assert!(lock.try_write().is_none());
            drop(two);
            let write = lock.try_write().expect("it is free");
            assert!(lock.try_read().is_none());
            assert!(lock.try_write().is_none());
            assert!(lock.writer().is_some_and(|it| std::ptr::eq(it, Thread::running())));
            drop(write);
            assert_eq!(lock.readers(), 0);
            drop(lock.write(may_fault));
        });
    });
}

#[test]
fn no_new_reader_gets_in_while_a_writer_waits() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.read(may_fault);
            drop(both.0.try_read().expect("nobody waits yet"));
            let threads = [writer(110, "writer", &both), reader(120, "reader", &both)];
            assert!(both.0.try_read().is_none());
            assert!(threads.iter().all(|thread| thread.thread().state() == State::Sleep));
            drop(held);
            join_all(threads, may_fault);
            // A reader that is last prefers the writer, though the waiting reader is more important.
            assert_eq!(*both.1.lock().unwrap(), ["writer", "reader"]);
        });
    });
}

#[test]
fn only_the_last_reader_hands_the_lock_over() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let (one, two) = (both.0.read(may_fault), both.0.read(may_fault));
            let thread = writer(110, "writer", &both);
            drop(one);
            assert_eq!(thread.thread().state(), State::Sleep);
            drop(two);
            assert_eq!(thread.thread().state(), State::Zombie);
            join_all([thread], may_fault);
        });
    });
}

#[test]
fn a_writer_lets_in_the_readers_that_are_not_below_the_best_writer() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            // Each above the one before, so that it preempts whoever inherits from that.
            let threads = [
                reader(110, "below", &both),
                writer(115, "writer", &both),
                reader(120, "equal", &both),
                reader(130, "above", &both),
            ];
            set_priority(threads[1].thread(), Priority::new(120));
            // All at once, before any of them runs.
            let level = machine::pil::raise_anywhere(machine::Pil::DISP);
            drop(held);
            assert_eq!(both.0.readers(), 2);
            assert_eq!(threads[0].thread().state(), State::Sleep);
            assert_eq!(threads[1].thread().state(), State::Sleep);
            assert_eq!(threads[2].thread().state(), State::Run);
            assert_eq!(threads[3].thread().state(), State::Run);
            drop(level);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["above", "equal", "writer", "below"]);
        });
    });
}

#[test]
fn a_writer_hands_over_to_readers_among_equals() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            let threads = [writer(115, "writer", &both), reader(120, "reader", &both)];
            set_priority(threads[0].thread(), Priority::new(120));
            drop(held);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["reader", "writer"]);
        });
    });
}

#[test]
fn a_writer_hands_over_to_a_writer_that_is_above_all_readers() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            let threads = [
                reader(110, "reader", &both),
                writer(115, "worse", &both),
                writer(120, "better", &both),
            ];
            drop(held);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["better", "worse", "reader"]);
        });
    });
}

#[test]
fn a_writer_that_gains_priority_while_it_waits_is_next() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            let threads = [writer(110, "first", &both), writer(120, "second", &both)];
            set_priority(threads[0].thread(), Priority::new(130));
            assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
            drop(held);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["first", "second"]);
        });
    });
}

#[test]
fn a_writer_inherits_and_so_does_the_next() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            let next = {
                let lock = Arc::clone(&both.0);
                spawn(real_time(110), move |may_fault| {
                    let held = lock.write(may_fault);
                    assert_eq!(Thread::running().inherited_priority(), Priority::new(120));
                    drop(held);
                    assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
                })
            };
            let threads = [next, reader(120, "reader", &both), writer(125, "writer", &both)];
            set_priority(threads[2].thread(), Priority::new(110));
            set_priority(threads[0].thread(), Priority::new(130));
            assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
            drop(held);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["reader", "writer"]);
        });
    });
}

#[test]
fn readers_do_not_inherit() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.read(may_fault);
            let thread = writer(130, "writer", &both);
            assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            drop(held);
            join_all([thread], may_fault);
        });
    });
}

#[test]
fn a_writer_that_reads_on_lets_readers_in_and_gives_up_what_it_inherited() {
    once(|| {
        run(1, |may_fault| {
            let both = lock_and_log();
            let held = both.0.write(may_fault);
            let threads = [
                reader(110, "below", &both),
                writer(120, "writer", &both),
                reader(130, "above", &both),
            ];
            assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
            let held = held.downgrade();
            assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            assert_eq!(*both.1.lock().unwrap(), ["above"]);
            assert_eq!((*held, both.0.readers()), (0, 1));
            assert!(both.0.try_read().is_none(), "a writer waits");
            drop(held);
            join_all(threads, may_fault);
            assert_eq!(*both.1.lock().unwrap(), ["above", "writer", "below"]);
            let held = both.0.write(may_fault).downgrade();
            drop(both.0.try_read().expect("nobody waits"));
            drop(held);
        });
    });
}

#[test]
fn taking_a_lock_in_which_one_writes_is_caught() {
    once(|| {
        run(1, |may_fault| {
            let lock = RwLock::new(());
            let held = lock.write(may_fault);
            let again = std::panic::AssertUnwindSafe(|| drop(lock.read(may_fault)));
            let caught = std::panic::catch_unwind(again).expect_err("it writes");
            let message = caught.downcast_ref::<String>().expect("a formatted message");
            assert!(message.contains("in which it writes"), "{message}");
            drop(held);
        });
    });
}
