//! Making, removing and renaming.

use super::calls::*;
use abi::errno::Errno;
use abi::files::{O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use abi::folders::O_NOFOLLOW;
use core::ffi::CStr;
use userland::fail;
use userland::report::Checks;
use userland::text::Text;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("opening"), || {
        make_file(c"/tmp/f", b"12345")?;
        done("mkdir", mkdir(c"/tmp/d", 0o755))?;
        let refused = [
            open(c"/tmp/f", O_RDWR | O_CREAT | O_EXCL, 0o600),
            open(c"/tmp/f", O_RDONLY | O_DIRECTORY, 0),
            open(c"/tmp/f/", O_RDONLY, 0),
            open(c"/tmp/d", O_WRONLY, 0),
            open(c"/tmp/d", O_RDONLY | O_CREAT, 0o600),
            open(c"/tmp/new/", O_RDWR | O_CREAT, 0o600),
            open(c"/tmp/none", O_RDWR, 0),
            open(c"/bin/new", O_RDWR | O_CREAT, 0o600),
            open(c"/bin/hello", O_RDWR, 0),
            open(c"/bin/hello", O_RDONLY | O_TRUNC, 0),
            open(c"/new", O_RDWR | O_CREAT, 0o600),
            open(c"/dev/new", O_RDWR | O_CREAT, 0o600),
        ];
        expect(
            "refused",
            refused,
            [
                Err(Errno::EEXIST),
                Err(Errno::ENOTDIR),
                Err(Errno::ENOTDIR),
                Err(Errno::EISDIR),
                Err(Errno::EISDIR),
                Err(Errno::EISDIR),
                Err(Errno::ENOENT),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
            ],
        )?;
        let fd = opened(open(c"/tmp/f", O_RDONLY | O_NOFOLLOW, 0))?;
        expect(
            "a file that is only read",
            [write(fd, b"x"), read(fd, &mut [0; 9]), ftruncate(fd, 1), close(fd)],
            [Err(Errno::EBADF), Ok(5), Err(Errno::EINVAL), Ok(0)],
        )?;
        let fd = opened(creat(c"/tmp/f", 0o600))?;
        expect(
            "a file that is only written",
            [read(fd, &mut [0; 9]), write(fd, b"xy"), close(fd)],
            [Err(Errno::EBADF), Ok(2), Ok(0)],
        )?;
        if described(c"/tmp/f")?.length != 2 {
            fail!("creat does not empty a file");
        }
        expect("ends", [unlink(c"/tmp/f"), rmdir(c"/tmp/d")], [Ok(0); 2])
    });
    checks.check(format_args!("making-and-removing"), || {
        make_file(c"/tmp/f", b"")?;
        let calls = [
            mkdir(c"/tmp/d/", 0o755),
            mkdir(c"/tmp/d", 0o755),
            mkdir(c"/tmp/f", 0o755),
            mkdir(c"/tmp/none/d", 0o755),
            mkdir(c"/tmp/f/d", 0o755),
            mkdir(c"/", 0o755),
            mkdir(c"/tmp/d/e", 0o755),
            rmdir(c"/tmp/d"),
            rmdir(c"/tmp/d/e/."),
            rmdir(c"/tmp/d/.."),
            rmdir(c"/"),
            rmdir(c"/tmp/f"),
            unlink(c"/tmp/d"),
            unlink(c"/tmp/f/"),
            unlink(c"/tmp/none"),
            rmdir(c"/tmp/none"),
            rmdir(c"/tmp"),
            unlink(c"/bin/hello"),
            unlink(c"/dev/null"),
            mkdir(c"/bin/d", 0o755),
            rmdir(c"/tmp/d/e"),
            rmdir(c"/tmp/d"),
            unlink(c"/tmp/f"),
        ];
        expect(
            "calls",
            calls,
            [
                Ok(0),
                Err(Errno::EEXIST),
                Err(Errno::EEXIST),
                Err(Errno::ENOENT),
                Err(Errno::ENOTDIR),
                Err(Errno::EEXIST),
                Ok(0),
                Err(Errno::ENOTEMPTY),
                Err(Errno::EINVAL),
                Err(Errno::ENOTEMPTY),
                Err(Errno::EBUSY),
                Err(Errno::ENOTDIR),
                Err(Errno::EISDIR),
                Err(Errno::ENOTDIR),
                Err(Errno::ENOENT),
                Err(Errno::ENOENT),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Ok(0),
                Ok(0),
                Ok(0),
            ],
        )
    });
    checks.check(format_args!("renaming"), || {
        make_file(c"/tmp/f", b"1")?;
        make_file(c"/tmp/g", b"22")?;
        let number = described(c"/tmp/f")?.number;
        let calls = [
            mkdir(c"/tmp/d", 0o755),
            mkdir(c"/tmp/d/e", 0o755),
            mkdir(c"/tmp/empty", 0o755),
            // Into itself; over what is not of its kind, or not empty; from and to what cannot be changed.
            rename(c"/tmp/d", c"/tmp/d/e/x"),
            rename(c"/tmp/d", c"/tmp/d/x"),
            rename(c"/tmp/f", c"/tmp/d"),
            rename(c"/tmp/d", c"/tmp/f"),
            rename(c"/tmp/empty", c"/tmp/d"),
            rename(c"/tmp/d/e", c"/tmp/d"),
            rename(c"/tmp/none", c"/tmp/x"),
            rename(c"/tmp/f", c"/tmp/x/"),
            rename(c"/tmp/f", c"/tmp/none/x"),
            rename(c"/tmp/f", c"/bin/f"),
            rename(c"/bin/hello", c"/bin/x"),
            rename(c"/tmp/.", c"/tmp/x"),
            rename(c"/tmp", c"/x"),
            // What is to be.
            rename(c"/tmp/f", c"/tmp/f"),
            rename(c"/tmp/f", c"/tmp/g"),
            rename(c"/tmp/d", c"/tmp/empty/"),
            rename(c"/tmp/g", c"/tmp/empty/e/f"),
        ];
        expect(
            "calls",
            calls,
            [
                Ok(0),
                Ok(0),
                Ok(0),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Err(Errno::EISDIR),
                Err(Errno::ENOTDIR),
                Err(Errno::ENOTEMPTY),
                Err(Errno::ENOTEMPTY),
                Err(Errno::ENOENT),
                Err(Errno::ENOTDIR),
                Err(Errno::ENOENT),
                Err(Errno::EXDEV),
                Err(Errno::EROFS),
                Err(Errno::EBUSY),
                Err(Errno::EROFS),
                Ok(0),
                Ok(0),
                Ok(0),
                Ok(0),
            ],
        )?;
        let moved = described(c"/tmp/empty/e/f")?;
        if (moved.number, moved.length) != (number, 1) {
            fail!("what was renamed has number {} and length {}", moved.number, moved.length);
        }
        let ends = [
            access(c"/tmp/f", 0),
            access(c"/tmp/g", 0),
            access(c"/tmp/d", 0),
            unlink(c"/tmp/empty/e/f"),
            rmdir(c"/tmp/empty/e"),
            rmdir(c"/tmp/empty"),
        ];
        let none = Err(Errno::ENOENT);
        expect("ends", ends, [none, none, none, Ok(0), Ok(0), Ok(0)])
    });
    checks.check(format_args!("there-are-only-so-many"), || {
        let mut made = 0;
        let refused = loop {
            match with_number(made, |path| mkdir(path, 0o755)) {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        for number in 0..made {
            done("rmdir", with_number(number, rmdir))?;
        }
        if refused != Errno::ENOSPC || made < 500 {
            fail!("{}, after {made} folders", refused.text());
        }
        Ok(())
    });
}

/// A call with a path that ends with a number.
pub fn with_number(number: u64, call: impl FnOnce(&CStr) -> Answer) -> Answer {
    let text = Text::<32>::new(format_args!("/tmp/n{number}\0"));
    call(CStr::from_bytes_until_nul(text.as_str().as_bytes()).unwrap_or_default())
}
