//! Signals: handlers with our own way back, masks, sending.

use crate::system::{self, raw};
use abi::errno::Errno;
use abi::signals::{SA_RESTORER, SigAction, SigInfo, SigStack, UserContext};
use core::arch::naked_asm;
use core::ptr;

/// A handler.
pub type Handler = extern "C" fn(signal: i32, information: &SigInfo, context: &mut UserContext);

/// Bytes of a set of signals.
const SET: usize = 8;

/// Where handlers return to.
#[unsafe(naked)]
unsafe extern "C" fn restorer() -> ! {
    naked_asm!("mov eax, 15", "syscall", "ud2")
}

/// The bit of a signal in a set.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Says what a signal does; returns what it did.
pub fn set_action(signal: i32, action: &SigAction) -> Result<SigAction, Errno> {
    let mut old = SigAction::default();
    let new = ptr::from_ref(action).cast();
    // SAFETY: the call reads the one structure and writes the other; handlers are functions for it.
    unsafe { raw::rt_sigaction(signal, new, (&raw mut old).cast(), SET) }.map(|_| old)
}

/// Gives a signal a handler, with flags.
pub fn handle(signal: i32, handler: Handler, flags: u64) -> Result<SigAction, Errno> {
    handle_masked(signal, handler, flags, 0)
}

/// The same; `mask` is held back meanwhile.
pub fn handle_masked(
    signal: i32,
    handler: Handler,
    flags: u64,
    mask: u64,
) -> Result<SigAction, Errno> {
    let action = SigAction {
        handler: handler as usize as u64,
        flags: flags | SA_RESTORER,
        restorer: restorer as *const () as u64,
        mask,
    };
    set_action(signal, &action)
}

/// Lets a signal do something simple: `SIG_DFL`, `SIG_IGN`.
pub fn set_simple(signal: i32, what: u64) -> Result<SigAction, Errno> {
    set_action(signal, &SigAction { handler: what, ..SigAction::default() })
}

/// Holds these back and no others; returns what was held back.
pub fn set_mask(mask: u64) -> u64 {
    const SET_MASK: i32 = 2;
    let mut old = 0;
    // SAFETY: the call reads the one set and writes the other.
    unsafe { raw::rt_sigprocmask(SET_MASK, &raw const mask, &raw mut old, SET) }
        .expect("sets that are there");
    old
}

/// What is held back and pending.
pub fn pending() -> u64 {
    let mut set = 0;
    // SAFETY: the call writes the set.
    unsafe { raw::rt_sigpending(&raw mut set, SET) }.expect("a set that is there");
    set
}

/// Waits for a signal with another mask.
pub fn suspend(mask: u64) -> Errno {
    // SAFETY: the call reads the set.
    match unsafe { raw::rt_sigsuspend(&raw const mask, SET) } {
        Ok(value) => unreachable!("rt_sigsuspend returned {value}"),
        Err(error) => error,
    }
}

/// Sends a signal to a process, or a group.
pub fn kill(process: i64, signal: i32) -> Result<(), Errno> {
    // SAFETY: what the signal does has been said.
    unsafe { raw::kill(process as i32, signal) }.map(drop)
}

/// Sends a signal to this process.
pub fn raise(signal: i32) {
    kill(system::getpid() as i64, signal).expect("this process is there");
}

/// Sends a signal to an LWP of this process.
pub fn kill_lwp(lwp: u64, signal: i32) -> Result<(), Errno> {
    // SAFETY: what the signal does has been said.
    unsafe { raw::tgkill(system::getpid() as i32, lwp as i32, signal) }.map(drop)
}

/// Sets the alternate stack.
pub fn set_stack(stack: &SigStack) -> Result<SigStack, Errno> {
    let mut old = SigStack::default();
    // SAFETY: the call reads the one structure and writes the other; handlers may use the stack.
    unsafe { raw::sigaltstack(ptr::from_ref(stack).cast(), (&raw mut old).cast()) }.map(|_| old)
}
