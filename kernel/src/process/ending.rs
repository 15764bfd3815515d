//! How a process ends: [`finish`], on its last LWP, closes its files, empties the address space and tells the parent. What is printed
//! about an end that nobody wanted is here too ([`report`]).

use super::{NAME_MAX, Outcome, Process, table};
use crate::console::print;
use crate::kernel::Kernel;
use crate::lwp::Lwp;
use crate::name_space::working_folder;
use crate::observe;
use crate::panic::{access, exception_name};
use crate::signal::{SIGINT, alarm};
use crate::virtual_memory::archive::Reader;
use crate::{backtrace, virtual_memory};
use core::sync::atomic::Ordering;
use machine::x86_64::frame::TrapFrame;
use machine::{MayFault, time};
use vm::FaultError;
use vm::read::Reach;

/// The last steps of a process, on its last LWP, which ends next. How it ends has been said.
pub fn finish(process: &'static Process, may_fault: &mut MayFault) {
    let kernel = Kernel::current();
    // Who is told to go does not print first: somebody may be waiting for the memory.
    if let Some(format) = kernel.options.maps
        && !process.is_killed()
    {
        let mut name = [0; NAME_MAX];
        virtual_memory::maps::show(process, process.name_to(&mut name), format, may_fault);
    }
    observe::note_end(kernel, process, may_fault);
    {
        let _control = process.control.lock(may_fault);
        alarm::set(process, 0, 0);
    }
    process.descriptors.close_all(may_fault);
    process.space.clear(may_fault);
    // Nobody is left but this LWP, and the memory is unmapped.
    // Its timers are waited for, without the lock.
    let activations = process.activations.lock(may_fault).take();
    drop(activations);
    working_folder::leave(process, may_fault);
    let lwp = crate::lwp::current();
    lwp.note_end();
    process.control.lock(may_fault).ended.add(
        &lwp.accounts.own(time::now()),
        &lwp.counts,
        lwp.thread(),
    );
    table::note_end(kernel, process, may_fault);
}

impl Process {
    /// How it ends, if that has been said, as `wait4` says it.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::find(self.outcome.load(Ordering::Acquire))
    }
}

/// Says on the console that a signal ends the running process: always if it comes from an exception (`exception`, with
/// the reason of a page fault), else if it has no parent that would hear of it.
pub fn report(
    lwp: &Lwp,
    signal: u8,
    frame: &TrapFrame,
    exception: bool,
    reason: Option<FaultError>,
    may_fault: &mut MayFault,
) {
    let process = lwp.process;
    if process.is_ending() || !exception && process.parent.load(Ordering::Relaxed) != 0 {
        return;
    }
    let mut name = [0; NAME_MAX];
    print(format_args!(
        "{}: killed by {}: ",
        process.name_to(&mut name),
        abi::signals::name(u32::from(signal))
    ));
    if !exception {
        print(format_args!("{}", if signal == SIGINT { "Ctrl-C" } else { "asked to" }));
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
    if let Some(reason) = reason {
        print(format_args!(": {reason}"));
    }
    print(format_args!("; backtrace:\n"));
    let start = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    // Who is told to go does not wait for names: somebody may be waiting for the memory.
    let reach = if exception { Reach::DeviceAndAhead } else { Reach::Memory };
    let file = process.program.lock(may_fault).file;
    let mut file = file.map(|file| Reader { file, reach, may_fault: &mut *may_fault });
    backtrace::show(Kernel::current().system, start, &mut file, &mut |text| print(text));
}

/// Ends the running process by a signal. It leaves on its way to user mode.
pub fn kill(process: &Process, signal: u8) {
    process.end(Outcome::Killed(signal));
}
