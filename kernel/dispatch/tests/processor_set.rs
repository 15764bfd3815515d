//! Processor sets: threads stay inside or outside, processors move, and binding to a set is all or nothing.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, here, holding, model_on, real_time, run, spawn, system, wait_until,
};
use dispatch::binding::{Strength, processor_bind};
use dispatch::cpu_lock::{CpuLockGuard, lock_processors};
use dispatch::kernel_thread::Attributes;
use dispatch::processor_set::{self, SetError};
use dispatch::weak_binding::{depth, nomigrate};
use dispatch::{Mutex, Partition, Thread};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// A set with these processors.
fn set_of(
    processors: &[usize],
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> &'static Partition {
    let set = processor_set::create(lock).expect("there is room");
    for &index in processors {
        processor_set::move_processor(cpu(index), set, lock, may_fault).expect("nothing is bound");
    }
    set
}

fn set_number(thread: &Thread) -> u8 {
    processor_set::of(thread).number()
}

#[test]
fn threads_outside_never_run_in_a_set_and_those_inside_nowhere_else() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = set_of(&[1], &lock, may_fault);
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock(may_fault);
        let threads: Vec<_> = [system(60), real_time(110)]
            .into_iter()
            .flat_map(|attributes| {
                let gate = Arc::clone(&gate);
                let inside = spawn(attributes, move |may_fault| {
                    drop(gate.lock(may_fault));
                    for _ in 0..3 {
                        assert_eq!(here(), 1);
                        dispatch::preempt::yield_now();
                    }
                });
                let outside = spawn(system(60), |_| {
                    for _ in 0..3 {
                        assert_eq!(here(), 0);
                        dispatch::preempt::yield_now();
                    }
                });
                [inside, outside]
            })
            .collect();
        let inside = [threads[0].thread(), threads[2].thread()];
        processor_set::bind(&inside, set, &lock, may_fault).unwrap();
        assert_eq!(inside.map(set_number), [set.number(); 2]);
        drop(closed);
        for thread in threads {
            thread.join(may_fault);
        }
        assert_eq!(here(), 0);
    });
}

#[test]
fn the_caller_can_bind_itself() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = set_of(&[1], &lock, may_fault);
        let me = Thread::running();
        assert_eq!(here(), 0);
        processor_set::bind(&[me], set, &lock, may_fault).unwrap();
        assert_eq!(here(), 1);
        processor_set::destroy(set, &lock, may_fault).unwrap();
        assert_eq!(set_number(me), 0);
        assert!(!set.exists());
    });
}

#[test]
fn a_set_that_ends_gives_back_its_processors_and_threads() {
    model_on(3, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = set_of(&[1, 2], &lock, may_fault);
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock(may_fault);
        let threads: Vec<_> = [system(60), real_time(110), system(60)]
            .into_iter()
            .map(|attributes| {
                let gate = Arc::clone(&gate);
                spawn(attributes, move |may_fault| {
                    drop(gate.lock(may_fault));
                    for _ in 0..3 {
                        dispatch::preempt::yield_now();
                    }
                })
            })
            .collect();
        let inside: Vec<_> = threads.iter().map(|thread| thread.thread()).collect();
        processor_set::bind(&inside, set, &lock, may_fault).unwrap();
        // One keeps its processor, which moves along.
        processor_bind(inside[2], Some((cpu(2), Strength::Hard)), &lock).unwrap();
        processor_set::destroy(set, &lock, may_fault).unwrap();
        assert!(inside.iter().all(|thread| set_number(thread) == 0));
        assert_eq!(processor_set::all().count(), 1);
        assert_eq!(processor_set::of(Thread::running()).online(), 0b111);
        assert_eq!(
            processor_set::destroy(set, &lock, may_fault),
            Err(SetError::Invalid),
            "it does not exist any longer"
        );
        drop(closed);
        for thread in threads {
            thread.join(may_fault);
        }
    });
}

#[test]
fn what_is_bound_keeps_its_place() {
    model_on(2, |may_fault| {
        let over = Flag::new();
        let thread = holding(&over, |may_fault| go_to(1, may_fault));
        let lock = lock_processors(may_fault);
        let set = processor_set::create(&lock).unwrap();
        let moved = processor_set::move_processor(cpu(1), set, &lock, may_fault);
        assert_eq!(moved, Err(SetError::Busy), "a thread is bound to the processor");
        assert_eq!(set.online(), 0);
        assert!(!cpu(1).is_in_motion());
        let into_nothing = processor_set::bind(&[thread.thread()], set, &lock, may_fault);
        assert_eq!(into_nothing, Err(SetError::Invalid), "no processor to run on");
        over.set();
        thread.join(may_fault);
        processor_set::move_processor(cpu(1), set, &lock, may_fault).unwrap();
        let all = processor_set::of(Thread::running());
        let last = processor_set::move_processor(cpu(0), set, &lock, may_fault);
        assert_eq!(last, Err(SetError::Busy), "the last of partition 0");
        let me = Thread::running();
        processor_set::bind(&[me], set, &lock, may_fault).unwrap();
        let last = processor_set::move_processor(cpu(1), all, &lock, may_fault);
        assert_eq!(last, Err(SetError::Busy), "the last of a set with threads");
    });
}

#[test]
fn there_are_only_so_many_sets() {
    common::once(|| {
        run(1, |may_fault| {
            let lock = lock_processors(may_fault);
            let mut made = 0;
            while processor_set::create(&lock).is_ok() {
                made += 1;
            }
            assert_eq!(made, dispatch::system::PARTITIONS - 1);
            assert_eq!(processor_set::create(&lock).err(), Some(SetError::TooMany));
        });
    });
}

#[test]
fn binding_to_a_set_is_all_or_nothing() {
    model_on(2, |may_fault| {
        let over = Flag::new();
        let bound = holding(&over, |may_fault| go_to(0, may_fault));
        let free = {
            let over = over.clone();
            spawn(system(60), move |_| over.wait())
        };
        let lock = lock_processors(may_fault);
        let set = set_of(&[1], &lock, may_fault);
        let both = [free.thread(), bound.thread()];
        let result = processor_set::bind(&both, set, &lock, may_fault);
        assert_eq!(result, Err(SetError::Busy));
        assert_eq!(both.map(set_number), [0, 0]);
        // The other way round, and with a request in the place of affinity.
        let result = processor_set::bind(&[both[1], both[0]], set, &lock, may_fault);
        assert_eq!(result, Err(SetError::Busy));
        over.set();
        bound.join(may_fault);
        free.join(may_fault);
    });
}

#[test]
fn binding_to_a_set_is_atomic_though_the_threads_bind_themselves_weakly_all_the_time() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = set_of(&[1], &lock, may_fault);
        let over = Flag::new();
        let inside = Arc::new(AtomicBool::new(false));
        let without_preemption = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let over = over.clone();
                let (inside, without) = (Arc::clone(&inside), Arc::clone(&without_preemption));
                spawn(system(60), move |_| {
                    while !over.is_set() {
                        let binding = nomigrate();
                        let there = here();
                        if depth() < 0 {
                            without.fetch_add(1, SeqCst);
                        }
                        machine::spin();
                        assert_eq!(here(), there, "bound, weakly or by preemption off");
                        drop(binding);
                        if inside.load(SeqCst) {
                            assert_eq!(here(), 1);
                        }
                        dispatch::preempt::yield_now();
                    }
                })
            })
            .collect();
        let all = [threads[0].thread(), threads[1].thread()];
        // Who is starved with its binding makes it fail; then nobody has moved.
        while let Err(why) = processor_set::bind(&all, set, &lock, may_fault) {
            assert_eq!(why, SetError::Busy);
            assert_eq!(all.map(set_number), [0, 0]);
        }
        assert_eq!(all.map(set_number), [set.number(); 2]);
        inside.store(true, SeqCst);
        wait_until(|| all.iter().all(|thread| thread.cpu_index() == Some(1)));
        over.set();
        for thread in threads {
            thread.join(may_fault);
        }
    });
}

#[test]
fn a_thread_that_is_made_in_a_set_without_processors_runs_elsewhere() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = processor_set::create(&lock).unwrap();
        drop(lock);
        for priority in [60, 120] {
            let class = if priority == 60 { system(60) } else { common::real_time(120) };
            let attributes = Attributes { partition: Some(set), ..class };
            let thread = spawn(attributes, |_| {
                assert_eq!(processor_set::of(Thread::running()).number(), 0);
            });
            thread.join(may_fault);
        }
        let lock = lock_processors(may_fault);
        processor_set::destroy(set, &lock, may_fault).unwrap();
    });
}

#[test]
fn the_last_processor_of_a_set_stays_while_threads_are_made_in_it() {
    model_on(3, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = set_of(&[1], &lock, may_fault);
        let maker = spawn(system(60), move |may_fault| {
            for priority in [system(60), real_time(120)] {
                let attributes = Attributes { partition: Some(set), ..priority };
                let thread = spawn(attributes, move |_| {
                    // In the set; or in partition 0, if the processor went there first.
                    assert!(set_number(Thread::running()) == 0 || here() == 1);
                    for _ in 0..5 {
                        machine::spin();
                    }
                });
                thread.join(may_fault);
            }
        });
        let to = processor_set::of(Thread::running());
        let moved = processor_set::move_processor(cpu(1), to, &lock, may_fault);
        assert!(matches!(moved, Ok(()) | Err(SetError::Busy)), "{moved:?}");
        maker.join(may_fault);
        processor_set::destroy(set, &lock, may_fault).unwrap();
    });
}
