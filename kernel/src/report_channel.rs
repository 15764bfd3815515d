//! The report channel: lines for the harness, through QEMU's debug console (crate `report`).

use crate::kernel::Kernel;
use abi::ending::REPORT_PORT;
use core::fmt::{self, Write};
use report::{LINE_MAX, Line};
use x86_64::instructions::port::PortWriteOnly;

/// A line in the making: ASCII, cut to what fits.
struct Text {
    bytes: [u8; LINE_MAX],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length < LINE_MAX {
                // Free text may hold anything; the channel carries printable ASCII.
                self.bytes[self.length] = if (0x20..0x7f).contains(&byte) { byte } else { b' ' };
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Sends one line.
pub fn send(line: Line<'_>) {
    // One at a time, so that lines do not mix.
    let _together = Kernel::current().report_lock.lock_anywhere();
    send_unlocked(line);
}

/// Sends one line past the lock: for the end of a run, where nobody may be waited for.
pub fn send_unlocked(line: Line<'_>) {
    let mut text = Text { bytes: [0; LINE_MAX], length: 0 };
    // Writing to a `Text` does not fail.
    let _ = write!(text, "{line}");
    let mut port = PortWriteOnly::<u8>::new(REPORT_PORT);
    for &byte in text.bytes[..text.length].iter().chain(b"\n") {
        // SAFETY: the port is the debug console's or nobody's.
        unsafe { port.write(byte) };
    }
}
