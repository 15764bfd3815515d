//! Dispatcher locks exclude, and a thread lock excludes even while the thread's lock pointer moves.
//!
//! Fragments, small enough for loom; they run under every flavour.

mod common;

use atomics::cell::SharedCell;
use common::{DispatcherHooks, with_dispatcher};
use dispatch::disp_lock::LockClass;
use dispatch::thread_lock::ThreadGuard;
use dispatch::{DispLock, Dispatch, Priority, State, Thread, preempt, start, thread_lock};
use machine::sim::Machine;
use machine::{Atomic, MayFault, Pil, pil};

/// What a lock protects. Under loom two accesses at the same time end the test; otherwise an
/// addition gets lost.
struct Protected(SharedCell<u32>);

// SAFETY: that it is accessed under a lock is what the tests are about.
unsafe impl Sync for Protected {}
// SAFETY: as above.
unsafe impl Send for Protected {}

impl Protected {
    fn new() -> Protected {
        Protected(SharedCell::new(0))
    }

    /// With the lock held.
    fn add(&self) {
        // SAFETY: the lock that the test is about is held.
        let mut value = unsafe { self.0.access() };
        *value += 1;
    }

    /// When nobody else runs any longer.
    fn get(&self) -> u32 {
        // SAFETY: the machine has been joined.
        *unsafe { self.0.access() }
    }
}

#[test]
fn one_holder_of_a_dispatcher_lock_at_a_time() {
    common::model(|| {
        with_dispatcher(2, DispatcherHooks, |machine, _| {
            let lock: &'static DispLock = machine.keep(DispLock::new(LockClass::Test));
            let value: &'static Protected = machine.keep(Protected::new());
            machine.start(0, |may_fault| {
                let guard = lock.enter(may_fault);
                value.add();
                drop(guard);
            });
            machine.on(1, |may_fault| {
                let guard = lock.enter(may_fault);
                value.add();
                guard.exit_nopreempt();
            });
            machine.join();
            assert_eq!(value.get(), 2);
            assert!(!lock.is_held());
        });
    });
}

fn never(_: usize, _: &mut MayFault) -> usize {
    unreachable!("the processor has something to do until the test is over")
}

/// A way to lock a thread.
type Lock = for<'a> fn(&'static Thread, &'a Atomic) -> Option<ThreadGuard<'a>>;

fn lock_alive<'a>(thread: &'static Thread, atomic: &'a Atomic) -> Option<ThreadGuard<'a>> {
    thread.lock_pointer().map(|_| thread_lock::lock(thread, atomic))
}

/// Locks the thread if it has begun, and touches what its lock protects.
fn touch(thread: &'static Thread, value: &Protected, lock: Lock) {
    let level = pil::raise_anywhere(Pil::DISP);
    // This checks that the lock fits the state.
    if let Some(guard) = lock(thread, level.atomic()) {
        assert!(matches!(guard.state(), State::Run | State::OnProcessor), "{thread:?}");
        value.add();
    }
}

/// How often everything happens: once is enough for loom, which tries everything.
const TURNS: usize = if cfg!(feature = "loom") { 1 } else { 8 };

/// The thread goes from its processor into the queue and back, and so does its lock pointer.
fn run_and_yield(machine: &Machine, dispatch: &'static Dispatch, lock: Lock) {
    let thread: &'static Thread = machine.keep(Thread::of_running_code());
    let value: &'static Protected = machine.keep(Protected::new());
    let cpu = dispatch.cpu(0).expect("added");
    machine.start(0, move |_| {
        let begun = start::begin_as_thread(cpu, thread, Priority::SYSTEM_MIN, never, 0);
        assert!(begun.is_ok());
        for _ in 0..TURNS {
            preempt::yield_now();
            touch(thread, value, lock);
        }
    });
    for other in 2..dispatch.cpus().count() {
        machine.start(other, move |_| (0..TURNS).for_each(|_| touch(thread, value, lock)));
    }
    machine.on(1, |_| (0..TURNS).for_each(|_| touch(thread, value, lock)));
}

fn on_processors(count: usize, lock: Lock) {
    common::model_with_few_preemptions(move || {
        with_dispatcher(count, DispatcherHooks, |machine, dispatch| {
            run_and_yield(machine, dispatch, lock);
        });
    });
}

#[test]
fn a_thread_is_locked_by_one_while_its_lock_pointer_moves() {
    on_processors(2, lock_alive);
}

#[test]
fn a_thread_that_may_be_over_is_locked_by_one_while_its_lock_pointer_moves() {
    on_processors(2, thread_lock::lock_if_alive);
}

/// Too much for loom.
#[cfg(not(feature = "loom"))]
#[test]
fn two_that_lock_a_moving_thread_exclude_each_other() {
    on_processors(3, lock_alive);
}
