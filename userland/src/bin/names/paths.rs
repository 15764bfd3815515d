//! Paths: where they lead, from where, and which cannot be gone; programs by their paths.

use super::calls::*;
use abi::errno::Errno;
use abi::files::{O_DIRECTORY, O_RDONLY};
use abi::folders::AT_FDCWD;
use core::ffi::CStr;
use userland::fail;
use userland::report::{Checks, Why};

/// The working folder is this one.
fn expect_here(expected: &[u8]) -> Result<(), Why> {
    let mut buffer = [0xff; 64];
    let length = done("getcwd", getcwd(&mut buffer, 64))? as usize;
    if buffer[..length].split_last() != Some((&0, expected)) {
        fail!("the working folder is {:x?}", &buffer[..length]);
    }
    Ok(())
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("paths-lead-where-they-say"), || {
        let paths = [
            c"/bin/hello",
            c"bin/hello",
            c"//bin///hello",
            c"/./bin/./hello",
            c"/bin/../bin/hello",
            c"../../bin/hello",
        ];
        let number = described(c"/bin/hello")?.number;
        for path in paths {
            if described(path)?.number != number {
                fail!("{path:?} leads elsewhere");
            }
        }
        expect(
            "paths that cannot be gone",
            [
                access(c"", 0),
                access(c"/nowhere", 0),
                access(c"/nowhere/hello", 0),
                access(c"/bin/hello/", 0),
                access(c"/bin/hello/..", 0),
                access(c"/bin/", 0),
            ],
            [
                Err(Errno::ENOENT),
                Err(Errno::ENOENT),
                Err(Errno::ENOENT),
                Err(Errno::ENOTDIR),
                Err(Errno::ENOTDIR),
                Ok(0),
            ],
        )
    });
    checks.check(format_args!("long-names-and-paths"), || {
        let mut bytes = [b'/'; 4097];
        bytes[..5].copy_from_slice(b"/tmp/");
        bytes[4090..4096].copy_from_slice(b"/tmp/\0");
        bytes[5..4090].fill(b'/');
        let fits = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
        let reached = access(fits, 0);
        bytes[4095] = b'/';
        bytes[4096] = 0;
        let too_long = access(CStr::from_bytes_until_nul(&bytes).unwrap_or_default(), 0);
        let mut name = [b'n'; 5 + 256 + 1];
        name[..5].copy_from_slice(b"/tmp/");
        name[5 + 256] = 0;
        let long = creat(CStr::from_bytes_until_nul(&name).unwrap_or_default(), 0o600);
        name[5 + 255] = 0;
        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
        make_file(name, b"")?;
        expect(
            "lengths",
            [reached, too_long, long, unlink(name)],
            [Err(Errno::ENOENT), Err(Errno::ENAMETOOLONG), Err(Errno::ENAMETOOLONG), Ok(0)],
        )
    });
    checks.check(format_args!("the-working-folder"), || {
        expect_here(b"/")?;
        done("mkdir", mkdir(c"/tmp/a", 0o755))?;
        done("chdir", chdir(c"tmp/a"))?;
        expect_here(b"/tmp/a")?;
        make_file(c"file", b"1")?;
        let wrong =
            [chdir(c"file"), chdir(c"nowhere"), chdir(c""), fchdir(99), getcwd(&mut [0; 8], 6)];
        done("chdir", chdir(c".."))?;
        expect_here(b"/tmp")?;
        let folder = opened(open(c"a", O_RDONLY | O_DIRECTORY, 0))?;
        let file = opened(open(c"a/file", O_RDONLY, 0))?;
        let by_file = fchdir(file);
        let child = child(|| {
            // A child begins where its parent is, and goes its own way.
            let here = expect_here(b"/tmp").is_ok();
            i32::from(!here || chdir(c"/bin") != Ok(0))
        })?;
        wait(child)?;
        expect_here(b"/tmp")?;
        done("fchdir", fchdir(folder))?;
        expect_here(b"/tmp/a")?;
        let removed = [unlink(c"/tmp/a/file"), rmdir(c"/tmp/a")];
        // A folder that has been removed is nowhere, and has no room.
        let gone =
            [getcwd(&mut [0; 64], 64), creat(c"new", 0o600), mkdir(c"new", 0o700), access(c".", 0)];
        expect(
            "errors",
            wrong,
            [
                Err(Errno::ENOTDIR),
                Err(Errno::ENOENT),
                Err(Errno::ENOENT),
                Err(Errno::EBADF),
                Err(Errno::ERANGE),
            ],
        )?;
        expect("removing", removed, [Ok(0); 2])?;
        expect(
            "a removed folder",
            gone,
            [Err(Errno::ENOENT), Err(Errno::ENOENT), Err(Errno::ENOENT), Ok(0)],
        )?;
        expect(
            "ends",
            [by_file, close(folder), close(file), chdir(c"/")],
            [Err(Errno::ENOTDIR), Ok(0), Ok(0), Ok(0)],
        )
    });
    checks.check(format_args!("paths-from-open-folders"), || {
        done("mkdir", mkdir(c"/tmp/b", 0o755))?;
        let folder = opened(open(c"/tmp/b", O_RDONLY, 0))?;
        let file = opened(open(c"/bin/hello", O_RDONLY, 0))?;
        let made = [
            mkdirat(folder, c"inner", 0o755),
            faccessat(AT_FDCWD, c"tmp/b/inner", 0),
            renameat(folder, c"inner", AT_FDCWD, c"tmp/moved"),
            faccessat(folder, c"/tmp/moved", 0),
            faccessat(folder, c"../moved", 0),
            renameat(AT_FDCWD, c"/tmp/moved", folder, c"back"),
            unlinkat(folder, c"back", 0x200),
            unlinkat(folder, c"back", 1),
            mkdirat(file, c"x", 0o755),
            mkdirat(99, c"x", 0o755),
            faccessat(99, c"/bin", 0),
            openat(folder, c"none", O_RDONLY, 0),
        ];
        expect(
            "calls",
            made,
            [
                Ok(0),
                Ok(0),
                Ok(0),
                Ok(0),
                Ok(0),
                Ok(0),
                Ok(0),
                Err(Errno::EINVAL),
                Err(Errno::ENOTDIR),
                Err(Errno::EBADF),
                Ok(0),
                Err(Errno::ENOENT),
            ],
        )?;
        expect("ends", [close(folder), close(file), rmdir(c"/tmp/b")], [Ok(0); 3])
    });
    checks.check(format_args!("programs-are-files"), || {
        let fd = opened(open(c"/bin/hello", O_RDONLY, 0))?;
        let mut head = [0; 4];
        let read = [read(fd, &mut head), lseek(fd, -4, 2), read(fd, &mut [0; 9]), close(fd)];
        if head != *b"\x7fELF" {
            fail!("it begins with {head:x?}");
        }
        let length = described(c"/bin/hello")?.length as u64;
        expect("reading", read, [Ok(4), Ok(length - 4), Ok(4), Ok(0)])?;
        make_file(c"/tmp/program", b"\x7fELF")?;
        let errors = [
            execve(c"/tmp/program"),
            execve(c"/tmp"),
            execve(c"/tmp/nowhere"),
            execve(c"nowhere"),
            execve(c"/dev/null"),
            execve(c"/bin/hello/x"),
        ];
        let expected = [
            Errno::EACCES,
            Errno::EACCES,
            Errno::ENOENT,
            Errno::ENOENT,
            Errno::EACCES,
            Errno::ENOTDIR,
        ];
        if errors != expected {
            fail!("execve: {errors:?}");
        }
        for path in [c"/bin/hello", c"hello", c"bin/../bin/hello"] {
            wait(child(|| execve(path) as i32)?)?;
        }
        done("unlink", unlink(c"/tmp/program")).map(drop)
    });
}
