//! What is said of files: `stat` and its relatives, `access`, `readlink`.

use super::calls::*;
use abi::errno::Errno;
use abi::files::{O_RDONLY, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG, Stat};
use abi::folders::{AT_EMPTY_PATH, AT_FDCWD, Statx};
use userland::fail;
use userland::report::Checks;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("files-are-described"), || {
        make_file(c"/tmp/f", &[1; 5000])?;
        done("mkdir", mkdir(c"/tmp/d", 0o755))?;
        done("mkdir", mkdir(c"/tmp/d/e", 0o755))?;
        let file = described(c"/tmp/f")?;
        let folder = described(c"/tmp/d")?;
        let found = (file.mode & S_IFMT, file.links, file.length, file.blocks, folder.links);
        if found != (S_IFREG, 1, 5000, 16, 3) || folder.mode & S_IFMT != S_IFDIR {
            fail!("{found:?}, folder {:o}", folder.mode);
        }
        let devices = [
            (c"/dev/null", 0x103),
            (c"/dev/zero", 0x105),
            (c"/dev/full", 0x107),
            (c"/dev/random", 0x108),
            (c"/dev/urandom", 0x109),
        ];
        for (path, number) in devices {
            let found = described(path)?;
            if (found.mode & S_IFMT, found.special) != (S_IFCHR, number) {
                fail!("{path:?}: mode {:o}, number {:#x}", found.mode, found.special);
            }
        }
        let program = described(c"/bin/hello")?;
        if program.mode & 0o777 != 0o555 || program.device == file.device || program.length == 0 {
            fail!("a program: mode {:o}, device {}", program.mode, program.device);
        }
        Ok(())
    });
    checks.check(format_args!("all-ways-to-ask-say-the-same"), || {
        let expected = described(c"/tmp/f")?;
        let fd = opened(open(c"/tmp/f", O_RDONLY, 0))?;
        let tmp = opened(open(c"/tmp", O_RDONLY, 0))?;
        let mut found = [Stat::default(); 5];
        let mut here = Stat::default();
        let [first, second, third, fourth, fifth] = &mut found;
        let answers = [
            lstat(c"/tmp/f", first),
            fstat(fd, second),
            newfstatat(tmp, c"f", third, 0),
            newfstatat(fd, c"", fourth, AT_EMPTY_PATH),
            newfstatat(AT_FDCWD, c"tmp/f", fifth, 0x100),
            newfstatat(AT_FDCWD, c"", &mut here, AT_EMPTY_PATH),
        ];
        expect("calls", answers, [Ok(0); 6])?;
        for (way, found) in found.iter().enumerate() {
            if *found != expected {
                fail!("way {way} says {found:?}");
            }
        }
        if here.number != described(c"/")?.number {
            fail!("the working folder has number {}", here.number);
        }
        let mut long = Statx::default();
        done("statx", statx(fd, c"", AT_EMPTY_PATH, 0x7ff, &mut long))?;
        let same = (long.number, long.length, u32::from(long.mode), u64::from(long.links));
        if same != (expected.number, 5000, expected.mode, 1) || long.mask & 0x7ff != 0x7ff {
            fail!("statx says {same:?}, mask {:#x}", long.mask);
        }
        let errors = [
            newfstatat(fd, c"", &mut here, 0),
            newfstatat(fd, c"x", &mut here, 0),
            newfstatat(99, c"x", &mut here, 0),
            newfstatat(fd, c"", &mut here, 1),
            statx(fd, c"", 1, 0, &mut long),
            statx(AT_FDCWD, c"/none", 0, 0, &mut long),
            fstat(99, &mut here),
            stat(c"/tmp/f/", &mut here),
        ];
        expect(
            "errors",
            errors,
            [
                Err(Errno::ENOENT),
                Err(Errno::ENOTDIR),
                Err(Errno::EBADF),
                Err(Errno::EINVAL),
                Err(Errno::EINVAL),
                Err(Errno::ENOENT),
                Err(Errno::EBADF),
                Err(Errno::ENOTDIR),
            ],
        )?;
        expect("ends", [close(fd), close(tmp)], [Ok(0); 2])
    });
    checks.check(format_args!("access-and-readlink"), || {
        let mut buffer = [0; 8];
        let answers = [
            access(c"/tmp/f", 6),
            access(c"/tmp/f", 1),
            access(c"/bin/hello", 5),
            access(c"/bin/hello", 2),
            access(c"/bin", 2),
            access(c"/dev/null", 6),
            access(c"/dev/null", 1),
            access(c"/tmp", 7),
            access(c"/tmp/f", 8),
            access(c"/none", 0),
            readlink(c"/tmp/f", &mut buffer, 8),
            readlink(c"/none", &mut buffer, 8),
            readlink(c"/tmp/f", &mut buffer, 0),
        ];
        expect(
            "answers",
            answers,
            [
                Ok(0),
                Err(Errno::EACCES),
                Ok(0),
                Err(Errno::EROFS),
                Err(Errno::EROFS),
                Ok(0),
                Err(Errno::EACCES),
                Ok(0),
                Err(Errno::EINVAL),
                Err(Errno::ENOENT),
                Err(Errno::EINVAL),
                Err(Errno::ENOENT),
                Err(Errno::EINVAL),
            ],
        )?;
        expect("ends", [unlink(c"/tmp/f"), rmdir(c"/tmp/d/e"), rmdir(c"/tmp/d")], [Ok(0); 3])
    });
}
