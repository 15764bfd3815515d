//! Describing memory: the call's errors, pieces, and changes.

use crate::maps::{PRIVATE, pages, put, unmap};
use abi::calls::DescribeCursor;
use abi::errno::Errno;
use core::str;
use userland::fail;
use userland::report::Checks;
use userland::system::{getpid, raw};

const TEXT: u32 = 0;
const JSON: u32 = 1;
const PIECE: usize = DescribeCursor::PIECE_MIN;

/// The call, with a cursor and buffer of the caller's.
fn describe(
    process: u64,
    format: u32,
    cursor: &mut DescribeCursor,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let (address, length) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: both are the call's to write.
    unsafe { raw::describe(process, format, cursor, address, length) }.map(|length| length as usize)
}

/// A whole description, gathered in pieces of a length. Returns its bytes, and how many pieces there were.
fn gather(
    process: u64,
    range: (u64, u64),
    piece: usize,
    all: &mut [u8],
) -> Result<(usize, usize), Errno> {
    let mut cursor = DescribeCursor::new(range.0, range.1);
    let (mut length, mut count) = (0, 0);
    loop {
        let rest = all.get_mut(length..length + piece).ok_or(Errno::ENOMEM)?;
        match describe(process, TEXT, &mut cursor, rest)? {
            0 => return Ok((length, count)),
            more => length += more,
        }
        count += 1;
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("describe-refuses-what-it-cannot-do"), || {
        let mut buffer = [1u8; PIECE];
        let good = DescribeCursor::new(0, u64::MAX);
        let with = |process, format, mut cursor: DescribeCursor, buffer: &mut [u8]| {
            describe(process, format, &mut cursor, buffer).err()
        };
        let garbage = DescribeCursor { progress: [99; 5], ..good };
        for (what, wanted, found) in [
            ("format", Errno::EINVAL, with(0, 2, good, &mut buffer)),
            ("length", Errno::EINVAL, with(0, TEXT, good, &mut buffer[1..])),
            ("cursor", Errno::EINVAL, with(0, TEXT, garbage, &mut buffer)),
            ("process", Errno::ESRCH, with(1 << 40, TEXT, good, &mut buffer)),
        ] {
            if found != Some(wanted) {
                fail!("{what}: {found:?} instead of {wanted:?}");
            }
        }
        for bad in [0u64, 0x1000, 1 << 63, u64::MAX - 4096] {
            let mut cursor = good;
            // SAFETY: nobody's memory is there.
            let to =
                unsafe { raw::describe(0, TEXT, &raw mut cursor, bad as *mut u8, PIECE) }.err();
            // SAFETY: likewise.
            let from = unsafe {
                raw::describe(0, TEXT, bad as *mut DescribeCursor, buffer.as_mut_ptr(), PIECE)
            };
            if (to, from.err()) != (Some(Errno::EFAULT), Some(Errno::EFAULT)) {
                fail!("{bad:#x}: {to:?}, {from:?}");
            }
        }
        Ok(())
    });
    checks.check(format_args!("pieces-of-a-description-fit-together"), || {
        const LENGTH: usize = 16 << 10;
        let memory = pages(64, PRIVATE)?;
        (0..64).for_each(|page| put(memory, page, 1));
        let range = (memory as u64, memory as u64 + 1);
        let mut all = [[1u8; LENGTH]; 2];
        core::hint::black_box(&mut all);
        let [one, other] = &mut all;
        let (Ok((length, once)), Ok((pieces, often))) =
            (gather(0, range, LENGTH / 2, one), gather(getpid(), range, PIECE, other))
        else {
            fail!("it was not described");
        };
        let text = str::from_utf8(&one[..length]).unwrap_or("");
        if one[..length] != other[..pieces] || text.matches("  place ").count() != 64 {
            fail!("{once} pieces of {length} bytes and {often} of {pieces} do not agree");
        }
        if once >= often {
            fail!("{once} and {often} pieces");
        }
        unmap(memory, 64)
    });
    checks.check(format_args!("a-change-ends-a-description"), || {
        let memory = pages(64, PRIVATE)?;
        (0..64).for_each(|page| put(memory, page, 1));
        let mut buffer = [1u8; PIECE];
        let mut cursor = DescribeCursor::new(memory as u64, memory as u64 + 1);
        core::hint::black_box(&mut buffer);
        let first = describe(0, JSON, &mut cursor, &mut buffer);
        let more = pages(1, PRIVATE)?;
        let second = describe(0, JSON, &mut cursor, &mut buffer);
        if first.is_err() || second != Err(Errno::EAGAIN) {
            fail!("{first:?}, then {second:?}");
        }
        unmap(more, 1)?;
        unmap(memory, 64)
    });
}
