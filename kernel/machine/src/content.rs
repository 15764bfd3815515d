//! What is in a frame: reading and writing it, and emptying a part of it. What concerns whole frames is faster, and in
//! [`crate::vector_unit`].
//!
//! Frames of user memory are reached here by their physical address, whether or not any address space
//! maps them.

use crate::pmap::PAGE;
use crate::{System, backend};

/// Fills a frame with zeros from a byte on.
///
/// # Safety
///
/// The address is that of a frame of memory, and the frame is the caller's: nothing of the kernel's lives there.
pub unsafe fn clear_from(frame: u64, byte: u64) {
    debug_assert!(byte <= PAGE, "a frame has no byte {byte}");
    // SAFETY: the caller's promise.
    unsafe { backend::pmap::clear_frame_from(System::current(), frame, byte) };
}

/// Copies bytes out of a frame, from a byte on.
///
/// # Safety
///
/// The address is that of a frame of memory. Whoever writes it meanwhile may be seen half way.
pub unsafe fn read(frame: u64, byte: u64, to: &mut [u8]) {
    debug_assert!(byte + to.len() as u64 <= PAGE, "a frame has no {} bytes at {byte}", to.len());
    // SAFETY: the caller's promise.
    unsafe { backend::pmap::read_frame(System::current(), frame + byte, to) };
}

/// Copies bytes into a frame, from a byte on.
///
/// # Safety
///
/// The address is that of a frame of memory, and the frame is the caller's: nothing of the kernel's lives there. Whoever
/// reads it meanwhile may see it half way.
pub unsafe fn write(frame: u64, byte: u64, from: &[u8]) {
    debug_assert!(
        byte + from.len() as u64 <= PAGE,
        "a frame has no {} bytes at {byte}",
        from.len()
    );
    // SAFETY: the caller's promise.
    unsafe { backend::pmap::write_frame(System::current(), frame + byte, from) };
}
