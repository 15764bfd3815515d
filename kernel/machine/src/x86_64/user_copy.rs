//! Copying from and to user memory.
//!
//! The one place where the kernel touches user pages. A fault at any byte ends the copy and is an
//! error value: the page-fault handler, once it has found no page to give, continues at the landing
//! of the copy routine instead of at the instruction that faulted ([`recover`]). Addresses are
//! checked to be the user's before; the routine itself only ever sees a range that ends below
//! [`USER_END`] and does not wrap.

use super::features::Features;
use super::frame::TrapFrame;
use super::private::current_system;
use core::arch::naked_asm;

/// The end of user addresses: one page below the hole of non-canonical addresses, so that the
/// instruction after a `syscall` is always canonical.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// The range is not, or not wholly, the user's to read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

/// Whether a range is all of the user's half; says nothing of what is mapped there.
pub fn check(address: u64, length: usize) -> Result<(), BadAddress> {
    match address.checked_add(length as u64) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(BadAddress),
    }
}

/// Fills `to` from user memory at `from`. On an error part of it may have been written.
pub fn copy_in(to: &mut [u8], from: u64) -> Result<(), BadAddress> {
    check(from, to.len())?;
    let guarded = current_system().backend.features.contains(Features::SMAP);
    // SAFETY: `to` is ours to write; `from` is a range of user addresses, and a fault there is
    // survived.
    let left = unsafe { copy(to.as_mut_ptr(), from as *const u8, to.len(), guarded) };
    if left == 0 { Ok(()) } else { Err(BadAddress) }
}

/// Writes `from` to user memory at `to`. On an error part of it may have been written.
pub fn copy_out(to: u64, from: &[u8]) -> Result<(), BadAddress> {
    check(to, from.len())?;
    let guarded = current_system().backend.features.contains(Features::SMAP);
    // SAFETY: `to` is a range of user addresses, so it overlaps nothing of the kernel's, and a
    // fault there is survived.
    let left = unsafe { copy(to as *mut u8, from.as_ptr(), from.len(), guarded) };
    if left == 0 { Ok(()) } else { Err(BadAddress) }
}

/// Copies `length` bytes and says how many were left when a fault ended it: words first, then
/// bytes. `guarded`: SMAP is on and has to be lifted meanwhile.
#[unsafe(naked)]
unsafe extern "C" fn copy(to: *mut u8, from: *const u8, length: usize, guarded: bool) -> usize {
    naked_asm!(
        "mov r8d, ecx",
        "mov rcx, rdx",
        "and edx, 7",
        "shr rcx, 3",
        "test r8b, r8b",
        "jz 2f",
        "stac",
        "2:",
        ".global user_copy_words",
        "user_copy_words:",
        "rep movsq",
        "mov ecx, edx",
        ".global user_copy_bytes",
        "user_copy_bytes:",
        "rep movsb",
        "xor edx, edx",
        ".global user_copy_landing",
        "user_copy_landing:",
        // Words not copied, if it was in the first part, and the bytes after them.
        "lea rax, [rdx + rcx * 8]",
        "test r8b, r8b",
        "jz 3f",
        "clac",
        "3: ret",
    )
}

/// If the frame is that of a fault inside the copy routine: makes it continue at the routine's
/// landing, with the number of bytes left in the right registers.
pub(crate) fn recover(frame: &mut TrapFrame) -> bool {
    unsafe extern "C" {
        static user_copy_words: u8;
        static user_copy_bytes: u8;
        static user_copy_landing: u8;
    }
    let words = &raw const user_copy_words as u64;
    let bytes = &raw const user_copy_bytes as u64;
    let landing = &raw const user_copy_landing as u64;
    if frame.rip == bytes {
        // The count in `rcx` is in bytes here.
        frame.rdx = frame.rcx;
        frame.rcx = 0;
    } else if frame.rip != words {
        return false;
    }
    frame.rip = landing;
    true
}
