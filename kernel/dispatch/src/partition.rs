//! A partition: a set of processors that share a queue for threads that preempt the kernel, and the
//! threads that run on these processors and no others. All processors are in partition 0 until
//! somebody makes another ([`crate::processor_set`]).
//!
//! Solaris: `cpupart_t`.

use crate::Dispatch;
use crate::cpu::CpuDispatch;
use crate::dispatch_queue::DispatchQueue;
use atomics::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A set of processors. See the module.
pub struct Partition {
    number: u8,
    /// Whether it exists.
    pub(crate) in_use: AtomicBool,
    /// Threads of [`Priority::KERNEL_PREEMPT`](crate::Priority::KERNEL_PREEMPT) or more that are
    /// bound to no processor.
    pub(crate) queue: DispatchQueue,
    /// Its processors that are on line. Changed with `cpu_lock` held and all processors paused.
    pub(crate) online: AtomicU64,
    /// Of these, the ones that have halted or are about to: bit set before the last look at the
    /// work, cleared by who has work before it pokes.
    pub(crate) halted: AtomicU64,
    /// Threads that belong to it.
    pub(crate) threads: AtomicU32,
}

impl Partition {
    pub(crate) fn new(number: u8) -> Partition {
        Partition {
            number,
            in_use: AtomicBool::new(number == 0),
            queue: DispatchQueue::new(None),
            online: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            threads: AtomicU32::new(0),
        }
    }

    /// Its number.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Its processors that are on line, as a set of indexes.
    pub fn online(&self) -> u64 {
        self.online.load(Ordering::Relaxed)
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// A processor comes on line here. All processors are paused, or it has just been started.
    pub(crate) fn enter(&self, cpu: &CpuDispatch) {
        self.online.fetch_or(cpu.bit(), Ordering::AcqRel);
    }

    /// A processor is on line here no longer. All processors are paused.
    pub(crate) fn leave(&self, cpu: &CpuDispatch) {
        self.online.fetch_and(!cpu.bit(), Ordering::AcqRel);
    }

    /// Its processors that are on line.
    pub(crate) fn each_online(
        &self,
        dispatch: &'static Dispatch,
    ) -> impl Iterator<Item = &'static CpuDispatch> {
        Bits(self.online()).filter_map(|index| dispatch.cpu(index))
    }
}

/// The members of a set, from the lowest.
pub(crate) struct Bits(pub(crate) u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let lowest = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(lowest)
    }
}
