//! The terminal on the console: the line discipline (crate `terminal`) between the serial port's interrupt thread and the
//! programs.
//!
//! Keys arrive on the interrupt thread, which shows them, sends signals, and wakes who reads. What programs write is
//! shown at once. The discipline's mutex is held while bytes are shown, so that nobody's bytes come between those of an
//! echo.

use super::{File, How, Kind, OpenFile, Result, devices};
use crate::console;
use crate::kernel::Kernel;
use crate::process::{self, Process, table};
use crate::signal::{Information, SIGINT, SIGQUIT, SIGTSTP, jobs};
use crate::threads::ticks;
use crate::user_structure::{copy_in, copy_out};
use abi::errno::Errno;
use abi::files::{O_RDWR, POLLIN, POLLOUT, Stat};
use abi::terminals::{
    FIONREAD, TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGPGRP, TIOCGWINSZ, TIOCSPGRP, Termios,
    WindowSize,
};
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::interrupt_thread::InterruptContext;
use dispatch::{Condvar, Mutex, Woken, sleep_queue};
use machine::{MayFault, time};
use terminal::{Signal, Terminal};

/// Bytes that are shown with the mutex held.
const PIECE: usize = 256;

/// What the console is taken to be: nothing says how large it is.
const SIZE: WindowSize = WindowSize { rows: 24, columns: 80, pixels: [0; 2] };

/// The terminal.
pub struct Line {
    terminal: Mutex<Terminal>,
    /// Something can be read.
    readable: Condvar,
    /// The group of processes in the foreground; 0: nobody has said which.
    group: AtomicU64,
}

impl Line {
    /// One on which nothing has been typed.
    pub fn new() -> Line {
        Line {
            terminal: Mutex::new(Terminal::new()),
            readable: Condvar::new(),
            group: AtomicU64::new(0),
        }
    }

    /// A byte was typed.
    pub fn typed(&self, kernel: &'static Kernel, byte: u8, context: &mut InterruptContext) {
        let mut terminal = self.terminal.lock(context);
        let typed = terminal.input(byte, &mut console::write);
        if typed.readable {
            self.readable.broadcast();
        }
        drop(terminal);
        if let Some(signal) = typed.signal {
            let signal = match signal {
                Signal::Interrupt => SIGINT,
                Signal::Quit => SIGQUIT,
                Signal::Suspend => SIGTSTP,
            };
            let group = match self.group.load(Ordering::Relaxed) {
                0 => process::foreground(kernel),
                group => Some(group),
            };
            if let Some(group) = group {
                let information = Information::from_kernel(signal);
                table::signal_group(kernel, group, &information, context);
            }
        }
        if typed.readable {
            kernel.files.watch.tell(context);
        }
    }

    /// Reads what has been typed; 0 at the end of the input.
    pub fn read(&self, to: &mut [u8], waits: bool, may_fault: &mut MayFault) -> Result<usize> {
        /// What `VTIME` counts, in nanoseconds.
        const TENTH: u64 = 100_000_000;
        let mut terminal = self.terminal.lock(may_fault);
        let mut deadline = None;
        let mut typed = terminal.typed();
        let mut time_is_over = false;
        loop {
            if let Some(count) = terminal.read(to, time_is_over) {
                return Ok(count);
            }
            if !waits {
                return Err(Errno::EAGAIN);
            }
            deadline = match terminal.timer() {
                Some(tenths) if deadline.is_none() || terminal.typed() != typed => {
                    let length = ticks(Kernel::current(), u64::from(tenths) * TENTH);
                    Some(time::now().saturating_add(length))
                }
                Some(_) => deadline,
                None => None,
            };
            typed = terminal.typed();
            let (guard, woken) = match deadline {
                Some(deadline) => {
                    self.readable.wait_interruptible_until(terminal, deadline, may_fault)
                }
                None => self.readable.wait_interruptible(terminal, may_fault),
            };
            terminal = guard;
            match woken {
                Woken::BySignal => return Err(Errno::EINTR),
                Woken::ByTime => time_is_over = true,
                _ => {}
            }
        }
    }

    /// Shows what a program writes; says how much. The line is slow: a signal ends it.
    pub fn write(&self, from: &[u8], may_fault: &mut MayFault) -> Result<usize> {
        let mut done = 0;
        for piece in from.chunks(PIECE) {
            if sleep_queue::is_interrupted() {
                return if done > 0 { Ok(done) } else { Err(Errno::EINTR) };
            }
            self.terminal.lock(may_fault).output(piece, &mut console::write);
            done += piece.len();
        }
        Ok(done)
    }

    fn control(&self, request: u32, argument: u64, may_fault: &mut MayFault) -> Result<u64> {
        match request {
            TCGETS => {
                let settings = *self.terminal.lock(may_fault).settings();
                copy_out(argument, &settings, may_fault)?;
            }
            TCSETS | TCSETSW | TCSETSF => {
                // What is written has been shown when the call returns: there is nothing to wait for.
                let settings: Termios = copy_in(argument, may_fault)?;
                let mut terminal = self.terminal.lock(may_fault);
                if request == TCSETSF {
                    terminal.forget_input();
                }
                terminal.set(settings);
                // What has been typed may be readable now.
                self.readable.broadcast();
                drop(terminal);
                Kernel::current().files.watch.tell(may_fault);
            }
            TIOCGWINSZ => copy_out(argument, &SIZE, may_fault)?,
            TIOCGPGRP => {
                let group = match self.group.load(Ordering::Relaxed) {
                    0 => process::current().group(),
                    group => group,
                };
                copy_out(argument, &(group as u32), may_fault)?;
            }
            TIOCSPGRP => {
                let group: u32 = copy_in(argument, may_fault)?;
                if group == 0 || group > i32::MAX as u32 {
                    return Err(Errno::EINVAL);
                }
                let foreground = self.group.load(Ordering::Relaxed);
                jobs::before_changing(foreground, u64::from(group), may_fault)?;
                self.group.store(u64::from(group), Ordering::Relaxed);
            }
            FIONREAD => {
                let available = self.terminal.lock(may_fault).available() as u32;
                copy_out(argument, &available, may_fault)?;
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

/// Gives a process that has no descriptors the terminal as 0, 1 and 2.
pub fn open_for(process: &Process, may_fault: &mut MayFault) -> Result<()> {
    let file = OpenFile::open(Kind::Terminal(Opened), O_RDWR, may_fault)?;
    for fd in 0..2 {
        process.descriptors.set(fd, file.another(), false, may_fault)?;
    }
    process.descriptors.set(2, file, false, may_fault)
}

/// The terminal, opened.
pub struct Opened;

impl File for Opened {
    fn read(
        &self,
        _: &mut u64,
        to: &mut [u8],
        how: How,
        may_fault: &mut MayFault,
    ) -> Result<usize> {
        let terminal = &Kernel::current().terminal;
        jobs::before_reading(terminal.group.load(Ordering::Relaxed), may_fault)?;
        terminal.read(to, how.waits, may_fault)
    }

    fn write(&self, _: &mut u64, from: &[u8], _: How, may_fault: &mut MayFault) -> Result<usize> {
        Kernel::current().terminal.write(from, may_fault)
    }

    fn status(&self, _: &mut MayFault) -> Stat {
        devices::status_of(None)
    }

    fn ready(&self, may_fault: &mut MayFault) -> u16 {
        let is_readable = Kernel::current().terminal.terminal.lock(may_fault).is_readable();
        if is_readable { POLLIN | POLLOUT } else { POLLOUT }
    }

    fn control(&self, request: u32, argument: u64, may_fault: &mut MayFault) -> Result<u64> {
        Kernel::current().terminal.control(request, argument, may_fault)
    }
}
