//! Interrupt levels, masked lazily.
//!
//! The interrupt level ([`Pil`], 0 to 15) is a byte of the processor's own data, not a register of
//! the interrupt controller: under TCG with several processors each write of the task priority
//! takes a global lock (11,106 ticks for raise and lower on 8 processors, against 494 on one), and
//! on hardware it is slow too. So raising the level is one store, and lowering it is one store and
//! one test.
//!
//! An interrupt that arrives while the byte masks it is *held back*: noted in `Pending`, and only
//! then is the controller told to hold that level and those below (`backend::hold`), so that at
//! most one per level is ever taken in vain. Lowering the level past a held-back interrupt *replays*
//! it: runs its handler as if it had arrived now.
//!
//! Handlers at or below [`Pil::LOCK`] run on the stack of the thread that was interrupted and may
//! switch to another context, an interrupt thread's, and be switched back to later. Until then the
//! thread is *pinned*: it goes on on the same processor. So the code here may keep hold of its
//! processor across such a handler, but nothing that it has read of what is pending.
//!
//! Level 1 is no device's. It says that kernel preemption is wanted ([`crate::preempt`]), so that
//! the one test on lowering covers that too.
//!
//! Invariants:
//! - a level is pending only while the byte masks it, or (level 1) while preemption is off, or for
//!   the few instructions between the store that unmasks it and the test that follows, or (up to
//!   `LOCK`) while the stack has no room for its handler;
//! - handlers run with the byte at their own level and with hardware interrupts off;
//! - nobody spins at [`Pil::SHOOT_DOWN`] or above, so a processor that spins always answers a TLB
//!   shoot-down.
//!
//! The model is Solaris' `spl` with the lazy masking that several x86 systems have used.

use crate::capability::{Atomic, MayFault};
use crate::cpu::{Cpu, Private};
use crate::tracing::emit;
use crate::{backend, preempt};
use ::trace::{EventId, Kind};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU16, AtomicU32};

/// An interrupt level, 0 to 15. Interrupts at or below the processor's level are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pil(u8);

impl Pil {
    /// Nothing is masked.
    pub const NONE: Pil = Pil(0);
    /// Kernel preemption wanted: a level without a device.
    pub const PREEMPT: Pil = Pil(1);
    /// Lowest level that a device can have.
    pub const DEVICE_MIN: Pil = Pil(3);
    /// Highest level whose interrupts run as threads and may block on a mutex.
    pub const LOCK: Pil = Pil(10);
    /// The clock's level, the same.
    pub const CLOCK: Pil = Pil(10);
    /// The dispatcher's level: at or above it nobody is preempted or moved.
    pub const DISP: Pil = Pil(11);
    /// Highest level at which anybody may spin.
    pub const SPIN_MAX: Pil = Pil(13);
    /// TLB shoot-down: answered even by those who spin.
    pub const SHOOT_DOWN: Pil = Pil(14);
    /// Everything that can be masked is.
    pub const MAX: Pil = Pil(15);

    /// The level with this number, 0 to 15.
    pub const fn new(level: u8) -> Pil {
        assert!(level <= 15);
        Pil(level)
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The current processor's level. Stays true if the caller moves: a thread takes its level
    /// along.
    #[inline]
    pub fn current() -> Pil {
        Pil(backend::pil())
    }
}

/// The interrupts that a processor holds back.
pub(crate) struct Pending {
    /// Bit `n` set: level `n` has something held back. Bit [`Pil::PREEMPT`]: preemption wanted.
    pub(crate) levels: Private<AtomicU32>,
    /// Per level, bit `n` set: line `n` of that level is held back.
    lines: [core::sync::atomic::AtomicU16; 16],
}

impl Pending {
    pub(crate) fn new() -> Pending {
        Pending { levels: Private::<AtomicU32>::new(0), lines: [const { AtomicU16::new(0) }; 16] }
    }

    /// Notes a line of a level. By the processor itself, hardware interrupts off.
    pub(crate) fn add(&self, level: Pil, line: u8) {
        let lines = &self.lines[usize::from(level.0)];
        lines.store(
            lines.load(core::sync::atomic::Ordering::Relaxed) | 1 << line,
            core::sync::atomic::Ordering::Relaxed,
        );
        self.levels.set(self.levels.get() | 1 << level.0);
    }

    /// The highest level that has something pending, or [`Pil::NONE`].
    fn highest(&self) -> Pil {
        let levels = self.levels.get() & !preempt::LEVEL_BIT;
        Pil(levels.checked_ilog2().unwrap_or(0) as u8)
    }

    /// Whether something is pending above `floor`.
    pub(crate) fn is_any_above(&self, floor: Pil) -> bool {
        self.highest() > floor
    }

    /// Takes the first line of the highest level above `floor` that has something pending.
    fn take_above(&self, floor: Pil) -> Option<(Pil, u8)> {
        if !self.is_any_above(floor) {
            return None;
        }
        let highest = self.highest();
        let lines = &self.lines[usize::from(highest.0)];
        let before = lines.load(core::sync::atomic::Ordering::Relaxed);
        let line = before.trailing_zeros() as u8;
        let left = before & !(1 << line);
        lines.store(left, core::sync::atomic::Ordering::Relaxed);
        if left == 0 {
            self.levels.set(self.levels.get() & !(1 << highest.0));
        }
        Some((highest, line))
    }
}

/// A raised interrupt level; dropping it restores the level from before.
///
/// Guards are dropped in the reverse order of their making. Lends out [`Atomic`].
#[must_use = "the level is restored when this is dropped"]
pub struct PilGuard<'a> {
    previous: Pil,
    section: PhantomData<(&'a mut MayFault, *mut ())>,
}

/// Raises the level, from code that may fault (rule 4). `level` is at least [`Pil::DISP`]: lower
/// levels belong to interrupt threads, with which one shares data under a mutex.
#[inline]
pub fn raise(level: Pil, may_fault: &mut MayFault) -> PilGuard<'_> {
    let _ = may_fault;
    debug_assert!(level >= Pil::DISP, "levels below DISP_LEVEL belong to interrupt threads");
    debug_assert!(Pil::current() == Pil::NONE, "who may fault is at level 0");
    backend::probe_stack();
    backend::set_pil(level.0);
    backend::compiler_barrier();
    PilGuard { previous: Pil::NONE, section: PhantomData }
}

/// Raises the level from within a critical section (rule 3).
#[inline]
pub fn raise_within(level: Pil, _: &Atomic) -> PilGuard<'_> {
    raise_anywhere(level)
}

/// Raises the level wherever the caller comes from (rule 5). Never lowers it.
#[inline]
pub fn raise_anywhere<'a>(level: Pil) -> PilGuard<'a> {
    debug_assert!(level >= Pil::DISP, "levels below DISP_LEVEL belong to interrupt threads");
    let previous = Pil::current();
    if level > previous {
        backend::set_pil(level.0);
        backend::compiler_barrier();
    }
    PilGuard { previous, section: PhantomData }
}

impl PilGuard<'_> {
    /// What holds while the level is raised: nobody preempts or moves the caller.
    #[inline]
    pub fn atomic(&self) -> &Atomic {
        // SAFETY: the level is at least `DISP` for as long as the guard lives, so the processor
        // takes no interrupt that could preempt or move this thread.
        unsafe { Atomic::assume() }
    }

    /// The level that comes back when the guard is dropped.
    pub fn previous(&self) -> Pil {
        self.previous
    }

    /// Restores the level but leaves a wanted preemption for later: for callers that are about to
    /// give up the processor anyway.
    pub fn restore_without_preemption(self) {
        let previous = self.previous;
        core::mem::forget(self);
        if lower(previous) {
            replay_unmasked(previous);
        }
    }

    /// Keeps the level raised and forgets the guard; [`PilGuard::adopt`] takes it up again. For
    /// context switches, where one thread raises and another restores.
    pub fn leave_raised(self) -> Pil {
        let previous = self.previous;
        core::mem::forget(self);
        previous
    }

    /// A guard for a level that is already raised.
    ///
    /// # Safety
    ///
    /// The current level is at least [`Pil::DISP`] and at least `previous`, no other guard will
    /// restore it, and it may be restored to `previous` when this guard is dropped.
    pub unsafe fn adopt<'a>(previous: Pil) -> PilGuard<'a> {
        debug_assert!(Pil::current() >= Pil::DISP);
        PilGuard { previous, section: PhantomData }
    }
}

impl Drop for PilGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if lower(self.previous) {
            replay_unmasked(self.previous);
            preempt::check();
        }
    }
}

/// Sets the level to `target`, which is not above the current one. Says whether anything at all is
/// pending, for which the caller then has to do something.
///
/// An interrupt between the store and the load runs at once, and looks at preemption when it
/// returns; one before the store is in the load.
#[inline]
fn lower(target: Pil) -> bool {
    debug_assert!(target <= Pil::current(), "guards of the interrupt level are dropped in order");
    backend::compiler_barrier();
    backend::set_pil(target.0);
    backend::pending_levels() != 0
}

/// Replays what the new level, `target`, does not mask. Of what is pending, the levels up to `target`
/// and the bit for preemption are not meant.
#[cold]
fn replay_unmasked(target: Pil) {
    if backend::pending_levels() & !preempt::LEVEL_BIT > (2 << target.0) - 1 {
        replay(target);
    }
}

/// Runs the handlers of everything held back above `target`, which is the current level.
#[cold]
pub(crate) fn replay(target: Pil) {
    backend::without_interrupts(|atomic| {
        let cpu = Cpu::current(atomic);
        // One at a time: while a handler had switched away, more may have been held back, or what
        // was may have been replayed.
        while let Some((level, line)) = cpu.pending.take_above(target) {
            // The controller may keep holding what is left, and no more. Before the handler runs,
            // as it may not be back for long.
            backend::hold(cpu, cpu.pending.highest());
            run(cpu, atomic, level, line, target);
        }
    });
}

/// Runs one handler with the byte at its level, then puts the byte to `after`. The handler may switch
/// away; when it is back, so is the processor.
fn run(cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8, after: Pil) {
    let what = u64::from(level.0) << 4 | u64::from(line);
    let begin = emit(Kind::InterruptBegin, what, EventId::NONE);
    cpu.pil.set(level.0);
    backend::deliver(cpu, atomic, level, line);
    cpu.pil.set(after.0);
    emit(Kind::InterruptEnd, what, begin);
}

/// An interrupt has arrived on the current processor; called by the backend, hardware interrupts
/// off. Runs its handler now, or holds it back if the level masks it.
///
/// Returns whether the handler ran.
pub(crate) fn arrive(cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) -> bool {
    let current = Pil(cpu.pil.get());
    if level > current {
        run(cpu, atomic, level, line, current);
        true
    } else {
        cpu.held_back.fetch_add(1, atomics::Ordering::Relaxed);
        emit(Kind::InterruptHeld, u64::from(level.0) << 4 | u64::from(line), EventId::NONE);
        cpu.pending.add(level, line);
        // Hold this level and those below, no more: a level between this one and the current must
        // still be noticed if the level is lowered only part of the way.
        backend::hold(cpu, cpu.pending.highest());
        false
    }
}
