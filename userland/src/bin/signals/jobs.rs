//! Stopping and going on, what parents hear of it, what each signal does by itself, groups, and becoming another program.

use crate::{
    MILLISECOND, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, count,
    counted, done, forget, same, until,
};
use abi::errno::Errno;
use abi::signals::{SA_NOCLDSTOP, SIG_DFL, SIG_IGN, SigInfo, UserContext};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use userland::report::{Checks, Why};
use userland::signal::{self, bit, handle, set_mask, set_simple};
use userland::system::raw;
use userland::{child, clock, lwp};

const NO_HANG: i32 = 1;
const UNTRACED: i32 = 2;
const CONTINUED: i32 = 8;

const fn stopped_by(signal: i32) -> i32 {
    signal << 8 | 0x7f
}

const GOES_ON: i32 = 0xffff;

fn hears(child: u64, options: i32, status: i32) -> Result<(), Why> {
    same("what wait4 says", child::wait_for(child as i64, options), Ok((child, status)))
}

/// A number that children share with this process.
fn shared() -> Result<&'static AtomicU64, Why> {
    // SAFETY: fresh memory, shared, and never given back.
    let memory = done("mmap", unsafe { raw::mmap(0, 4096, 3, 0x21, -1, 0) })?;
    let place = ptr::with_exposed_provenance::<AtomicU64>(memory as usize);
    // SAFETY: mapped just now, zero, for ever.
    Ok(unsafe { &*place })
}

/// A child that counts as fast as it can.
fn counter(number: &'static AtomicU64) -> Result<u64, Why> {
    let child = child::start(|| {
        loop {
            number.fetch_add(1, SeqCst);
        }
    })?;
    until("counting", || number.load(SeqCst) > 0)?;
    Ok(child)
}

fn stands(number: &AtomicU64) -> bool {
    let before = number.load(SeqCst);
    let _ = lwp::sleep(5 * MILLISECOND);
    number.load(SeqCst) == before
}

/// The code of the last SIGCHLD.
static CODE: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_code(signal: i32, information: &SigInfo, context: &mut UserContext) {
    CODE.store(information.code, SeqCst);
    count(signal, information, context);
}

/// What a signal does by itself: 0 nothing, 1 stop, 2 end.
fn by_itself(signal: i32) -> u32 {
    match signal {
        17 | 18 | 23 | 28 => 0,
        19..=22 => 1,
        _ => 2,
    }
}

fn end(child: u64) -> Result<(), Why> {
    done("kill", signal::kill(child as i64, SIGKILL))?;
    same("its end", child::wait(child)?, SIGKILL)
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("stopping-and-going-on"), || {
        let number = shared()?;
        let child = counter(number)?;
        for signal in [SIGSTOP, SIGTSTP, 21, 22] {
            done("kill", signal::kill(child as i64, signal))?;
            hears(child, UNTRACED, stopped_by(signal))?;
            same("stands still", stands(number), true)?;
            let more = child::wait_for(child as i64, UNTRACED | NO_HANG);
            same("said once", more.map(|found| found.0), Ok(0))?;
            done("kill", signal::kill(child as i64, SIGCONT))?;
            hears(child, UNTRACED | CONTINUED, GOES_ON)?;
            let before = number.load(SeqCst);
            until("going on", || number.load(SeqCst) > before)?;
        }
        done("kill", signal::kill(child as i64, SIGSTOP))?;
        hears(child, UNTRACED, stopped_by(SIGSTOP))?;
        end(child)
    });
    checks.check(format_args!("stop-and-go-on-come-close-together"), || {
        let number = shared()?;
        let child = counter(number)?;
        for _ in 0..300 {
            done("kill", signal::kill(child as i64, SIGSTOP))?;
            done("kill", signal::kill(child as i64, SIGCONT))?;
            let before = number.load(SeqCst);
            until("going on", || number.load(SeqCst) != before)?;
        }
        end(child)
    });
    checks.check(format_args!("a-sleep-goes-on-over-a-stop"), || {
        let child = child::start(|| {
            let before = clock::nanoseconds();
            let result = lwp::sleep(60 * MILLISECOND);
            let took = clock::nanoseconds() - before;
            i32::from(result.is_err() || took < 60 * MILLISECOND)
        })?;
        let _ = lwp::sleep(10 * MILLISECOND);
        done("kill", signal::kill(child as i64, SIGSTOP))?;
        hears(child, UNTRACED, stopped_by(SIGSTOP))?;
        done("kill", signal::kill(child as i64, SIGCONT))?;
        same("its end", child::wait(child)?, 0)
    });
    checks.check(format_args!("parents-get-sigchld"), || {
        forget();
        done("sigaction", handle(SIGCHLD, note_code, abi::signals::SA_RESTART))?;
        let number = shared()?;
        let child = counter(number)?;
        for (signal, options, status, code) in [
            (SIGSTOP, UNTRACED, stopped_by(SIGSTOP), 5),
            (SIGCONT, CONTINUED, GOES_ON, 6),
            (SIGKILL, 0, SIGKILL, 2),
        ] {
            let before = counted(SIGCHLD);
            done("kill", signal::kill(child as i64, signal))?;
            hears(child, options, status)?;
            until("SIGCHLD", || counted(SIGCHLD) == before + 1)?;
            same("its code", CODE.load(SeqCst), code)?;
        }
        done("sigaction", handle(SIGCHLD, note_code, SA_NOCLDSTOP))?;
        forget();
        let child = counter(shared()?)?;
        done("kill", signal::kill(child as i64, SIGSTOP))?;
        while child::wait_for(child as i64, UNTRACED) == Err(Errno::EINTR) {}
        same("SIGCHLD of a stop", counted(SIGCHLD), 0)?;
        end(child)?;
        done("sigaction", set_simple(SIGCHLD, SIG_DFL)).map(drop)
    });
    checks.check(format_args!("each-signal-by-itself"), || {
        for signal in (1..=64).filter(|signal| ![SIGKILL, SIGSTOP].contains(signal)) {
            done("sigaction", set_simple(signal, SIG_DFL))?;
        }
        for signal in 1..=64 {
            let number = shared()?;
            let child = counter(number)?;
            done("kill", signal::kill(child as i64, signal))?;
            match by_itself(signal) {
                2 => same("its end", child::wait(child)?, signal)?,
                1 => {
                    hears(child, UNTRACED, stopped_by(signal))?;
                    end(child)?;
                }
                _ => {
                    let before = number.load(SeqCst);
                    until("counting on", || number.load(SeqCst) > before)?;
                    end(child)?;
                }
            }
            // SAFETY: nobody uses it any longer.
            done("munmap", unsafe { raw::munmap(number.as_ptr() as u64, 4096) })?;
        }
        Ok(())
    });
    checks.check(format_args!("groups-get-signals"), || {
        let mut children = [0; 3];
        let mut group = 0;
        for child in &mut children {
            *child = child::start(|| {
                loop {
                    // SAFETY: the call writes to no memory.
                    let _ = unsafe { raw::pause() };
                }
            })?;
            group = if group == 0 { *child } else { group };
            // SAFETY: the call writes to no memory.
            done("setpgid", unsafe { raw::setpgid(*child as i32, group as i32) })?;
        }
        done("kill", signal::kill(-(group as i64), SIGTERM))?;
        for child in children {
            same("its end", child::wait(child)?, SIGTERM)?;
        }
        same("nobody is left", signal::kill(-(group as i64), 0), Err(Errno::ESRCH))
    });
    checks.check(format_args!("another-program-inherits-masks-and-what-is-ignored"), || {
        let found = child::run(|| {
            let _ = set_simple(SIGTERM, SIG_IGN);
            let _ = handle(SIGUSR1, count, 0);
            set_mask(bit(SIGUSR2));
            signal::raise(SIGUSR2);
            let words = [c"signals".as_ptr().cast(), c"child".as_ptr().cast(), ptr::null()];
            // SAFETY: strings and an array that end as they should.
            let _ = unsafe {
                raw::execve(c"/bin/signals".as_ptr().cast(), words.as_ptr(), ptr::null())
            };
            1
        })?;
        same("what it found", found, child::exited(66))
    });
}

/// In a child that has become this program anew.
pub fn after_execve() -> i32 {
    let ignored = set_simple(SIGTERM, SIG_DFL).map(|before| before.handler) == Ok(SIG_IGN);
    let handled = set_simple(SIGUSR1, SIG_DFL).map(|before| before.handler) == Ok(SIG_DFL);
    let pending = signal::pending() == bit(SIGUSR2);
    let mask = set_mask(bit(SIGUSR2)) == bit(SIGUSR2);
    if ignored && handled && pending && mask { 66 } else { 1 }
}
