//! A copy is written on one processor while another still knows the source: `bug-cow-tlb`. A driven schedule, as what
//! is needed are three processors that each do one thing at one moment.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::dispatcher::{Flag, on, spin_until};
use common::{Program, run_hooked};
use dispatch::{State, Thread};
use machine::slot::{Layer, Slot};
use machine::{MayFault, System};
use std::sync::Mutex;
use vm::schedule::Point;

// SAFETY: the only slot of this layer in this test.
const SLOT: Slot<Stage> = unsafe { Slot::new(Layer::Test) };

/// Which of the three is where.
#[derive(Default)]
struct Stage {
    /// The thread whose fault is held.
    faulter: Mutex<Option<&'static Thread>>,
    /// The fault has put the copy into the page table, and no processor has been told.
    entered: Flag,
    /// The thread that writes the copy then.
    writer: Mutex<Option<&'static Thread>>,
    written: Flag,
    /// The thread that has read the source has read again.
    read_again: Flag,
}

fn hook(point: Point, _: &mut MayFault) {
    let Some(stage) = System::current().slots().find(&SLOT) else { return };
    let me = Thread::running();
    let is_faulter = stage.faulter.lock().unwrap().is_some_and(|thread| std::ptr::eq(thread, me));
    if point != Point::FaultEntered || !is_faulter {
        return;
    }
    stage.entered.set();
    let writer_sleeps = || {
        let writer = *stage.writer.lock().unwrap();
        writer.is_some_and(|writer| writer.state() == State::Sleep)
    };
    // The writer gets through, and then the reader is to read; or it has to wait for this fault.
    spin_until(|| stage.read_again.is_set() || writer_sleeps());
}

#[test]
fn who_has_heard_of_a_write_to_a_copy_does_not_read_the_source() {
    for _ in 0..20 {
        run_hooked(3, 96, Some(hook), |may_fault| {
            let stage: &'static Stage = Box::leak(Box::default());
            System::current().slots().install(&SLOT, stage);
            common::dispatcher::wait_for_processors(3);
            let program = Program::new();
            program.map(0, 1, may_fault);
            program.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
            // The copy is made because of the child.
            let child = program.fork(may_fault);

            let has_read = Flag::new();
            let reads = has_read.clone();
            let reader = program.run(on(1, 70), move |user, may_fault| {
                assert_eq!(user.read(0, may_fault), Ok(1));
                reads.set();
                stage.written.spin();
                let word = user.read(0, may_fault);
                stage.read_again.set();
                assert_eq!(word, Ok(77), "the source is read after the copy was written");
            });
            has_read.wait();
            let writer = program.run(on(2, 70), move |user, may_fault| {
                *stage.writer.lock().unwrap() = Some(Thread::running());
                stage.entered.spin();
                user.write(0, 77, may_fault).unwrap();
                stage.written.set();
            });
            let faulter = program.run(on(0, 70), move |user, may_fault| {
                *stage.faulter.lock().unwrap() = Some(Thread::running());
                user.add(0, 0, may_fault).unwrap();
            });
            for thread in [faulter, writer, reader] {
                thread.join(may_fault);
            }
            program.exit(may_fault);
            child.exit(may_fault);
        });
    }
}
