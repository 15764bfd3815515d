//! What kernel and library share: a block of frames, mapped into the process like a device, so that it never goes away.
//!
//! The kernel reaches it through its own mapping of all memory. Whatever the program writes there, and wherever it maps
//! the pages: nothing that the kernel reads there is more than a hint ([`activations::Returns`], the word that a BLOCKED
//! carries).

use abi::activations::{
    SaAreas, SaEvent, SaHeader, SaProcessor, SaSaved, SaSlot, SaTold, SaUpcall,
};
use abi::errno::Errno;
use activations::{Limits, Returns, Slot, Stack, VirtualProcessor};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use machine::System;
use machine::x86_64::paging;
use memory::{FrameNumber, Memory};
use vm::PAGE_SIZE;

/// The block.
pub struct Shared {
    first: FrameNumber,
    order: u8,
    system: &'static System,
    /// Where upcalls and slots begin in it.
    upcalls: u64,
    slots: u64,
}

fn whole_pages(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(PAGE_SIZE)
}

impl Shared {
    /// Zeros, enough for so much.
    pub fn new(limits: &Limits) -> Result<Shared, Errno> {
        let upcalls =
            PAGE_SIZE + whole_pages(limits.processors as usize * size_of::<SaProcessor>());
        let slots = upcalls + whole_pages(limits.stacks as usize * size_of::<SaUpcall>());
        let end = slots + whole_pages(limits.slots as usize * size_of::<SaSlot>());
        let order = (end / PAGE_SIZE).next_power_of_two().trailing_zeros() as u8;
        let first = Memory::current().frames.allocate_block(order).map_err(|_| Errno::ENOMEM)?;
        let system = System::current();
        let start = paging::physical::<u8>(system, first.address());
        // SAFETY: a fresh block of this size, which nobody else knows.
        unsafe { start.write_bytes(0, (PAGE_SIZE << order) as usize) };
        Ok(Shared { first, order, system, upcalls, slots })
    }

    /// Its first frame and how many pages it has, to be mapped.
    pub fn frames(&self) -> (FrameNumber, u64) {
        (self.first, 1 << self.order)
    }

    /// What is where, for the program that has it mapped at an address.
    pub fn areas(&self, address: u64) -> SaAreas {
        SaAreas {
            header: address,
            processors: address + PAGE_SIZE,
            upcalls: address + self.upcalls,
            slots: address + self.slots,
        }
    }

    /// What the library sees of the allocator: the first page, which it cannot write.
    pub fn header(&self) -> &SaHeader {
        let header = paging::physical(self.system, self.first.address());
        // SAFETY: the block begins with it, and it is nothing but atomics.
        unsafe { &*header }
    }

    /// A virtual processor's line.
    pub fn line(&self, processor: VirtualProcessor) -> &SaProcessor {
        let offset = PAGE_SIZE + u64::from(processor.number()) * size_of::<SaProcessor>() as u64;
        let line = paging::physical(self.system, self.first.address() + offset);
        // SAFETY: within the block, and nothing but atomics.
        unsafe { &*line }
    }

    /// The upcall of a stack.
    fn upcall<T>(&self, stack: Stack, offset: usize) -> *mut T {
        let offset = stack.number() as usize * size_of::<SaUpcall>() + offset;
        paging::physical(self.system, self.first.address() + self.upcalls + offset as u64)
    }

    /// Where the kernel writes about an upcall.
    pub fn told(&self, stack: Stack) -> *mut SaTold {
        self.upcall(stack, offset_of!(SaUpcall, told))
    }

    /// Where it writes an event, one of [`SA_EVENTS_MAX`](abi::activations::SA_EVENTS_MAX).
    pub fn event(&self, stack: Stack, number: usize) -> *mut SaEvent {
        self.upcall(stack, offset_of!(SaUpcall, events) + number * size_of::<SaEvent>())
    }

    /// A slot.
    fn slot<T>(&self, slot: Slot, offset: usize) -> *mut T {
        let offset = slot.number() as usize * size_of::<SaSlot>() + offset;
        paging::physical(self.system, self.first.address() + self.slots + offset as u64)
    }

    /// Where the number of its use is.
    pub fn used(&self, slot: Slot) -> *mut u32 {
        self.slot(slot, offset_of!(SaSlot, used))
    }

    /// Where registers go.
    pub fn saved(&self, slot: Slot) -> *mut SaSaved {
        self.slot(slot, offset_of!(SaSlot, saved))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        Memory::current().frames.free_block(self.first);
    }
}

const RETURNED: usize = offset_of!(SaUpcall, returned);
const CALLS: usize = offset_of!(SaUpcall, calls);
const _: () = {
    assert!(RETURNED == offset_of!(SaSlot, returned));
    assert!(CALLS == offset_of!(SaSlot, calls));
};

/// The words of a block, as the protocol wants them.
pub struct Words<'a>(pub &'a Shared);

impl Returns for Words<'_> {
    fn stack(&self, stack: Stack) -> u32 {
        // SAFETY: within the block, and an atomic.
        unsafe { AtomicU32::from_ptr(self.0.upcall(stack, RETURNED)) }.load(Ordering::Acquire)
    }

    fn slot(&self, slot: Slot) -> u32 {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0.slot(slot, RETURNED)) }.load(Ordering::Acquire)
    }

    fn mark_stack(&mut self, stack: Stack, calls: bool) {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0.upcall(stack, CALLS)) }
            .store(u32::from(calls), Ordering::Release);
        fence(Ordering::SeqCst);
    }

    fn mark_slot(&mut self, slot: Slot, calls: bool) {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0.slot(slot, CALLS)) }
            .store(u32::from(calls), Ordering::Release);
        fence(Ordering::SeqCst);
    }
}
