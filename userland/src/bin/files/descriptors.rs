//! Descriptors: which number comes next, what is shared, what `execve` closes.

use super::{begin, done, end, same};
use abi::errno::Errno;
use abi::files::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_APPEND, O_CLOEXEC,
    O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, OPEN_MAX, SEEK_CUR,
};
use core::ptr;
use userland::fail;
use userland::files::{close, dup, dup2, dup3, fcntl, open, pipe, read, read_at, seek, write};
use userland::report::Checks;
use userland::system::raw;

/// Descriptors that the program in a child finds.
const KEPT: i32 = 20;
const CLOSED: [i32; 3] = [21, 22, 23];

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-program-begins-with-three"), || {
        same("a fourth", close(3), Err(Errno::EBADF))?;
        for fd in 0..3 {
            same("flags", fcntl(fd, F_GETFL, 0), Ok(O_RDWR as u64))?;
        }
        Ok(())
    });
    checks.check(format_args!("the-lowest-number-is-given"), || {
        let first = open(c"/dev/null", O_RDONLY);
        let second = open(c"/dev/null", O_RDONLY);
        same("two files", (first, second), (Ok(3), Ok(4)))?;
        done("close", close(3))?;
        same("again", close(3), Err(Errno::EBADF))?;
        same("in its place", dup(4), Ok(3))?;
        same("above", fcntl(4, F_DUPFD, 7), Ok(7))?;
        same("below", fcntl(4, F_DUPFD, 0), Ok(5))?;
        [3, 4, 5, 7].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("dup2-and-dup3"), || {
        let fd = done("open", open(c"/dev/zero", O_RDONLY))?;
        same("to itself", dup2(fd, fd), Ok(fd))?;
        same("a bad one to itself", dup2(77, 77), Err(Errno::EBADF))?;
        same("a bad one", dup2(77, fd), Err(Errno::EBADF))?;
        same("to a bad one", dup2(fd, OPEN_MAX as i32), Err(Errno::EBADF))?;
        same("to a negative one", dup2(fd, -1), Err(Errno::EBADF))?;
        same("dup3 to itself", dup3(fd, fd, 0), Err(Errno::EINVAL))?;
        same("dup3 with a flag", dup3(fd, 9, O_NONBLOCK), Err(Errno::EINVAL))?;
        same("dup3", dup3(fd, 9, O_CLOEXEC), Ok(9))?;
        same("its flag", fcntl(9, F_GETFD, 0), Ok(FD_CLOEXEC))?;
        // What was there is closed: the pipe has no writer any more.
        let [from, to] = done("pipe", pipe(0))?;
        same("over another", dup2(fd, to), Ok(to))?;
        same("the pipe is over", read(from, &mut [0; 4]), Ok(0))?;
        same("the flag is not copied", fcntl(to, F_GETFD, 0), Ok(0))?;
        [fd, 9, from, to].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("flags-of-descriptors-and-files"), || {
        let fd = done("open", open(c"/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC))?;
        let other = done("dup", dup(fd))?;
        same("closing", (fcntl(fd, F_GETFD, 0), fcntl(other, F_GETFD, 0)), (Ok(1), Ok(0)))?;
        same("set", fcntl(other, F_SETFD, FD_CLOEXEC), Ok(0))?;
        same("unset", fcntl(fd, F_SETFD, 0), Ok(0))?;
        same("closing", (fcntl(fd, F_GETFD, 0), fcntl(other, F_GETFD, 0)), (Ok(0), Ok(1)))?;
        same("both are one file", fcntl(fd, F_SETFL, O_NONBLOCK as u64), Ok(0))?;
        let flags = (O_WRONLY | O_NONBLOCK) as u64;
        same("whose flags are shared", fcntl(other, F_GETFL, 0), Ok(flags))?;
        let third = done("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 0))? as i32;
        same("its flag", fcntl(third, F_GETFD, 0), Ok(FD_CLOEXEC))?;
        same("reading", read(fd, &mut [0; 1]), Err(Errno::EBADF))?;
        same("a command", fcntl(fd, 999, 0), Err(Errno::EINVAL))?;
        same("a bad descriptor", fcntl(77, 999, 0), Err(Errno::EBADF))?;
        same("too high", fcntl(fd, F_DUPFD, OPEN_MAX as u64), Err(Errno::EINVAL))?;
        same("negative", fcntl(fd, F_DUPFD, -1_i64 as u64), Err(Errno::EINVAL))?;
        [fd, other, third].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("open-refuses"), || {
        let found = [
            open(c"/dev/nothing", O_RDONLY),
            open(c"/bin/not-there", O_RDONLY),
            open(c"/bin/files", O_RDONLY | O_CREAT | O_EXCL),
            open(c"/bin/files", O_RDONLY | O_DIRECTORY),
        ];
        use Errno::{EEXIST, ENOENT, ENOTDIR};
        same("errors", found, [Err(ENOENT), Err(ENOENT), Err(EEXIST), Err(ENOTDIR)])?;
        match open(c"/bin/files", O_WRONLY) {
            Err(Errno::EACCES | Errno::EROFS) => Ok(()),
            found => fail!("to write to a program: {found:?}"),
        }
    });
    checks.check(format_args!("as-many-as-there-may-be"), || {
        let mut count = 3;
        let error = loop {
            match dup(0) {
                Ok(fd) if fd == count => count += 1,
                Ok(fd) => fail!("expected {count}, found {fd}"),
                Err(error) => break error,
            }
        };
        same("the end", (count, error), (OPEN_MAX as i32, Errno::EMFILE))?;
        same("a file", open(c"/dev/null", O_RDONLY), Err(Errno::EMFILE))?;
        same("a pipe", pipe(0), Err(Errno::EMFILE))?;
        same("F_DUPFD", fcntl(0, F_DUPFD, 5), Err(Errno::EMFILE))?;
        done("close", close(100))?;
        same("a pipe, but for one", pipe(0), Err(Errno::EMFILE))?;
        same("the one", dup(1), Ok(100))?;
        (3..count).try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("a-child-shares-the-offset"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let other = done("dup", dup(fd))?;
        let alone = done("open", open(c"/bin/files", O_RDONLY))?;
        done("read", read(fd, &mut [0; 100]))?;
        let child = begin(|| {
            let begun = seek(fd, 0, SEEK_CUR) == Ok(100);
            let read = read(other, &mut [0; 50]);
            i32::from(!begun || read != Ok(50) || close(fd).is_err())
        })?;
        end(child)?;
        let found = [fd, other, alone].map(|fd| seek(fd, 0, SEEK_CUR));
        same("offsets", found, [Ok(150), Ok(150), Ok(0)])?;
        [fd, other, alone].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("those-who-share-an-offset-get-different-bytes"), || {
        let fd = done("open", open(c"/bin/files", O_RDONLY))?;
        let [from, to] = done("pipe", pipe(0))?;
        let mut children = [0; 3];
        for child in &mut children {
            *child = begin(|| {
                let mut bytes = [0; 61];
                let (mut count, mut sum) = (0, 0);
                while let Ok(length @ 1..) = read(fd, &mut bytes) {
                    count += length as u64;
                    sum += bytes[..length].iter().map(|&byte| u64::from(byte)).sum::<u64>();
                }
                let mut found = [0; 16];
                found[..8].copy_from_slice(&count.to_le_bytes());
                found[8..].copy_from_slice(&sum.to_le_bytes());
                i32::from(write(to, &found) != Ok(16))
            })?;
        }
        let (mut count, mut sum) = (0, 0);
        for _ in 0..children.len() {
            let mut found = [[0; 8]; 2];
            same("a child's sums", read(from, found.as_flattened_mut()), Ok(16))?;
            count += u64::from_le_bytes(found[0]);
            sum += u64::from_le_bytes(found[1]);
        }
        children.into_iter().try_for_each(end)?;
        let (mut length, mut expected) = (0, 0);
        let mut bytes = [0; 4096];
        while let Ok(part @ 1..) = read_at(fd, &mut bytes, length) {
            length += part as i64;
            expected += bytes[..part].iter().map(|&byte| u64::from(byte)).sum::<u64>();
        }
        same("all bytes, each once", (count as i64, sum), (length, expected))?;
        [fd, from, to].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("execve-closes-what-is-marked"), || {
        let [from, to] = done("pipe", pipe(O_CLOEXEC))?;
        let child = begin(|| {
            let made = dup2(to, KEPT) == Ok(KEPT)
                && dup3(to, CLOSED[0], O_CLOEXEC) == Ok(CLOSED[0])
                && fcntl(to, F_DUPFD_CLOEXEC, CLOSED[1] as u64) == Ok(CLOSED[1] as u64)
                && dup2(to, CLOSED[2]) == Ok(CLOSED[2])
                && fcntl(CLOSED[2], F_SETFD, FD_CLOEXEC) == Ok(0);
            if !made {
                return 1;
            }
            let path = c"/bin/files".as_ptr().cast();
            let words = [path, c"child".as_ptr().cast(), ptr::null()];
            // SAFETY: the program is replaced, or all is as before.
            let failed = unsafe { raw::execve(path, words.as_ptr(), ptr::null()) };
            2 + i32::from(failed.is_ok())
        })?;
        end(child)?;
        done("close", close(to))?;
        let mut bytes = [0; 8];
        // The child has ended, so nobody else has the pipe.
        same("what it says", (read(from, &mut bytes), &bytes[..4]), (Ok(4), &b"kept"[..]))?;
        same("the pipe is over", read(from, &mut bytes), Ok(0))?;
        done("close", close(from))
    });
}

/// What the new program finds.
pub fn after_execve() -> i32 {
    if CLOSED.iter().any(|&fd| fcntl(fd, F_GETFD, 0) != Err(Errno::EBADF)) {
        return 10;
    }
    let written = write(KEPT, b"kept");
    i32::from(written != Ok(4))
}
