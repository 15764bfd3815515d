//! LWPs: making one and waiting for it, parking.

use super::{Bench, per_long_operation};
use crate::lwp::{self, Attributes, Stack};
use core::sync::atomic::{AtomicBool, Ordering};

/// What the other LWP runs on.
static STACK: Stack<{ 16 << 10 }> = Stack::new();

/// The other LWP is to end.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Operations in a round.
const OPERATIONS: u64 = 100;

pub(super) fn measure(bench: &Bench) {
    bench.value("lwp.create_join", per_long_operation(OPERATIONS, create_join));
    bench.value("lwp.park_roundtrip", park_roundtrip());
}

extern "C" fn end_at_once(_: u64) -> u64 {
    0
}

/// Makes an LWP that ends at once, and waits for it.
fn create_join() {
    // SAFETY: there is one at a time on this stack.
    let made = unsafe { lwp::create(STACK.top(), end_at_once, 0, Attributes::default()) };
    let made = made.expect("there is memory for an LWP");
    lwp::wait(made).expect("it ends");
}

/// Is unparked, and unparks the LWP whose number is the argument: again and again.
extern "C" fn answer(other: u64) -> u64 {
    loop {
        lwp::park().expect("nobody sends signals");
        if IS_OVER.load(Ordering::Relaxed) {
            return 0;
        }
        lwp::unpark(other).expect("the first LWP is there");
    }
}

/// One unparks the other, and parks until it is unparked itself.
fn park_roundtrip() -> u64 {
    // SAFETY: nobody else is on this stack.
    let made = unsafe { lwp::create(STACK.top(), answer, lwp::own(), Attributes::default()) };
    let other = made.expect("there is memory for an LWP");
    let value = per_long_operation(OPERATIONS, || {
        lwp::unpark(other).expect("it waits for it");
        lwp::park().expect("nobody sends signals");
    });
    IS_OVER.store(true, Ordering::Relaxed);
    lwp::unpark(other).expect("it waits for it");
    lwp::wait(other).expect("it ends");
    value
}
