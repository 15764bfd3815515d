//! Sets of processors.

use crate::{NO_LWP, NO_PROCESSOR, Workers, another, computes_on, expect, info, works};
use abi::errno::Errno;
use userland::report::{Checks, Why};
use userland::{fail, lwp, processor};

/// A number that no set has.
const NO_SET: u32 = 999;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-set-keeps-to-itself"), a_set_keeps_to_itself);
    checks.check(format_args!("the-bound-stay-out"), the_bound_stay_out);
    checks.check(format_args!("as-many-as-there-are"), as_many_as_there_are);
    checks.check(format_args!("set-errors"), errors);
}

fn a_set_keeps_to_itself() -> Result<(), Why> {
    let Some(number) = another() else { return Ok(()) };
    let set = works("pset_create", processor::create_set())?;
    expect("no processor yet", processor::enter_set(set, 0), Err(Errno::EINVAL))?;
    expect("where it was", processor::assign(set, number), Ok(0))?;
    expect("it says", info(number)?.set, u64::from(set))?;
    // LWPs of the set that they are made in, and others.
    let workers = Workers::start(4)?;
    let _ = lwp::sleep(50_000_000);
    let before = info(number)?;
    let _ = lwp::sleep(100_000_000);
    let strangers = info(number)?.user - before.user;
    workers.stop()?;
    expect("time of those outside", strangers, 0)?;
    expect("from the default set", processor::enter_set(set, 0), Ok(0))?;
    computes_on(number)?;
    expect("last with LWPs", processor::assign(0, number), Err(Errno::EBUSY))?;
    expect("last of the set", processor::set_on_line(number, false), Err(Errno::EBUSY))?;
    expect("outside", processor::bind(0, 0), Err(Errno::EINVAL))?;
    let workers = Workers::start(2)?;
    let first = processor::enter_set(0, workers.numbers()[0]);
    let going = workers.all_go_on(workers.rounds());
    let second = processor::enter_set(set, workers.numbers()[1]);
    workers.stop()?;
    expect("made in the set", (first, second), (Ok(set), Ok(set)))?;
    going?;
    works("pset_destroy", processor::destroy_set(set))?;
    expect("back in the default set", processor::enter_set(0, 0), Ok(0))?;
    expect("and the processor", info(number)?.set, 0)
}

fn the_bound_stay_out() -> Result<(), Why> {
    let Some(number) = another() else { return Ok(()) };
    let set = works("pset_create", processor::create_set())?;
    works("pset_assign", processor::assign(set, number))?;
    works("processor_bind", processor::bind(0, 0))?;
    let entered = processor::enter_set(set, 0);
    works("processor_bind", processor::unbind(0))?;
    works("pset_destroy", processor::destroy_set(set))?;
    expect("bound outside", entered, Err(Errno::EBUSY))
}

/// There is room for some sets, and in the end an error; all can be given back.
fn as_many_as_there_are() -> Result<(), Why> {
    let mut made = 0_u64;
    let error = loop {
        match processor::create_set() {
            Ok(set @ 1..64) => made |= 1 << set,
            Ok(set) => fail!("set {set}"),
            Err(error) => break error,
        }
    };
    for set in (1..64).filter(|set| made & 1 << set != 0) {
        works("pset_destroy", processor::destroy_set(set))?;
    }
    expect("no more", error, Errno::EAGAIN)?;
    if made.count_ones() < 3 {
        fail!("only {} sets", made.count_ones());
    }
    Ok(())
}

fn errors() -> Result<(), Why> {
    expect("the default set", processor::destroy_set(0), Err(Errno::EINVAL))?;
    for set in [1, NO_SET, u32::MAX] {
        expect("no set to end", processor::destroy_set(set), Err(Errno::EINVAL))?;
        expect("no set to fill", processor::assign(set, 0), Err(Errno::EINVAL))?;
        expect("no set to enter", processor::enter_set(set, 0), Err(Errno::EINVAL))?;
    }
    expect("no such processor", processor::assign(0, NO_PROCESSOR), Err(Errno::ENXIO))?;
    expect("no such LWP", processor::enter_set(0, NO_LWP), Err(Errno::ESRCH))?;
    expect("where it is", processor::assign(0, 0), Ok(0))
}
