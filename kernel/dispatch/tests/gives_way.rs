//! A processor comes to run something less important while another makes a thread for it: either the
//! one sees the thread, or the other the lower priority.
//!
//! As in `idle_wake`, each side writes one thing and reads the other's, and only loom sees what happens
//! without the fences in between.

mod common;

use atomics::{AtomicBool, Ordering};
use common::{DispatcherHooks, system, with_dispatcher};
use dispatch::kernel_thread::{self, Entry};
use dispatch::{Dispatch, Priority, Thread, preempt, set_priority, start};
use machine::MayFault;

/// What the threads of a test tell each other.
struct Flags {
    go: AtomicBool,
    over: AtomicBool,
}

fn never(_: usize, _: &mut MayFault) -> usize {
    unreachable!("the processor has something to do until the test is over")
}

/// The life of the thread that must not wait.
fn finish(flags: usize, _: &mut MayFault) -> usize {
    flags_at(flags).over.store(true, Ordering::Relaxed);
    0
}

/// The life of a thread that keeps the processor busy for a moment.
fn go(flags: usize, _: &mut MayFault) -> usize {
    flags_at(flags).go.store(true, Ordering::Relaxed);
    0
}

fn flags_at(address: usize) -> &'static Flags {
    // SAFETY: the address of the kept flags.
    unsafe { &*std::ptr::with_exposed_provenance::<Flags>(address) }
}

/// Makes a thread that is bound to processor 0.
fn make(priority: u8, entry: Entry, flags: &'static Flags, dispatch: &'static Dispatch) {
    let attributes = system(priority).bound(dispatch.cpu(0).expect("added"));
    let thread =
        kernel_thread::create(&attributes, entry, std::ptr::from_ref(flags).expose_provenance());
    assert!(thread.is_ok());
    core::mem::forget(thread);
}

/// Processor 0 begins to run a thread, `prepare`s, says `go`, and comes to run it at a low priority;
/// meanwhile processor 1 makes a thread of middle priority.
fn come_to_run_something_lower(
    begin_with: u8,
    prepare: impl Fn(&'static Thread, &'static Flags, &'static Dispatch) + Clone + Send + Sync + 'static,
) {
    common::model_with_few_preemptions(move || {
        let prepare = prepare.clone();
        with_dispatcher(2, DispatcherHooks, move |machine, dispatch| {
            let thread: &'static Thread = machine.keep(Thread::of_running_code());
            let flags: &'static Flags =
                machine.keep(Flags { go: AtomicBool::new(false), over: AtomicBool::new(false) });
            machine.start(0, move |may_fault| {
                let cpu = dispatch.cpu(0).expect("added");
                let begin_with = Priority::new(begin_with);
                assert!(start::begin_as_thread(cpu, thread, begin_with, never, 0).is_ok());
                prepare(thread, flags, dispatch);
                while !flags.over.load(Ordering::Relaxed) {
                    // As on the way to user mode.
                    preempt::asynchronous_work(may_fault);
                    machine::spin();
                }
            });
            machine.on(1, |_| {
                while !flags.go.load(Ordering::Relaxed) {
                    machine::spin();
                }
                make(80, finish, flags, dispatch);
            });
        });
    });
}

#[test]
fn a_thread_that_becomes_less_important_gives_way() {
    come_to_run_something_lower(99, |thread, flags, _| {
        flags.go.store(true, Ordering::Relaxed);
        set_priority(thread, Priority::SYSTEM_MIN);
    });
}

#[test]
fn a_thread_that_is_chosen_after_a_more_important_one_gives_way() {
    come_to_run_something_lower(60, |_, flags, dispatch| make(99, go, flags, dispatch));
}
