//! The console: the serial port, for the log, for programs' output, and for what is typed.
//!
//! Output goes through one lock, so that lines do not mix; the panic path goes past it
//! ([`write_unlocked`]), because it must not wait. Input arrives by interrupt and goes to the terminal
//! (`files/terminal.rs`).

use crate::kernel::Kernel;
use core::fmt::{self, Write};
use dispatch::interrupt_thread::InterruptContext;
use machine::SpinLock;
use machine::pil::Pil;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{Config, Uart16550};

/// The first serial port.
const PORT: u16 = 0x3f8;
/// Its interrupt.
pub const ISA_IRQ: u8 = 4;
/// The level and line of its interrupt: terminals are slow.
pub const LEVEL: Pil = Pil::new(6);
/// See [`LEVEL`].
pub const LINE: u8 = 0;

/// The port.
pub struct Console {
    port: Uart16550<PioBackend>,
}

fn open() -> Uart16550<PioBackend> {
    // SAFETY: the port is the serial port's or nobody's; whoever else writes to it is the panic
    // path, which mixes its bytes in on purpose.
    match unsafe { Uart16550::new_port(PORT) } {
        Ok(port) => port,
        Err(_) => unreachable!("the port's number is valid"),
    }
}

impl Console {
    /// Sets the port up.
    pub fn new() -> SpinLock<Console, 13> {
        let mut port = open();
        // Without a port there is nobody to tell; the run's log stays empty.
        let _ = port.init(Config::default());
        SpinLock::new(Console { port })
    }

    fn write_bytes(&mut self, bytes: &[u8]) {
        send(&mut self.port, bytes);
    }

    /// Lets the port interrupt when something is typed.
    pub fn enable_input(&mut self) {
        self.port.enable_interrupts(IER::DATA_READY);
    }
}

/// Sends text, each line feed with a carriage return before it.
fn send(port: &mut Uart16550<PioBackend>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|&byte| byte == b'\n') {
        match part.split_last() {
            Some((b'\n', line)) => {
                port.send_bytes_exact(line);
                port.send_bytes_exact(b"\r\n");
            }
            _ => port.send_bytes_exact(part),
        }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}

/// Writes bytes to the console as they are, together.
pub fn write(bytes: &[u8]) {
    Kernel::current().console.lock_anywhere().port.send_bytes_exact(bytes);
}

/// Writes text to the console, together.
pub fn print(text: fmt::Arguments<'_>) {
    // Writing to the console does not fail.
    let _ = Kernel::current().console.lock_anywhere().write_fmt(text);
}

/// Writes text past the lock: for the time before there is one, and for the panic path.
pub fn write_unlocked(text: fmt::Arguments<'_>) {
    struct Unlocked(Uart16550<PioBackend>);
    impl Write for Unlocked {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            send(&mut self.0, text.as_bytes());
            Ok(())
        }
    }
    // Writing to the console does not fail.
    let _ = Unlocked(open()).write_fmt(text);
}

/// The interrupt's handler, on its thread: takes what was typed.
pub fn interrupt(kernel: &'static Kernel, context: &mut InterruptContext) {
    while let Some(byte) = receive(kernel) {
        kernel.terminal.typed(kernel, byte, context);
    }
}

fn receive(kernel: &Kernel) -> Option<u8> {
    kernel.console.lock_anywhere().port.try_receive_byte().ok()
}
