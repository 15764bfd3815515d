//! The `log` crate's messages, on the console, with the time since boot and the processor.

use crate::console;
use crate::kernel::Kernel;
use log::{LevelFilter, Log, Metadata, Record};

/// Writes to the console of the current system. Has no state.
struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let microseconds = Kernel::current().uptime_nanoseconds() / 1000;
        console::print(format_args!(
            "[{:4}.{:06} cpu{:<2} {:5}] {}\n",
            microseconds / 1_000_000,
            microseconds % 1_000_000,
            machine::Cpu::current_index_hint(),
            record.level(),
            record.args()
        ));
    }

    fn flush(&self) {}
}

/// Starts logging. Once, when the console is there.
pub fn start(level: LevelFilter) {
    // Refused only when there is a logger already, which would be this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}
