//! Waiting for signals, and calls that signals interrupt.

use crate::{RUNS, SIGALRM, SIGUSR1, SIGUSR2, note};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::signals::SA_RESTART;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Attributes, Stack};
use userland::report::{Checks, Why};
use userland::signal::{self, bit};
use userland::system::raw;
use userland::{child, clock, fail};

static STACK: Stack<16384> = Stack::new();
static TARGET: AtomicU64 = AtomicU64::new(0);

/// After so many nanoseconds, sends SIGUSR1 to the LWP that is meant.
extern "C" fn sends_later(nanoseconds: u64) -> u64 {
    let _ = lwp::sleep(nanoseconds);
    u64::from(signal::kill_lwp(TARGET.load(SeqCst), SIGUSR1).is_err())
}

/// Does something while another LWP sends a signal a little later.
fn with_signal<R>(act: impl FnOnce() -> R) -> Result<R, Why> {
    TARGET.store(lwp::own(), SeqCst);
    // SAFETY: the stack is this check's; it is waited for.
    let made = unsafe { lwp::create(STACK.top(), sends_later, 20_000_000, Attributes::default()) };
    let Ok(number) = made else { fail!("{made:?}") };
    let result = act();
    loop {
        match lwp::wait(number) {
            Ok((_, 0)) => return Ok(result),
            Err(Errno::EINTR) => {}
            other => fail!("the sender came to {other:?}"),
        }
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-sleep-is-interrupted"), || {
        let _ = signal::handle(SIGUSR1, note, SA_RESTART);
        let mut left = TimeSpec::default();
        let time = clock::span(3600 * clock::SECOND);
        // SAFETY: both structures are the call's to use.
        let result = with_signal(|| unsafe { raw::nanosleep(&raw const time, &raw mut left) })?;
        if result != Err(Errno::EINTR) || !(3500..3600).contains(&left.seconds) {
            fail!("{result:?}, {left:?}");
        }
        Ok(())
    });
    checks.check(format_args!("a-wait-is-interrupted-or-begins-again"), || {
        for (flags, expected) in [(0, Err(Errno::EINTR)), (SA_RESTART, Ok(child::exited(3)))] {
            let _ = signal::handle(SIGUSR1, note, flags);
            let before = RUNS.load(SeqCst);
            let child = child::start(|| {
                let _ = lwp::sleep(100_000_000);
                3
            })?;
            let heard = with_signal(|| child::wait_for(child as i64, 0).map(|heard| heard.1))?;
            let ran = RUNS.load(SeqCst) - before;
            if heard != expected || ran != 1 {
                fail!("flags {flags:#x}: {heard:?}, {ran} runs");
            }
            if heard.is_err() {
                child::wait(child)?;
            }
        }
        Ok(())
    });
    checks.check(format_args!("parking-is-interrupted"), || {
        let _ = signal::handle(SIGUSR1, note, SA_RESTART);
        let result = with_signal(|| lwp::park_for(10 * clock::SECOND))?;
        if result != Err(Errno::EINTR) {
            fail!("{result:?}");
        }
        Ok(())
    });
    checks.check(format_args!("sigsuspend-waits-with-another-mask"), || {
        let _ = signal::handle(SIGUSR1, note, 0);
        let old = signal::set_mask(bit(SIGUSR1));
        signal::raise(SIGUSR1);
        let before = RUNS.load(SeqCst);
        let error = signal::suspend(0);
        let ran = RUNS.load(SeqCst) - before;
        let mask = signal::set_mask(old);
        if (error, ran, mask) != (Errno::EINTR, 1, bit(SIGUSR1)) {
            fail!("{error:?}, {ran} runs, mask {mask:#x}");
        }
        let error = with_signal(|| signal::suspend(0))?;
        if error != Errno::EINTR {
            fail!("{error:?}");
        }
        Ok(())
    });
    checks.check(format_args!("sigtimedwait-takes-a-signal"), || {
        let set = bit(SIGUSR1) | bit(SIGUSR2);
        let old = signal::set_mask(set);
        let before = RUNS.load(SeqCst);
        let wait = |nanoseconds| {
            let time = clock::span(nanoseconds);
            // SAFETY: the structures are the call's to read.
            unsafe { raw::rt_sigtimedwait(&raw const set, ptr::null_mut(), &raw const time, 8) }
        };
        signal::raise(SIGUSR2);
        let first = wait(clock::SECOND);
        let second = wait(10_000_000);
        let third = with_signal(|| wait(10 * clock::SECOND))?;
        signal::set_mask(old);
        let ran = RUNS.load(SeqCst) - before;
        if (first, second, third, ran) != (Ok(12), Err(Errno::EAGAIN), Ok(10), 0) {
            fail!("{first:?}, {second:?}, {third:?}, {ran} runs");
        }
        Ok(())
    });
    checks.check(format_args!("the-timer-rings-again-and-again"), || {
        let _ = signal::handle(SIGALRM, note, SA_RESTART);
        let before = RUNS.load(SeqCst);
        // Interval and first time, in microseconds.
        let times = [0_u64, 5000, 0, 5000];
        // SAFETY: the structure is the call's to read.
        let set = unsafe { raw::setitimer(0, times.as_ptr().cast(), ptr::null_mut()) };
        while RUNS.load(SeqCst) < before + 5 {
            // SAFETY: the call uses no memory.
            let _ = unsafe { raw::pause() };
        }
        let off = [0_u64; 4];
        let mut old = [0_u64; 4];
        // SAFETY: the structures are the call's to use.
        let end = unsafe { raw::setitimer(0, off.as_ptr().cast(), old.as_mut_ptr().cast()) };
        if (set, end, old[1]) != (Ok(0), Ok(0), 5000) {
            fail!("{set:?}, {end:?}, {old:?}");
        }
        // SAFETY: the call uses no memory.
        let none = unsafe { raw::alarm(100) };
        // SAFETY: likewise.
        let left = unsafe { raw::alarm(0) };
        if none != Ok(0) || !matches!(left, Ok(99..=100)) {
            fail!("{none:?}, {left:?}");
        }
        Ok(())
    });
}
