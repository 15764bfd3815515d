//! Calls that a signal interrupts: they fail, or begin again.

use crate::{MILLISECOND, SIGUSR1, count, counted, done, forget, same};
use abi::errno::Errno;
use abi::signals::SA_RESTART;
use core::ptr;
use userland::report::{Checks, Why};
use userland::signal::{self, handle};
use userland::system::{self, raw};
use userland::{child, clock, lwp};

/// What interrupted calls come to without and with SA_RESTART.
fn both_ways(
    call: impl Fn() -> Result<Result<u64, Errno>, Why>,
) -> Result<[Result<u64, Errno>; 2], Why> {
    forget();
    done("sigaction", handle(SIGUSR1, count, 0))?;
    let without = call()?;
    done("sigaction", handle(SIGUSR1, count, SA_RESTART))?;
    let with = call()?;
    same("handled", counted(SIGUSR1), 2)?;
    Ok([without, with])
}

/// A child that sends a signal, and does something later.
fn interrupter(then: impl FnOnce() -> i32) -> Result<u64, Why> {
    let parent = system::getpid() as i64;
    child::start(|| {
        let _ = lwp::sleep(20 * MILLISECOND);
        let _ = signal::kill(parent, SIGUSR1);
        let _ = lwp::sleep(20 * MILLISECOND);
        then()
    })
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-read-is-interrupted-or-begins-again"), || {
        let found = both_ways(|| {
            let mut ends = [0; 2];
            // SAFETY: the call writes the two.
            done("pipe", unsafe { raw::pipe(ends.as_mut_ptr()) })?;
            let [from, to] = ends;
            let other = interrupter(|| i32::from(system::write(to, b"x") != Ok(1)))?;
            let mut byte = 0;
            // SAFETY: the call writes the byte.
            let result = unsafe { raw::read(from, &raw mut byte, 1) };
            same("the other", child::wait(other)?, 0)?;
            for fd in ends {
                // SAFETY: descriptors of this check.
                done("close", unsafe { raw::close(fd) })?;
            }
            Ok(result)
        })?;
        same("without and with", found, [Err(Errno::EINTR), Ok(1)])
    });
    checks.check(format_args!("waiting-for-a-child-is-interrupted-or-begins-again"), || {
        let found = both_ways(|| {
            let other = interrupter(|| 5)?;
            match child::wait_for(other as i64, 0) {
                Ok((_, status)) => Ok(Ok(status as u64)),
                Err(error) => {
                    same("the other", child::wait(other)?, child::exited(5))?;
                    Ok(Err(error))
                }
            }
        })?;
        same("without and with", found, [Err(Errno::EINTR), Ok(child::exited(5) as u64)])
    });
    checks.check(format_args!("a-sleep-is-interrupted-and-says-what-is-left"), || {
        let found = both_ways(|| {
            let other = interrupter(|| 0)?;
            let (time, mut left) = (clock::span(3 * clock::SECOND), clock::span(0));
            // SAFETY: the call reads the one and writes the other.
            let result = unsafe { raw::nanosleep(&raw const time, &raw mut left) };
            same("what is left", (1..=2).contains(&left.seconds), true)?;
            same("the other", child::wait(other)?, 0)?;
            Ok(result)
        })?;
        same("without and with", found, [Err(Errno::EINTR); 2])
    });
    checks.check(format_args!("parking-is-interrupted"), || {
        let found = both_ways(|| {
            let other = interrupter(|| 0)?;
            let result = lwp::park_for(3 * clock::SECOND);
            same("the other", child::wait(other)?, 0)?;
            Ok(result.map(|()| 0))
        })?;
        same("without and with", found, [Err(Errno::EINTR); 2])
    });
    checks.check(format_args!("an-interrupted-sleep-leaves-nothing-for-the-next"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, 0))?;
        let other = interrupter(|| 0)?;
        let time = clock::span(5 * clock::SECOND);
        // What is left has nowhere to go.
        // SAFETY: the call reads the time.
        let result = unsafe { raw::nanosleep(&raw const time, ptr::without_provenance_mut(8)) };
        same("nanosleep", result, Err(Errno::EFAULT))?;
        let before = clock::nanoseconds();
        while lwp::sleep(30 * MILLISECOND).is_err() {}
        same("the next one is short", clock::nanoseconds() - before < 2 * clock::SECOND, true)?;
        same("the other", child::wait(other)?, 0)
    });
}
