//! How LWPs begin and end.

use crate::{create, create_as, ends_with, until};
use abi::calls::{LWP_DETACHED, LWP_SUSPENDED};
use abi::errno::Errno;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Attributes};
use userland::report::{Checks, Why};
use userland::system::{self, raw};
use userland::{child, fail};

static COUNT: AtomicU64 = AtomicU64::new(0);

extern "C" fn twice(argument: u64) -> u64 {
    COUNT.fetch_add(1, SeqCst);
    2 * argument
}

extern "C" fn for_ever(_: u64) -> u64 {
    loop {
        COUNT.fetch_add(1, SeqCst);
    }
}

extern "C" fn parked(_: u64) -> u64 {
    COUNT.fetch_add(1, SeqCst);
    loop {
        let _ = lwp::park();
    }
}

extern "C" fn asleep(_: u64) -> u64 {
    COUNT.fetch_add(1, SeqCst);
    loop {
        let _ = lwp::sleep(1_000_000_000_000);
    }
}

extern "C" fn exit_alone(status: u64) -> u64 {
    let main = COUNT.load(SeqCst);
    let _ = lwp::wait(main);
    // The last one.
    status
}

extern "C" fn execute(_: u64) -> u64 {
    let path = c"/bin/lwps".as_ptr().cast();
    let words = [c"lwps".as_ptr().cast(), c"child".as_ptr().cast(), ptr::null()];
    // SAFETY: strings and arrays that end with null.
    let error = unsafe { raw::execve(path, words.as_ptr(), ptr::null()) };
    userland::println!("execve came back with {error:?}");
    99
}

/// What a child runs that has become this program anew, from an LWP that was not its first.
pub fn after_execve() -> i32 {
    let is_first = lwp::own() == system::getpid();
    let alone = lwp::wait(0) == Err(Errno::ESRCH);
    if is_first && alone { 7 } else { 8 }
}

fn is(what: &str, found: Result<u64, Errno>, expected: Result<u64, Errno>) -> Result<(), Why> {
    if found != expected {
        fail!("{what} came to {found:?}, not {expected:?}");
    }
    Ok(())
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("one-begins-ends-and-is-waited-for"), || {
        for turn in 0..100 {
            let number = create(0, twice, turn)?;
            ends_with(number, 2 * turn)?;
        }
        Ok(())
    });
    checks.check(format_args!("any-of-several-is-waited-for"), || {
        let mut numbers = [0; 8];
        for (index, number) in numbers.iter_mut().enumerate() {
            *number = create(index, twice, index as u64)?;
        }
        for _ in numbers {
            let (number, status) = match lwp::wait(0) {
                Ok(found) => found,
                Err(error) => fail!("waiting for any: {}", error.text()),
            };
            let place = numbers.iter().position(|&other| other == number);
            if place.map(|place| 2 * place as u64) != Some(status) {
                fail!("LWP {number} of {numbers:?} came to {status}");
            }
        }
        is("once more", lwp::wait(0).map(|found| found.0), Err(Errno::ESRCH))
    });
    checks.check(format_args!("a-detached-one-is-nobodys"), || {
        COUNT.store(0, SeqCst);
        let detached = Attributes { flags: LWP_DETACHED, ..Attributes::default() };
        let number = create_as(0, twice, 1, detached)?;
        let found = lwp::wait(number).map(|found| found.0);
        if !matches!(found, Err(Errno::EINVAL | Errno::ESRCH)) {
            fail!("waiting for it came to {found:?}");
        }
        until(|| COUNT.load(SeqCst) == 1)?;
        // Its stack is free when it is gone.
        until(|| lwp::unpark(number) == Err(Errno::ESRCH))
    });
    checks.check(format_args!("a-suspended-one-begins-when-it-is-continued"), || {
        COUNT.store(0, SeqCst);
        let suspended = Attributes { flags: LWP_SUSPENDED, ..Attributes::default() };
        let number = create_as(0, twice, 5, suspended)?;
        let _ = lwp::sleep(20_000_000);
        if COUNT.load(SeqCst) != 0 {
            fail!("it has begun by itself");
        }
        is("continuing it", lwp::resume(number).map(|()| 0), Ok(0))?;
        ends_with(number, 10)
    });
    checks.check(format_args!("wrong-calls-are-errors"), || {
        let own = lwp::own();
        // SAFETY: nothing is made.
        let create = |entry, stack, private, flags| unsafe {
            raw::lwp_create(entry, stack, 0, private, flags)
        };
        is("flags", create(0x20_0000, 0x30_0000, 0, 8), Err(Errno::EINVAL))?;
        is("entry", create(1 << 63, 0x30_0000, 0, 0), Err(Errno::EFAULT))?;
        is("stack", create(0x20_0000, u64::MAX, 0, 0), Err(Errno::EFAULT))?;
        is("private", create(0x20_0000, 0x30_0000, 1 << 47, 0), Err(Errno::EFAULT))?;
        is("own end", lwp::wait(own).map(|_| 0), Err(Errno::EDEADLK))?;
        is("nobody's end", lwp::wait(u64::MAX).map(|_| 0), Err(Errno::ESRCH))?;
        is("nobody unparked", lwp::unpark(0).map(|()| 0), Err(Errno::ESRCH))?;
        is("nobody suspended", lwp::suspend(1 << 40).map(|()| 0), Err(Errno::ESRCH))?;
        is("nobody continued", lwp::resume(1 << 40).map(|()| 0), Err(Errno::ESRCH))?;
        is("the only one suspended", lwp::suspend(own).map(|()| 0), Err(Errno::EDEADLK))
    });
    checks.check(format_args!("an-end-takes-everybody-along"), || {
        let status = child::run(|| {
            COUNT.store(0, SeqCst);
            for (stack, entry) in
                [for_ever as lwp::Entry, parked, asleep, for_ever].into_iter().enumerate()
            {
                if create(stack, entry, 0).is_err() {
                    return 1;
                }
            }
            let _ = until(|| COUNT.load(SeqCst) > 4);
            42
        })?;
        if status != child::exited(42) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("the-last-one-ends-the-process"), || {
        let status = child::run(|| {
            COUNT.store(lwp::own(), SeqCst);
            match create(0, exit_alone, 33) {
                Ok(_) => system::exit(5),
                Err(_) => 1,
            }
        })?;
        if status != child::exited(33) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("a-child-has-one"), || {
        COUNT.store(0, SeqCst);
        let number = create(0, parked, 0)?;
        until(|| COUNT.load(SeqCst) == 1)?;
        let status = child::run(|| {
            let alone = lwp::wait(0) == Err(Errno::ESRCH) && lwp::own() == system::getpid();
            if alone { 0 } else { 1 }
        })?;
        if status != 0 {
            fail!("the child came to {status:#x}");
        }
        // It parks for ever: an end of its own takes a signal, and it is this process's; let it be suspended.
        is("suspending it", lwp::suspend(number).map(|()| 0), Ok(0))
    });
    checks.check(format_args!("another-program-has-one"), || {
        let status = child::run(|| {
            COUNT.store(0, SeqCst);
            for (stack, entry) in [for_ever as lwp::Entry, parked, asleep].into_iter().enumerate() {
                if create(stack + 1, entry, 0).is_err() {
                    return 1;
                }
            }
            let _ = until(|| COUNT.load(SeqCst) > 3);
            match create(4, execute, 0) {
                Ok(number) => lwp::wait(number).map_or(2, |found| found.1 as i32),
                Err(_) => 1,
            }
        })?;
        if status != child::exited(7) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
}
