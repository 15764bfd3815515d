//! Suspending LWPs in whatever they do, and letting them go on.

use crate::{create, ends_with, until};
use abi::errno::Errno;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use userland::clock;
use userland::lwp;
use userland::report::{Checks, Why};
use userland::{child, fail};

static COUNT: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn counts(_: u64) -> u64 {
    while !OVER.load(SeqCst) {
        COUNT.fetch_add(1, SeqCst);
    }
    3
}

/// Sleeps for so many nanoseconds; says how long it took, in milliseconds, and whether anything was wrong.
extern "C" fn sleeps(nanoseconds: u64) -> u64 {
    let before = clock::nanoseconds();
    COUNT.fetch_add(1, SeqCst);
    let result = lwp::sleep(nanoseconds);
    let took = clock::nanoseconds() - before;
    u64::from(result.is_err() || took < nanoseconds)
}

extern "C" fn parks(_: u64) -> u64 {
    COUNT.fetch_add(1, SeqCst);
    u64::from(lwp::park() != Ok(()))
}

fn done(what: &str, result: Result<(), Errno>) -> Result<(), Why> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => fail!("{what}: {}", error.text()),
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("who-computes-stands-still"), || {
        OVER.store(false, SeqCst);
        COUNT.store(0, SeqCst);
        let number = create(0, counts, 0)?;
        for _ in 0..20 {
            let before = COUNT.load(SeqCst);
            until(|| COUNT.load(SeqCst) > before)?;
            done("suspend", lwp::suspend(number))?;
            let stands_at = COUNT.load(SeqCst);
            let _ = lwp::sleep(2_000_000);
            if COUNT.load(SeqCst) != stands_at {
                fail!("it counts on");
            }
            done("continue", lwp::resume(number))?;
        }
        OVER.store(true, SeqCst);
        ends_with(number, 3)
    });
    checks.check(format_args!("a-sleep-is-not-longer-or-shorter-for-it"), || {
        COUNT.store(0, SeqCst);
        let number = create(0, sleeps, 60_000_000)?;
        until(|| COUNT.load(SeqCst) == 1)?;
        let before = clock::nanoseconds();
        for _ in 0..5 {
            done("suspend", lwp::suspend(number))?;
            done("continue", lwp::resume(number))?;
            let _ = lwp::sleep(5_000_000);
        }
        ends_with(number, 0)?;
        let took = clock::nanoseconds() - before;
        // Each new beginning with the whole time would make it some 85 ms; a loaded host makes everything longer.
        if took > 5 * clock::SECOND {
            fail!("it took {took} ns");
        }
        Ok(())
    });
    checks.check(format_args!("an-unpark-waits-for-who-is-suspended"), || {
        COUNT.store(0, SeqCst);
        let number = create(0, parks, 0)?;
        until(|| COUNT.load(SeqCst) == 1)?;
        done("suspend", lwp::suspend(number))?;
        done("unpark", lwp::unpark(number))?;
        done("continue", lwp::resume(number))?;
        ends_with(number, 0)
    });
    checks.check(format_args!("who-is-suspended-can-be-ended"), || {
        let status = child::run(|| {
            OVER.store(false, SeqCst);
            let Ok(number) = create(0, counts, 0) else { return 1 };
            let _ = lwp::suspend(number);
            9
        })?;
        if status != child::exited(9) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
}
