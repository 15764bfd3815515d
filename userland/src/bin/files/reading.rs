//! Reading and writing: files of the archive, devices, several buffers, places, errors.

use super::{done, same};
use abi::errno::Errno;
use abi::files::{
    IoVec, O_RDONLY, O_RDWR, O_WRONLY, S_IFCHR, S_IFMT, S_IFREG, SEEK_CUR, SEEK_END, SEEK_SET,
};
use abi::terminals::FIONREAD;
use core::ptr;
use userland::fail;
use userland::files::{
    close, open, part, pipe, random, read, read_at, seek, status, write, write_at, write_several,
};
use userland::report::{Checks, Why};
use userland::system::raw;

const MAGIC: [u8; 4] = *b"\x7fELF";

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-file-from-beginning-to-end"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let length = done("seek", seek(fd, 0, SEEK_END))?;
        let found = done("fstat", status(fd))?;
        same("fstat", (found.mode & S_IFMT, found.length), (S_IFREG, length as i64))?;
        same("behind the end", read(fd, &mut [0; 9]), Ok(0))?;
        done("seek", seek(fd, 0, SEEK_SET))?;
        let (mut total, mut sum) = (0, 0_u64);
        let mut bytes = [0; 10_000];
        loop {
            let count = done("read", read(fd, &mut bytes))?;
            if count == 0 {
                break;
            }
            if total == 0 {
                same("the beginning", &bytes[..4], &MAGIC[..])?;
            }
            if count < bytes.len() && (total + count) as u64 != length {
                fail!("{count} bytes at {total} of {length}");
            }
            total += count;
            sum = bytes[..count]
                .iter()
                .fold(sum, |sum, &byte| sum * 31 % 1_000_003 + u64::from(byte));
        }
        same("its length", total as u64, length)?;
        // The same through a mapping.
        same("its bytes", mapped_sum(fd, total)?, sum)?;
        done("close", close(fd))
    });
    checks.check(format_args!("places-in-a-file"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let mut bytes = [0; 4];
        same("a place", (read_at(fd, &mut bytes, 0), bytes), (Ok(4), MAGIC))?;
        same("the offset is where it was", seek(fd, 0, SEEK_CUR), Ok(0))?;
        same("forward", seek(fd, 1, SEEK_CUR), Ok(1))?;
        same("three bytes", (read(fd, &mut bytes[..3]), &bytes[..3]), (Ok(3), &b"ELF"[..]))?;
        same("back", seek(fd, -4, SEEK_CUR), Ok(0))?;
        same("too far back", seek(fd, -1, SEEK_CUR), Err(Errno::EINVAL))?;
        same("from nowhere", seek(fd, 0, 77), Err(Errno::EINVAL))?;
        same("too far", seek(fd, i64::MAX, SEEK_END), Err(Errno::EOVERFLOW))?;
        same("a negative place", read_at(fd, &mut bytes, -1), Err(Errno::EINVAL))?;
        same("far behind the end", read_at(fd, &mut bytes, i64::MAX), Ok(0))?;
        same("writing", write(fd, b"x"), Err(Errno::EBADF))?;
        same("writing at a place", write_at(fd, b"x", 0), Err(Errno::EBADF))?;
        // SAFETY: nothing is read.
        let nowhere = unsafe { raw::write(fd, 8 as *const u8, usize::MAX) };
        same("writing from nowhere", nowhere, Err(Errno::EBADF))?;
        let length = done("seek", seek(fd, -3, SEEK_END))? + 3;
        let mut left = 0_u32;
        // SAFETY: the call fills the number.
        let asked = unsafe { raw::ioctl(fd, FIONREAD, &raw mut left as u64) };
        same("what is left", (asked, left), (Ok(0), 3))?;
        same("the last bytes", read_at(fd, &mut [0; 9], length as i64 - 2), Ok(2))?;
        done("close", close(fd))
    });
    checks.check(format_args!("several-buffers"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let (mut first, mut second) = ([0; 1], [0; 3]);
        let parts = [
            IoVec { address: first.as_mut_ptr() as u64, length: 1 },
            IoVec { address: 0, length: 0 },
            IoVec { address: second.as_mut_ptr() as u64, length: 3 },
        ];
        // SAFETY: the call fills the two arrays.
        let found = unsafe { raw::readv(fd, parts.as_ptr(), 3) };
        same("read", (found, first[0], &second), (Ok(4), MAGIC[0], b"ELF"))?;
        let huge = [IoVec { address: 4096, length: i64::MAX as u64 }; 2];
        // SAFETY: nothing is there.
        let results = [
            unsafe { raw::readv(fd, parts.as_ptr(), -1) },
            // SAFETY: likewise.
            unsafe { raw::readv(fd, parts.as_ptr(), 1025) },
            // SAFETY: likewise.
            unsafe { raw::readv(fd, ptr::null(), 1) },
            // SAFETY: likewise.
            unsafe { raw::readv(fd, huge.as_ptr(), 2) },
            // SAFETY: likewise.
            unsafe { raw::readv(fd, ptr::null(), 0) },
        ];
        use Errno::{EFAULT, EINVAL};
        match results {
            [Err(EINVAL), Err(EINVAL), Err(EFAULT), Err(EINVAL | EFAULT), Ok(0)] => {}
            _ => fail!("{results:?}"),
        }
        done("close", close(fd))?;
        let [from, to] = done("pipe", pipe(0))?;
        let parts = [part(b"one "), part(b""), part(b"two "), part(b"three")];
        same("write", write_several(to, &parts), Ok(13))?;
        let mut bytes = [0; 20];
        same("together", (read(from, &mut bytes), &bytes[..13]), (Ok(13), &b"one two three"[..]))?;
        close_all(&[from, to])
    });
    checks.check(format_args!("an-error-after-some-bytes-is-no-error"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let mut bytes = [0; 4096];
        let parts = [
            IoVec { address: bytes.as_mut_ptr() as u64, length: 4096 },
            IoVec { address: 8, length: 10 },
        ];
        // SAFETY: the call fills the array; nothing is at 8.
        let found = unsafe { raw::readv(fd, parts.as_ptr(), 2) };
        same("the first page", (found, &bytes[..4]), (Ok(4096), &MAGIC[..]))?;
        same("the offset", seek(fd, 0, SEEK_CUR), Ok(4096))?;
        // SAFETY: nothing is at 8.
        same("nowhere", unsafe { raw::read(fd, 8 as *mut u8, 10) }, Err(Errno::EFAULT))?;
        same("the offset stays", seek(fd, 0, SEEK_CUR), Ok(4096))?;
        done("close", close(fd))
    });
    checks.check(format_args!("null-zero-full"), devices);
    checks.check(format_args!("random-bytes-differ"), || {
        let fd = done("open", open(c"/dev/urandom", O_RDONLY))?;
        let mut all = [[0_u8; 600]; 4];
        same("read", read(fd, &mut all[0]), Ok(600))?;
        same("read again", read(fd, &mut all[1]), Ok(600))?;
        same("getrandom", random(&mut all[2]), Ok(600))?;
        same("getrandom again", random(&mut all[3]), Ok(600))?;
        for (place, bytes) in all.iter().enumerate() {
            let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            if !(2100..2700).contains(&ones) || all[..place].contains(bytes) {
                fail!("{ones} bits of 4800 are set, or they are the same as before");
            }
        }
        // SAFETY: nothing is written.
        let found = unsafe { raw::getrandom(ptr::null_mut(), 8, 0x80) };
        same("a flag", found, Err(Errno::EINVAL))?;
        done("close", close(fd))
    });
    checks.check(format_args!("what-cannot-be-mapped"), || {
        let device = done("open", open(c"/dev/zero", O_RDWR))?;
        let [from, to] = done("pipe", pipe(0))?;
        for fd in [device, from, 0] {
            same("mmap", map(fd, 4096), Err(Errno::ENODEV))?;
        }
        same("no descriptor", map(77, 4096), Err(Errno::EBADF))?;
        close_all(&[device, from, to])
    });
    checks.check(format_args!("bad-descriptors"), || {
        for fd in [-1, 77, 255, 256, i32::MAX, i32::MIN] {
            // SAFETY: nothing is written.
            let asked = unsafe { raw::ioctl(fd, FIONREAD, 0) }.map(drop);
            let found = [
                read(fd, &mut []).map(drop),
                write(fd, &[]).map(drop),
                seek(fd, 0, SEEK_SET).map(drop),
                status(fd).map(drop),
                asked,
                close(fd),
            ];
            same("errors", found, [Err(Errno::EBADF); 6])?;
        }
        Ok(())
    });
}

fn close_all(fds: &[i32]) -> Result<(), Why> {
    fds.iter().try_for_each(|&fd| done("close", close(fd)))
}

fn map(fd: i32, length: usize) -> Result<u64, Errno> {
    const PROT_READ: i32 = 1;
    const MAP_PRIVATE: i32 = 2;
    // SAFETY: memory that is nobody's yet.
    unsafe { raw::mmap(0, length as u64, PROT_READ, MAP_PRIVATE, fd, 0) }
}

/// What the bytes of a file add up to, as they are mapped.
fn mapped_sum(fd: i32, length: usize) -> Result<u64, Why> {
    let address = done("mmap", map(fd, length))?;
    let start = ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: just mapped, as long; a file of the archive does not change.
    let bytes = unsafe { core::slice::from_raw_parts(start, length) };
    let sum = bytes.iter().fold(0, |sum: u64, &byte| sum * 31 % 1_000_003 + u64::from(byte));
    // SAFETY: nobody uses it any longer.
    done("munmap", unsafe { raw::munmap(address, length as u64) })?;
    Ok(sum)
}

fn devices() -> Result<(), Why> {
    let mut bytes = [7; 5000];
    let null = done("open", open(c"/dev/null", O_RDWR))?;
    same("null", (write(null, &bytes), read(null, &mut bytes)), (Ok(5000), Ok(0)))?;
    let zero = done("open", open(c"/dev/zero", O_RDWR))?;
    same("zero", (write(zero, &bytes), read(zero, &mut bytes)), (Ok(5000), Ok(5000)))?;
    same("zeros", bytes.iter().all(|&byte| byte == 0), true)?;
    let full = done("open", open(c"/dev/full", O_WRONLY))?;
    same("full", write(full, &bytes), Err(Errno::ENOSPC))?;
    same("nothing is always room for", write(full, &[]), Ok(0))?;
    let found = done("fstat", status(null))?;
    same("fstat", (found.mode & S_IFMT, found.special), (S_IFCHR, 0x103))?;
    close_all(&[null, zero, full])
}
