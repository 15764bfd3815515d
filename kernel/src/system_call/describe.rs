//! The call that describes a process's memory (`vm::describe`).
//!
//! A step of the description is made with the table of processes locked, so that the process stays, and written with
//! nothing locked: a piece of user memory may have to be brought in first.

use super::Result;
use crate::kernel::Kernel;
use crate::process::{self, Process};
use abi::calls::DescribeCursor;
use abi::errno::Errno;
use core::fmt::{self, Write};
use machine::MayFault;
use machine::x86_64::user_copy;
use vm::describe::print::{Format, STEP_MAX};
use vm::describe::{Changed, Description, Step};

const _: () = assert!(DescribeCursor::PIECE_MIN >= STEP_MAX);

/// Bytes of the structure.
const CURSOR: usize = size_of::<DescribeCursor>();

/// What a step writes.
struct Text {
    bytes: [u8; STEP_MAX],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes[self.length..].get_mut(..text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

pub fn describe(
    may_fault: &mut MayFault,
    process: u64,
    format: u32,
    cursor: *mut DescribeCursor,
    buffer: *mut u8,
    length: usize,
) -> Result {
    let format = match format {
        0 => Format::Text,
        1 => Format::Json,
        _ => return Err(Errno::EINVAL),
    };
    if length < DescribeCursor::PIECE_MIN {
        return Err(Errno::EINVAL);
    }
    user_copy::check(buffer as u64, length).map_err(|_| Errno::EFAULT)?;
    let mut bytes = [0; CURSOR];
    user_copy::copy_in(&mut bytes, cursor as u64, may_fault).map_err(|_| Errno::EFAULT)?;
    let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut all = [0; CURSOR / 8];
    all.iter_mut().zip(words).for_each(|(to, word)| *to = word);
    let mut description = Description::from_words(all).ok_or(Errno::EINVAL)?;

    let mut text = Text { bytes: [0; STEP_MAX], length: 0 };
    let mut written = 0;
    while !description.is_over() {
        // To count the pages of all objects may take its time.
        if process::current().is_killed() {
            return Err(Errno::EINTR);
        }
        let before = description;
        let step = step(process, &mut description, may_fault)?;
        text.length = 0;
        let fits = description.print(&step, format, &mut text).is_ok();
        debug_assert!(fits, "a step writes more than it may: {step:?}");
        if text.length > length - written {
            description = before;
            break;
        }
        let to = buffer as u64 + written as u64;
        user_copy::copy_out(to, &text.bytes[..text.length], may_fault)
            .map_err(|_| Errno::EFAULT)?;
        written += text.length;
    }
    for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(description.to_words()) {
        *place = word.to_le_bytes();
    }
    user_copy::copy_out(cursor as u64, &bytes, may_fault).map_err(|_| Errno::EFAULT)?;
    Ok(written as u64)
}

/// The next step of a description of a process, 0 for the current one.
fn step(
    process: u64,
    description: &mut Description,
    may_fault: &mut MayFault,
) -> core::result::Result<Step, Errno> {
    let mut next =
        |process: &Process, may_fault: &mut MayFault| description.next(process.space(), may_fault);
    let step = if process == 0 {
        next(process::current(), may_fault)
    } else {
        process::with(Kernel::current(), process, may_fault, next).ok_or(Errno::ESRCH)?
    };
    step.map_err(|Changed| Errno::EAGAIN)
}
