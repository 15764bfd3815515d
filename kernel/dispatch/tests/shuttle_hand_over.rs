//! Hand-overs on the shuttle: directly, to the one that was meant, whatever comes in between.
//!
//! Two of these tests fail with a historical bug in place; see `docs/history`.

#![cfg(not(feature = "loom"))]

mod common;

use common::{real_time, run, spawn, system};
use dispatch::disp_lock::LockClass;
use dispatch::kernel_thread::{Attributes, JoinHandle};
use dispatch::shuttle::{self, Arrival, ShuttlePool, Sleeper};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use dispatch::{DispLock, Dispatch, State, Thread, preempt, thread_lock};
use machine::{MayFault, Pil, pil};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Lets others run, here and elsewhere.
fn give_way() {
    machine::spin();
    preempt::yield_now();
}

/// What a door would be: servers that wait, and a way to say that there will be no more calls.
#[derive(Default)]
struct Door {
    servers: ShuttlePool,
    calls: AtomicUsize,
    closed: AtomicBool,
    /// A lock that a server takes together with its own, its own last.
    bucket: Option<&'static DispLock>,
    /// It has done so.
    bucket_was_taken: AtomicBool,
}

/// A thread that serves.
type Server = (&'static Thread, JoinHandle);

/// A server: answers calls until the door is closed.
fn serve(door: &Door, may_fault: &mut MayFault) {
    let mut arrival = door.servers.sleep(may_fault);
    loop {
        if door.closed.load(Ordering::SeqCst) {
            return;
        }
        let client: Sleeper = match arrival {
            Arrival::HandedOver(client) => client,
            Arrival::Interrupted => {
                take_interrupt();
                // The interruption that was taken back may have been the one of closing.
                if door.closed.load(Ordering::SeqCst) {
                    return;
                }
                arrival = door.servers.sleep(may_fault);
                continue;
            }
        };
        door.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(bucket) = door.bucket {
            own_lock_and(bucket, false);
            door.bucket_was_taken.store(true, Ordering::SeqCst);
        }
        arrival = match shuttle::reserve_sleeper(client, may_fault) {
            Some(client) => client.resume(Some(&door.servers), may_fault),
            // The client has been interrupted meanwhile.
            None => door.servers.sleep(may_fault),
        };
    }
}

/// One call. Says whether the answer came; if not, the client was interrupted.
fn call(door: &Door, may_fault: &mut MayFault) -> bool {
    loop {
        let Some(server) = door.servers.reserve(may_fault) else {
            give_way();
            continue;
        };
        return match server.resume(None, may_fault) {
            Arrival::HandedOver(_) => true,
            Arrival::Interrupted => false,
        };
    }
}

/// No more calls: every server is interrupted until it has seen that.
fn close(door: &Door, servers: Vec<Server>, may_fault: &mut MayFault) {
    door.closed.store(true, Ordering::SeqCst);
    for (thread, handle) in servers {
        interrupt(thread);
        handle.join(may_fault);
    }
}

/// Starts a server.
fn server(door: &Arc<Door>, attributes: Attributes) -> Server {
    let door = Arc::clone(door);
    let handle = spawn(attributes, move |may_fault| serve(&door, may_fault));
    (handle.thread(), handle)
}

fn total(of: impl Fn(&dispatch::cpu::Counts) -> &core::sync::atomic::AtomicU64) -> u64 {
    Dispatch::current().cpus().map(|cpu| of(cpu.counts()).load(Ordering::Relaxed)).sum()
}

/// Round trips of the test that counts.
const TRIPS: usize = if cfg!(feature = "shuttle") { 100 } else { 10_000 };

#[test]
fn a_round_trip_touches_no_run_queue_and_stays_on_its_processor() {
    common::once(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            assert!(call(&door, may_fault));
            let here = Thread::running().cpu_index();
            let (enqueues, hand_overs) = (total(|c| &c.enqueues), total(|c| &c.hand_overs));
            for _ in 0..TRIPS {
                assert!(call(&door, may_fault));
                assert_eq!(Thread::running().cpu_index(), here);
                assert_eq!(servers[0].0.cpu_index(), here);
            }
            assert_eq!(total(|c| &c.enqueues), enqueues, "nobody went through a queue");
            assert_eq!(total(|c| &c.hand_overs) - hand_overs, 2 * TRIPS as u64);
            assert_eq!(total(|c| &c.hand_overs_queued), 0);
            assert_eq!(door.calls.load(Ordering::SeqCst), TRIPS + 1);
            close(&door, servers, may_fault);
        });
    });
}

#[test]
fn clients_that_are_preempted_and_moved_are_all_served() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            let clients: Vec<_> = (0..2)
                .map(|_| {
                    let door = Arc::clone(&door);
                    spawn(system(60), move |may_fault| {
                        for _ in 0..2 {
                            assert!(call(&door, may_fault));
                        }
                    })
                })
                .collect();
            // Each of these takes a processor away from somebody, who may then find another.
            let disturbers: Vec<_> = (0..2).map(|_| spawn(real_time(120), |_| ())).collect();
            for thread in clients.into_iter().chain(disturbers) {
                thread.join(may_fault);
            }
            assert_eq!(door.calls.load(Ordering::SeqCst), 4);
            close(&door, servers, may_fault);
        });
    });
}

/// A thread that takes the second processor away from whoever has it. That one then goes on on the first.
fn on_the_other() -> Attributes {
    real_time(120).bound(Dispatch::current().cpu(1).expect("there are two"))
}

#[test]
fn whoever_locks_a_server_unlocks_what_it_has_locked() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            until_waiting(&door, 1);
            let thread = servers[0].0;
            let client = {
                let door = Arc::clone(&door);
                spawn(system(60), move |may_fault| assert!(call(&door, may_fault)))
            };
            // As a signal would, or a change of priority. It preempts the client, which then goes on
            // elsewhere.
            let locker = {
                let door = Arc::clone(&door);
                spawn(on_the_other(), move |may_fault| {
                    while door.calls.load(Ordering::SeqCst) == 0 {
                        drop(thread_lock::lock_thread(thread, may_fault));
                        machine::spin();
                    }
                })
            };
            locker.join(may_fault);
            client.join(may_fault);
            close(&door, servers, may_fault);
        });
    });
}

/// Takes the lock of the running thread and then that of a bucket, as `cv_block` does; or the other way
/// round, as `sema_p` does.
fn own_lock_and(bucket: &'static DispLock, own_first: bool) {
    let level = pil::raise_anywhere(Pil::DISP);
    let atomic = level.atomic();
    let me = Thread::current(atomic);
    if own_first {
        let own = thread_lock::lock(me, atomic);
        let bucket = bucket.enter_high(atomic);
        drop((bucket, own));
    } else {
        let bucket = bucket.enter_high(atomic);
        let own = thread_lock::lock(me, atomic);
        drop((own, bucket));
    }
}

/// The deadlock of 5017148. It takes both orders and one bucket, and no other thread of the kernel does
/// anything wrong. In a build with assertions the wrong lock is noticed before it does harm; for the
/// deadlock itself, build without (`docs/history/5017148.md`).
#[test]
fn a_bucket_and_ones_own_lock_may_be_taken_in_either_order() {
    common::model(|| {
        let bucket: &'static DispLock = Box::leak(Box::new(DispLock::new(LockClass::Sleep)));
        run(2, move |may_fault| {
            let door = Arc::new(Door { bucket: Some(bucket), ..Door::default() });
            let servers = vec![server(&door, system(60))];
            until_waiting(&door, 1);
            let client = {
                let door = Arc::clone(&door);
                spawn(system(60), move |may_fault| assert!(call(&door, may_fault)))
            };
            let other = {
                let door = Arc::clone(&door);
                spawn(on_the_other(), move |_| {
                    while !door.bucket_was_taken.load(Ordering::SeqCst) {
                        own_lock_and(bucket, true);
                        machine::spin();
                    }
                })
            };
            other.join(may_fault);
            client.join(may_fault);
            close(&door, servers, may_fault);
        });
    });
}

/// Waits until so many servers wait.
fn until_waiting(door: &Door, count: u32) {
    while door.servers.count() != count {
        give_way();
    }
}

#[test]
fn a_reserved_server_is_nobody_elses_and_goes_back_if_it_is_not_needed() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            until_waiting(&door, 1);
            let reserved = door.servers.reserve(may_fault).expect("it waits");
            assert_eq!(reserved.thread().state(), State::Reserved);
            assert!(door.servers.reserve(may_fault).is_none(), "reserved twice");
            // The client may sleep meanwhile.
            spawn(system(60), |_| ()).join(may_fault);
            drop(reserved);
            assert_eq!(door.servers.count(), 1);
            assert!(call(&door, may_fault));
            close(&door, servers, may_fault);
        });
    });
}

#[test]
fn an_interrupt_while_it_is_reserved_waits_for_the_outcome() {
    common::model(|| {
        run(1, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            until_waiting(&door, 1);
            let thread = servers[0].0;
            // The hand-over comes to nothing: it is woken.
            let reserved = door.servers.reserve(may_fault).expect("it waits");
            assert!(!interrupt(thread), "it does not sleep");
            drop(reserved);
            assert_eq!(door.servers.count(), 0);
            until_waiting(&door, 1);
            // The hand-over comes about: it is resumed as if nothing had happened.
            let reserved = door.servers.reserve(may_fault).expect("it waits");
            assert!(!interrupt(thread));
            assert!(matches!(reserved.resume(None, may_fault), Arrival::HandedOver(_)));
            assert_eq!(door.calls.load(Ordering::SeqCst), 1);
            close(&door, servers, may_fault);
        });
    });
}

#[test]
fn a_client_that_is_interrupted_is_not_resumed_in_a_later_sleep() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60)), server(&door, system(60))];
            let client = {
                let door = Arc::clone(&door);
                spawn(system(60), move |may_fault| {
                    // Whatever ends the first call, the second is answered by the server that got it.
                    for _ in 0..3 {
                        let before = door.calls.load(Ordering::SeqCst);
                        if call(&door, may_fault) {
                            assert!(door.calls.load(Ordering::SeqCst) > before);
                        } else {
                            take_interrupt();
                        }
                    }
                })
            };
            let thread = client.thread();
            interrupt(thread);
            preempt::yield_now();
            interrupt(thread);
            client.join(may_fault);
            while door.calls.load(Ordering::SeqCst) != 3 {
                give_way();
            }
            close(&door, servers, may_fault);
        });
    });
}

#[test]
fn who_has_missed_a_sleep_does_not_get_the_next_one() {
    common::model(|| {
        run(2, |may_fault| {
            let (pool, other) = (Arc::new(ShuttlePool::new()), Arc::new(ShuttlePool::new()));
            let client = {
                let (pool, other) = (Arc::clone(&pool), Arc::clone(&other));
                spawn(system(60), move |may_fault| {
                    let server = loop {
                        match pool.reserve(may_fault) {
                            Some(server) => break server,
                            None => give_way(),
                        }
                    };
                    assert!(matches!(server.resume(None, may_fault), Arrival::Interrupted));
                    take_interrupt();
                    assert!(matches!(other.sleep(may_fault), Arrival::Interrupted));
                })
            };
            let thread = client.thread();
            // Here the main thread is the server.
            let Arrival::HandedOver(sleeper) = pool.sleep(may_fault) else {
                panic!("nobody interrupts the server");
            };
            assert!(std::ptr::eq(sleeper.thread(), thread));
            interrupt(thread);
            while other.count() == 0 {
                give_way();
            }
            assert!(shuttle::reserve_sleeper(sleeper, may_fault).is_none(), "another sleep");
            interrupt(thread);
            client.join(may_fault);
        });
    });
}

#[test]
fn who_is_interrupted_before_it_hands_over_does_not_sleep() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let server = {
                let door = Arc::clone(&door);
                spawn(system(60), move |may_fault| {
                    // It gets the processor, and nobody waits for its answer.
                    let Arrival::HandedOver(client) = door.servers.sleep(may_fault) else {
                        panic!("nobody interrupts the server");
                    };
                    assert!(shuttle::reserve_sleeper(client, may_fault).is_none());
                })
            };
            until_waiting(&door, 1);
            let reserved = door.servers.reserve(may_fault).expect("it waits");
            assert!(!interrupt(Thread::running()), "it runs");
            assert!(matches!(reserved.resume(None, may_fault), Arrival::Interrupted));
            server.join(may_fault);
        });
    });
}

#[test]
fn a_server_that_is_bound_elsewhere_runs_there_and_nowhere_else() {
    common::model(|| {
        run(2, |may_fault| {
            let door = Arc::new(Door::default());
            let other = Dispatch::current().cpu(1).expect("there are two");
            let servers = vec![server(&door, system(60).bound(other))];
            let before = total(|counts| &counts.hand_overs_queued);
            let here = Dispatch::current().cpu(0).expect("there are two");
            let client = {
                let door = Arc::clone(&door);
                spawn(system(60).bound(here), move |may_fault| {
                    for _ in 0..3 {
                        assert!(call(&door, may_fault));
                        assert_eq!(Thread::running().cpu_index(), Some(0));
                    }
                })
            };
            client.join(may_fault);
            assert_eq!(servers[0].0.cpu_index(), Some(1));
            // Every call, and every answer.
            assert_eq!(total(|counts| &counts.hand_overs_queued) - before, 6);
            close(&door, servers, may_fault);
        });
    });
}

#[test]
fn a_more_important_thread_does_not_wait_for_a_less_important_server() {
    common::model(|| {
        run(1, |may_fault| {
            let door = Arc::new(Door::default());
            let servers = vec![server(&door, system(60))];
            until_waiting(&door, 1);
            let urgent_ran = Arc::new(AtomicBool::new(false));
            // It waits behind the client, which is more important still.
            let client = {
                let (door, urgent_ran) = (Arc::clone(&door), Arc::clone(&urgent_ran));
                spawn(real_time(130), move |may_fault| {
                    let urgent = {
                        let (door, urgent_ran) = (Arc::clone(&door), Arc::clone(&urgent_ran));
                        spawn(real_time(120), move |_| {
                            assert_eq!(door.calls.load(Ordering::SeqCst), 0);
                            urgent_ran.store(true, Ordering::SeqCst);
                        })
                    };
                    assert!(!urgent_ran.load(Ordering::SeqCst));
                    assert!(call(&door, may_fault));
                    assert!(urgent_ran.load(Ordering::SeqCst), "the server ran first");
                    urgent.join(may_fault);
                })
            };
            client.join(may_fault);
            close(&door, servers, may_fault);
        });
    });
}
