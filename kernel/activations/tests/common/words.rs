//! What kernel and library share in the small process: the words by which stacks and slots come back.

use activations::{Returns, Slot, Stack};
use std::collections::BTreeMap;

/// The words that kernel and library share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub(super) stacks: BTreeMap<u32, (u32, bool)>,
    pub(super) slots: BTreeMap<u32, (u32, bool)>,
}

impl Words {
    /// The program is done with this use of a stack.
    pub fn give_stack(&mut self, stack: Stack, used: u32) {
        self.stacks.entry(stack.number()).or_default().0 = used;
    }
}

impl Returns for Words {
    fn stack(&self, stack: Stack) -> u32 {
        self.stacks.get(&stack.number()).map_or(0, |word| word.0)
    }

    fn slot(&self, slot: Slot) -> u32 {
        self.slots.get(&slot.number()).map_or(0, |word| word.0)
    }

    fn mark_stack(&mut self, stack: Stack, calls: bool) {
        self.stacks.entry(stack.number()).or_default().1 = calls;
    }

    fn mark_slot(&mut self, slot: Slot, calls: bool) {
        self.slots.entry(slot.number()).or_default().1 = calls;
    }
}
