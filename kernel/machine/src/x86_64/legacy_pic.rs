//! The pair of 8259 controllers: moved out of the way of the exceptions and masked for good.
//!
//! They are remapped although every line is masked, because even a masked 8259 can deliver a
//! spurious interrupt, which must not look like an exception.

use pic8259::ChainedPics;

/// The first vector of the sixteen that the pair could still deliver.
const FIRST_VECTOR: u8 = 32;

/// Remaps and masks the pair. On the first processor, interrupts off.
pub fn silence() {
    // SAFETY: the vectors are kept for this purpose and lie behind the exceptions.
    let mut pair = unsafe { ChainedPics::new(FIRST_VECTOR, FIRST_VECTOR + 8) };
    // SAFETY: interrupts are off, so none is on its way.
    unsafe { pair.initialize() };
    // SAFETY: masks every line.
    unsafe { pair.disable() };
}
