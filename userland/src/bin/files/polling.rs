//! Waiting for one of several descriptors.

use super::{begin, done, end, now, pause, same};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::files::{
    O_RDWR, OPEN_MAX, PIPE_CAPACITY, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, PollFd,
};
use core::ptr;
use userland::fail;
use userland::files::{close, open, pipe, poll, read, write};
use userland::report::{Checks, Why};
use userland::system::raw;

fn one(fd: i32, events: u16) -> PollFd {
    PollFd { fd, events, found: 0xffff }
}

/// What poll finds at once.
fn found<const COUNT: usize>(mut files: [PollFd; COUNT]) -> (Result<usize, Errno>, [u16; COUNT]) {
    let count = poll(&mut files, 0);
    (count, files.map(|file| file.found))
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("poll-says-what-there-is"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let both = [one(from, POLLIN), one(to, POLLOUT)];
        same("empty", found(both), (Ok(1), [0, POLLOUT]))?;
        done("write", write(to, b"x"))?;
        same("something", found(both), (Ok(2), [POLLIN, POLLOUT]))?;
        let unwanted = [one(from, 0), one(to, POLLIN)];
        same("what nobody asked for", found(unwanted), (Ok(0), [0, 0]))?;
        done("fill", write(to, &[0; PIPE_CAPACITY - 100]))?;
        same("full", found(both), (Ok(1), [POLLIN, 0]))?;
        let others = [one(-1, POLLIN), one(77, 0), one(from, POLLIN)];
        same("negative and closed", found(others), (Ok(2), [0, POLLNVAL, POLLIN]))?;
        done("close", close(to))?;
        let hung = [one(from, POLLIN)];
        same("no writer", found(hung), (Ok(1), [POLLIN | POLLHUP]))?;
        done("read", read(from, &mut [0; PIPE_CAPACITY]))?;
        same("nothing left", found(hung), (Ok(1), [POLLHUP]))?;
        same("unasked", found([one(from, 0)]), (Ok(1), [POLLHUP]))?;
        done("close", close(from))?;
        let [from, to] = done("pipe", pipe(0))?;
        done("close", close(from))?;
        same("no reader", found([one(to, 0)]), (Ok(1), [POLLERR]))?;
        done("close", close(to))
    });
    checks.check(format_args!("files-and-devices-are-always-ready"), || {
        let file = done("open", open(c"/bin/files", 0))?;
        let device = done("open", open(c"/dev/null", O_RDWR))?;
        let both = POLLIN | POLLOUT;
        let files = [one(file, both), one(device, both), one(1, POLLOUT)];
        same("poll", found(files), (Ok(3), [both, both, POLLOUT]))?;
        done("close", close(file))?;
        done("close", close(device))
    });
    checks.check(format_args!("poll-waits-as-long-as-it-is-told"), || {
        let [from, to] = done("pipe", pipe(0))?;
        for time in [0, 1, 50] {
            let before = now();
            same("poll", poll(&mut [one(from, POLLIN)], time), Ok(0))?;
            let took = now() - before;
            // Milliseconds are cut off twice.
            if took + 1 < i64::from(time) || time == 0 && took > 1000 {
                fail!("{took} ms instead of {time}");
            }
        }
        done("close", close(from))?;
        done("close", close(to))
    });
    checks.check(format_args!("poll-wakes-when-something-comes"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let [other, unused] = done("pipe", pipe(0))?;
        for timeout in [-1, 60_000] {
            let before = now();
            let child = begin(|| {
                pause(30);
                i32::from(write(to, b"x") != Ok(1))
            })?;
            let mut files = [one(other, POLLIN), one(from, POLLIN)];
            let count = poll(&mut files, timeout);
            let events = files.map(|file| file.found);
            same("poll", (count, events), (Ok(1), [0, POLLIN]))?;
            if now() - before > 20_000 {
                fail!("it slept for {} ms", now() - before);
            }
            end(child)?;
            done("read", read(from, &mut [0; 1]))?;
        }
        // A child that ends closes what it has.
        let child = begin(|| {
            pause(30);
            0
        })?;
        done("close", close(to))?;
        let mut files = [one(from, POLLIN)];
        same("the end", (poll(&mut files, -1), files[0].found), (Ok(1), POLLHUP))?;
        end(child)?;
        [from, other, unused].into_iter().try_for_each(|fd| done("close", close(fd)))
    });
    checks.check(format_args!("no-wake-up-is-lost"), ping_pong);
    checks.check(format_args!("ppoll"), || {
        let [from, to] = done("pipe", pipe(0))?;
        let mut files = [one(from, POLLIN)];
        let mut ppoll = |seconds, nanoseconds| {
            let time = TimeSpec { seconds, nanoseconds };
            // SAFETY: the call changes the structure.
            unsafe { raw::ppoll(files.as_mut_ptr(), 1, &raw const time, ptr::null(), 8) }
        };
        same("not at all", ppoll(0, 0), Ok(0))?;
        same("a little", ppoll(0, 2_000_000), Ok(0))?;
        same("no time", ppoll(0, 1_000_000_000), Err(Errno::EINVAL))?;
        same("a negative time", ppoll(-1, 0), Err(Errno::EINVAL))?;
        done("write", write(to, b"x"))?;
        same("something", ppoll(60, 0), Ok(1))?;
        // SAFETY: as above.
        let found = unsafe { raw::ppoll(files.as_mut_ptr(), 1, ptr::null(), ptr::null(), 8) };
        same("for ever", found, Ok(1))?;
        done("close", close(from))?;
        done("close", close(to))
    });
    checks.check(format_args!("poll-refuses"), || {
        // SAFETY: nothing is at 8.
        let nowhere = unsafe { raw::poll(8 as *mut PollFd, 1, 0) };
        same("nowhere", nowhere, Err(Errno::EFAULT))?;
        // SAFETY: nothing is written.
        let many = unsafe { raw::poll(ptr::null_mut(), OPEN_MAX as u64 + 1, 0) };
        same("too many", many, Err(Errno::EINVAL))?;
        same("none", poll(&mut [], 0), Ok(0))
    });
}

const ROUNDS: u32 = 2000;

/// Parent and child wait for each other by turns: whoever misses a wake-up sleeps for ever.
fn ping_pong() -> Result<(), Why> {
    let [from_child, to_parent] = done("pipe", pipe(0))?;
    let [from_parent, to_child] = done("pipe", pipe(0))?;
    let turn = |from: i32, to: i32, begins: bool| {
        if begins && write(to, b"x") != Ok(1) {
            return 1;
        }
        for round in 0..ROUNDS {
            let mut files = [one(from, POLLIN)];
            if poll(&mut files, 10_000) != Ok(1) || read(from, &mut [0; 1]) != Ok(1) {
                return 2;
            }
            let is_last = begins && round + 1 == ROUNDS;
            if !is_last && write(to, b"x") != Ok(1) {
                return 3;
            }
        }
        0
    };
    let child = begin(|| turn(from_parent, to_parent, false))?;
    same("the parent", turn(from_child, to_child, true), 0)?;
    end(child)?;
    [from_child, to_parent, from_parent, to_child]
        .into_iter()
        .try_for_each(|fd| done("close", close(fd)))
}
