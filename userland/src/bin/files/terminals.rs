//! The terminal: settings, and what is typed.

use super::{done, same};
use abi::errno::Errno;
use abi::files::{O_NONBLOCK, O_RDWR, POLLIN, PollFd, S_IFCHR, S_IFMT, SEEK_CUR};
use abi::terminals::{
    ECHO, FIONREAD, ICANON, TCGETS, TIOCGPGRP, TIOCSPGRP, Termios, VMIN, VTIME, WindowSize,
};
use userland::files::{
    When, close, open, pipe, poll, read, seek, set, settings, status, window_size, write,
};
use userland::println;
use userland::report::{Checks, Why};
use userland::system::raw;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("settings-of-the-terminal"), || {
        let before = done("TCGETS", settings(0))?;
        same("how it begins", before, Termios::INITIAL)?;
        let mut changed = before;
        changed.local &= !(ICANON | ECHO);
        changed.characters[VMIN] = 0;
        for when in [When::Now, When::Written, When::Forgotten] {
            done("change", set(0, &changed, when))?;
            same("changed", settings(2), Ok(changed))?;
            done("back", set(1, &before, when))?;
            same("back", settings(0), Ok(before))?;
        }
        let size = WindowSize { rows: 24, columns: 80, pixels: [0; 2] };
        same("its size", window_size(0), Ok(size))?;
        let found = done("fstat", status(0))?;
        same("fstat", found.mode & S_IFMT, S_IFCHR)?;
        same("no places", seek(0, 0, SEEK_CUR), Err(Errno::ESPIPE))
    });
    checks.check(format_args!("reading-when-nothing-is-typed"), || {
        let fd = done("open", open(c"/dev/tty", O_RDWR | O_NONBLOCK))?;
        same("read", read(fd, &mut [0; 4]), Err(Errno::EAGAIN))?;
        let mut files = [PollFd { fd, events: POLLIN, found: 0 }];
        same("poll", poll(&mut files, 1), Ok(0))?;
        let before = done("TCGETS", settings(fd))?;
        let mut raw = before;
        raw.local &= !ICANON;
        raw.characters[VMIN] = 0;
        for tenths in [0, 1] {
            raw.characters[VTIME] = tenths;
            done("change", set(fd, &raw, When::Now))?;
            let found = read(0, &mut [0; 4]);
            done("back", set(fd, &before, When::Now))?;
            same("nothing, after a while", found, Ok(0))?;
        }
        done("close", close(fd))
    });
    checks.check(format_args!("the-group-in-the-foreground"), || {
        let mut group = -1;
        // SAFETY: the call fills the number.
        let asked = unsafe { raw::ioctl(0, TIOCGPGRP, &raw mut group as u64) };
        // SAFETY: nothing is written.
        let own = unsafe { raw::getpgrp() }.map(|own| own as i32);
        same("it", (asked, Ok(group)), (Ok(0), own))?;
        // SAFETY: nothing is written.
        same("again", unsafe { raw::ioctl(0, TIOCSPGRP, &raw mut group as u64) }, Ok(0))?;
        group = -5;
        // SAFETY: nothing is written.
        let negative = unsafe { raw::ioctl(0, TIOCSPGRP, &raw mut group as u64) };
        same("negative", negative, Err(Errno::EINVAL))
    });
    checks.check(format_args!("what-is-no-terminal"), || {
        let null = done("open", open(c"/dev/null", O_RDWR))?;
        let [from, to] = done("pipe", pipe(0))?;
        for fd in [null, from, to] {
            same("TCGETS", settings(fd), Err(Errno::ENOTTY))?;
        }
        let bad: [(u32, Errno); 3] =
            [(0x1234, Errno::ENOTTY), (TCGETS, Errno::EFAULT), (FIONREAD, Errno::EFAULT)];
        for (request, error) in bad {
            // SAFETY: nothing is at 8.
            same("ioctl", unsafe { raw::ioctl(0, request, 8) }, Err(error))?;
        }
        [null, from, to].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
}

/// What is typed, as the harness types it: a line that is corrected, the end of the input, bytes without lines.
pub fn typing() -> i32 {
    match typed() {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn typed() -> Result<(), Why> {
    let mut bytes = [0; 100];
    println!("type a line");
    let count = done("read", read(0, &mut bytes))?;
    println!("line: {:?}", core::str::from_utf8(&bytes[..count]).unwrap_or("?"));
    println!("type the end");
    let count = done("read", read(0, &mut bytes))?;
    println!("end: {count} bytes");
    println!("type a line to wait for");
    let mut files = [PollFd { fd: 0, events: POLLIN, found: 0 }];
    let ready = done("poll", poll(&mut files, -1))?;
    let first = done("read", read(0, &mut bytes[..2]))?;
    let rest = done("read", read(0, &mut bytes[2..]))?;
    println!("ready: {ready}, {first} bytes, then {rest}");
    let before = done("TCGETS", settings(0))?;
    let mut raw = before;
    raw.local &= !(ICANON | ECHO);
    raw.characters[VMIN] = 3;
    done("change", set(0, &raw, When::Forgotten))?;
    println!("type three bytes");
    let count = done("read", read(0, &mut bytes))?;
    println!("bytes: {:?}", &bytes[..count]);
    done("back", set(0, &before, When::Written))?;
    done("write", write(1, b"done\n"))?;
    Ok(())
}
