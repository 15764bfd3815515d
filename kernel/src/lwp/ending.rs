//! How LWPs end, and waiting for that.
//!
//! ```text
//!  lwp_exit, or asynchronous work --> leave -+- others live --> has ended --> waited for, or reaped if detached
//!                                            +- the last    --> the process's end (process/ending.rs)
//! ```
//!
//! A process ends when its last LWP does: [`Process::end`](crate::process::Process::end) notes how and notifies all, and
//! each leaves on its way to user mode. So the memory of a process goes when nobody can touch it any longer.
//!
//! An LWP that has ended stays in the list, with its status and what it has used, until somebody waits for it; a
//! detached one until another LWP is made or ends (Solaris: the deathrow and its reaper).

use super::{Lwp, begin};
use crate::process::{self, Outcome, Process};
use abi::errno::Errno;
use core::sync::atomic::Ordering;
use dispatch::{Woken, kernel_thread, sleep_queue};
use machine::x86_64::user_copy;
use machine::{MayFault, time};

/// Ends the running LWP.
pub fn exit(status: u64, may_fault: &mut MayFault) -> ! {
    leave(status, may_fault)
}

/// Ends the running LWP; the last one ends the process. Comes with nothing held, on the LWP's own stack.
pub fn leave(status: u64, may_fault: &mut MayFault) -> ! {
    let lwp = super::current();
    let process = lwp.process;
    lwp.activation.leave(process.is_ending() || process.is_becoming_another(lwp));
    // A sleep on the way out is an ordinary one.
    sleep_queue::take_interrupt();
    let clear = lwp.clear_at_end.load(Ordering::Relaxed);
    if clear != 0 && !process.is_killed() {
        // If the program has unmapped it, it does not look there.
        let _ = user_copy::copy_out(clear, &0_u32.to_le_bytes(), may_fault);
    }
    reap_detached(process, may_fault);
    let mut control = process.control.lock(may_fault);
    control.live -= 1;
    let is_last = control.live == 0;
    if !is_last {
        lwp.status.store(status, Ordering::Relaxed);
        control.ended.add(&lwp.accounts.own(time::now()), &lwp.counts, lwp.thread());
        if lwp.is_detached.load(Ordering::Relaxed) {
            control.to_reap += 1;
        }
        lwp.note_end();
        process.changed.broadcast();
        drop(control);
        // What it was notified of, another may still do.
        crate::signal::redistribute(process);
    } else {
        drop(control);
        process.end(Outcome::Exited(status as u8));
        process::ending::finish(process, may_fault);
    }
    // SAFETY: the way here from user mode keeps nothing on the stack that anybody else knows, or that
    // has to be dropped: whoever ends an LWP has let go of everything.
    unsafe { kernel_thread::exit_here(0) }
}

impl Lwp {
    /// It is over, but for its thread's last steps.
    pub fn note_end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }
}

/// Waits for an LWP's thread, and gives the object back. It has been taken out of the list.
///
/// # Safety
///
/// It has ended, it is in no list, and nobody uses it.
unsafe fn bury(lwp: &'static Lwp, may_fault: &mut MayFault) {
    let handle = lwp.handle.lock(may_fault).take();
    if let Some(handle) = handle {
        handle.join(may_fault);
    }
    // SAFETY: its thread is over; the rest is the caller's promise.
    unsafe { begin::free(lwp) };
}

/// Buries the detached LWPs of a process that have ended.
pub fn reap_detached(process: &Process, may_fault: &mut MayFault) {
    loop {
        let mut control = process.control.lock(may_fault);
        if control.to_reap == 0 {
            return;
        }
        let found = process
            .lwps
            .lock_anywhere()
            .take(|lwp| lwp.has_ended() && lwp.is_detached.load(Ordering::Relaxed));
        let Some(lwp) = found else { return };
        control.to_reap -= 1;
        drop(control);
        // SAFETY: it has ended and is in the list no more; who looks for LWPs holds the lock of the list.
        unsafe { bury(lwp, may_fault) };
    }
}

/// Buries all LWPs of a process but the running one. They have ended, or are about to.
pub fn bury_others(process: &Process, may_fault: &mut MayFault) {
    let own = super::find_current().map(core::ptr::from_ref);
    loop {
        let control = process.control.lock(may_fault);
        let found = process.lwps.lock_anywhere().take(|lwp| Some(core::ptr::from_ref(lwp)) != own);
        let Some(lwp) = found else { return };
        drop(control);
        // SAFETY: as in `reap_detached`; the last one of a process that is over has ended too.
        unsafe { bury(lwp, may_fault) };
    }
}

/// Waits for the end of an LWP of the running process; 0: of any that can be waited for. Returns number and status.
pub fn wait(number: u64, may_fault: &mut MayFault) -> Result<(u64, u64), Errno> {
    let own = super::current();
    let process = own.process;
    if number == own.number() {
        return Err(Errno::EDEADLK);
    }
    let mut control = process.control.lock(may_fault);
    loop {
        let mut lwps = process.lwps.lock_anywhere();
        let can = |lwp: &Lwp| !core::ptr::eq(lwp, own) && !lwp.is_detached.load(Ordering::Relaxed);
        let found = if number == 0 {
            if !lwps.iter().any(can) {
                return Err(Errno::ESRCH);
            }
            lwps.take(|lwp| can(lwp) && lwp.has_ended())
        } else {
            let lwp = lwps.find(number).ok_or(Errno::ESRCH)?;
            if !can(lwp) {
                return Err(Errno::EINVAL);
            }
            if lwp.has_ended() { lwps.take_number(number) } else { None }
        };
        drop(lwps);
        if let Some(lwp) = found {
            drop(control);
            let answer = (lwp.number(), lwp.status.load(Ordering::Relaxed));
            // SAFETY: it has ended and is in the list no more; who looks for LWPs holds the lock of the list.
            unsafe { bury(lwp, may_fault) };
            return Ok(answer);
        }
        let (guard, woken) = process.changed.wait_interruptible(control, may_fault);
        control = guard;
        if woken == Woken::BySignal {
            return Err(Errno::EINTR);
        }
    }
}

/// Makes the running LWP the only one of its process, before that becomes another program.
pub fn become_only(may_fault: &mut MayFault) -> Result<(), Errno> {
    let own = super::current();
    let process = own.process;
    let mut control = process.control.lock(may_fault);
    if control.only.is_some() || process.is_ending() {
        // Somebody else was first; this one ends.
        return Err(Errno::EINTR);
    }
    if control.live == 1 && process.lwps.lock_anywhere().len() == 1 {
        // It may be a further one: the first may have ended, and been waited for.
        own.number.store(process.id, Ordering::Relaxed);
        return Ok(());
    }
    control.only = Some(own.number());
    process.only.store(own.number(), Ordering::Release);
    process.notify_all();
    while control.live > 1 {
        control = process.changed.wait(control, may_fault);
    }
    drop(control);
    bury_others(process, may_fault);
    let mut control = process.control.lock(may_fault);
    control.only = None;
    process.only.store(0, Ordering::Release);
    // As on Linux: the LWP of a new program has the process's number.
    own.number.store(process.id, Ordering::Relaxed);
    Ok(())
}
