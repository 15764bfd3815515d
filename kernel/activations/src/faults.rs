//! Page faults that raise no upcall.
//!
//! An upcall needs its stack, and the library's scheduler to decide what runs. A fault in one of them would raise an
//! upcall that faults in the same place, and so on. So a fault is only waited for (the virtual processor stalls) if the
//! stack pointer lies in an upcall stack, or the program counter in the text that the library has declared to be its
//! scheduler's.
//!
//! And if it is the same fault once more, that is of the same address, program counter and stack pointer: then its page
//! has gone again before the thread could run, and if it were told each time, that could go on for ever. What was told
//! is remembered by the stack pointer, which is the thread's own: a virtual processor may have several such threads
//! under way, and any LWP may run the thread by then.
//!
//! C. Limpach's change to NetBSD (2003) compared program counter and stack pointer, what was merged later the address.

use crate::protocol::{OutOfMemory, reserved};
use alloc::vec::Vec;
use core::ops::Range;

/// How many faults are remembered.
const REMEMBERED: usize = 64;

/// A page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What could not be accessed.
    pub address: u64,
    /// The instruction.
    pub program_counter: u64,
    /// The stack pointer.
    pub stack_pointer: u64,
}

/// What the protocol knows of the program's memory, and of its last faults.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Upcall stacks in order, neighbours joined.
    stacks: Vec<Range<u64>>,
    scheduler: Range<u64>,
    /// The last that was told, at a place that the stack pointer says.
    told: [Option<Fault>; REMEMBERED],
}

impl Faults {
    /// With room for so many stacks.
    pub(crate) fn new(stacks: u32, scheduler: Range<u64>) -> Result<Faults, OutOfMemory> {
        Ok(Faults { stacks: reserved(stacks)?, scheduler, told: [None; REMEMBERED] })
    }

    /// One more upcall stack, which may lie anywhere.
    pub(crate) fn add_stack(&mut self, stack: Range<u64>) {
        let place = self.stacks.partition_point(|other| other.end < stack.start);
        match self.stacks.get_mut(place) {
            Some(next) if next.start <= stack.end => {
                next.start = next.start.min(stack.start);
                next.end = next.end.max(stack.end);
                let end = next.end;
                // It may have closed the gap before the one behind.
                if let Some(behind) = self.stacks.get(place + 1).cloned()
                    && behind.start <= end
                {
                    self.stacks[place].end = end.max(behind.end);
                    self.stacks.remove(place + 1);
                }
            }
            _ => self.stacks.insert(place, stack),
        }
    }

    /// Whether an address lies in an upcall stack; the address behind the last belongs to an empty one.
    fn is_on_stack(&self, address: u64) -> bool {
        let place = self.stacks.partition_point(|stack| stack.end < address);
        self.stacks.get(place).is_some_and(|stack| stack.start <= address)
    }

    /// Whether the fault raises no upcall.
    pub(crate) fn is_silent(&mut self, fault: &Fault) -> bool {
        if cfg!(feature = "bug-sa-refault") {
            return false;
        }
        if self.is_on_stack(fault.stack_pointer) || self.scheduler.contains(&fault.program_counter)
        {
            return true;
        }
        let place = &mut self.told[place_of(fault)];
        let is_same = *place == Some(*fault);
        if is_same {
            // It is helped now; the next one of the same kind is another.
            *place = None;
        }
        is_same
    }

    /// The fault is told.
    pub(crate) fn note(&mut self, fault: &Fault) {
        self.told[place_of(fault)] = Some(*fault);
    }
}

fn place_of(fault: &Fault) -> usize {
    // Stacks of threads are multiples of a page apart; within one, frames are 16 bytes apart.
    let mixed =
        (fault.stack_pointer >> 4) ^ (fault.stack_pointer >> 12) ^ (fault.stack_pointer >> 18);
    mixed as usize % REMEMBERED
}
