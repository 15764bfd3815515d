//! Binding LWPs to processors.

use crate::{NO_LWP, NO_PROCESSOR, Workers, computes_on, count, expect, info, works};
use abi::errno::Errno;
use userland::report::{Checks, Why};
use userland::system::raw;
use userland::{fail, lwp, processor};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("bind-to-each"), bind_to_each);
    checks.check(format_args!("bind-another"), bind_another);
    checks.check(format_args!("all-on-one"), all_on_one);
    checks.check(format_args!("bind-errors"), errors);
}

fn bind_to_each() -> Result<(), Why> {
    expect("at first", processor::binding(0), Ok(None))?;
    let mut before = None;
    for number in 0..count() {
        expect("what was", processor::bind(0, number), Ok(before))?;
        before = Some(number);
        expect("what is", processor::binding(0), Ok(before))?;
        computes_on(number)?;
    }
    expect("by its number", processor::binding(lwp::own()), Ok(before))?;
    expect("unbound", processor::unbind(0), Ok(before))?;
    expect("in the end", processor::binding(0), Ok(None))
}

/// An LWP may be bound as soon as there is one, also before its first step.
fn bind_another() -> Result<(), Why> {
    let workers = Workers::start(crate::WORKERS)?;
    let result =
        workers.numbers().iter().zip((0..count()).cycle()).try_for_each(|(&lwp, number)| {
            expect("what was", processor::bind(lwp, number), Ok(None))?;
            expect("what is", processor::binding(lwp), Ok(Some(number)))
        });
    let going = workers.all_go_on(workers.rounds());
    workers.stop()?;
    result.and(going)
}

/// With all LWPs on the last processor, the others have nearly nothing of them.
fn all_on_one() -> Result<(), Why> {
    let last = count() - 1;
    let workers = Workers::start(4)?;
    let result = share_of_others(&workers, last);
    workers.stop()?;
    result
}

fn share_of_others(workers: &Workers, last: u32) -> Result<(), Why> {
    for &number in workers.numbers() {
        works("processor_bind", processor::bind(number, last))?;
    }
    // What ran elsewhere has been counted by the next clock tick.
    let _ = lwp::sleep(50_000_000);
    let user = |numbers: core::ops::Range<u32>| {
        numbers.map(|number| Ok(info(number)?.user)).sum::<Result<u64, Why>>()
    };
    let (others, own) = (user(0..last)?, user(last..last + 1)?);
    let _ = lwp::sleep(300_000_000);
    let (others, own) = (user(0..last)? - others, user(last..last + 1)? - own);
    if own == 0 || others > own / 4 {
        fail!("processor {last} gained {own}, all others {others}");
    }
    Ok(())
}

fn errors() -> Result<(), Why> {
    for number in [count(), NO_PROCESSOR, u32::MAX] {
        expect("no such processor", processor::bind(0, number), Err(Errno::ENXIO))?;
    }
    expect("no such LWP", processor::bind(NO_LWP, 0), Err(Errno::ESRCH))?;
    expect("no such LWP to ask", processor::binding(NO_LWP), Err(Errno::ESRCH))?;
    for wrong in [-3, i64::MIN] {
        // SAFETY: the call writes to no memory.
        let found = unsafe { raw::processor_bind(0, wrong) };
        expect("a wrong number", found, Err(Errno::EINVAL))?;
    }
    expect("still unbound", processor::binding(0), Ok(None))
}
