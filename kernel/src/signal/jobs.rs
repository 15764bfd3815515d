//! Job control: of the groups of processes that share a terminal, one is in the foreground.
//!
//! A process of another group that reads is stopped (SIGTTIN), and so is one that wants to say who is in the foreground
//! (SIGTTOU), unless it holds that back or ignores it, as shells do. When it goes on its call begins again.

use super::{Information, SIGTTIN, SIGTTOU, bit};
use crate::kernel::Kernel;
use crate::lwp;
use crate::process::{Process, table};
use abi::errno::Errno;
use machine::MayFault;

/// Whether a process may use its terminal, on which the group `foreground` is in the foreground (0: nobody has said
/// which).
fn is_in_foreground(process: &Process, foreground: u64, may_fault: &mut MayFault) -> bool {
    foreground == 0
        || process.group() == foreground
        // Of a group that is no more nobody can give the terminal back.
        || !table::is_group(Kernel::current(), foreground, None, may_fault)
}

fn is_deaf_to(signal: u8) -> bool {
    let lwp = lwp::current();
    lwp.signals.mask() & bit(signal) != 0 || lwp.process.signals.is_ignored(signal)
}

fn stop_group(signal: u8, may_fault: &mut MayFault) -> Errno {
    let group = lwp::current().process.group();
    table::signal_group(Kernel::current(), group, &Information::from_kernel(signal), may_fault);
    Errno::EINTR
}

/// Before the running process reads from its terminal.
pub fn before_reading(foreground: u64, may_fault: &mut MayFault) -> Result<(), Errno> {
    if is_in_foreground(lwp::current().process, foreground, may_fault) {
        Ok(())
    } else if is_deaf_to(SIGTTIN) {
        Err(Errno::EIO)
    } else {
        Err(stop_group(SIGTTIN, may_fault))
    }
}

/// Before the running process puts a group into the foreground.
pub fn before_changing(foreground: u64, to: u64, may_fault: &mut MayFault) -> Result<(), Errno> {
    let process = lwp::current().process;
    if !table::is_group(Kernel::current(), to, Some(process.session()), may_fault) {
        return Err(Errno::EPERM);
    }
    if is_in_foreground(process, foreground, may_fault) || is_deaf_to(SIGTTOU) {
        return Ok(());
    }
    Err(stop_group(SIGTTOU, may_fault))
}
