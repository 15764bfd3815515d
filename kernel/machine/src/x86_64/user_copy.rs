//! Copying from and to user memory.
//!
//! The one place where the kernel touches user pages. A fault at any byte ends the copy and is an
//! error value: the page-fault handler, once it has found no page to give, continues at the landing
//! of the copy routine instead of at the instruction that faulted (`recover`), and the routine says
//! that it failed. Addresses are
//! checked to be the user's before; the routine itself only ever sees a range that ends below
//! [`USER_END`] and does not wrap.

use super::features::Features;
use super::frame::TrapFrame;
use super::private::current_system;
use crate::MayFault;
use core::arch::naked_asm;

pub use crate::pmap::USER_END;

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
pub fn copy_in(to: &mut [u8], from: u64, _: &mut MayFault) -> Result<(), BadAddress> {
    check(from, to.len())?;
    let guarded = current_system().backend.features.contains(Features::SMAP);
    // SAFETY: `to` is ours to write; `from` is a range of user addresses, and a fault there is
    // survived.
    let whole = unsafe { copy(to.as_mut_ptr(), from as *const u8, to.len(), guarded) };
    if whole { Ok(()) } else { Err(BadAddress) }
}

/// Writes `from` to user memory at `to`. On an error part of it may have been written.
pub fn copy_out(to: u64, from: &[u8], _: &mut MayFault) -> Result<(), BadAddress> {
    check(to, from.len())?;
    let guarded = current_system().backend.features.contains(Features::SMAP);
    // SAFETY: `to` is a range of user addresses, so it overlaps nothing of the kernel's, and a
    // fault there is survived.
    let whole = unsafe { copy(to as *mut u8, from.as_ptr(), from.len(), guarded) };
    if whole { Ok(()) } else { Err(BadAddress) }
}

/// Copies `length` bytes, words first, then the bytes that are left; says whether no fault ended it.
/// `guarded`: SMAP is on and has to be lifted meanwhile.
#[unsafe(naked)]
unsafe extern "C" fn copy(to: *mut u8, from: *const u8, length: usize, guarded: bool) -> bool {
    naked_asm!(
        "mov r8d, ecx",
        "mov rcx, rdx",
        "shr rcx, 3",
        "and edx, 7",
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
        "mov eax, 1",
        "3:",
        "test r8b, r8b",
        "jz 4f",
        "clac",
        "4: ret",
        ".global user_copy_landing",
        "user_copy_landing:",
        "xor eax, eax",
        "jmp 3b",
    )
}

/// If the frame is that of a fault inside the copy routine: makes it continue at the landing.
pub(crate) fn recover(frame: &mut TrapFrame) -> bool {
    unsafe extern "C" {
        static user_copy_words: u8;
        static user_copy_bytes: u8;
        static user_copy_landing: u8;
    }
    let places = [&raw const user_copy_words as u64, &raw const user_copy_bytes as u64];
    let is_copy = places.contains(&frame.rip);
    if is_copy {
        frame.rip = &raw const user_copy_landing as u64;
    }
    is_copy
}
