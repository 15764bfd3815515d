//! Several threads of several programs at a time: sharing, forking, copying, mapping and unmapping, wiring, with pages
//! that come from swap late or not at all.
//!
//! Under shuttle nothing may spin: no thread here is always ready to run, and time stands still. So the daemon pauses for
//! no time at all.

#![cfg(not(feature = "loom"))]

mod common;

use common::dispatcher::{Flag, spawn, system};
use common::program::{User, page, read_write};
use common::store::{Device, LateDevice, MemoryStore};
use common::swapped::Nobody;
use common::{Program, Rights, model, run};
use dispatch::kernel_thread::JoinHandle;
use dispatch::sleep_queue::{interrupt, take_interrupt};
use dispatch::{Semaphore, Thread};
use machine::MayFault;
use memory::Memory;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use vm::entry::Inheritance;
use vm::page_daemon::{self, Goals};
use vm::{FaultError, Vm};

/// Pages that have been written to swap in all rounds of all tests.
static WRITTEN: AtomicI64 = AtomicI64::new(0);

/// Swap space on a device that answers from a thread of its own, and a daemon.
struct Swapping {
    #[cfg_attr(feature = "shuttle", expect(dead_code, reason = "no device fails there"))]
    store: &'static MemoryStore,
    threads: [JoinHandle; 2],
}

impl Swapping {
    fn begin(slots: u64, goals: Goals) -> Swapping {
        let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(slots)));
        let device: &'static Device = Box::leak(Box::new(Device(store)));
        let words = vec![0; vm::swap::Swap::words(slots)];
        Vm::current().swap.attach(device, Box::leak(words.into_boxed_slice()));
        Memory::current().frames.set_reserves(4, 2, goals.high);
        let threads = [
            spawn(system(65), move |may_fault| page_daemon::run(goals, &Nobody, may_fault)),
            spawn(system(65), page_daemon::run_laundry),
        ];
        Swapping { store, threads }
    }

    fn end(self, may_fault: &mut MayFault) {
        WRITTEN.fetch_add(Vm::current().census.page_outs.get(), Ordering::SeqCst);
        page_daemon::stop();
        for thread in self.threads {
            thread.join(may_fault);
        }
    }
}

fn join_all(threads: impl IntoIterator<Item = common::program::Running>, may_fault: &mut MayFault) {
    for thread in threads {
        thread.join(may_fault);
    }
}

#[test]
fn threads_and_children_that_write_the_same_pages_each_see_their_own() {
    model(|| {
        run(3, 128, |may_fault| {
            let program = Program::new();
            program.map(0, 3, may_fault);
            program.inherit(2, 1, Inheritance::Share, may_fault);
            program.act(
                |user, may_fault| (0..3).for_each(|page| user.write(page, 1, may_fault).unwrap()),
                may_fault,
            );
            let children: Vec<_> = (0..2).map(|_| program.fork(may_fault)).collect();
            let body = |own: u64| {
                move |user: &User, may_fault: &mut MayFault| {
                    assert_eq!(user.read(0, may_fault), Ok(1));
                    user.write(0, own, may_fault).unwrap();
                    user.add(1, own, may_fault).unwrap();
                    user.add(2, 1, may_fault).unwrap();
                    assert_eq!(user.read(0, may_fault), Ok(own));
                    assert_eq!(user.read(1, may_fault), Ok(1 + own));
                }
            };
            let mut own = 10;
            let threads: Vec<_> = children
                .iter()
                .chain([&program])
                .map(|program| {
                    own += 1;
                    program.run(system(60), body(own))
                })
                .collect();
            join_all(threads, may_fault);
            program.act(|user, may_fault| assert_eq!(user.read(2, may_fault), Ok(4)), may_fault);
            program.exit(may_fault);
            children.into_iter().for_each(|child| child.exit(may_fault));
        });
    });
}

#[test]
fn a_program_forks_and_its_children_exit_while_its_threads_write() {
    model(|| {
        run(2, 128, |may_fault| {
            let program = Program::new();
            program.map(0, 2, may_fault);
            program.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
            let writer = program.run(system(60), |user, may_fault| {
                for word in 2..5 {
                    assert_eq!(user.read(0, may_fault), Ok(word - 1));
                    user.write(0, word, may_fault).unwrap();
                    user.add(1, 1, may_fault).unwrap();
                }
            });
            let forks = program.clone();
            let forker = program.run(system(60), move |_, may_fault| {
                let one = forks.fork(may_fault);
                let other = forks.fork(may_fault);
                for child in [&one, &other] {
                    child.act(
                        |user, may_fault| {
                            let word = user.read(0, may_fault).unwrap();
                            assert!((1..5).contains(&word));
                            user.write(0, 77, may_fault).unwrap();
                            assert_eq!(user.read(0, may_fault), Ok(77));
                        },
                        may_fault,
                    );
                }
                one.exit(may_fault);
                other.exit(may_fault);
            });
            join_all([writer, forker], may_fault);
            program.act(
                |user, may_fault| {
                    assert_eq!(user.read(0, may_fault), Ok(4));
                    assert_eq!(user.read(1, may_fault), Ok(3));
                },
                may_fault,
            );
            program.exit(may_fault);
        });
    });
}

#[test]
fn what_is_unmapped_protected_and_mapped_again_while_others_use_it_is_never_wrong() {
    model(|| {
        run(2, 128, |may_fault| {
            let program = Program::new();
            program.map(0, 3, may_fault);
            let user = program.run(system(60), |user, may_fault| {
                for number in [0, 1, 2, 0] {
                    match user.write(number, 5, may_fault) {
                        Ok(()) => {}
                        Err(FaultError::NotMapped | FaultError::NotPermitted) => {}
                        Err(error) => panic!("{error}"),
                    }
                    match user.read(number, may_fault) {
                        Ok(0 | 5) | Err(FaultError::NotMapped) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
            let changes = program.clone();
            let changer = program.run(system(60), move |user, may_fault| {
                let read_only = |pages: std::ops::Range<u64>, rights, may_fault: &mut MayFault| {
                    let range = page(pages.start)..page(pages.end);
                    changes.space().protect(range, rights, may_fault).unwrap();
                };
                read_only(1..3, Rights::READ, may_fault);
                let word = user.read(1, may_fault).unwrap();
                assert_eq!(user.write(1, 9, may_fault), Err(FaultError::NotPermitted));
                assert_eq!(user.read(1, may_fault), Ok(word), "it was protected");
                changes.unmap(0, 1, may_fault);
                assert_eq!(user.read(0, may_fault), Err(FaultError::NotMapped));
                read_only(1..3, read_write(), may_fault);
                changes.map(0, 1, may_fault);
            });
            join_all([user, changer], may_fault);
            program.exit(may_fault);
        });
    });
}

#[test]
fn what_is_wired_and_unwired_while_others_use_it_is_wired_as_often_as_it_should_be() {
    model(|| {
        run(2, 128, |may_fault| {
            let program = Program::new();
            program.map(0, 2, may_fault);
            let child = program.fork(may_fault);
            let user = program.run(system(60), |user, may_fault| {
                user.write(0, 1, may_fault).unwrap();
                user.write(1, 2, may_fault).unwrap();
            });
            let wires = program.clone();
            let wirer = program.run(system(60), move |_, may_fault| {
                wires.space().wire(page(0)..page(2), true, may_fault).unwrap();
                wires.space().wire(page(0)..page(1), false, may_fault).unwrap();
            });
            let writes = child.run(system(60), |user, may_fault| {
                user.write(1, 3, may_fault).unwrap();
            });
            join_all([user, wirer, writes], may_fault);
            let wired: u32 = Vm::current().pages.iter().map(vm::Page::wired).sum();
            assert_eq!(wired, 1, "page 1 of the parent");
            program.unmap(1, 1, may_fault);
            let wired: u32 = Vm::current().pages.iter().map(vm::Page::wired).sum();
            assert_eq!(wired, 0);
            program.exit(may_fault);
            child.exit(may_fault);
        });
    });
}

#[test]
fn a_write_is_known_whoever_maps_the_page_at_the_same_time() {
    model(|| {
        run(2, 64, |may_fault| {
            let parent = Program::new();
            parent.map(0, 1, may_fault);
            parent.inherit(0, 1, Inheritance::Share, may_fault);
            // The page is there, has never been written, and the child does not map it yet.
            parent.act(|user, may_fault| assert_eq!(user.read(0, may_fault), Ok(0)), may_fault);
            let child = parent.fork(may_fault);
            let writer = child.run(system(60), |user, may_fault| {
                assert_eq!(user.read(0, may_fault), Ok(0));
                user.write(0, 5, may_fault).unwrap();
            });
            let reader = child.run(system(60), |user, may_fault| {
                assert!(matches!(user.read(0, may_fault), Ok(0 | 5)));
            });
            join_all([writer, reader], may_fault);
            let there = child.space().pmap().lookup(page(0)).expect("it is mapped");
            let frame = memory::FrameNumber::containing(there.frame);
            assert!(there.dirty || Vm::current().pages.page_of(frame).is_dirty());
            child.exit(may_fault);
            parent.exit(may_fault);
        });
    });
}

#[test]
fn programs_that_are_larger_than_memory_keep_what_they_write() {
    const PAGES: u64 = 8;
    model(|| {
        run(2, 34, |may_fault| {
            let swapping = Swapping::begin(64, Goals { high: 20, pause: 0 });
            let programs: Vec<_> = (0..2u64).map(|_| Program::new()).collect();
            let threads: Vec<_> = (0u64..)
                .zip(&programs)
                .map(|(which, program)| {
                    program.map(0, PAGES, may_fault);
                    program.run(system(60), move |user, may_fault| {
                        for round in 0..2 {
                            for number in 0..PAGES {
                                let last = number + 100 * which + 1;
                                let expected = if round == 0 { 0 } else { last };
                                assert_eq!(user.read(number, may_fault), Ok(expected));
                                user.write(number, last, may_fault).unwrap();
                            }
                        }
                    })
                })
                .collect();
            join_all(threads, may_fault);
            programs.into_iter().for_each(|program| program.exit(may_fault));
            swapping.end(may_fault);
        });
    });
    assert!(WRITTEN.load(Ordering::SeqCst) > 0, "there was memory enough");
}

// When nothing can be freed, the daemon tries again and again until the device has answered: too long for a scheduler
// that may let it.
#[cfg(not(feature = "shuttle"))]
#[test]
fn a_device_that_fails_now_and_then_loses_nothing_but_the_access() {
    const PAGES: u64 = 8;
    model(|| {
        run(2, 24, |may_fault| {
            let swapping = Swapping::begin(64, Goals { high: 20, pause: 0 });
            let store = swapping.store;
            // A laundry that fails would be tried again after a pause.
            store.only_reads_fail.store(true, Ordering::SeqCst);
            let program = Program::new();
            program.map(0, PAGES, may_fault);
            let thread = program.run(system(60), move |user, may_fault| {
                for number in 0..PAGES {
                    user.write(number, number + 1, may_fault).unwrap();
                }
                for number in 0..PAGES {
                    store.failures.store(number % 2, Ordering::SeqCst);
                    match user.read(number, may_fault) {
                        Ok(word) => assert_eq!(word, number + 1),
                        Err(FaultError::Device) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                store.failures.store(0, Ordering::SeqCst);
                for number in 0..PAGES {
                    assert_eq!(user.read(number, may_fault), Ok(number + 1));
                }
            });
            thread.join(may_fault);
            program.exit(may_fault);
            swapping.end(may_fault);
        });
    });
    assert!(WRITTEN.load(Ordering::SeqCst) > 0, "there was memory enough");
}

/// A file's page, on a device that answers when it is told to.
fn with_a_file(device: &'static LateDevice, may_fault: &mut MayFault) -> Program {
    let file: &'static vm::store::File =
        Box::leak(Box::new(vm::store::File { store: device, first: 3, bytes: 100 }));
    let object = vm::Object::make(vm::object::Kind::File(file), 1).unwrap();
    let program = Program::new();
    let request = common::program::anonymous(0, 1);
    program.space().insert(&request, Some((object, 0)), may_fault).unwrap();
    program
}

#[test]
fn who_is_interrupted_while_the_device_has_its_page_goes_at_once_and_the_page_still_comes() {
    model(|| {
        run(2, 64, |may_fault| {
            let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(8)));
            store.put(3, 42);
            let device: &'static LateDevice = Box::leak(Box::new(LateDevice::new(store)));
            let program = with_a_file(device, may_fault);
            let (name, gone) = (Arc::new(Mutex::new(None::<&'static Thread>)), Flag::new());
            let (own, goes) = (Arc::clone(&name), gone.clone());
            let named = Arc::new(Semaphore::new(0));
            let is_named = Arc::clone(&named);
            let waiter = program.run(system(60), move |user, may_fault| {
                *own.lock().unwrap() = Some(Thread::running());
                is_named.v();
                match user.read(0, may_fault) {
                    Ok(42) => {}
                    Err(FaultError::Interrupted) => goes.set(),
                    other => panic!("{other:?}"),
                }
                take_interrupt();
                // It can be tried again, whatever has become of it.
                assert_eq!(user.read(0, may_fault), Ok(42));
            });
            let answerer = spawn(system(60), move |may_fault| {
                device.waiting.p(may_fault);
                device.answer();
                // Whoever comes again may have to ask again: not if the page came meanwhile.
                store.at_once.store(true, Ordering::SeqCst);
            });
            named.p(may_fault);
            let thread = name.lock().unwrap().expect("it has said so");
            interrupt(thread);
            waiter.join(may_fault);
            answerer.join(may_fault);
            program.exit(may_fault);
        });
    });
}

#[test]
fn who_exits_while_the_device_has_a_page_waits_for_the_page_and_nothing_is_left() {
    model(|| {
        run(2, 64, |may_fault| {
            let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(8)));
            store.put(3, 42);
            let device: &'static LateDevice = Box::leak(Box::new(LateDevice::new(store)));
            let program = with_a_file(device, may_fault);
            let name = Arc::new(Mutex::new(None::<&'static Thread>));
            let own = Arc::clone(&name);
            let named = Arc::new(Semaphore::new(0));
            let is_named = Arc::clone(&named);
            let waiter = program.run(system(60), move |user, may_fault| {
                *own.lock().unwrap() = Some(Thread::running());
                is_named.v();
                let result = user.read(0, may_fault);
                assert!(matches!(result, Ok(42) | Err(FaultError::Interrupted)), "{result:?}");
            });
            // The device answers late: after the program has begun to end, or before.
            let answerer = spawn(system(60), move |may_fault| {
                device.waiting.p(may_fault);
                device.answer();
            });
            named.p(may_fault);
            let thread = name.lock().unwrap().expect("it has said so");
            if device.waiting.units() == 0 {
                // It may not have asked yet. Then the interruption comes before that, and nobody asks.
                let asks = program.run(system(60), |user, may_fault| {
                    assert_eq!(user.read(0, may_fault), Ok(42));
                });
                interrupt(thread);
                asks.join(may_fault);
            } else {
                interrupt(thread);
            }
            waiter.join(may_fault);
            program.exit(may_fault);
            answerer.join(may_fault);
        });
    });
}
