//! System calls that there are none, and registers with more in them than their argument.

use abi::calls::{Counter, OWN_BASE};
use abi::errno::Errno;
use userland::report::{Checks, Why};
use userland::system::{self, raw};
use userland::{Arguments, fail};

macro_rules! numbers {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        /// The numbers of all calls.
        const NUMBERS: &[u64] = &[$($number),*];
    };
}
abi::system_calls!(numbers);

/// A real call's number.
const GETPID: u64 = 39;
/// Bits that no argument of 32 bits has.
const HIGH: u64 = 0xdead_beef << 32;

/// Runs the checks.
pub fn try_all(_: Arguments) -> i32 {
    let mut checks = Checks::new("bad-numbers");
    // The kernel's range checks must look at the whole register.
    for (name, number) in [
        ("all-ones", u64::MAX),
        ("all-ones-32", u64::from(u32::MAX)),
        ("largest-positive", i64::MAX as u64),
        ("sign-bit", 1 << 63),
        ("sign-bit-of-32", 1 << 31),
        ("wide-garbage", 0x2a_dead_beef),
        ("wide-with-a-real-number", 1 << 37 | GETPID),
        ("wide-with-an-own-number", 1 << 37 | OWN_BASE | 1),
        ("own-base", OWN_BASE),
        ("below-own-base", OWN_BASE - 1),
        ("above-own-calls", NUMBERS.iter().max().copied().unwrap_or(OWN_BASE) + 1),
        ("far-above-own-calls", OWN_BASE + 0x10_0000),
    ] {
        checks.check(format_args!("{name}"), || refused(number..=number));
    }
    let end = NUMBERS.iter().filter(|&&number| number < OWN_BASE).max().copied().unwrap_or(0);
    checks.check(format_args!("gaps"), || refused(0..=end));
    checks.check(format_args!("above-linux-calls"), || refused(end + 1..=end + 100));
    checks.check(format_args!("between-the-tables"), || refused(OWN_BASE - 100..=OWN_BASE - 1));

    checks.check(format_args!("high-bits-of-fd"), || {
        // SAFETY: the call writes to no memory.
        same(unsafe { raw::any(1, HIGH | 1, 0, 0) }, Ok(0))
    });
    checks.check(format_args!("high-bits-of-bad-fd"), || {
        // SAFETY: as above.
        same(unsafe { raw::any(1, HIGH | 77, 0, 0) }, Err(Errno::EBADF))
    });
    checks.check(format_args!("high-bits-of-counter"), || {
        let processors = system::counter(Counter::Processors);
        // SAFETY: as above.
        same(unsafe { raw::any(0x1001, HIGH | Counter::Processors as u64, 0, 0) }, Ok(processors))
    });
    checks.check(format_args!("high-bits-of-clock"), || {
        let mut time = abi::calls::TimeSpec { seconds: -1, nanoseconds: -1 };
        // SAFETY: the call fills the structure.
        same(unsafe { raw::any(228, HIGH | 1, &raw mut time as u64, 0) }, Ok(0))?;
        if time.seconds < 0 || time.nanoseconds < 0 {
            fail!("success, but nothing was written");
        }
        Ok(())
    });
    checks.check(format_args!("unused-registers"), || {
        // SAFETY: the call has no arguments.
        same(unsafe { raw::any(GETPID, u64::MAX, HIGH, 1 << 47) }, Ok(system::getpid()))
    });
    checks.check(format_args!("unknown-counter"), || {
        // SAFETY: the call writes to no memory.
        same(unsafe { raw::counter(u32::MAX) }, Err(Errno::EINVAL))
    });
    checks.finish()
}

fn same(found: Result<u64, Errno>, expected: Result<u64, Errno>) -> Result<(), Why> {
    if found != expected {
        fail!("expected {expected:?}, found {found:?}");
    }
    Ok(())
}

/// Those of these numbers that no call has are answered with ENOSYS and counted.
fn refused(numbers: core::ops::RangeInclusive<u64>) -> Result<(), Why> {
    let before = system::counter(Counter::BadCalls);
    let mut tried = 0;
    for number in numbers.filter(|number| !NUMBERS.contains(number)) {
        // SAFETY: there is no such call.
        let result = unsafe { raw::any(number, 0, 0, 0) };
        if result != Err(Errno::ENOSYS) {
            fail!("{number:#x} is answered with {result:?}");
        }
        tried += 1;
    }
    let counted = system::counter(Counter::BadCalls) - before;
    if counted != tried {
        fail!("{tried} calls were refused, {counted} counted");
    }
    Ok(())
}
