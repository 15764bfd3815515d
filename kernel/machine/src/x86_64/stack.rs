//! Kernel stacks: guard page, holes, and the reserve that fills them.
//!
//! A kernel stack is a range of virtual addresses with an unmapped guard page below it. Its pages
//! may be absent (*holes*) and are then filled on the first touch, by the page-fault entry, from a
//! reserve of frames that each processor keeps for this purpose alone: filling a hole needs no lock,
//! no allocation and no sleep, so it is possible wherever the fault itself is. The layer above refills
//! the reserve where allocation is possible ([`Reserve::refill`]).
//!
//! The page tables above a stack's pages exist from its reservation on, so a filled hole is one
//! store, seen by every processor.
//!
//! Who touches which page when, and that holes are never met inside a critical section, is the
//! subject of the lazy-stack rules ([`crate::capability`]).

use super::trap::Fatal;
use super::{frame, paging};
use crate::{Atomic, Cpu};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A page, the grain of everything here.
pub const PAGE: u64 = 4096;

/// A kernel stack: addresses `bottom..top`, the guard page below `bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Lowest address.
    pub bottom: u64,
    /// Address after the highest; a multiple of 16.
    pub top: u64,
}

impl Stack {
    /// Whether the address belongs to the stack.
    pub fn contains(&self, address: u64) -> bool {
        (self.bottom..self.top).contains(&address)
    }

    /// Whether the address belongs to the guard page.
    pub fn guard_contains(&self, address: u64) -> bool {
        (self.bottom.saturating_sub(PAGE)..self.bottom).contains(&address)
    }
}

/// Touches the next page of the stack, by a write, so that a hole there is met now and not inside
/// the critical section that the caller is about to enter.
#[inline]
pub(crate) fn probe() {
    // SAFETY: changes nothing: `or` with 0. The address is within the stack or its guard page,
    // whose fault is the report of an overflow.
    unsafe { core::arch::asm!("or byte ptr [rsp - 4096], 0") };
}

/// Most frames that a processor keeps for holes: a whole stack of 64 KiB, twice.
const RESERVE_MAX: usize = 32;

/// A processor's frames for holes. Only the processor itself touches it, interrupts off.
pub struct Reserve {
    frames: [AtomicU64; RESERVE_MAX],
    count: AtomicU32,
    /// How many holes have been filled on this processor.
    filled: AtomicU64,
}

impl Reserve {
    pub(crate) fn new() -> Reserve {
        Reserve {
            frames: [const { AtomicU64::new(0) }; RESERVE_MAX],
            count: AtomicU32::new(0),
            filled: AtomicU64::new(0),
        }
    }

    /// Tops the current processor's reserve up with zeroed frames (physical addresses) from
    /// `source`, until it is full or the source is empty.
    ///
    /// # Safety
    ///
    /// The frames are the source's to give away, for ever.
    pub unsafe fn refill(atomic: &Atomic, mut source: impl FnMut() -> Option<u64>) {
        let reserve = &Cpu::current(atomic).backend.reserve;
        while (reserve.count.load(Ordering::Relaxed) as usize) < RESERVE_MAX {
            let Some(frame) = source() else { return };
            crate::backend::without_interrupts(|_| {
                let count = reserve.count.load(Ordering::Relaxed);
                reserve.frames[count as usize].store(frame, Ordering::Relaxed);
                reserve.count.store(count + 1, Ordering::Relaxed);
            });
        }
    }

    /// How many frames it holds.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many holes have been filled from it.
    pub fn filled(&self) -> u64 {
        self.filled.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<u64> {
        let count = self.count.load(Ordering::Relaxed).checked_sub(1)?;
        self.count.store(count, Ordering::Relaxed);
        Some(self.frames[count as usize].load(Ordering::Relaxed))
    }
}

/// The running thread's kernel stack.
pub fn current(cpu: &Cpu) -> Stack {
    Stack { bottom: cpu.backend.kernel_stack_bottom.get(), top: cpu.backend.kernel_stack_top.get() }
}

/// Makes `stack` the running thread's kernel stack.
///
/// # Safety
///
/// The caller runs on it, or is about to and cannot be interrupted before.
pub unsafe fn set_current(cpu: &Cpu, stack: Stack) {
    cpu.backend.kernel_stack_bottom.set(stack.bottom);
    cpu.backend.kernel_stack_top.set(stack.top);
    cpu.backend.landing_below.set(0);
}

/// Fills the page of the current stack that `address` lies in, if it is a hole. On an entry stack,
/// interrupts off. Says whether the page is there now.
pub(crate) fn fill(cpu: &Cpu, address: u64) -> bool {
    if !current(cpu).contains(address) {
        return false;
    }
    if paging::is_present(cpu.system(), address) {
        return true;
    }
    let reserve = &cpu.backend.reserve;
    let Some(frame) = reserve.take() else { return false };
    // SAFETY: the address is in a stack's range, whose tables exist and whose page is absent; the
    // frame is the reserve's own and zeroed.
    unsafe { paging::fill_kernel_page(cpu.system(), address, frame) };
    reserve.filled.fetch_add(1, Ordering::Relaxed);
    true
}

/// How much of a stack is made certain to be there before a frame is moved onto it: the frame, and
/// what the first steps of the handler need before they can take a fault of their own.
const LANDING: u64 = frame::SIZE as u64 + PAGE;

/// [`make_landing`] for a frame of user mode, which lies at the very top: once for as long as the thread runs.
#[inline]
pub(crate) fn make_user_landing(cpu: &Cpu) -> bool {
    let top = cpu.backend.kernel_stack_top.get();
    if cpu.backend.landing_below.get() == top {
        return true;
    }
    let is_there = make_landing(cpu, top);
    if is_there {
        cpu.backend.landing_below.set(top);
    }
    is_there
}

/// Makes sure that the stack is there for a frame that is to lie below `address`.
pub(crate) fn make_landing(cpu: &Cpu, address: u64) -> bool {
    let mut page = (address - 1) & !(PAGE - 1);
    let last = (address - LANDING) & !(PAGE - 1);
    loop {
        if !fill(cpu, page) {
            return false;
        }
        if page <= last {
            return true;
        }
        page -= PAGE;
    }
}

/// Why [`make_landing`] failed.
pub(crate) fn why_no_landing(cpu: &Cpu, address: u64) -> Fatal {
    let stack = current(cpu);
    if !stack.contains(address - 1) {
        Fatal::NoLanding
    } else if address - stack.bottom < LANDING {
        Fatal::StackOverflow
    } else {
        Fatal::StackReserveEmpty
    }
}
