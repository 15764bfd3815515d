//! Pipes between parent and child: order, wholeness, sleeping, and what happens when one side goes.

use super::{begin, done, end, pause, same};
use abi::errno::Errno;
use abi::files::{
    F_SETFL, O_NONBLOCK, PIPE_BUF, PIPE_CAPACITY, POLLOUT, PollFd, S_IFIFO, S_IFMT, SEEK_CUR,
};
use abi::signals::{SIG_DFL, SIG_IGN, SigAction};
use abi::terminals::FIONREAD;
use core::ptr;
use userland::fail;
use userland::files::{close, fcntl, pipe, poll, read, read_at, seek, status, write};
use userland::report::{Checks, Why};
use userland::system::raw;

const SIGPIPE: i32 = 13;

/// Says what SIGPIPE does.
fn on_broken_pipe(handler: u64) {
    let action = SigAction { handler, ..SigAction::default() };
    // SAFETY: it is ignored, or does what it does by itself.
    let _ = unsafe { raw::rt_sigaction(SIGPIPE, (&raw const action).cast(), ptr::null_mut(), 8) };
}

fn close_both(fds: [i32; 2]) -> Result<(), Why> {
    fds.into_iter().try_for_each(|fd| done("close", close(fd)))
}

/// The byte at a place of a long message.
fn byte_at(place: usize) -> u8 {
    (place ^ place >> 8 ^ place >> 16) as u8
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("bytes-come-out-in-order"), || {
        let [from, to] = done("pipe", pipe(0))?;
        same("one", write(to, b"one "), Ok(4))?;
        same("two", write(to, b"two"), Ok(3))?;
        let mut left = 0_u32;
        // SAFETY: the call fills the number.
        let asked = unsafe { raw::ioctl(from, FIONREAD, &raw mut left as u64) };
        same("how many", (asked, left), (Ok(0), 7))?;
        let mut bytes = [0; 5];
        same("a part", (read(from, &mut bytes), &bytes), (Ok(5), b"one t"))?;
        same("the rest", (read(from, &mut bytes), &bytes[..2]), (Ok(2), &b"wo"[..]))?;
        same("the wrong end", read(to, &mut bytes), Err(Errno::EBADF))?;
        same("the other wrong end", write(from, &bytes), Err(Errno::EBADF))?;
        same("no places", seek(from, 0, SEEK_CUR), Err(Errno::ESPIPE))?;
        same("no places", read_at(from, &mut bytes, 0), Err(Errno::ESPIPE))?;
        let found = done("fstat", status(from))?;
        same("fstat", found.mode & S_IFMT, S_IFIFO)?;
        close_both([from, to])
    });
    checks.check(format_args!("a-reader-sleeps-until-something-comes"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let child = begin(|| {
            pause(30);
            i32::from(write(to, b"late") != Ok(4))
        })?;
        let mut bytes = [0; 9];
        same("what came", (read(from, &mut bytes), &bytes[..4]), (Ok(4), &b"late"[..]))?;
        end(child)?;
        close_both([from, to])
    });
    checks.check(format_args!("a-long-message-arrives"), || {
        const LENGTH: usize = 3 * PIPE_CAPACITY + 1234;
        let [from, to] = done("pipe", pipe(0))?;
        let child = begin(|| {
            let mut bytes = [0; 10_001];
            let mut sent = 0;
            while sent < LENGTH {
                let part = &mut bytes[..(LENGTH - sent).min(10_001)];
                part.iter_mut().zip(sent..).for_each(|(to, place)| *to = byte_at(place));
                // All of it is written, however long that takes.
                if write(to, part) != Ok(part.len()) {
                    return 1;
                }
                sent += part.len();
            }
            0
        })?;
        done("close", close(to))?;
        let mut bytes = [0; 5003];
        let mut got = 0;
        loop {
            let count = done("read", read(from, &mut bytes))?;
            if count == 0 {
                break;
            }
            for (place, &byte) in (got..).zip(&bytes[..count]) {
                same("a byte", byte, byte_at(place))?;
            }
            got += count;
        }
        same("its length", got, LENGTH)?;
        end(child)?;
        done("close", close(from))
    });
    checks.check(format_args!("several-writers-do-not-mix"), writers);
    checks.check(format_args!("what-would-sleep-fails-if-asked-to"), || {
        let [from, to] = done("pipe", pipe(O_NONBLOCK))?;
        let mut bytes = [0; PIPE_CAPACITY];
        same("empty", read(from, &mut bytes), Err(Errno::EAGAIN))?;
        same("all that fits", write(to, &bytes), Ok(PIPE_CAPACITY))?;
        same("full", write(to, b"x"), Err(Errno::EAGAIN))?;
        same("some room", read(from, &mut bytes[..100]), Ok(100))?;
        same("not for all of it", write(to, &[1; 101]), Err(Errno::EAGAIN))?;
        same("for all of it", write(to, &[1; 60]), Ok(60))?;
        let long = write(to, &bytes[..PIPE_BUF + 1]);
        same("for a part of what is longer", long, Ok(40))?;
        same("everything", read(from, &mut bytes), Ok(PIPE_CAPACITY))?;
        same("empty again", read(from, &mut bytes), Err(Errno::EAGAIN))?;
        same("sleeping again", fcntl(from, F_SETFL, 0), Ok(0))?;
        done("close", close(to))?;
        same("the end", read(from, &mut bytes), Ok(0))?;
        done("close", close(from))
    });
    checks.check(format_args!("a-writer-sleeps-until-there-is-room"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let mut bytes = [0; PIPE_CAPACITY];
        same("full", write(to, &bytes), Ok(PIPE_CAPACITY))?;
        let child = begin(|| i32::from(write(to, &[9; 3000]) != Ok(3000)))?;
        pause(30);
        same("not enough room", read(from, &mut bytes[..2999]), Ok(2999))?;
        pause(30);
        same("one more", read(from, &mut bytes[..1]), Ok(1))?;
        end(child)?;
        same("all", read(from, &mut bytes), Ok(PIPE_CAPACITY))?;
        same("the child's", bytes[PIPE_CAPACITY - 3000..].iter().all(|&byte| byte == 9), true)?;
        close_both([from, to])
    });
    checks.check(format_args!("the-last-writer-ends-the-input"), || {
        let [from, to] = done("pipe", pipe(0))?;
        // The child has the end to write to, too, until it ends.
        let child = begin(|| {
            pause(30);
            0
        })?;
        done("close", close(to))?;
        same("the end", read(from, &mut [0; 4]), Ok(0))?;
        end(child)?;
        done("close", close(from))
    });
    checks.check(format_args!("nobody-reads"), || {
        let [from, to] = done("pipe", pipe(0))?;
        on_broken_pipe(SIG_IGN);
        done("close", close(from))?;
        let found = write(to, b"x");
        on_broken_pipe(SIG_DFL);
        same("write", found, Err(Errno::EPIPE))?;
        let child = begin(|| {
            let _ = write(to, b"x");
            0
        })?;
        let mut status = -1;
        // SAFETY: the status is the call's to write.
        let waited = unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) };
        same("a child that does not care", (waited, status), (Ok(child), SIGPIPE))?;
        done("close", close(to))
    });
    checks.check(format_args!("a-writer-that-sleeps-hears-that-nobody-reads"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let child = begin(|| {
            on_broken_pipe(SIG_IGN);
            if close(from).is_err() {
                return 1;
            }
            // A part is written; what was written counts.
            let first = write(to, &[1; PIPE_CAPACITY + 1]);
            let second = write(to, &[1; 1]);
            i32::from((first, second) != (Ok(PIPE_CAPACITY), Err(Errno::EPIPE)))
        })?;
        // When the pipe is full the child is about to sleep, or does.
        let mut files = [PollFd { fd: to, events: POLLOUT, found: 0 }];
        while poll(&mut files, 0) != Ok(0) {
            pause(1);
        }
        done("close", close(from))?;
        end(child)?;
        done("close", close(to))
    });
    checks.check(format_args!("somebody-who-sleeps-can-be-killed"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let child = begin(|| i32::from(read(from, &mut [0; 4]).is_ok()))?;
        pause(30);
        // SAFETY: the call writes to no memory.
        done("kill", unsafe { raw::kill(child as i32, 9) })?;
        let mut status = -1;
        // SAFETY: the status is the call's to write.
        let waited = unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) };
        same("the child", (waited, status), (Ok(child), 9))?;
        close_both([from, to])
    });
    checks.check(format_args!("pipe-refuses"), || {
        same("a flag", pipe(1), Err(Errno::EINVAL))?;
        let lowest = done("open", userland::files::open(c"/dev/null", 0))?;
        // SAFETY: nothing is at 8.
        same("nowhere", unsafe { raw::pipe(8 as *mut i32) }, Err(Errno::EFAULT))?;
        // Nothing is left of it.
        same("the next descriptor", userland::files::dup(0), Ok(lowest + 1))?;
        close_both([lowest, lowest + 1])
    });
}

/// What writers write is as long as may be, and not a divisor of anything.
const RECORD: usize = 1021;
const WRITERS: u8 = 4;
const RECORDS: usize = 120;

/// Each writer's records consist of its number; they come out whole, from whichever part of the ring.
fn writers() -> Result<(), Why> {
    let [from, to] = done("pipe", pipe(0))?;
    let mut children = [0; WRITERS as usize];
    for (number, child) in (1_u8..).zip(&mut children) {
        *child = begin(|| {
            let record = [number; RECORD];
            i32::from((0..RECORDS).any(|_| write(to, &record) != Ok(RECORD)))
        })?;
    }
    done("close", close(to))?;
    let mut counts = [0; WRITERS as usize];
    'all: loop {
        let mut record = [0; RECORD];
        let mut length = 0;
        while length < RECORD {
            match done("read", read(from, &mut record[length..]))? {
                0 if length == 0 => break 'all,
                0 => fail!("it ends in the middle of a record"),
                count => length += count,
            }
        }
        if record.iter().any(|&byte| byte != record[0]) {
            fail!("two writers' bytes are mixed");
        }
        counts[usize::from(record[0]) - 1] += 1;
    }
    same("records", counts, [RECORDS; WRITERS as usize])?;
    children.into_iter().try_for_each(end)?;
    done("close", close(from))
}
