//! A program's panic: the message with its place on standard error, and status 101.

use crate::{eprintln, system};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// The status of a program that panicked, as everywhere in Rust.
const PANICKED: i32 = 101;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    // A message that panics itself is not tried again.
    if !PANICKING.swap(true, Ordering::Relaxed) {
        eprintln!("{info}");
    }
    system::exit_group(PANICKED)
}

/// The precompiled `core` names it as the one to ask while a stack is unwound. No stack is.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    unreachable!("a panic ends the program, it does not unwind")
}
