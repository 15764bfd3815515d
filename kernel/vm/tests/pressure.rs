//! Memory that does not suffice: what is not used goes to swap, and comes back when it is touched.

#![cfg(not(feature = "loom"))]

mod common;

use common::program::User;
use common::store::{Device, LateDevice, MemoryStore};
use common::{Program, dispatcher, single, system};
#[cfg(not(feature = "shuttle"))]
use common::{model, run};
use dispatch::kernel_thread::JoinHandle;
use machine::MayFault;
use memory::Memory;
use std::sync::atomic::Ordering;
use vm::page_daemon::{self, Goals, Victims};
use vm::store::Store;
use vm::{FaultError, Vm};

/// What the daemon is to do.
const GOALS: Goals = Goals { high: 12, pause: 100 };

struct Nobody;

impl Victims for Nobody {
    fn choose(&self, _: &mut MayFault) {
        Vm::current().census.victims.note();
    }
}

/// How often somebody had to go.
fn victims() -> i64 {
    Vm::current().census.victims.get()
}

/// A machine with swap space and a daemon.
struct Swapping {
    store: &'static MemoryStore,
    over: dispatcher::Flag,
    threads: [JoinHandle; 3],
}

impl Swapping {
    fn begin(slots: u64) -> Swapping {
        let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(slots)));
        Swapping::begin_on(store, Box::leak(Box::new(Device(store))))
    }

    /// The same with a device that answers when it is told to, once its store does not answer at once any more.
    fn begin_late(slots: u64) -> (Swapping, &'static LateDevice) {
        let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(slots)));
        store.at_once.store(true, Ordering::SeqCst);
        let device: &'static LateDevice = Box::leak(Box::new(LateDevice::new(store)));
        (Swapping::begin_on(store, device), device)
    }

    fn begin_on(store: &'static MemoryStore, device: &'static dyn Store) -> Swapping {
        let words = vec![0; vm::swap::Swap::words(device.pages())];
        Vm::current().swap.attach(device, Box::leak(words.into_boxed_slice()));
        Memory::current().frames.set_reserves(4, 2, 8);
        let over = dispatcher::Flag::new();
        let is_over = over.clone();
        let threads = [
            // Time goes on where nothing else does.
            common::spawn(dispatcher::time_sharing(0), move |_| {
                while !is_over.is_set() {
                    dispatcher::advance(50);
                    dispatch::preempt::yield_now();
                }
            }),
            common::spawn(system(75), |may_fault| page_daemon::run(GOALS, &Nobody, may_fault)),
            common::spawn(system(75), page_daemon::run_laundry),
        ];
        Swapping { store, over, threads }
    }

    fn end(self, may_fault: &mut MayFault) {
        page_daemon::stop();
        self.over.set();
        for thread in self.threads {
            thread.join(may_fault);
        }
    }
}

/// Finds in so many pages what the round before has written, and writes them anew.
fn go_through(pages: u64, round: u64, user: &User, may_fault: &mut MayFault) {
    for number in 0..pages {
        let before = if round == 0 { 0 } else { number + 1000 * round };
        assert_eq!(user.read(number, may_fault), Ok(before));
        user.write(number, number + 1000 * (round + 1), may_fault).unwrap();
    }
}

#[test]
fn a_program_larger_than_memory_keeps_what_it_writes() {
    single(1, 48, |may_fault| {
        let swapping = Swapping::begin(200);
        let program = Program::new();
        program.map(0, 100, may_fault);
        program.act(
            |user, may_fault| (0..3).for_each(|round| go_through(100, round, user, may_fault)),
            may_fault,
        );
        assert!(Vm::current().census.page_outs.get() > 100);
        program.exit(may_fault);
        swapping.end(may_fault);
    });
}

#[test]
fn what_is_swapped_is_copied_on_write_too() {
    single(1, 64, |may_fault| {
        let swapping = Swapping::begin(400);
        let parent = Program::new();
        parent.map(0, 60, may_fault);
        parent.act(
            |user, may_fault| {
                for number in 0..60 {
                    user.write(number, number + 1, may_fault).unwrap();
                }
            },
            may_fault,
        );
        let child = parent.fork(may_fault);
        for (program, add) in [(&parent, 1000), (&child, 2000)] {
            program.act(
                move |user, may_fault| {
                    for number in 0..60 {
                        assert_eq!(user.read(number, may_fault), Ok(number + 1));
                        user.write(number, number + add, may_fault).unwrap();
                    }
                },
                may_fault,
            );
        }
        child.act(
            |user, may_fault| {
                for number in 0..60 {
                    assert_eq!(user.read(number, may_fault), Ok(number + 2000));
                }
            },
            may_fault,
        );
        parent.exit(may_fault);
        child.act(
            |user, may_fault| {
                for number in 0..60 {
                    assert_eq!(user.read(number, may_fault), Ok(number + 2000));
                }
            },
            may_fault,
        );
        child.exit(may_fault);
        swapping.end(may_fault);
    });
}

#[test]
fn a_page_that_the_device_does_not_give_back_is_an_error_of_its_own() {
    single(1, 48, |may_fault| {
        let swapping = Swapping::begin(200);
        let program = Program::new();
        program.map(0, 60, may_fault);
        let store = swapping.store;
        program.act(
            move |user, may_fault| {
                for number in 0..60 {
                    user.write(number, number + 1, may_fault).unwrap();
                }
                // Nothing more is paged out while the failure is meant for a read.
                let swapped = (0..60).find(|&number| {
                    store.failures.store(1, Ordering::SeqCst);
                    user.read(number, may_fault) == Err(FaultError::Device)
                });
                store.failures.store(0, Ordering::SeqCst);
                let number = swapped.expect("something was paged out");
                assert_eq!(
                    user.read(number, may_fault),
                    Ok(number + 1),
                    "the page itself is there"
                );
            },
            may_fault,
        );
        program.exit(may_fault);
        swapping.end(may_fault);
    });
}

#[test]
fn a_device_that_does_not_write_for_a_while_costs_nobody_anything() {
    single(1, 48, |may_fault| {
        let swapping = Swapping::begin(200);
        let store = swapping.store;
        let program = Program::new();
        program.map(0, 100, may_fault);
        program.act(
            move |user, may_fault| {
                for round in 0..3 {
                    if round < 2 {
                        store.failures.store(6, Ordering::SeqCst);
                        store.only_writes_fail.store(true, Ordering::SeqCst);
                    }
                    go_through(100, round, user, may_fault);
                }
            },
            may_fault,
        );
        assert_eq!(Vm::current().census.page_out_errors.get(), 12);
        assert_eq!(victims(), 0);
        program.exit(may_fault);
        swapping.end(may_fault);
    });
}

#[test]
fn a_device_that_never_writes_is_no_swap_space() {
    single(1, 48, |may_fault| {
        let swapping = Swapping::begin(200);
        let store = swapping.store;
        store.failures.store(u64::MAX, Ordering::SeqCst);
        let program = Program::new();
        program.map(0, 100, may_fault);
        let hog = program.run(system(60), move |user, may_fault| {
            for number in 0..100 {
                user.write(number, 1, may_fault).unwrap();
            }
        });
        while victims() == 0 {
            dispatch::sleep::delay(GOALS.pause, may_fault);
        }
        // As if who was chosen had gone.
        store.failures.store(0, Ordering::SeqCst);
        hog.join(may_fault);
        program.exit(may_fault);
        swapping.end(may_fault);
    });
}

// Swap space was full, so the laundry could do nothing. That is over when who has filled it is gone; what the laundry
// does next takes its time.
#[test]
fn nobody_has_to_go_while_the_laundry_waits_for_its_device() {
    single(1, 64, |may_fault| {
        let (swapping, device) = Swapping::begin_late(16);
        let store = swapping.store;
        let first = Program::new();
        first.map(0, 20, may_fault);
        first.act(
            |user, may_fault| {
                for number in 0..20 {
                    user.write(number, 1, may_fault).unwrap();
                }
            },
            may_fault,
        );
        let enough = dispatcher::Flag::new();
        let has_enough = enough.clone();
        let second = Program::new();
        second.map(0, 1000, may_fault);
        let hog = second.run(system(60), move |user, may_fault| {
            for number in 0..1000 {
                if has_enough.is_set() {
                    return;
                }
                user.write(number, 1, may_fault).unwrap();
            }
        });
        while victims() == 0 {
            dispatch::sleep::delay(GOALS.pause, may_fault);
        }
        assert_eq!(Vm::current().swap.counts().free, 0);
        store.at_once.store(false, Ordering::SeqCst);
        first.exit(may_fault);
        let before = victims();
        device.waiting.p(may_fault);
        dispatch::sleep::delay(50 * GOALS.pause, may_fault);
        assert_eq!(victims(), before, "somebody had to go while pages were being written");
        enough.set();
        store.at_once.store(true, Ordering::SeqCst);
        device.answer();
        hog.join(may_fault);
        second.exit(may_fault);
        swapping.end(may_fault);
    });
}

// Pages that were read back keep their slots while they are clean. A program that fits into memory and swap space
// together does so however often it has written them.
#[test]
fn slots_of_pages_that_are_dirty_again_are_used_for_others() {
    single(1, 64, |may_fault| {
        let swapping = Swapping::begin(32);
        let program = Program::new();
        program.map(0, 63, may_fault);
        program.act(
            |user, may_fault| (0..6).for_each(|round| go_through(63, round, user, may_fault)),
            may_fault,
        );
        assert_eq!(victims(), 0);
        program.exit(may_fault);
        swapping.end(may_fault);
    });
}

// The slots lie with pages of one program that are dirty and have just been used; what is to be written are pages of the
// other, which never had any.
#[test]
fn slots_that_lie_with_dirty_pages_of_others_are_found_before_somebody_has_to_go() {
    single(1, 220, |may_fault| {
        const PAGES: u64 = 96;
        let swapping = Swapping::begin(48);
        let write_all = |program: &Program, pages: u64, may_fault: &mut MayFault| {
            program.act(
                move |user, may_fault| {
                    for number in 0..pages {
                        user.write(number, number + 1, may_fault).unwrap();
                    }
                },
                may_fault,
            );
        };
        let first = Program::new();
        first.map(0, PAGES, may_fault);
        write_all(&first, PAGES, may_fault);
        // Pushes the first one's pages out, and goes.
        let between = Program::new();
        between.map(0, 160, may_fault);
        write_all(&between, 160, may_fault);
        between.exit(may_fault);
        let second = Program::new();
        second.map(0, 130, may_fault);
        write_all(&second, 70, may_fault);
        // In memory again, with a slot each.
        write_all(&first, PAGES, may_fault);
        assert_eq!((victims(), Vm::current().swap.counts().free), (0, 0));
        write_all(&second, 130, may_fault);
        assert_eq!(victims(), 0);
        first.exit(may_fault);
        second.exit(may_fault);
        swapping.end(may_fault);
    });
}

// The clock's thread spins: not for a scheduler that may run it for ever.
#[cfg(not(feature = "shuttle"))]
#[test]
fn several_programs_share_too_little_memory() {
    model(|| {
        run(2, 40, |may_fault| {
            let swapping = Swapping::begin(100);
            let programs: Vec<_> = (0..2u64).map(|_| Program::new()).collect();
            let threads: Vec<_> = (0u64..)
                .zip(&programs)
                .map(|(which, program)| {
                    program.map(0, 24, may_fault);
                    program.run(system(60), move |user, may_fault| {
                        for round in 0..2 {
                            for number in 0..24 {
                                let expected =
                                    if round == 0 { 0 } else { number + 100 * which + 1 };
                                assert_eq!(user.read(number, may_fault), Ok(expected));
                                user.write(number, number + 100 * which + 1, may_fault).unwrap();
                            }
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            for program in programs {
                program.exit(may_fault);
            }
            swapping.end(may_fault);
        });
    });
}
