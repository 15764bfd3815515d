//! Removing what workers have made in `/tmp`, whatever its name is.

use abi::errno::Errno;
use userland::system::raw;

/// Bytes in front of the name in an entry of a folder, and where its length lies.
const NAME: usize = 19;
const LENGTH: usize = 16;

/// Empties `/tmp`.
pub fn remove() -> Result<(), Errno> {
    // SAFETY: a path that ends with a null byte.
    unsafe { raw::chdir(c"/tmp".as_ptr().cast()) }?;
    let emptied = empty(8);
    // SAFETY: likewise.
    unsafe { raw::chdir(c"/".as_ptr().cast()) }?;
    emptied
}

/// Empties the working folder; what is in folders so deep is not looked at.
fn empty(depth: u32) -> Result<(), Errno> {
    let mut bytes = [0_u8; 1024];
    loop {
        // SAFETY: a path that ends with a null byte; the buffer is the call's to write.
        let length = unsafe {
            let fd = raw::open(c".".as_ptr().cast(), 0, 0)? as i32;
            let length = raw::getdents64(fd, bytes.as_mut_ptr().cast(), bytes.len());
            raw::close(fd)?;
            length?
        };
        let mut rest = &bytes[..length as usize];
        let mut found = false;
        while rest.len() > NAME {
            let whole = usize::from(u16::from_le_bytes([rest[LENGTH], rest[LENGTH + 1]]));
            let (entry, others) = rest.split_at(whole);
            rest = others;
            let name = &entry[NAME..];
            if !name.starts_with(b".\0") && !name.starts_with(b"..\0") {
                found = true;
                remove_one(name.as_ptr(), depth)?;
            }
        }
        if !found {
            return Ok(());
        }
    }
}

fn remove_one(name: *const u8, depth: u32) -> Result<(), Errno> {
    // SAFETY: names end with null bytes.
    unsafe {
        if raw::unlink(name).is_ok() || raw::rmdir(name).is_ok() {
            return Ok(());
        }
        if depth == 0 {
            return Err(Errno::ENOTEMPTY);
        }
        raw::chdir(name)?;
        let emptied = empty(depth - 1);
        raw::chdir(c"..".as_ptr().cast())?;
        emptied?;
        raw::rmdir(name).map(drop)
    }
}
