//! Processors go off line and come back.

use crate::{NO_PROCESSOR, WORKERS, Workers, another, count, expect, in_nanoseconds, info, works};
use abi::errno::Errno;
use userland::report::{Checks, Why};
use userland::system::raw;
use userland::{fail, lwp, processor};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("off-line-time"), off_line_time);
    checks.check(format_args!("the-bound-keep-it"), the_bound_keep_it);
    checks.check(format_args!("off-and-on-under-load"), off_and_on_under_load);
    checks.check(format_args!("all-but-the-first"), all_but_the_first);
    checks.check(format_args!("on-line-errors"), errors);
}

/// Takes a processor off line, waiting for what is on it in passing.
fn take_off(number: u32) -> Result<(), Why> {
    for _ in 0..50 {
        match processor::set_on_line(number, false) {
            Err(Errno::EBUSY) => {
                let _ = lwp::sleep(1_000_000);
            }
            result => return expect("it was on line", result, Ok(true)),
        }
    }
    fail!("processor {number} stays busy");
}

fn put_on(number: u32) -> Result<(), Why> {
    expect("it was off line", processor::set_on_line(number, true), Ok(false))
}

fn off_line_time() -> Result<(), Why> {
    const TIME: u64 = 100_000_000;
    let Some(number) = another() else { return Ok(()) };
    take_off(number)?;
    expect("asked", processor::is_on_line(number), Ok(false))?;
    expect("again", processor::set_on_line(number, false), Ok(false))?;
    expect("bound there", processor::bind(0, number), Err(Errno::EINVAL))?;
    let before = info(number)?;
    let _ = lwp::sleep(TIME);
    let after = info(number)?;
    put_on(number)?;
    expect("on line, it says", before.on_line, 0)?;
    expect("user time", after.user - before.user, 0)?;
    expect("idle time", after.idle - before.idle, 0)?;
    let off = in_nanoseconds(after.off_line - before.off_line, after.frequency);
    if off < TIME * 9 / 10 {
        fail!("{off} ns off line, not {TIME}");
    }
    let back = info(number)?;
    let _ = lwp::sleep(TIME);
    expect("off line no longer", info(number)?.off_line, back.off_line)
}

fn the_bound_keep_it() -> Result<(), Why> {
    let Some(number) = another() else { return Ok(()) };
    works("processor_bind", processor::bind(0, number))?;
    expect("while bound", processor::set_on_line(number, false), Err(Errno::EBUSY))?;
    expect("still on line", processor::is_on_line(number), Ok(true))?;
    works("processor_bind", processor::unbind(0))?;
    take_off(number)?;
    put_on(number)
}

/// Processors come and go while LWPs compute on all of them: each LWP goes on, whatever its processor does.
fn off_and_on_under_load() -> Result<(), Why> {
    let workers = Workers::start((2 * count() as usize).min(WORKERS))?;
    let result = (0..10).try_for_each(|_| {
        (1..count()).try_for_each(|number| {
            take_off(number)?;
            let _ = lwp::sleep(2_000_000);
            put_on(number)
        })
    });
    let going = workers.all_go_on(workers.rounds());
    workers.stop()?;
    result.and(going)
}

fn all_but_the_first() -> Result<(), Why> {
    let workers = Workers::start((2 * count() as usize).min(WORKERS))?;
    let off = (1..count()).try_for_each(take_off);
    let going = workers.all_go_on(workers.rounds());
    let on = (1..count()).try_for_each(put_on);
    workers.stop()?;
    off.and(going).and(on)
}

fn errors() -> Result<(), Why> {
    // It takes the devices' interrupts, or is the only one.
    expect("the first", processor::set_on_line(0, false), Err(Errno::EBUSY))?;
    expect("it is on line", processor::set_on_line(0, true), Ok(true))?;
    for number in [count(), NO_PROCESSOR, u32::MAX] {
        expect("no such processor", processor::set_on_line(number, false), Err(Errno::ENXIO))?;
        expect("none to ask", processor::is_on_line(number), Err(Errno::ENXIO))?;
    }
    for wrong in [3, u32::MAX] {
        // SAFETY: the call writes to no memory.
        expect("a wrong wish", unsafe { raw::p_online(0, wrong) }, Err(Errno::EINVAL))?;
    }
    Ok(())
}
