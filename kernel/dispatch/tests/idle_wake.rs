//! A processor halts and is woken: no wake-up is lost, whoever comes when.
//!
//! Each side writes one thing and then reads the other's: without the fences in between both can
//! read what was before. Only loom sees that; the tests are small enough for it.

mod common;

use atomics::{AtomicBool, Ordering};
use common::{DispatcherHooks, with_dispatcher};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Class, Dispatch, Priority, Thread, idle, idle_loop, start};
use machine::MayFault;
use machine::sim::Machine;

/// Lets processor 0 idle until the flag is set.
fn idle_on_0(machine: &Machine, dispatch: &'static Dispatch, over: &'static AtomicBool) {
    let idle: &'static Thread = machine.keep(Thread::of_running_code());
    let cpu = dispatch.cpu(0).expect("added");
    machine.start(0, move |may_fault| {
        start::begin_as_idle(cpu, idle);
        idle_loop(may_fault, |_| over.load(Ordering::Relaxed));
    });
}

#[test]
fn a_processor_that_is_told_that_it_is_over_does_not_halt_for_ever() {
    common::model(|| {
        with_dispatcher(2, DispatcherHooks, |machine, dispatch| {
            let over: &'static AtomicBool = machine.keep(AtomicBool::new(false));
            idle_on_0(machine, dispatch, over);
            machine.on(1, |_| {
                over.store(true, Ordering::Relaxed);
                idle::wake_all(dispatch);
            });
        });
    });
}

/// Says that processor 0 may stop; from processor 0 itself, so that nobody has to wake it for that.
fn stop(over: usize, _: &mut MayFault) -> usize {
    // SAFETY: the address of the kept flag.
    let over = unsafe { &*std::ptr::with_exposed_provenance::<AtomicBool>(over) };
    over.store(true, Ordering::Relaxed);
    0
}

/// Processor 1 makes a thread for processor 0, which is about to halt.
fn idle_and_get_a_thread(attributes: impl Fn(&'static Dispatch) -> Attributes) {
    with_dispatcher(2, DispatcherHooks, |machine, dispatch| {
        let over: &'static AtomicBool = machine.keep(AtomicBool::new(false));
        let argument = std::ptr::from_ref(over).expose_provenance();
        idle_on_0(machine, dispatch, over);
        let attributes = attributes(dispatch);
        machine.on(1, |_| {
            let thread = kernel_thread::create(&attributes, stop, argument);
            assert!(thread.is_ok());
            core::mem::forget(thread);
        });
    });
}

#[test]
fn a_processor_that_gets_a_thread_does_not_halt_for_ever() {
    common::model(|| {
        idle_and_get_a_thread(|dispatch| {
            Attributes::system("test").bound(dispatch.cpu(0).expect("added"))
        });
    });
}

#[test]
fn a_processor_whose_partition_gets_a_thread_does_not_halt_for_ever() {
    common::model_with_few_preemptions(|| {
        idle_and_get_a_thread(|_| {
            Attributes::system("test").scheduled(Class::RealTime, Priority::KERNEL_PREEMPT)
        });
    });
}
