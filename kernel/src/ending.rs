//! How the kernel ends a run: one line for a person, one value for QEMU.

use crate::kernel::Kernel;
use crate::{console, timeline};
use abi::ending::{DEBUG_EXIT_PORT, Ending};
use core::fmt;
use machine::x86_64::debug_exit;

/// Ends the run without a word: what there is to say has been said.
pub fn end(ending: Ending) -> ! {
    // After a second panic nothing is tried any more.
    if ending != Ending::PanicInPanic
        && let Some(kernel) = Kernel::find().filter(|kernel| kernel.options.trace_dump)
    {
        timeline::dump(kernel);
    }
    // SAFETY: the device's own port.
    unsafe { debug_exit::exit(DEBUG_EXIT_PORT, ending as u8) }
}

/// Ends the run because the kernel cannot go on, with one line that says why. For what is wrong with
/// the machine or its configuration; a bug of the kernel's is a panic.
pub fn refuse(ending: Ending, why: fmt::Arguments<'_>) -> ! {
    console::write_unlocked(format_args!("upcall: {}: {why}\n", ending.text()));
    end(ending)
}
