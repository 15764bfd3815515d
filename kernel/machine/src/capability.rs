//! Who may fault and sleep, and who must not: two capabilities that are lent out.
//!
//! [`MayFault`] exists once per kernel entry (a system call, a trap that left its IST stack, a
//! kernel thread). Whoever holds `&mut MayFault` runs with interrupts on, preemption on and no spin
//! lock held: it may touch an absent page, allocate with waiting, sleep. A critical section
//! (raising the interrupt level, turning preemption off, taking a spin lock) *borrows* it for as
//! long as the section lasts, so nothing that needs it can be called inside: the compiler refuses.
//!
//! [`Atomic`] is its opposite, lent out by the guards of critical sections: whoever holds
//! `&Atomic` stays on this processor and must not sleep or fault.
//!
//! The idea comes from the five rules of OSv's lazily populated stacks. The three ways into a
//! critical section are those rules:
//!
//! | way in | needs | rule |
//! |---|---|---|
//! | `enter(…, &mut MayFault)` | both certainly on | 4: probe the stack unconditionally |
//! | `enter_within(…, &Atomic)` | already inside one | 3: nothing to do |
//! | `enter_anywhere(…)` | unknown | 5: find out at run time |
//!
//! A function that may sleep says so in its signature, and a critical section refuses it:
//!
//! ```compile_fail,E0499
//! # use machine::{MayFault, SpinLock};
//! fn sleep(_: &mut MayFault) {}
//!
//! fn sleeps_with_a_lock(lock: &SpinLock<u32, 11>, may_fault: &mut MayFault) {
//!     let mut held = lock.lock(may_fault);
//!     sleep(may_fault); // `may_fault` is borrowed until `held` is dropped
//!     *held += 1;
//! }
//! ```
//!
//! Likewise with preemption off, or at a raised interrupt level:
//!
//! ```compile_fail,E0499
//! # use machine::{MayFault, preempt};
//! # fn sleep(_: &mut MayFault) {}
//! fn sleeps_without_preemption(may_fault: &mut MayFault) {
//!     let off = preempt::disable(may_fault);
//!     sleep(may_fault);
//!     drop(off);
//! }
//! ```
//!
//! ```compile_fail,E0499
//! # use machine::{MayFault, Pil, pil};
//! # fn sleep(_: &mut MayFault) {}
//! fn sleeps_at_a_raised_level(may_fault: &mut MayFault) {
//!     let raised = pil::raise(Pil::DISP, may_fault);
//!     sleep(may_fault);
//!     drop(raised);
//! }
//! ```
//!
//! Before and after, it may:
//!
//! ```
//! # use machine::{MayFault, SpinLock};
//! # fn sleep(_: &mut MayFault) {}
//! fn sleeps_without_the_lock(lock: &SpinLock<u32, 11>, may_fault: &mut MayFault) {
//!     sleep(may_fault);
//!     *lock.lock(may_fault) += 1;
//!     sleep(may_fault);
//! }
//! ```
//!
//! And what `Atomic` says is not carried out of the section, nor to another thread:
//!
//! ```compile_fail,E0505
//! # use machine::{Atomic, MayFault, preempt};
//! fn keeps_the_token(may_fault: &mut MayFault) {
//!     let off = preempt::disable(may_fault);
//!     let atomic: &Atomic = off.atomic();
//!     drop(off);
//!     machine::preempt::want(atomic);
//! }
//! ```
//!
//! ```compile_fail,E0277
//! # use machine::{Atomic, MayFault};
//! fn needs_send<T: Send>() {}
//! needs_send::<MayFault>();
//! ```
//!
//! ```compile_fail,E0277
//! # use machine::{Atomic, MayFault};
//! fn needs_send<T: Send>() {}
//! needs_send::<&Atomic>();
//! ```
//!
//! Rules 1 and 2 (always on a populated stack) need no capability. Both types are neither `Send`
//! nor `Sync`: they speak of the thread that holds them. A token can be forged by `unsafe` only;
//! the run-time checks of debug builds are there for that case.

use crate::backend;
use core::marker::PhantomData;

/// The right to fault and to sleep. See the module.
pub struct MayFault {
    not_send: PhantomData<*mut ()>,
}

impl MayFault {
    /// Makes the one token of a kernel entry.
    ///
    /// # Safety
    ///
    /// The caller has just entered the kernel on a thread's own stack, with interrupts on or about
    /// to be turned on, interrupt level 0, preemption on and no spin lock held, and no other token
    /// of this entry is alive.
    pub unsafe fn assume() -> MayFault {
        debug_assert!(backend::pil() == 0, "who may fault is at level 0");
        debug_assert!(backend::preempt_off() == 0, "who may fault has preemption on");
        MayFault { not_send: PhantomData }
    }
}

/// The knowledge that this code stays on its processor and must not sleep. See the module.
pub struct Atomic {
    not_send: PhantomData<*mut ()>,
}

impl Atomic {
    /// The token for code that is inside a critical section of a kind that has no guard: a trap
    /// that is still on its IST stack, a processor's start-up, the panic path.
    ///
    /// # Safety
    ///
    /// For the whole lifetime `'a` the caller is not preempted and does not move to another
    /// processor.
    pub const unsafe fn assume<'a>() -> &'a Atomic {
        &Atomic { not_send: PhantomData }
    }
}
