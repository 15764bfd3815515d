//! Leaving QEMU: the debug-exit device.

use super::private::stop;
use x86_64::instructions::port::Port;

/// Ends the run with this value (QEMU's exit status is `2 * value + 1`); where there is no such
/// device, halts.
///
/// # Safety
///
/// The port is the debug-exit device's or nobody's.
pub unsafe fn exit(port: u16, value: u8) -> ! {
    // SAFETY: the caller's promise.
    unsafe { Port::<u32>::new(port).write(u32::from(value)) };
    stop()
}
