//! The last words: a line on the first serial port, and the exit status.
//!
//! Called when the start has failed, and from the panic handler. Nothing here can fail or wait for
//! ever: a port that does not exist reads as all ones, which is "ready".

use abi::ending::{DEBUG_EXIT_PORT, Ending};
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use x86_64::instructions::hlt;
use x86_64::instructions::port::Port;

const COM1: u16 = 0x3f8;
/// COM1's line status: there is room for a byte.
const ROOM: u8 = 1 << 5;

/// COM1, by polling, at the speed that the firmware has set.
struct SerialPort;

impl Write for SerialPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (mut data, mut status) = (Port::<u8>::new(COM1), Port::<u8>::new(COM1 + 5));
        for byte in text.bytes() {
            loop {
                // SAFETY: reading the line status of COM1 changes nothing that anyone relies on.
                if unsafe { status.read() } & ROOM != 0 {
                    break;
                }
            }
            // SAFETY: the data register of COM1 takes any byte, and the loader owns the port.
            unsafe { data.write(byte) };
        }
        Ok(())
    }
}

/// Says `line` and ends the run; where there is no device for that, stops the processor.
pub fn end(ending: Ending, line: fmt::Arguments<'_>) -> ! {
    // The serial port takes everything.
    let _ = writeln!(SerialPort, "{line}");
    // SAFETY: the write ends QEMU, or goes to a port that has no device.
    unsafe { Port::<u32>::new(DEBUG_EXIT_PORT).write(ending as u32) };
    loop {
        // Interrupts are off: this is for ever.
        hlt();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    end(Ending::KernelPanic, format_args!("loader: {info}"))
}
