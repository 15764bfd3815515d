//! A mutex is released while another thread is about to sleep for it: the sleeper is never overlooked.
//!
//! Each side changes the mutex's word and then looks at what the other does: who releases, at the bit that says
//! that somebody waits; who waits, at the owner, under the lock of the turnstile chain. Here with everything
//! that follows, down to the halted processor. A wake-up that is lost is a deadlock, and loom says so.

mod common;

use atomics::{AtomicBool, Ordering};
use common::{DispatcherHooks, with_dispatcher};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Dispatch, Mutex, Priority, Thread, idle_loop, start};
use machine::MayFault;
use machine::sim::Machine;

/// The idle thread of a processor on which this test never idles.
fn never(_: usize, _: &mut MayFault) -> usize {
    unreachable!("the processor has something to do until the test is over")
}

/// What the two threads share.
struct Shared {
    mutex: Mutex<u32>,
    over: AtomicBool,
}

/// Takes the mutex, and says that its processor may stop.
fn take(shared: usize, may_fault: &mut MayFault) -> usize {
    // SAFETY: the address of the kept value.
    let shared = unsafe { &*std::ptr::with_exposed_provenance::<Shared>(shared) };
    let mut value = shared.mutex.lock(may_fault);
    assert_eq!(*value, 1, "taken before it was released");
    *value += 1;
    drop(value);
    shared.over.store(true, Ordering::Relaxed);
    0
}

fn release_while_another_comes(machine: &Machine, dispatch: &'static Dispatch) {
    let shared: &'static Shared =
        machine.keep(Shared { mutex: Mutex::new(0), over: AtomicBool::new(false) });
    let argument = std::ptr::from_ref(shared).expose_provenance();
    let idle: &'static Thread = machine.keep(Thread::of_running_code());
    let thread: &'static Thread = machine.keep(Thread::of_running_code());
    let cpu = |index| dispatch.cpu(index).expect("added");
    machine.start(0, move |may_fault| {
        start::begin_as_idle(cpu(0), idle);
        idle_loop(may_fault, |_| shared.over.load(Ordering::Relaxed));
    });
    machine.on(1, |may_fault| {
        let begun = start::begin_as_thread(cpu(1), thread, Priority::SYSTEM_MIN, never, 0);
        assert!(begun.is_ok());
        let mut held = shared.mutex.lock(may_fault);
        let taker =
            kernel_thread::create(&Attributes::system("taker").bound(cpu(0)), take, argument);
        assert!(taker.is_ok());
        core::mem::forget(taker);
        *held += 1;
        drop(held);
    });
}

#[test]
fn who_is_about_to_sleep_for_a_mutex_is_not_overlooked() {
    common::model(|| {
        with_dispatcher(2, DispatcherHooks, release_while_another_comes);
    });
}
