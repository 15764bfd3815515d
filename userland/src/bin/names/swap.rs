//! Files that do not fit into memory: their pages go to swap space, and come back as they were.

use super::OWN_PAGES;
use super::calls::*;
use abi::calls::Counter;
use abi::errno::Errno;
use abi::files::{O_CREAT, O_RDWR, O_TRUNC};
use userland::report::Checks;
use userland::system::counter;
use userland::{fail, println};

const PAGE: usize = 4096;

/// What a page begins with.
fn word(page: u64) -> [u8; 8] {
    (page.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).to_le_bytes()
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("files-larger-than-free-memory"), || {
        let frames = counter(Counter::FreeFrames);
        let free_slots = counter(Counter::FreeSwapSlots);
        // Less than files may have together.
        let pages = (frames * 13 / 10).min(frames / 4 + free_slots * 3 / 4 - 256);
        let outs = counter(Counter::PageOuts);
        let fd = opened(open(c"/tmp/large", O_RDWR | O_CREAT, 0o600))?;
        let mut bytes = [7; PAGE];
        for page in 0..pages {
            bytes[..8].copy_from_slice(&word(page));
            match write(fd, &bytes) {
                Ok(count) if count == PAGE as u64 => {}
                other => fail!("page {page} of {pages}: {other:?}"),
            }
        }
        let written = counter(Counter::PageOuts) - outs;
        println!("{pages} pages of a file, {written} written to swap space");
        for page in 0..pages {
            if pread(fd, &mut bytes, (page * PAGE as u64) as i64) != Ok(PAGE as u64) {
                fail!("page {page} cannot be read");
            }
            if bytes[..8] != word(page) || bytes[PAGE - 1] != 7 {
                fail!("page {page} is not what it was");
            }
        }
        // Half of it goes, then all.
        let half = (pages / 2 * PAGE as u64) as i64;
        done("ftruncate", ftruncate(fd, half))?;
        if pread(fd, &mut bytes, half - PAGE as i64) != Ok(PAGE as u64)
            || bytes[..8] != word(pages / 2 - 1)
        {
            fail!("the last page of the shorter file is not what it was");
        }
        expect("ends", [unlink(c"/tmp/large"), close(fd)], [Ok(0); 2])?;
        let after = counter(Counter::FreeSwapSlots);
        if written == 0 || after + OWN_PAGES < free_slots {
            fail!("{written} pages written; slots free before {free_slots}, now {after}");
        }
        Ok(())
    });
    checks.check(format_args!("files-have-a-limit"), || {
        let fd = opened(open(c"/tmp/large", O_RDWR | O_CREAT, 0o600))?;
        let bytes = [1; PAGE];
        let refused = loop {
            match write(fd, &bytes) {
                Ok(count) if count == PAGE as u64 => {}
                other => break other,
            }
        };
        let again = opened(open(c"/tmp/large", O_RDWR | O_TRUNC, 0))?;
        expect(
            "at the limit",
            [refused, pwrite(again, b"x", 0), close(fd), close(again), unlink(c"/tmp/large")],
            [Err(Errno::ENOSPC), Ok(1), Ok(0), Ok(0), Ok(0)],
        )
    });
}
