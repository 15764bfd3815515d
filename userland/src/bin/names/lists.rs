//! What is in folders, also while names come and go.

use super::calls::*;
use super::tree::with_number;
use abi::errno::Errno;
use abi::files::O_RDONLY;
use abi::folders::{DT_CHR, DT_DIR, DT_REG, Dirent};
use userland::fail;
use userland::report::{Checks, Why};

/// Names in the folder that changes.
const NAMES: u64 = 100;

/// Acts on each entry of an open folder from where it is: with name, kind and the place behind it.
fn each(fd: i32, mut act: impl FnMut(&[u8], u8, i64) -> Result<(), Why>) -> Result<u64, Why> {
    let mut buffer = [0; 300];
    let mut calls = 0;
    loop {
        let length = done("getdents64", getdents(fd, &mut buffer))? as usize;
        if length == 0 {
            return Ok(calls);
        }
        calls += 1;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let size = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let mut next = [0; 8];
            next.copy_from_slice(&rest[8..16]);
            let name = rest[Dirent::NAME..size].split(|byte| *byte == 0).next().unwrap_or_default();
            act(name, rest[18], i64::from_le_bytes(next))?;
            rest = &rest[size..];
        }
    }
}

/// The number at the end of a name.
fn number_of(name: &[u8]) -> Option<u64> {
    core::str::from_utf8(name.strip_prefix(b"n")?).ok()?.parse().ok()
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("folders-are-listed"), || {
        let fd = opened(open(c"/", O_RDONLY, 0))?;
        let mut found = 0;
        each(fd, |name, kind, _| {
            let place =
                [&b"."[..], b"..", b"bin", b"dev", b"tmp"].iter().position(|it| *it == name);
            match place {
                Some(place) if kind == DT_DIR => found |= 1 << place,
                _ => fail!("{name:x?} of kind {kind}"),
            }
            Ok(())
        })?;
        if found != 31 {
            fail!("found {found:#b}");
        }
        done("close", close(fd))?;
        for (path, expected, wanted) in
            [(c"/dev", DT_CHR, &b"null"[..]), (c"/bin", DT_REG, b"hello")]
        {
            let fd = opened(open(path, O_RDONLY, 0))?;
            let mut is_there = false;
            each(fd, |name, kind, _| {
                is_there |= name == wanted && kind == expected;
                Ok(())
            })?;
            if !is_there {
                fail!("{path:?} does not have what it should");
            }
            done("close", close(fd))?;
        }
        Ok(())
    });
    checks.check(format_args!("listing-has-errors-and-places"), || {
        let fd = opened(open(c"/", O_RDONLY, 0))?;
        let file = opened(open(c"/bin/hello", O_RDONLY, 0))?;
        let mut places = [0; 5];
        let mut count = 0;
        each(fd, |_, _, next| {
            places[count] = next;
            count += 1;
            Ok(())
        })?;
        let mut small = [0; 24];
        let answers = [
            getdents(fd, &mut [0; 64]),
            lseek(fd, places[3], 0),
            getdents(fd, &mut small),
            getdents(fd, &mut small),
            lseek(fd, 0, 0),
            getdents(fd, &mut [0; 23]),
            getdents(fd, &mut []),
            getdents(fd, &mut small),
            getdents(file, &mut small),
            getdents(99, &mut small),
            read(fd, &mut small),
            write(fd, &small),
            close(fd),
            close(file),
        ];
        expect(
            "calls",
            answers,
            [
                Ok(0),
                Ok(places[3] as u64),
                Ok(24),
                Ok(0),
                Ok(0),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Ok(24),
                Err(Errno::ENOTDIR),
                Err(Errno::EBADF),
                Err(Errno::EISDIR),
                Err(Errno::EBADF),
                Ok(0),
                Ok(0),
            ],
        )
    });
    checks.check(format_args!("names-that-stay-are-listed-once"), || {
        for number in 0..NAMES {
            done("creat", with_number(number, |path| creat(path, 0o600)))
                .and_then(|fd| done("close", close(fd as i32)))?;
        }
        let fd = opened(open(c"/tmp", O_RDONLY, 0))?;
        let mut seen = [0_u8; NAMES as usize];
        let mut comes = NAMES;
        let calls = each(fd, |name, _, _| {
            let Some(number) = number_of(name) else { return Ok(()) };
            let Some(seen) = seen.get_mut(number as usize) else { return Ok(()) };
            *seen += 1;
            // Meanwhile every third goes, from the end, and others come.
            let goes = NAMES - 1 - number;
            if goes.is_multiple_of(3) {
                let _ = with_number(goes, unlink);
                done("creat", with_number(comes, |path| creat(path, 0o600)))
                    .and_then(|fd| done("close", close(fd as i32)))?;
                comes += 1;
            }
            Ok(())
        })?;
        let wrong = (0..NAMES).find(|number| match seen[*number as usize] {
            1 => false,
            0 => number % 3 != 0,
            _ => true,
        });
        for number in 0..comes {
            let _ = with_number(number, unlink);
        }
        done("close", close(fd))?;
        match wrong {
            Some(number) => fail!("{number} is listed {} times", seen[number as usize]),
            None if calls < 5 => fail!("all was listed by {calls} calls"),
            None => Ok(()),
        }
    });
}
