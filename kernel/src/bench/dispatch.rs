//! The dispatcher's benchmarks. They run on one processor, with nothing else to do.

use super::ball::Game;
use super::per_operation;
use crate::kernel::Kernel;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};
use dispatch::disp_lock::LockClass;
use dispatch::kernel_thread::{self, Attributes};
use dispatch::weak_binding::nomigrate;
use dispatch::{DispLock, Thread, measure as parts, preempt, thread_lock};
use machine::MayFault;

/// Measures all of it, in a thread like others: bound to no processor, and nobody's.
pub fn measure(may_fault: &mut MayFault) {
    let attributes = Attributes::system("bench");
    let thread = kernel_thread::create(&attributes, measure_here, 0).expect("memory for a thread");
    thread.join(may_fault);
}

fn measure_here(_: usize, may_fault: &mut MayFault) -> usize {
    locks(may_fault);
    per_operation("disp.enqueue_select", |count| {
        parts::with_stopped_thread(|thread| {
            for _ in 0..count {
                parts::enqueue_and_select(thread);
            }
        });
    });
    switches(may_fault);
    wakes(may_fault);
    bindings();
    per_operation("disp.create_join", |count| {
        for _ in 0..count {
            let thread = kernel_thread::create(&Attributes::system("bench"), |_, _| 0, 0);
            thread.expect("memory for a thread").join(may_fault);
        }
    });
    0
}

fn bindings() {
    per_operation("disp.weakbind", |count| {
        for _ in 0..count {
            drop(black_box(nomigrate()));
        }
    });
    let outer = nomigrate();
    per_operation("disp.weakbind_nested", |count| {
        for _ in 0..count {
            drop(black_box(nomigrate()));
        }
    });
    drop(outer);
}

fn locks(may_fault: &mut MayFault) {
    let lock: &'static DispLock = &Kernel::current().bench_locks[0];
    debug_assert!(lock.class() == LockClass::Test);
    per_operation("disp.lock", |count| {
        for _ in 0..count {
            drop(black_box(lock).enter(may_fault));
        }
    });
    let thread = Thread::running();
    per_operation("disp.thread_lock", |count| {
        for _ in 0..count {
            drop(thread_lock::lock_thread(black_box(thread), may_fault));
        }
    });
}

/// Two threads of one processor give way to each other.
fn switches(may_fault: &mut MayFault) {
    fn other(over: usize, _: &mut MayFault) -> usize {
        // SAFETY: `switches` passes the address of its flag, and waits for this thread.
        let over = unsafe { &*core::ptr::with_exposed_provenance::<AtomicBool>(over) };
        while !over.load(Ordering::Relaxed) {
            preempt::yield_now();
        }
        0
    }
    let over = AtomicBool::new(false);
    let address = core::ptr::from_ref(&over).expose_provenance();
    let attributes = Attributes::system("bench");
    let thread = kernel_thread::create(&attributes, other, address).expect("memory for a thread");
    per_operation("disp.switch", |count| {
        // Each turn is two switches: there and back.
        for _ in 0..count / 2 {
            preempt::yield_now();
        }
    });
    over.store(true, Ordering::Relaxed);
    thread.join(may_fault);
}

/// Two threads of one processor wake each other: one operation is the ball's way there and back.
fn wakes(may_fault: &mut MayFault) {
    Game::against(&Attributes::system("bench"), may_fault, |game, may_fault| {
        per_operation("disp.cv_pingpong", |count| game.rally(count, may_fault));
    });
}
