//! Room for what a program reads and does not know the length of: a range of memory that comes when it is touched.

use crate::system::raw;
use abi::errno::Errno;

/// Room for so many bytes, all zero, until the program ends.
pub fn room(bytes: usize) -> Result<&'static mut [u8], Errno> {
    const READ_WRITE: i32 = 3;
    const PRIVATE_ANONYMOUS: i32 = 0x22;
    // SAFETY: the range is new; nothing of the program's is changed.
    let address = unsafe { raw::mmap(0, bytes as u64, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) }?;
    // SAFETY: the range has just been mapped for this alone, and is never unmapped; memory that comes is zero.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, bytes) })
}
