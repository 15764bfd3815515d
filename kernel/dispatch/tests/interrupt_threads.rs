//! Interrupt threads: they pin what they interrupt, and let it go on when they block.

#![cfg(not(feature = "loom"))]

mod common;

use common::{DispatcherHooks, run_with_handler, spawn, system};
use dispatch::binding::{BindError, Strength, processor_bind};
use dispatch::change_priority::set_priority;
use dispatch::class::{self, OutOfRange, Parameters};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{NoDuties, OffLineError, cpu_offline, cpu_online};
use dispatch::interrupt_thread::{self, InterruptContext};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Class, CpuDispatch, Dispatch, Mutex, Priority, Thread, processor_set};
use machine::{Cpu, MayFault, Pil, sim};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex as HostMutex;
use std::sync::atomic::{AtomicU64, Ordering};

const LEVEL: Pil = Pil::new(5);

/// What a handler finds of its test: handlers have no arguments of their own.
struct Scene {
    mutex: Mutex<u64>,
    handled: AtomicU64,
    /// The interrupt thread that ran last.
    thread: HostMutex<Option<&'static Thread>>,
}

static SCENES: HostMutex<Vec<(usize, Arc<Scene>)>> = HostMutex::new(Vec::new());

/// The scene of the dispatcher that the caller runs under.
fn scene() -> Arc<Scene> {
    let key = std::ptr::from_ref(Dispatch::current()).addr();
    let mut scenes = SCENES.lock().unwrap();
    if let Some((_, scene)) = scenes.iter().find(|(known, _)| *known == key) {
        return Arc::clone(scene);
    }
    let scene = Arc::new(Scene {
        mutex: Mutex::new(0),
        handled: AtomicU64::new(0),
        thread: HostMutex::new(None),
    });
    scenes.push((key, Arc::clone(&scene)));
    scene
}

fn forget_scene() {
    let key = std::ptr::from_ref(Dispatch::current()).addr();
    SCENES.lock().unwrap().retain(|(known, _)| *known != key);
}

fn take_the_mutex(level: Pil, _: u8, context: &mut InterruptContext) {
    assert_eq!(level, LEVEL);
    assert_eq!(Pil::current(), LEVEL, "a handler runs at its level");
    let scene = scene();
    *scene.thread.lock().unwrap() = Some(Thread::running());
    *scene.mutex.lock(context) += 1;
    assert_eq!(Pil::current(), LEVEL, "also after it has blocked");
    scene.handled.fetch_add(1, Ordering::SeqCst);
}

fn prepare() {
    for cpu in Dispatch::current().cpus() {
        while !cpu.is_online() {
            machine::spin();
        }
        interrupt_thread::prepare(cpu, LEVEL).unwrap();
    }
}

/// The processor that the caller runs on, by its machine.
fn here() -> &'static Cpu {
    let index = Thread::running().cpu_index().unwrap();
    Dispatch::current().cpu(index).unwrap().cpu()
}

#[test]
fn a_handler_runs_on_top_of_the_running_thread() {
    common::model(|| {
        run_with_handler(1, DispatcherHooks, take_the_mutex, |_| {
            prepare();
            let me = Thread::running();
            for round in 1..=3 {
                sim::interrupt(here(), LEVEL, 2);
                sim::interrupt_point();
                assert_eq!(scene().handled.load(Ordering::SeqCst), round);
                assert!(std::ptr::eq(me, Thread::running()));
            }
            let cpu = CpuDispatch::of(here());
            assert_eq!(cpu.counts().interrupt_threads.load(Ordering::Relaxed), 3);
            assert_eq!(cpu.counts().unpinned.load(Ordering::Relaxed), 0);
            forget_scene();
        });
    });
}

#[test]
fn who_is_pinned_goes_on_when_the_handler_blocks_for_its_mutex() {
    common::model(|| {
        run_with_handler(1, DispatcherHooks, take_the_mutex, |may_fault| {
            prepare();
            let scene = scene();
            let held = scene.mutex.lock(may_fault);
            sim::interrupt(here(), LEVEL, 0);
            sim::interrupt_point();
            assert_eq!(scene.handled.load(Ordering::SeqCst), 0, "the mutex is held");
            // One more while the first is blocked: the same thread handles it.
            sim::interrupt(here(), LEVEL, 1);
            sim::interrupt_point();
            drop(held);
            while scene.handled.load(Ordering::SeqCst) < 2 {
                machine::spin();
                dispatch::preempt::yield_now();
            }
            let cpu = CpuDispatch::of(here());
            assert_eq!(cpu.counts().interrupt_threads.load(Ordering::Relaxed), 1);
            assert_eq!(cpu.counts().unpinned.load(Ordering::Relaxed), 1);
            assert_eq!(*scene.mutex.lock(may_fault), 2);
            forget_scene();
        });
    });
}

#[test]
fn a_processor_with_an_interrupt_that_is_not_done_with_stays_on_line() {
    common::model(|| {
        run_with_handler(2, DispatcherHooks, take_the_mutex, |may_fault| {
            prepare();
            let stay = common::go_to(0, may_fault);
            let scene = scene();
            let held = scene.mutex.lock(may_fault);
            let target = common::cpu(1);
            sim::interrupt(target.cpu(), LEVEL, 0);
            common::wait_until(|| target.counts().unpinned.load(Ordering::Relaxed) == 1);
            let offline = |may_fault: &mut MayFault| {
                let lock = lock_processors(may_fault);
                cpu_offline(target, true, &NoDuties, &lock, may_fault)
            };
            assert_eq!(offline(may_fault), Err(OffLineError::Bound), "its handler sleeps there");
            drop(held);
            // It is waited for, as long as that is not too long.
            while offline(may_fault) == Err(OffLineError::Bound) {}
            assert_eq!(scene.handled.load(Ordering::SeqCst), 1);
            assert!(!target.is_online());
            let lock = lock_processors(may_fault);
            assert!(cpu_online(target, &NoDuties, &lock, may_fault).is_ok());
            drop(lock);
            drop(stay);
            forget_scene();
        });
    });
}

#[test]
fn an_interrupt_thread_keeps_its_processor_its_set_and_its_priority() {
    common::once(|| {
        run_with_handler(2, DispatcherHooks, take_the_mutex, |may_fault| {
            prepare();
            let stay = common::go_to(0, may_fault);
            let scene = scene();
            let held = scene.mutex.lock(may_fault);
            sim::interrupt(here(), LEVEL, 0);
            sim::interrupt_point();
            let thread = scene.thread.lock().unwrap().expect("its handler has begun");
            let lock = lock_processors(may_fault);
            let other = Some((common::cpu(1), Strength::Hard));
            assert_eq!(processor_bind(thread, other, &lock), Err(BindError::Invalid));
            let real_time = Parameters::RealTime { priority: Priority::MAX, quantum: 1 };
            assert_eq!(class::set(thread, real_time), Err(OutOfRange));
            let system = Parameters::System { priority: Priority::SYSTEM_MIN };
            assert_eq!(class::set(thread, system), Err(OutOfRange));
            let set = processor_set::create(&lock).unwrap();
            processor_set::move_processor(common::cpu(1), set, &lock, may_fault).unwrap();
            processor_set::bind(&[thread], set, &lock, may_fault).unwrap();
            assert_eq!(processor_set::of(thread).number(), 0);
            processor_set::destroy(set, &lock, may_fault).unwrap();
            drop(lock);
            let me = Thread::running();
            let wrong = [(thread, Priority::SYSTEM_MIN), (me, Priority::NONE), (me, Priority::MAX)];
            for (thread, priority) in wrong {
                let change = AssertUnwindSafe(|| set_priority(thread, priority));
                let panic = catch_unwind(change).expect_err("no such priority");
                let message = panic.downcast_ref::<String>().expect("a formatted message");
                assert!(message.contains("does not get"), "{message}");
            }
            assert_eq!(thread.own_priority(), Priority::of_interrupt(LEVEL.number()));
            drop(held);
            while scene.handled.load(Ordering::SeqCst) == 0 {
                dispatch::preempt::yield_now();
            }
            drop(stay);
            forget_scene();
        });
    });
}

#[test]
fn an_unbound_thread_has_no_interrupts_priority() {
    common::once(|| {
        run_with_handler(1, DispatcherHooks, take_the_mutex, |_| {
            let attributes = Attributes::system("test").scheduled(Class::Interrupt, Priority::MAX);
            let create =
                AssertUnwindSafe(|| kernel_thread::create(&attributes, |_, _| 0, 0).is_ok());
            let panic = catch_unwind(create).expect_err("it belongs to no processor");
            let message = panic.downcast_ref::<&str>().expect("a message");
            assert!(message.contains("belong to a processor"), "{message}");
        });
    });
}

#[test]
fn interrupts_come_at_any_moment_and_none_is_lost() {
    common::model(|| {
        run_with_handler(2, DispatcherHooks, take_the_mutex, |may_fault| {
            prepare();
            let shared = scene();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    spawn(system(60), move |may_fault| {
                        for _ in 0..3 {
                            *shared.mutex.lock(may_fault) += 1;
                            dispatch::preempt::yield_now();
                        }
                    })
                })
                .collect();
            let cpus: Vec<_> = Dispatch::current().cpus().collect();
            for (line, cpu) in cpus.iter().enumerate() {
                sim::interrupt(cpu.cpu(), LEVEL, line as u8);
            }
            for thread in threads {
                thread.join(may_fault);
            }
            while shared.handled.load(Ordering::SeqCst) < 2 {
                machine::spin();
                dispatch::preempt::yield_now();
            }
            assert_eq!(*shared.mutex.lock(may_fault), 3 * 3 + 2);
            forget_scene();
        });
    });
}
