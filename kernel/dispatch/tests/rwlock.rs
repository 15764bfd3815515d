//! Readers-writer locks: who gets in, and who is next. One test for each rule.

#![cfg(not(feature = "loom"))]

mod common;

use common::{model, once, real_time, run, spawn};
use dispatch::kernel_thread::JoinHandle;
use dispatch::{Priority, RwLock, State, Thread, preempt, set_priority, turnstile};
use machine::MayFault;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex as HostMutex};

/// A lock, and who has had it so far, in order.
struct Scene {
    lock: Arc<RwLock<u32>>,
    log: Arc<HostMutex<Vec<&'static str>>>,
}

impl Scene {
    fn new() -> Scene {
        Scene { lock: Arc::new(RwLock::new(0)), log: Arc::default() }
    }

    /// A thread that reads once.
    fn reader(&self, priority: u8, name: &'static str) -> JoinHandle {
        let (lock, log) = (Arc::clone(&self.lock), Arc::clone(&self.log));
        spawn(real_time(priority), move |may_fault| {
            let held = lock.read(may_fault);
            log.lock().unwrap().push(name);
            drop(held);
        })
    }

    /// A thread that writes once.
    fn writer(&self, priority: u8, name: &'static str) -> JoinHandle {
        let (lock, log) = (Arc::clone(&self.lock), Arc::clone(&self.log));
        spawn(real_time(priority), move |may_fault| {
            let mut held = lock.write(may_fault);
            log.lock().unwrap().push(name);
            *held += 1;
            drop(held);
        })
    }

    #[track_caller]
    fn assert_order(&self, names: &[&str]) {
        assert_eq!(*self.log.lock().unwrap(), names);
    }
}

/// Runs `main` once, on one processor: whoever is more important than the running thread runs at once, until it
/// has to wait.
fn on_one_processor(main: impl Fn(&Scene, &mut MayFault) + Copy + Send + Sync + 'static) {
    once(move || run(1, move |may_fault| main(&Scene::new(), may_fault)));
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
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.read(may_fault);
        drop(scene.lock.try_read().expect("nobody waits yet"));
        let threads = [scene.writer(110, "writer"), scene.reader(120, "reader")];
        assert!(scene.lock.try_read().is_none());
        assert!(threads.iter().all(|thread| thread.thread().state() == State::Sleep));
        drop(held);
        join_all(threads, may_fault);
        // A reader that is last prefers the writer, though the waiting reader is more important.
        scene.assert_order(&["writer", "reader"]);
    });
}

#[test]
fn only_the_last_reader_hands_the_lock_over() {
    on_one_processor(|scene, may_fault| {
        let (one, two) = (scene.lock.read(may_fault), scene.lock.read(may_fault));
        let thread = scene.writer(110, "writer");
        drop(one);
        assert_eq!(thread.thread().state(), State::Sleep);
        drop(two);
        assert_eq!(thread.thread().state(), State::Zombie);
        join_all([thread], may_fault);
    });
}

#[test]
fn a_writer_lets_in_the_readers_that_are_not_below_the_best_writer() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        // Each above the one before, so that it preempts whoever inherits from that.
        let threads = [
            scene.reader(110, "below"),
            scene.writer(115, "writer"),
            scene.reader(120, "equal"),
            scene.reader(130, "above"),
        ];
        set_priority(threads[1].thread(), Priority::new(120));
        // All at once, before any of them runs.
        let level = machine::pil::raise_anywhere(machine::Pil::DISP);
        drop(held);
        assert_eq!(scene.lock.readers(), 2);
        assert_eq!(threads[0].thread().state(), State::Sleep);
        assert_eq!(threads[1].thread().state(), State::Sleep);
        assert_eq!(threads[2].thread().state(), State::Run);
        assert_eq!(threads[3].thread().state(), State::Run);
        drop(level);
        join_all(threads, may_fault);
        scene.assert_order(&["above", "equal", "writer", "below"]);
    });
}

#[test]
fn a_writer_hands_over_to_readers_among_equals() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        let threads = [scene.writer(115, "writer"), scene.reader(120, "reader")];
        set_priority(threads[0].thread(), Priority::new(120));
        drop(held);
        join_all(threads, may_fault);
        scene.assert_order(&["reader", "writer"]);
    });
}

#[test]
fn a_writer_hands_over_to_a_writer_that_is_above_all_readers() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        let threads =
            [scene.reader(110, "reader"), scene.writer(115, "worse"), scene.writer(120, "better")];
        drop(held);
        join_all(threads, may_fault);
        scene.assert_order(&["better", "worse", "reader"]);
    });
}

#[test]
fn a_writer_that_gains_priority_while_it_waits_is_next() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        let threads = [scene.writer(110, "first"), scene.writer(120, "second")];
        set_priority(threads[0].thread(), Priority::new(130));
        assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
        drop(held);
        join_all(threads, may_fault);
        scene.assert_order(&["first", "second"]);
    });
}

#[test]
fn a_writer_inherits_and_so_does_the_next() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        let next = {
            let lock = Arc::clone(&scene.lock);
            spawn(real_time(110), move |may_fault| {
                let held = lock.write(may_fault);
                assert_eq!(Thread::running().inherited_priority(), Priority::new(120));
                drop(held);
                assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            })
        };
        let threads = [next, scene.reader(120, "reader"), scene.writer(125, "writer")];
        set_priority(threads[2].thread(), Priority::new(110));
        set_priority(threads[0].thread(), Priority::new(130));
        assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
        drop(held);
        join_all(threads, may_fault);
        scene.assert_order(&["reader", "writer"]);
    });
}

#[test]
fn readers_do_not_inherit() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.read(may_fault);
        let thread = scene.writer(130, "writer");
        assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
        drop(held);
        join_all([thread], may_fault);
    });
}

#[test]
fn a_writer_that_reads_on_lets_readers_in_and_gives_up_what_it_inherited() {
    on_one_processor(|scene, may_fault| {
        let held = scene.lock.write(may_fault);
        let threads =
            [scene.reader(110, "below"), scene.writer(120, "writer"), scene.reader(130, "above")];
        assert_eq!(Thread::running().inherited_priority(), Priority::new(130));
        let held = held.downgrade();
        assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
        scene.assert_order(&["above"]);
        assert_eq!((*held, scene.lock.readers()), (0, 1));
        assert!(scene.lock.try_read().is_none(), "a writer waits");
        drop(held);
        join_all(threads, may_fault);
        scene.assert_order(&["above", "writer", "below"]);
        let held = scene.lock.write(may_fault).downgrade();
        drop(scene.lock.try_read().expect("nobody waits"));
        drop(held);
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
