//! Waiting for signals: `rt_sigsuspend`, `pause`, `rt_sigtimedwait`; for files with another mask: `ppoll`.

use crate::{MILLISECOND, SIGHUP, SIGUSR1, SIGUSR2, count, counted, done, forget, same};
use abi::errno::Errno;
use abi::files::{POLLIN, PollFd};
use abi::signals::SigInfo;
use core::mem::MaybeUninit;
use userland::report::{Checks, Why};
use userland::signal::{self, bit, handle, set_mask};
use userland::system::{self, raw};
use userland::{child, clock, files, lwp};

/// Waits for one of these for so many nanoseconds; returns the signal.
fn timed_wait(set: u64, nanoseconds: u64) -> Result<u64, Errno> {
    let time = clock::span(nanoseconds);
    let mut information = MaybeUninit::<SigInfo>::uninit();
    // SAFETY: the call reads the set and the time, and writes the information.
    let signal = unsafe {
        let place = information.as_mut_ptr().cast();
        raw::rt_sigtimedwait(&raw const set, place, &raw const time, 8)
    }?;
    // SAFETY: written by the call.
    let information = unsafe { information.assume_init() };
    assert_eq!(information.signal as u64, signal, "the information is another signal's");
    Ok(signal)
}

/// Waits for something to read, holding these signals back meanwhile.
fn poll_holding(fd: i32, mask: u64, nanoseconds: u64) -> Result<u64, Errno> {
    let mut file = PollFd { fd, events: POLLIN, found: 0 };
    let time = clock::span(nanoseconds);
    // SAFETY: the call reads the time and the mask, and changes the structure.
    unsafe { raw::ppoll(&raw mut file, 1, &raw const time, &raw const mask, 8) }
}

/// A child that sends these signals to this process, one after the other, some milliseconds apart.
fn sender(signals: &[i32]) -> Result<u64, Why> {
    let parent = system::getpid() as i64;
    child::start(|| {
        for &signal in signals {
            let _ = lwp::sleep(15 * MILLISECOND);
            if signal::kill(parent, signal).is_err() {
                return 1;
            }
        }
        0
    })
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("suspended-until-a-signal"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, 0))?;
        done("sigaction", handle(SIGUSR2, count, 0))?;
        set_mask(bit(SIGUSR1));
        // One that is pending ends it at once.
        signal::raise(SIGUSR1);
        same("sigsuspend", signal::suspend(0), Errno::EINTR)?;
        same("handled", counted(SIGUSR1), 1)?;
        // What the other mask holds back does not, and is handled when the own one is back.
        let sender = sender(&[SIGUSR2, SIGUSR1])?;
        same("sigsuspend", signal::suspend(bit(SIGUSR2)), Errno::EINTR)?;
        same("handled", (counted(SIGUSR1), counted(SIGUSR2)), (2, 1))?;
        same("mask", set_mask(0), bit(SIGUSR1))?;
        same("the sender", child::wait(sender)?, 0)
    });
    checks.check(format_args!("files-and-signals-are-waited-for-at-once"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, 0))?;
        done("sigaction", handle(SIGUSR2, count, 0))?;
        let [from, to] = done("pipe", files::pipe(0))?;
        let both = bit(SIGUSR1) | bit(SIGUSR2);
        set_mask(both);
        // One that is pending ends it at once; then the own mask is back.
        signal::raise(SIGUSR1);
        same("ppoll", poll_holding(from, 0, 5 * clock::SECOND), Err(Errno::EINTR))?;
        same("handled", counted(SIGUSR1), 1)?;
        same("mask", set_mask(both), both)?;
        // What the other mask holds back does not.
        let sender = sender(&[SIGUSR2, SIGUSR1])?;
        let found = poll_holding(from, bit(SIGUSR2), 5 * clock::SECOND);
        same("ppoll", found, Err(Errno::EINTR))?;
        same("handled", (counted(SIGUSR1), counted(SIGUSR2)), (2, 0))?;
        same("the sender", child::wait(sender)?, 0)?;
        // It holds back what was let through before.
        set_mask(0);
        same("handled", counted(SIGUSR2), 1)?;
        let sender = self::sender(&[SIGUSR1])?;
        same("ppoll", poll_holding(from, both, 60 * MILLISECOND), Ok(0))?;
        same("handled", counted(SIGUSR1), 3)?;
        same("the sender", child::wait(sender)?, 0)?;
        // Nothing waits where there is something: the signal stays where it is.
        set_mask(both);
        done("write", files::write(to, b"x"))?;
        signal::raise(SIGUSR1);
        same("ppoll", poll_holding(from, 0, 5 * clock::SECOND), Ok(1))?;
        same("handled", counted(SIGUSR1), 3)?;
        same("mask", set_mask(0), both)?;
        same("handled", counted(SIGUSR1), 4)?;
        let mask = 0_u64;
        // SAFETY: the call is refused.
        let size =
            unsafe { raw::ppoll(core::ptr::null_mut(), 0, core::ptr::null(), &raw const mask, 4) };
        same("a size", size, Err(Errno::EINVAL))?;
        [from, to].into_iter().try_for_each(|fd| done("close", files::close(fd)))
    });
    checks.check(format_args!("a-pause-ends-with-a-handler"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, abi::signals::SA_RESTART))?;
        let sender = sender(&[SIGUSR1])?;
        // SAFETY: the call writes to no memory.
        same("pause", unsafe { raw::pause() }, Err(Errno::EINTR))?;
        same("handled", counted(SIGUSR1), 1)?;
        same("the sender", child::wait(sender)?, 0)
    });
    checks.check(format_args!("signals-are-waited-for"), || {
        forget();
        let both = bit(SIGUSR1) | bit(SIGUSR2);
        set_mask(both);
        signal::raise(SIGUSR2);
        same("what is pending", timed_wait(both, 0), Ok(SIGUSR2 as u64))?;
        same("nothing is", timed_wait(both, 0), Err(Errno::EAGAIN))?;
        let before = clock::nanoseconds();
        same("nothing comes", timed_wait(both, 20 * MILLISECOND), Err(Errno::EAGAIN))?;
        same("in time", clock::nanoseconds() - before >= 20 * MILLISECOND, true)?;
        let sender = sender(&[SIGUSR1, SIGHUP])?;
        same("what comes", timed_wait(both, 5 * clock::SECOND), Ok(SIGUSR1 as u64))?;
        done("sigaction", handle(SIGHUP, count, 0))?;
        same("another comes", timed_wait(both, 5 * clock::SECOND), Err(Errno::EINTR))?;
        same("handled", (counted(SIGHUP), counted(SIGUSR1)), (1, 0))?;
        set_mask(0);
        same("the sender", child::wait(sender)?, 0)
    });
}
