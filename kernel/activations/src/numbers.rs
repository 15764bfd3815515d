//! What things are called. All of them are counted from 0 in each process.

/// Makes a number of something a type of its own.
macro_rules! number {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The one with this number.
            pub const fn new(number: u32) -> $name {
                $name(number)
            }

            /// Its number.
            pub const fn number(self) -> u32 {
                self.0
            }

            /// Its place in a table.
            pub(crate) const fn place(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number! {
    /// An LWP as the protocol knows it.
    Activation
}
number! {
    /// A virtual processor.
    VirtualProcessor
}
number! {
    /// An upcall stack.
    Stack
}
number! {
    /// A save slot: room for the registers of one thread.
    Slot
}

/// Which block of an activation: the first is number 1. BLOCKED and UNBLOCKED carry the same.
pub type BlockNumber = u32;
