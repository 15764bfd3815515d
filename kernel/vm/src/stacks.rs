//! Arrays of stacks: one entry of a map, however many stacks there are.
//!
//! ```text
//!   first          first + stride        first + 2 strides
//!     ├───────┬──────────┼───────┬──────────┼──  ...
//!     │ guard │ stack 0  │ guard │ stack 1  │
//!     └───────┴──────────┴───────┴──────────┴──  ...
//!              grows ◄──          grows ◄──
//! ```
//!
//! An array is anonymous memory in strides of the same length. Nothing of it costs memory but the pages that are
//! touched, and the page tables that lead to those: of a million stacks of which a thousand are in use, a thousand
//! are paid for.
//!
//! The lowest pages of each stride are its guard. They are not an entry of their own, and have no rights that could be
//! taken from them: that an address lies in a guard is computed, where a fault finds its entry. So
//!
//! 1. nobody reaches a guard, whatever rights the entry is given; who touches one is told which stack's it is;
//! 2. a part of an array is still one: where its strides begin is an address of the array, not of the entry, so it may be
//!    cut anywhere, also within a stack, and a child's copy has its guards where the parent has them;
//! 3. wiring passes guards by: there is nothing to be kept in memory;
//! 4. what is mapped in place of a part of an array has no guards.
//!
//! A stack is given back by [`Space::discard`](crate::Space::discard): its pages go, its addresses stay, and the entry
//! is not cut, so that a million stacks given back one by one are still one entry.
//!
//! Linux has an entry for each stack and another one for each guard, and so at most 32,765 threads with its default
//! limit on entries; Solaris and the BSDs likewise.

/// How an array is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackShape {
    /// From one stack to the next, in bytes; a multiple of a page.
    pub stride: u64,
    /// How much of that, at its low end, nobody can reach, in bytes; a multiple of a page, less than the stride.
    pub guard: u64,
}

/// The array that an entry is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stacks {
    /// How it is divided.
    pub shape: StackShape,
    /// Where its first stride begins, or began: that part may be gone.
    pub first: u64,
}

impl StackShape {
    /// Whether there can be such an array.
    pub fn is_good(&self) -> bool {
        let StackShape { stride, guard } = *self;
        let is_whole = |number: u64| number.is_multiple_of(crate::PAGE_SIZE);
        is_whole(stride) && is_whole(guard) && 0 < guard && guard < stride
    }
}

impl Stacks {
    /// The number of the stack in whose guard an address of the array lies, if it lies in one.
    #[inline]
    pub fn guard_at(&self, address: u64) -> Option<u64> {
        let from_first = address - self.first;
        let StackShape { stride, guard } = self.shape;
        (from_first % stride < guard).then(|| from_first / stride)
    }

    /// The first address behind the guard of this number.
    pub fn guard_end(&self, number: u64) -> u64 {
        self.first + number * self.shape.stride + self.shape.guard
    }
}
