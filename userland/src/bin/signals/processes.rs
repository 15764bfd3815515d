//! Signals between processes: stopping, continuing, ending, groups, and what a new program keeps.

use crate::{RUNS, SIGCHLD, SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2, note};
use abi::errno::Errno;
use abi::signals::{SA_NOCLDSTOP, SA_RESTART, SIG_DFL, SIG_IGN};
use core::ptr;
use core::sync::atomic::Ordering::SeqCst;
use userland::report::Checks;
use userland::system::{self, raw};
use userland::{child, fail, lwp, signal};

const NO_HANG: i32 = 1;
const STOPPED: i32 = 2;
const CONTINUED: i32 = 8;

fn sleeps_for_ever() -> i32 {
    loop {
        let _ = lwp::sleep(1_000_000_000_000);
    }
}

/// What a child runs that has become this program anew: what was ignored is ignored, what had a handler has none.
pub fn after_execve() -> i32 {
    let ignored = signal::set_simple(SIGUSR1, SIG_DFL).map(|action| action.handler);
    let handled = signal::set_simple(SIGUSR2, SIG_DFL).map(|action| action.handler);
    let mask = signal::set_mask(0);
    if (ignored, handled, mask) == (Ok(SIG_IGN), Ok(SIG_DFL), signal::bit(SIGINT)) {
        11
    } else {
        12
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-process-stops-and-goes-on"), || {
        let child = child::start(sleeps_for_ever)?;
        for turn in 0..10 {
            let _ = signal::kill(child as i64, SIGSTOP);
            let stopped = child::wait_for(child as i64, STOPPED);
            let _ = signal::kill(child as i64, SIGCONT);
            let continued = child::wait_for(child as i64, CONTINUED);
            if (stopped, continued) != (Ok((child, SIGSTOP << 8 | 0x7f)), Ok((child, 0xffff))) {
                fail!("turn {turn}: {stopped:x?}, {continued:x?}");
            }
        }
        let nothing = child::wait_for(child as i64, NO_HANG | STOPPED | CONTINUED);
        // Also one that stands still ends.
        let _ = signal::kill(child as i64, SIGSTOP);
        let _ = child::wait_for(child as i64, STOPPED);
        let _ = signal::kill(child as i64, SIGKILL);
        let end = child::wait(child)?;
        if (nothing.map(|heard| heard.0), end) != (Ok(0), SIGKILL) {
            fail!("{nothing:?}, {end:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("parents-hear-of-their-children"), || {
        for (flags, expected) in [(SA_RESTART, 2..=2), (SA_RESTART | SA_NOCLDSTOP, 1..=1)] {
            let _ = signal::handle(SIGCHLD, note, flags);
            let before = RUNS.load(SeqCst);
            let child = child::start(sleeps_for_ever)?;
            let _ = signal::kill(child as i64, SIGSTOP);
            let _ = child::wait_for(child as i64, STOPPED);
            let _ = signal::kill(child as i64, SIGTERM);
            let _ = signal::kill(child as i64, SIGKILL);
            child::wait(child)?;
            let ran = RUNS.load(SeqCst) - before;
            if !expected.contains(&ran) {
                fail!("flags {flags:#x}: {ran} runs, not {expected:?}");
            }
        }
        // Who does not want to hear of them has none to wait for.
        let _ = signal::set_simple(SIGCHLD, SIG_IGN);
        let child = child::start(|| 0)?;
        let heard = child::wait_for(child as i64, 0);
        let _ = signal::set_simple(SIGCHLD, SIG_DFL);
        if heard.map(|heard| heard.0) != Err(Errno::ECHILD) {
            fail!("{heard:?}");
        }
        Ok(())
    });
    checks.check(format_args!("a-group-hears-it-together"), || {
        let mut children = [0; 3];
        for place in &mut children {
            *place = child::start(sleeps_for_ever)?;
        }
        let group = children[0];
        for member in children {
            // SAFETY: the call uses no memory.
            let put = unsafe { raw::setpgid(member as i32, group as i32) };
            if put != Ok(0) {
                fail!("setpgid: {put:?}");
            }
        }
        let sent = signal::kill(-(group as i64), SIGTERM);
        for member in children {
            let end = child::wait(member)?;
            if end != SIGTERM {
                fail!("{member} came to {end:#x}");
            }
        }
        // SAFETY: the calls use no memory.
        let wrong = unsafe { raw::setpgid(1 << 30, 0) };
        if (sent, wrong) != (Ok(()), Err(Errno::ESRCH)) {
            fail!("{sent:?}, {wrong:?}");
        }
        Ok(())
    });
    checks.check(format_args!("another-program-has-no-handlers"), || {
        let status = child::run(|| {
            let _ = signal::set_simple(SIGUSR1, SIG_IGN);
            let _ = signal::handle(SIGUSR2, note, 0);
            signal::set_mask(signal::bit(SIGINT));
            let path = c"/bin/signals".as_ptr().cast();
            let words = [c"signals".as_ptr().cast(), c"child".as_ptr().cast(), ptr::null()];
            // SAFETY: strings and arrays that end with null.
            let _ = unsafe { raw::execve(path, words.as_ptr(), ptr::null()) };
            1
        })?;
        if status != child::exited(11) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("many-signals-from-many"), || {
        let _ = signal::handle(SIGUSR1, note, SA_RESTART);
        let _ = signal::handle(SIGUSR2, note, SA_RESTART);
        let parent = system::getpid() as i64;
        let before = RUNS.load(SeqCst);
        let mut children = [0; 4];
        for (index, place) in children.iter_mut().enumerate() {
            *place = child::start(|| {
                for round in 0..200 {
                    let number = if (round + index) % 2 == 0 { SIGUSR1 } else { SIGUSR2 };
                    if signal::kill(parent, number).is_err() {
                        return 1;
                    }
                }
                0
            })?;
        }
        for child in children {
            let end = child::wait(child)?;
            if end != 0 {
                fail!("{child} came to {end:#x}");
            }
        }
        let ran = RUNS.load(SeqCst) - before;
        if !(2..=800).contains(&ran) {
            fail!("{ran} runs for 800 signals");
        }
        Ok(())
    });
}
