//! Publishing a thread as running, while others want to lock it: the new lock is free at that moment, so
//! the order of two stores is all that protects the state.
//!
//! The test fails with bug 4699850 in place (`docs/history/4699850.md`). It is loom's: only a checker that
//! knows the memory order sees the two stores exchanged in every way that the hardware or the compiler
//! may.

mod common;

use common::{DispatcherHooks, with_dispatcher};
use dispatch::{Priority, State, Thread, start, thread_lock};
use machine::{MayFault, Pil, pil};

/// The idle thread of a processor on which this test never idles.
fn never(_: usize, _: &mut MayFault) -> usize {
    unreachable!("the processor has something to do until the test is over")
}

#[test]
fn whoever_locks_a_thread_that_is_being_published_sees_that_it_runs() {
    common::model(|| {
        with_dispatcher(2, DispatcherHooks, |machine, dispatch| {
            let thread: &'static Thread = machine.keep(Thread::of_running_code());
            let cpu = dispatch.cpu(0).expect("added");
            machine.start(0, move |_| {
                let begun = start::begin_as_thread(cpu, thread, Priority::SYSTEM_MIN, never, 0);
                assert!(begun.is_ok());
            });
            machine.on(1, |_| {
                let level = pil::raise_anywhere(Pil::DISP);
                // Nothing to lock if it has not begun; then it is between two states; then it runs.
                if let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) {
                    let runs_here = guard.state() == State::OnProcessor
                        && guard.thread().cpu_index() == Some(cpu.index());
                    assert!(runs_here, "locked, and its state is old");
                }
            });
        });
    });
}
