//! What processors say of themselves.

use crate::{NO_PROCESSOR, count, expect, in_nanoseconds, info};
use abi::errno::Errno;
use abi::statistics::ProcessorInfo;
use userland::report::{Checks, Why};
use userland::system::raw;
use userland::{clock, fail, lwp, processor};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("each-says-what-it-is"), each_says_what_it_is);
    checks.check(format_args!("times-add-up"), times_add_up);
    checks.check(format_args!("an-idle-system-idles"), an_idle_system_idles);
    checks.check(format_args!("calls-are-counted"), calls_are_counted);
    checks.check(format_args!("info-errors"), errors);
}

fn each_says_what_it_is() -> Result<(), Why> {
    for number in 0..count() {
        let info = info(number)?;
        expect("its number", info.number, u64::from(number))?;
        expect("on line", info.on_line, 1)?;
        expect("its set", info.set, 0)?;
        if info.frequency < 1_000_000 || info.total() == 0 {
            fail!("processor {number}: {} ticks a second, {} in all", info.frequency, info.total());
        }
    }
    Ok(())
}

/// The four kinds of time of each processor are all the time that passes, and none goes back.
fn times_add_up() -> Result<(), Why> {
    for number in 0..count() {
        let begin = clock::ticks();
        let before = info(number)?;
        let between = clock::ticks();
        let _ = lwp::sleep(30_000_000);
        let late = clock::ticks();
        let after = info(number)?;
        let end = clock::ticks();
        // Counters of two processors may differ by a little.
        let slack = before.frequency / 1000;
        let passed = after.total() - before.total();
        if passed > end - begin + slack || passed + slack < late - between {
            fail!("processor {number}: {passed} of {} to {} ticks", late - between, end - begin);
        }
        let goes_back = after.user < before.user
            || after.idle < before.idle
            || after.off_line < before.off_line;
        if goes_back {
            fail!("processor {number}: a time goes back");
        }
    }
    Ok(())
}

/// While the only program sleeps, each processor idles for some of the time.
fn an_idle_system_idles() -> Result<(), Why> {
    const TIME: u64 = 200_000_000;
    let mut before = [ProcessorInfo::NOTHING; processor::MAX];
    for (info, place) in processor::all().zip(&mut before) {
        *place = info;
    }
    let _ = lwp::sleep(TIME);
    for (after, before) in processor::all().zip(&before) {
        let idle = in_nanoseconds(after.idle - before.idle, after.frequency);
        if idle < TIME / 2 {
            fail!("processor {} idled {idle} ns of {TIME}", after.number);
        }
    }
    Ok(())
}

fn calls_are_counted() -> Result<(), Why> {
    const CALLS: u64 = 1000;
    let sum = || processor::all().map(|info| info.calls).sum::<u64>();
    let before = sum();
    for _ in 0..CALLS {
        userland::system::getpid();
    }
    let counted = sum() - before;
    if !(CALLS..CALLS + 1000).contains(&counted) {
        fail!("{CALLS} calls, {counted} counted");
    }
    Ok(())
}

fn errors() -> Result<(), Why> {
    let mut info = ProcessorInfo::NOTHING;
    let place = (&raw mut info).cast();
    let length = size_of::<ProcessorInfo>();
    for number in [count(), NO_PROCESSOR, u32::MAX] {
        // SAFETY: the call fills the structure.
        let found = unsafe { raw::processor_info(number, place, length) };
        expect("no such processor", found, Err(Errno::ENXIO))?;
    }
    for short in [0, 8, length - 1] {
        // SAFETY: as above.
        let found = unsafe { raw::processor_info(0, place, short) };
        expect("a short buffer", found, Err(Errno::EINVAL))?;
    }
    // SAFETY: as above: it writes no more than it knows of.
    expect("a long buffer", unsafe { raw::processor_info(0, place, length + 800) }, Ok(0))
}
