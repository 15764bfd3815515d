//! How a process ends, in one place: [`leave`] notes the outcome, empties the address space, tells the parent and ends
//! the thread. It is called by the exit calls, for an exception that nobody handles, and for asynchronous work that
//! says so; always on the process's own kernel stack, with nothing held.

use super::{NAME_MAX, Outcome, current, table};
use crate::console::print;
use crate::kernel::Kernel;
use crate::panic::{access, exception_name};
use crate::traps::signal as signals;
use crate::virtual_memory::archive::Reader;
use crate::{backtrace, virtual_memory};
use core::sync::atomic::Ordering;
use dispatch::{kernel_thread, sleep_queue};
use machine::MayFault;
use machine::x86_64::frame::TrapFrame;
use vm::FaultError;
use vm::read::Reach;

/// Ends the current process.
pub fn exit(status: u8, may_fault: &mut MayFault) -> ! {
    leave(Outcome::Exited(status), may_fault)
}

/// What ends a process by a signal.
pub struct Killed {
    /// The signal.
    pub signal: u8,
    /// It comes from the exception in the frame.
    pub exception: bool,
}

/// Ends the current process by a signal, and says so.
pub fn kill(frame: &TrapFrame, killed: Killed, may_fault: &mut MayFault) -> ! {
    let process = current();
    let reason = process.last_fault.lock(may_fault).take();
    let reason = reason.filter(|(address, _)| killed.exception && *address == frame.fault_address);
    let signal = match reason {
        Some((_, FaultError::BehindEnd | FaultError::Device)) => signals::SIGBUS,
        _ => killed.signal,
    };
    let mut name = [0; NAME_MAX];
    print(format_args!("{}: killed by {}: ", process.name_to(&mut name), signals::name(signal)));
    if !killed.exception {
        let why = match signal {
            signals::SIGINT => "Ctrl-C",
            _ => "asked to",
        };
        print(format_args!("{why}"));
    } else if frame.vector == 14 {
        let what = access(frame.error);
        print(format_args!("page fault, {what}, address {:#018x}", frame.fault_address));
    } else {
        print(format_args!("{}, address {:#018x}", exception_name(frame.vector), frame.rip));
        if frame.error != 0 {
            print(format_args!(", error code {:#x}", frame.error));
        }
    }
    print(format_args!(", pc {:#018x}, sp {:#018x}", frame.rip, frame.rsp));
    if let Some((_, reason)) = reason {
        print(format_args!(": {reason}"));
    }
    print(format_args!("; backtrace:\n"));
    let start = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    // Who is told to go does not wait for names: somebody may be waiting for the memory.
    let reach = if killed.exception { Reach::DeviceAndAhead } else { Reach::Memory };
    let file = process.program.lock(may_fault).file;
    let mut file = file.map(|file| Reader { file, reach, may_fault: &mut *may_fault });
    backtrace::show(Kernel::current().system, start, &mut file, &mut |text| print(text));
    leave(Outcome::Killed(signal), may_fault)
}

/// Ends the current process.
pub(super) fn leave(outcome: Outcome, may_fault: &mut MayFault) -> ! {
    let process = current();
    // A sleep on the way out is an ordinary one.
    sleep_queue::take_interrupt();
    process.outcome.store(outcome.to_bits(), Ordering::Relaxed);
    // Who is told to go does not print first: somebody may be waiting for the memory.
    if let Some(format) = Kernel::current().options.maps
        && !process.is_killed()
    {
        let mut name = [0; NAME_MAX];
        virtual_memory::maps::show(process, process.name_to(&mut name), format, may_fault);
    }
    process.space.clear(may_fault);
    table::note_end(Kernel::current(), process, may_fault);
    // SAFETY: the way here from user mode keeps nothing on the stack that anybody else knows, or that
    // has to be dropped: whoever ends a process has let go of everything.
    unsafe { kernel_thread::exit_here(0) }
}
