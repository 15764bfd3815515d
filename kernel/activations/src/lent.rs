//! What is lent to the program: upcall stacks and save slots.
//!
//! Each has a number that says which use of it this is. The kernel raises it when it lends the thing; the program stores
//! the same number when it is done with it. So giving back takes no call, and an old store gives nothing back twice.
//!
//! When the kernel must hear of it (an UNBLOCKED is held back for a stack, or there is none left to lend) it sets a
//! mark beside that number. The program stores its number, and looks at the mark after that; the kernel sets the mark,
//! and looks at the number after that. One of the two sees the other; if it is the program, it calls.

use crate::numbers::{Activation, Slot, Stack};
use crate::protocol::{OutOfMemory, Protocol};
use crate::protocol::{State, reserved};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// The words that kernel and program share about what is lent. What the program stores there is its own to spoil.
pub trait Returns {
    /// The number of the use of a stack that the program is done with.
    fn stack(&self, stack: Stack) -> u32;

    /// The same of a slot.
    fn slot(&self, slot: Slot) -> u32;

    /// Whether the program is to call when it gives a stack back. What is read after this is newer than the mark: the
    /// implementation ends with a full fence.
    fn mark_stack(&mut self, stack: Stack, calls: bool);

    /// The same of a slot.
    fn mark_slot(&mut self, slot: Slot, calls: bool);
}

/// One thing that is lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Item {
    /// The number of its last use.
    uses: u32,
    is_out: bool,
    is_marked: bool,
}

/// Which use it is does not matter for what happens next, but whether the program has said the same number.
impl Hash for Item {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.is_out, self.is_marked).hash(hasher);
    }
}

/// Things of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lent {
    items: Vec<Item>,
    /// How many are here.
    here: u32,
    /// No item with a lower number is here.
    lowest: u32,
}

impl Lent {
    /// None, and room for so many.
    pub(crate) fn new(most: u32) -> Result<Lent, OutOfMemory> {
        Ok(Lent { items: reserved(most)?, here: 0, lowest: 0 })
    }

    /// One more. There is room.
    pub(crate) fn add(&mut self) -> Option<u32> {
        if self.items.len() == self.items.capacity() {
            return None;
        }
        let number = self.items.len() as u32;
        self.items.extend([Item::default()]);
        self.here += 1;
        Some(number)
    }

    pub(crate) fn count(&self) -> u32 {
        self.items.len() as u32
    }

    pub(crate) fn here(&self) -> u32 {
        self.here
    }

    /// Lends the one with the lowest number: so that few are in use, and those are warm.
    fn take(&mut self) -> Option<u32> {
        let from = self.lowest as usize;
        let place = from + self.items.get(from..)?.iter().position(|item| !item.is_out)?;
        let item = &mut self.items[place];
        item.uses = item.uses.wrapping_add(1);
        item.is_out = true;
        self.here -= 1;
        self.lowest = place as u32 + 1;
        Some(place as u32)
    }

    /// It is here again.
    fn put(&mut self, number: u32) {
        let item = &mut self.items[number as usize];
        debug_assert!(item.is_out);
        (item.is_out, item.is_marked) = (false, false);
        self.here += 1;
        self.lowest = self.lowest.min(number);
    }

    pub(crate) fn is_out(&self, number: u32) -> bool {
        self.items[number as usize].is_out
    }

    pub(crate) fn uses(&self, number: u32) -> u32 {
        self.items[number as usize].uses
    }

    fn is_back(&self, number: u32, said: u32) -> bool {
        let item = &self.items[number as usize];
        item.is_out && item.uses == said
    }
}

impl Protocol {
    /// Lends a stack. What the program has given back is looked for when there is none here.
    pub(crate) fn take_stack(&mut self, returns: &mut impl Returns) -> Option<Stack> {
        if self.stacks.here() == 0 {
            self.look_for_stacks(returns);
        }
        if self.stacks.here() == 0 {
            self.counts.no_stack += 1;
            self.mark_all_stacks(returns);
        }
        self.stacks.take().map(Stack::new)
    }

    /// Lends a slot, likewise. A few are kept for who takes back a thread that holds locks: all others may be out for
    /// events that cannot be heard before that thread goes on.
    pub(crate) fn take_slot(&mut self, returns: &mut impl Returns) -> Option<Slot> {
        self.take_slot_but(self.slots_kept(), returns)
    }

    /// Lends a slot, also one of those that are kept.
    pub(crate) fn take_kept_slot(&mut self, returns: &mut impl Returns) -> Option<Slot> {
        self.take_slot_but(0, returns)
    }

    fn take_slot_but(&mut self, kept: u32, returns: &mut impl Returns) -> Option<Slot> {
        if self.slots.here() <= kept {
            self.look_for_slots(returns);
        }
        if self.slots.here() <= kept {
            self.counts.no_slot += 1;
            self.mark_all_slots(returns);
        }
        if self.slots.here() <= kept {
            return None;
        }
        self.slots.take().map(Slot::new)
    }

    /// How many slots are not lent for events.
    pub(crate) fn slots_kept(&self) -> u32 {
        (self.processors.len() as u32).min(self.slots.count() / 8)
    }

    /// A stack that was taken comes back unused, or by a call.
    pub(crate) fn put_stack(&mut self, stack: Stack, returns: &mut impl Returns) {
        if core::mem::take(&mut self.stacks.items[stack.place()].is_marked) {
            returns.mark_stack(stack, false);
        }
        self.stacks.put(stack.number());
        if let Some(blocked) = self.blocked_on[stack.place()].take() {
            self.bring_up(blocked);
        }
    }

    /// A slot that was taken comes back unused.
    pub(crate) fn put_slot(&mut self, slot: Slot) {
        self.slots.put(slot.number());
    }

    /// Which use of a stack this is.
    pub fn stack_use(&self, stack: Stack) -> u32 {
        self.stacks.uses(stack.number())
    }

    /// Which use of a slot this is.
    pub fn slot_use(&self, slot: Slot) -> u32 {
        self.slots.uses(slot.number())
    }

    /// Whether a stack is lent to the program, and not given back as far as the kernel has looked.
    pub fn stack_is_out(&self, stack: Stack) -> bool {
        stack.number() < self.stacks.count() && self.stacks.is_out(stack.number())
    }

    /// Whether a slot is lent to the program, and what is in it not given back.
    pub fn slot_is_out(&self, slot: Slot) -> bool {
        slot.number() < self.slots.count() && self.slots.is_out(slot.number())
    }

    /// Takes back what the program has given back of the stacks.
    pub(crate) fn look_for_stacks(&mut self, returns: &mut impl Returns) {
        for number in 0..self.stacks.count() {
            self.look_for_stack(Stack::new(number), returns);
        }
    }

    /// Takes a stack back if the program has given it back. Says whether it is here.
    pub(crate) fn look_for_stack(&mut self, stack: Stack, returns: &mut impl Returns) -> bool {
        if self.stacks.is_back(stack.number(), returns.stack(stack)) {
            self.put_stack(stack, returns);
        }
        !self.stacks.is_out(stack.number())
    }

    pub(crate) fn look_for_slots(&mut self, returns: &mut impl Returns) {
        for number in 0..self.slots.count() {
            let slot = Slot::new(number);
            if self.slots.is_back(number, returns.slot(slot)) {
                if self.slots.items[slot.place()].is_marked {
                    returns.mark_slot(slot, false);
                }
                self.put_slot(slot);
            }
        }
    }

    /// The program is to call when this stack comes back; says whether it has come back meanwhile.
    pub(crate) fn mark_stack(&mut self, stack: Stack, returns: &mut impl Returns) -> bool {
        self.stacks.items[stack.place()].is_marked = true;
        returns.mark_stack(stack, true);
        self.look_for_stack(stack, returns)
    }

    fn mark_all_stacks(&mut self, returns: &mut impl Returns) {
        for number in 0..self.stacks.count() {
            if self.stacks.is_out(number) {
                self.mark_stack(Stack::new(number), returns);
            }
        }
    }

    fn mark_all_slots(&mut self, returns: &mut impl Returns) {
        for number in 0..self.slots.count() {
            if self.slots.is_out(number) {
                self.slots.items[number as usize].is_marked = true;
                returns.mark_slot(Slot::new(number), true);
            }
        }
        self.look_for_slots(returns);
    }

    /// The stack of its BLOCKED is back: if an UNBLOCKED was held back for that, it is no longer.
    fn bring_up(&mut self, activation: Activation) {
        let record = &mut self.records[activation.place()];
        record.stack = None;
        if record.state == State::Held {
            record.state = State::Queued;
            self.events.push_last(activation, &mut self.records);
        }
    }
}
