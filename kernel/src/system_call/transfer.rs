//! Bytes on their way between open files and user memory.
//!
//! They pass through a page of the kernel's, or through its stack if there are few: a file never touches user memory
//! itself. What is gathered for a pipe in one piece is at least `PIPE_BUF` bytes, so small writes stay whole even if
//! they come from several buffers.
//!
//! An error after some bytes have gone ends the call with their number.

use super::Result;
use crate::files::buffer::Page;
use crate::files::{How, OpenFile};
use crate::process;
use crate::user_structure::copy_in;
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use abi::files::{IOV_MAX, IoVec, O_APPEND, O_NONBLOCK, PIPE_BUF, TRANSFER_MAX};
use machine::MayFault;
use machine::x86_64::user_copy;

/// So few bytes pass through the stack.
const FEW: usize = 256;

/// One or several ranges of user memory, and how far one has come in them. Several are read when they are needed, one by
/// one: what the program changes meanwhile is checked as if it had been so from the beginning.
pub struct Ranges {
    /// What is left of the current one.
    current: IoVec,
    /// Where the next ones are described, and how many.
    next: u64,
    count: usize,
    /// Bytes of all of them.
    total: usize,
}

impl Ranges {
    /// One.
    pub fn one(address: u64, length: usize) -> core::result::Result<Ranges, Errno> {
        // A range that leaves the user's half is refused whole, as on Linux.
        user_copy::check(address, length).map_err(|_| Errno::EFAULT)?;
        let current = IoVec { address, length: length as u64 };
        Ok(Ranges { current, next: 0, count: 0, total: length.min(TRANSFER_MAX) })
    }

    /// As many as an array says.
    pub fn several(
        vector: *const IoVec,
        count: i32,
        may_fault: &mut MayFault,
    ) -> core::result::Result<Ranges, Errno> {
        let count = usize::try_from(count).ok().filter(|&count| count <= IOV_MAX);
        let count = count.ok_or(Errno::EINVAL)?;
        let mut total = 0_u64;
        for place in 0..count {
            let range = Ranges::described(vector as u64, place, may_fault)?;
            let length = i64::try_from(range.length).map_err(|_| Errno::EINVAL)?;
            total = total.checked_add(length as u64).ok_or(Errno::EINVAL)?;
            if i64::try_from(total).is_err() {
                return Err(Errno::EINVAL);
            }
            user_copy::check(range.address, length as usize).map_err(|_| Errno::EFAULT)?;
        }
        let total = (total as usize).min(TRANSFER_MAX);
        Ok(Ranges { current: IoVec::default(), next: vector as u64, count, total })
    }

    fn described(
        vector: u64,
        place: usize,
        may_fault: &mut MayFault,
    ) -> core::result::Result<IoVec, Errno> {
        let offset = (place * size_of::<IoVec>()) as u64;
        copy_in(vector.checked_add(offset).ok_or(Errno::EFAULT)?, may_fault)
    }

    /// Acts on the next so many bytes, range by range: with each one's address, and where its bytes are among all.
    fn each(
        &mut self,
        length: usize,
        may_fault: &mut MayFault,
        mut act: impl FnMut(
            u64,
            core::ops::Range<usize>,
            &mut MayFault,
        ) -> core::result::Result<(), user_copy::BadAddress>,
    ) -> core::result::Result<(), Errno> {
        let mut done = 0;
        while done < length {
            while self.current.length == 0 {
                // Fewer than there were: the program has changed them.
                self.count = self.count.checked_sub(1).ok_or(Errno::EFAULT)?;
                self.current = Ranges::described(self.next, 0, may_fault)?;
                self.next += size_of::<IoVec>() as u64;
            }
            let part = (length - done).min(self.current.length as usize);
            act(self.current.address, done..done + part, may_fault).map_err(|_| Errno::EFAULT)?;
            // The range has been reached, so its end is an address.
            self.current.address += part as u64;
            self.current.length -= part as u64;
            done += part;
        }
        Ok(())
    }

    /// Fills `to` from them.
    fn gather(
        &mut self,
        to: &mut [u8],
        may_fault: &mut MayFault,
    ) -> core::result::Result<(), Errno> {
        self.each(to.len(), may_fault, |address, part, may_fault| {
            user_copy::copy_in(&mut to[part], address, may_fault)
        })
    }

    /// Writes `from` to them.
    fn scatter(
        &mut self,
        from: &[u8],
        may_fault: &mut MayFault,
    ) -> core::result::Result<(), Errno> {
        self.each(from.len(), may_fault, |address, part, may_fault| {
            user_copy::copy_out(address, &from[part], may_fault)
        })
    }
}

/// Acts with a place for so many bytes, or for a page of them.
fn with_buffer(
    length: usize,
    may_fault: &mut MayFault,
    act: impl FnOnce(&mut [u8], &mut MayFault) -> Result,
) -> Result {
    if length <= FEW {
        return act(&mut [0; FEW][..length], may_fault);
    }
    let mut page = patiently(may_fault, |_| Page::new()).map_err(|_| Errno::ENOMEM)?;
    let length = length.min(page.bytes().len());
    act(&mut page.bytes_mut()[..length], may_fault)
}

fn how(file: &OpenFile, total: usize) -> How {
    let flags = file.flags();
    How { waits: flags & O_NONBLOCK == 0, appends: flags & O_APPEND != 0, whole: total <= PIPE_BUF }
}

/// Acts at a place of a file, with nobody else's reading or writing between the steps.
fn alone(
    file: &OpenFile,
    place: Option<u64>,
    may_fault: &mut MayFault,
    act: impl FnOnce(&mut u64, &mut MayFault) -> Result,
) -> Result {
    file.at(place, may_fault, |at, may_fault| {
        let kind = file.kind().file();
        kind.begin(may_fault)?;
        let result = act(at, may_fault);
        kind.end(may_fault);
        result
    })
}

/// Whether nobody waits for the rest any longer: there may be much of it.
fn is_over() -> bool {
    process::current().is_ending()
}

/// What a call comes to that has moved so many bytes when something went wrong.
fn after(done: usize, error: Errno) -> Result {
    if done > 0 { Ok(done as u64) } else { Err(error) }
}

/// Reads from an open file, at a place or at its offset. Where to is asked when it is clear that it may be read.
pub fn read(
    file: &OpenFile,
    place: Option<u64>,
    may_fault: &mut MayFault,
    to: impl FnOnce(&mut MayFault) -> core::result::Result<Ranges, Errno>,
) -> Result {
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    let mut to = to(may_fault)?;
    let mut how = how(file, to.total);
    let total = to.total;
    alone(file, place, may_fault, |at, may_fault| {
        with_buffer(total, may_fault, |buffer, may_fault| {
            let mut done = 0;
            while done < total && !(done > 0 && is_over()) {
                let wanted = buffer.len().min(total - done);
                let before = *at;
                let part = &mut buffer[..wanted];
                let count = match file.kind().file().read(at, part, how, may_fault) {
                    Ok(count) => count,
                    Err(error) => return after(done, error),
                };
                if let Err(error) = to.scatter(&part[..count], may_fault) {
                    *at = before;
                    return after(done, error);
                }
                done += count;
                if count < wanted {
                    break;
                }
                // What is there is enough.
                how.waits = false;
            }
            Ok(done as u64)
        })
    })
}

/// The same for writing.
pub fn write(
    file: &OpenFile,
    place: Option<u64>,
    may_fault: &mut MayFault,
    from: impl FnOnce(&mut MayFault) -> core::result::Result<Ranges, Errno>,
) -> Result {
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let mut from = from(may_fault)?;
    let how = how(file, from.total);
    let total = from.total;
    alone(file, place, may_fault, |at, may_fault| {
        with_buffer(total, may_fault, |buffer, may_fault| {
            let mut done = 0;
            while done < total && !(done > 0 && is_over()) {
                let length = buffer.len().min(total - done);
                let mut part = &mut buffer[..length];
                if let Err(error) = from.gather(part, may_fault) {
                    return after(done, error);
                }
                while !part.is_empty() {
                    match file.kind().file().write(at, part, how, may_fault) {
                        Ok(0) => return Ok(done as u64),
                        Ok(count) => {
                            done += count;
                            part = &mut part[count..];
                        }
                        Err(error) => return after(done, error),
                    }
                }
            }
            Ok(done as u64)
        })
    })
}
