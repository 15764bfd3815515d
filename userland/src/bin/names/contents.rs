//! What is in files: holes, lengths, files without names, several who write.

use super::calls::*;
use abi::errno::Errno;
use abi::files::{O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use userland::fail;
use userland::report::Checks;

/// Longest file, in bytes.
const LENGTH_MAX: i64 = 1 << 40;

/// Processes that append, how often, how much at a time: more than the kernel copies at a time.
const WRITERS: u8 = 4;
const TIMES: usize = 20;
const RECORD: usize = 9000;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("what-is-written-is-read"), || {
        let fd = opened(open(c"/tmp/f", O_RDWR | O_CREAT, 0o600))?;
        let mut bytes = [0; 10_000];
        bytes.iter_mut().enumerate().for_each(|(place, byte)| *byte = (place % 251) as u8);
        let mut found = [0; 10_000];
        let answers = [
            write(fd, &bytes),
            lseek(fd, 0, 0),
            read(fd, &mut found),
            read(fd, &mut [0; 9]),
            pwrite(fd, b"abc", 4095),
            pread(fd, &mut found[4094..4100], 4094),
            lseek(fd, -10, 2),
            read(fd, &mut [0; 99]),
            lseek(fd, -1, 0),
            lseek(fd, 0, 9),
            pread(fd, &mut [0; 9], -1),
            lseek(fd, 5, 1),
        ];
        expect(
            "calls",
            answers,
            [
                Ok(10_000),
                Ok(0),
                Ok(10_000),
                Ok(0),
                Ok(3),
                Ok(6),
                Ok(9990),
                Ok(10),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Ok(10_005),
            ],
        )?;
        bytes[4095..4098].copy_from_slice(b"abc");
        if found != bytes {
            fail!("other bytes are read than were written");
        }
        expect("ends", [close(fd), unlink(c"/tmp/f")], [Ok(0); 2])
    });
    checks.check(format_args!("holes-and-lengths"), || {
        let fd = opened(open(c"/tmp/f", O_RDWR | O_CREAT, 0o600))?;
        let far = 1 << 35;
        let mut found = [0xff; 8];
        let answers = [
            pwrite(fd, b"end", far),
            pread(fd, &mut found, far - 5),
            ftruncate(fd, far + 1),
            ftruncate(fd, far + 3),
            pread(fd, &mut found[5..], far),
            pread(fd, &mut [0; 9], far + 3),
            pwrite(fd, b"x", LENGTH_MAX),
            pwrite(fd, b"x", i64::MAX),
            ftruncate(fd, LENGTH_MAX + 1),
            ftruncate(fd, -1),
            truncate(c"/tmp/f", -1),
            truncate(c"/tmp", 0),
            truncate(c"/none", 0),
            truncate(c"/bin/hello", 0),
            truncate(c"/dev/null", 0),
        ];
        expect(
            "calls",
            answers,
            [
                Ok(3),
                Ok(8),
                Ok(0),
                Ok(0),
                Ok(3),
                Ok(0),
                Err(Errno::EFBIG),
                Err(Errno::EFBIG),
                Err(Errno::EFBIG),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Err(Errno::EISDIR),
                Err(Errno::ENOENT),
                Err(Errno::EROFS),
                Err(Errno::EINVAL),
            ],
        )?;
        // What was cut off is zeros when the file is longer again.
        if found != *b"\0\0\0\0\0e\0\0" {
            fail!("found {found:x?}");
        }
        let sparse = described(c"/tmp/f")?;
        done("truncate", truncate(c"/tmp/f", 3))?;
        let short = described(c"/tmp/f")?;
        let found = (sparse.length, sparse.blocks, short.length, short.blocks);
        if found != (far + 3, 8, 3, 0) {
            fail!("lengths and blocks: {found:?}");
        }
        expect("ends", [close(fd), unlink(c"/tmp/f")], [Ok(0); 2])
    });
    checks.check(format_args!("an-open-file-stays-without-a-name"), || {
        let fd = opened(open(c"/tmp/f", O_RDWR | O_CREAT, 0o600))?;
        let mut found = [0; 5];
        let answers = [
            write(fd, b"first"),
            unlink(c"/tmp/f"),
            access(c"/tmp/f", 0),
            pread(fd, &mut found, 0),
            pwrite(fd, b"more", 5),
        ];
        expect("calls", answers, [Ok(5), Ok(0), Err(Errno::ENOENT), Ok(5), Ok(4)])?;
        // Another one of that name is another file.
        make_file(c"/tmp/f", b"second")?;
        let mut old = abi::files::Stat::default();
        done("fstat", fstat(fd, &mut old))?;
        let new = described(c"/tmp/f")?;
        if &found != b"first" || (old.links, old.length) != (0, 9) || old.number == new.number {
            fail!("{found:?}, {old:?}");
        }
        // One that is replaced by renaming stays, too.
        make_file(c"/tmp/g", b"third!!")?;
        let second = opened(open(c"/tmp/f", O_RDONLY, 0))?;
        let mut six = [0; 6];
        expect(
            "replaced",
            [rename(c"/tmp/g", c"/tmp/f"), read(second, &mut six), close(second), close(fd)],
            [Ok(0), Ok(6), Ok(0), Ok(0)],
        )?;
        if &six != b"second" || described(c"/tmp/f")?.length != 7 {
            fail!("the replaced file reads {six:?}");
        }
        done("unlink", unlink(c"/tmp/f")).map(drop)
    });
    checks.check(format_args!("several-append"), || {
        done("close", close(opened(open(c"/tmp/f", O_RDWR | O_CREAT | O_TRUNC, 0o600))?))?;
        let mut children = [0; WRITERS as usize];
        for (writer, place) in (1..).zip(&mut children) {
            *place = child(|| {
                let Ok(fd) = open(c"/tmp/f", O_WRONLY | O_APPEND, 0) else { return 1 };
                let record = [writer; RECORD];
                let whole = |_| write(fd as i32, &record) == Ok(RECORD as u64);
                i32::from(!(0..TIMES).all(whole))
            })?;
        }
        children.into_iter().try_for_each(wait)?;
        let fd = opened(open(c"/tmp/f", O_RDONLY, 0))?;
        let mut record = [0; RECORD];
        let mut counts = [0; WRITERS as usize + 1];
        while read(fd, &mut record) == Ok(RECORD as u64) {
            if record.iter().any(|byte| *byte != record[0]) {
                fail!("a record is broken");
            }
            counts[usize::from(record[0])] += 1;
        }
        if counts[1..] != [TIMES; WRITERS as usize] {
            fail!("records: {counts:?}");
        }
        expect("ends", [close(fd), unlink(c"/tmp/f")], [Ok(0); 2])
    });
    checks.check(format_args!("devices"), || {
        let fd = opened(open(c"/dev/zero", O_RDWR, 0))?;
        let full = opened(open(c"/dev/full", O_RDWR, 0))?;
        let null = opened(open(c"/dev/null", O_RDWR | O_TRUNC, 0))?;
        let mut bytes = [1; 5000];
        let answers = [
            read(fd, &mut bytes),
            write(fd, b"x"),
            read(null, &mut bytes),
            write(null, &bytes),
            write(full, b"x"),
            close(fd),
            close(full),
            close(null),
        ];
        expect(
            "calls",
            answers,
            [Ok(5000), Ok(1), Ok(0), Ok(5000), Err(Errno::ENOSPC), Ok(0), Ok(0), Ok(0)],
        )?;
        if bytes != [0; 5000] {
            fail!("/dev/zero has something else than zeros");
        }
        let random = opened(open(c"/dev/urandom", O_RDONLY, 0))?;
        expect("random", [read(random, &mut bytes), close(random)], [Ok(5000), Ok(0)])?;
        if bytes[..64] == [0; 64] {
            fail!("/dev/urandom has zeros");
        }
        Ok(())
    });
}
