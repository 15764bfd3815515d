//! What is in a folder.

use crate::{files, paths, system::raw};
use abi::errno::Errno;
use abi::files::{O_DIRECTORY, O_RDONLY};
use abi::folders::{DT_DIR, Dirent};

/// Something in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Whether it is a folder itself.
    pub is_folder: bool,
}

/// Names everything in a folder (an empty path: the working folder), in no order, without `.` and `..`.
pub fn each(path: &[u8], mut act: impl FnMut(Entry<'_>)) -> Result<(), Errno> {
    let folder = paths::open(if path.is_empty() { b"." } else { path }, O_RDONLY | O_DIRECTORY)?;
    let mut buffer = [0; 2048];
    let result = loop {
        // SAFETY: the call fills the buffer.
        let length = match unsafe { raw::getdents64(folder, buffer.as_mut_ptr(), buffer.len()) } {
            Ok(0) => break Ok(()),
            Ok(length) => length as usize,
            Err(error) => break Err(error),
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((entry, behind)) = first(rest) {
            if entry.name != b"." && entry.name != b".." {
                act(entry);
            }
            rest = behind;
        }
    };
    let closed = files::close(folder);
    result.and(closed)
}

/// The first entry of a buffer, and what follows it.
fn first(buffer: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let length = u16::from_le_bytes(buffer.get(16..18)?.try_into().ok()?);
    let kind = *buffer.get(18)?;
    let name = buffer.get(Dirent::NAME..usize::from(length))?;
    let name = name.split(|&byte| byte == 0).next()?;
    Some((Entry { name, is_folder: kind == DT_DIR }, buffer.get(usize::from(length)..)?))
}
