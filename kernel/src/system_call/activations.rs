//! The calls of scheduler activations.

use super::{Result, times};
use crate::kernel::Kernel;
use crate::lwp;
use crate::process;
use crate::upcalls::{Activations, border, memory::Words, upcall};
use crate::user_structure::{copy_in, copy_out};
use abi::activations::{SA_GIVES_BACK, SA_NONE, SIGEV_SA, SaAreas, SaLibrary, SaStack};
use abi::calls::{TimerEvent, TimerTimes};
use abi::errno::Errno;
use activations::{
    Activation, Nudge, Posted, Refused, Stack, Unblock, UpcallNumber, VirtualProcessor, Yield,
};
use dispatch::Thread;
use dispatch::thread::asynchronous::OWNER;
use machine::pmap::Rights;
use machine::x86_64::user_copy::USER_END;
use machine::{MayFault, time};
use vm::PAGE_SIZE;
use vm::entry::Inheritance;
use vm::map::{Place, Request};
use vm::object::{Kind, Object};

/// Where the shared memory is mapped.
const MAP_BASE: u64 = 0x1800_0000_0000;

/// The caller's process's activations. They stay as long as the caller's LWP lives in this program.
fn own() -> core::result::Result<&'static Activations, Errno> {
    let process = process::current();
    let activations = process.activations.lock_anywhere();
    let activations = activations.as_ref().ok_or(Errno::EINVAL)?;
    // SAFETY: they go when the process ends or becomes another program, and nobody but the LWP that does that is left
    // then.
    Ok(unsafe { &*core::ptr::from_ref::<Activations>(activations) })
}

pub fn sa_register(
    may_fault: &mut MayFault,
    library: *const SaLibrary,
    areas: *mut SaAreas,
) -> Result {
    let library: SaLibrary = copy_in(library as u64, may_fault)?;
    // Whether it can be told where the memory is, is seen before there is any.
    copy_out(areas as u64, &SaAreas::default(), may_fault)?;
    if library.entry >= USER_END || library.flags != 0 {
        return Err(Errno::EINVAL);
    }
    let process = process::current();
    // One at a time.
    let _control = process.control.lock(may_fault);
    if process.activations.lock_anywhere().is_some() {
        return Err(Errno::EBUSY);
    }
    let activations = Activations::new(&library)?;
    let (first, pages) = activations.shared.frames();
    let made = Kernel::current().activation_objects.allocate(activations);
    let made = made.map_err(|_| Errno::ENOMEM)?;
    let request = Request {
        address: MAP_BASE,
        length: pages * PAGE_SIZE,
        place: Place::Hint,
        rights: Rights::READ | Rights::WRITE,
        rights_max: Rights::READ | Rights::WRITE,
        inheritance: Inheritance::None,
        shared: true,
        stacks: None,
    };
    let object = Object::make(Kind::Device(first), pages).map_err(|_| Errno::ENOMEM)?;
    let mapped = process.space().insert(&request, Some((object, 0)), may_fault);
    let address = mapped.map_err(|_| Errno::ENOMEM)?;
    // The library touches it where a fault would be one too many.
    let whole = address..address + pages * PAGE_SIZE;
    process.space().wire(whole, true, may_fault).map_err(|_| Errno::ENOMEM)?;
    let header = address..address + PAGE_SIZE;
    process.space().protect(header, Rights::READ, may_fault).map_err(|_| Errno::ENOMEM)?;
    made.is_mapped_at(address);
    let told = made.areas();
    *process.activations.lock(may_fault) = Some(made);
    copy_out(areas as u64, &told, may_fault)?;
    Ok(0)
}

pub fn sa_stacks(may_fault: &mut MayFault, stacks: *const SaStack, count: u32) -> Result {
    for number in 0..u64::from(count) {
        let at = (stacks as u64).wrapping_add(number * size_of::<SaStack>() as u64);
        let SaStack { base, size } = copy_in(at, may_fault)?;
        let of = own()?;
        let end = base.checked_add(size).filter(|end| *end <= USER_END).ok_or(Errno::EFAULT)?;
        if size < PAGE_SIZE || !end.is_multiple_of(16) {
            return Err(Errno::EINVAL);
        }
        // Upcalls begin without a fault. A program that may not wire so much pays for it with stalls.
        let pages = base & !(PAGE_SIZE - 1)..end.next_multiple_of(PAGE_SIZE);
        let _ = process::current().space().wire(pages, true, may_fault);
        of.add_stack(base, size)?;
    }
    let of = own()?;
    let mut state = of.lock();
    let home = own_processor(&state.protocol).unwrap_or(VirtualProcessor::new(0));
    loop {
        let nudge = state.protocol.look_again(home, &mut Words(&of.shared));
        state.act(nudge);
        if nudge == Nudge::Nobody {
            break;
        }
    }
    if state.protocol.is_short() {
        // It may have been for want of a stack.
        Kernel::current().activation_processors.kick();
    }
    Ok(u64::from(count))
}

fn own_processor(protocol: &activations::Protocol) -> Option<VirtualProcessor> {
    let (_, activation) = lwp::current().activation.get()?;
    protocol.processor_of(activation)
}

pub fn sa_enable(_: &mut MayFault) -> Result {
    own()?.enable(lwp::current())?;
    Thread::running().ask(OWNER);
    Ok(0)
}

pub fn sa_setconcurrency(may_fault: &mut MayFault, wanted: u32) -> Result {
    let of = own()?;
    if !of.lock().protocol.is_enabled() {
        return Err(Errno::EINVAL);
    }
    let mut added = 0;
    while added < u64::from(wanted) {
        let mut state = of.lock();
        let Some(nudge) = state.protocol.add_processor(&mut Words(&of.shared)) else { break };
        state.act(nudge);
        added += 1;
    }
    upcall::fill_cache(of, may_fault);
    Kernel::current().activation_processors.share_out();
    Ok(added)
}

pub fn sa_yield(_: &mut MayFault, stack: u32, flags: u32) -> Result {
    if flags & !SA_GIVES_BACK != 0 {
        return Err(Errno::EINVAL);
    }
    let gives_back = flags & SA_GIVES_BACK != 0;
    let lwp = lwp::current();
    let (of, activation) = lwp.activation.get().ok_or(Errno::EINVAL)?;
    let stack = (stack != SA_NONE).then(|| Stack::new(stack));
    let mut state = of.lock();
    let said = state.protocol.yields(activation, stack, gives_back, &mut Words(&of.shared));
    match said.map_err(errno)? {
        Yield::Deliver => lwp.activation.start(),
        Yield::Idle => Kernel::current().activation_processors.note_idle(),
        Yield::Cached(nudge) => state.act(nudge),
    }
    lwp.activation.park_at_border();
    Thread::running().ask(OWNER);
    Ok(0)
}

pub fn sa_preempt(_: &mut MayFault, processor: u32) -> Result {
    let of = own()?;
    let mut state = of.lock();
    if !state.protocol.has_processor(processor) {
        return Err(Errno::ESRCH);
    }
    let to = Some(VirtualProcessor::new(processor));
    let nudge = state.protocol.post(Posted::USER, to, &mut Words(&of.shared));
    state.act(nudge);
    Ok(0)
}

pub fn sa_unblockyield(
    may_fault: &mut MayFault,
    blocked: u32,
    block: u32,
    upcall_number: u32,
) -> Result {
    let lwp = lwp::current();
    let (of, activation) = lwp.activation.get().ok_or(Errno::EINVAL)?;
    let other = Activation::new(blocked);
    let said = {
        let mut state = of.lock();
        let number = UpcallNumber(upcall_number);
        let words = &mut Words(&of.shared);
        let said = state.protocol.unblock_yield(activation, other, block, number, words);
        let said = said.map_err(errno)?;
        match said {
            Unblock::Stall(nudge) => state.act(nudge),
            Unblock::GoOn(other, nudge) => {
                state.act(nudge);
                state.lwp(other).activation.start();
            }
            Unblock::Wait => {}
        }
        said
    };
    if said != Unblock::Wait {
        lwp.activation.park_at_border();
        Thread::running().ask(OWNER);
        return Ok(0);
    }
    border::wait_for(lwp, other, may_fault).ok_or(Errno::EINTR)?;
    let mut state = of.lock();
    if state.is_over {
        return Err(Errno::EINTR);
    }
    let slot = state.protocol.take_back(other, &mut Words(&of.shared)).map_err(errno)?;
    upcall::export(of, &mut state, other, slot);
    Ok(u64::from(slot.number()))
}

pub fn timer_create(
    may_fault: &mut MayFault,
    clock: i32,
    event: *const TimerEvent,
    timer: *mut i32,
) -> Result {
    times::read_clock(clock, may_fault)?;
    let event: TimerEvent = copy_in(event as u64, may_fault)?;
    // Whether its number can be told is seen before there is one.
    copy_out(timer as u64, &0_i32, may_fault)?;
    if event.notify != SIGEV_SA {
        return Err(Errno::EINVAL);
    }
    let of = own()?;
    let made = of.make_timer(event.value as u32)?;
    copy_out(timer as u64, &(made as i32), may_fault).inspect_err(|_| {
        let _ = of.delete_timer(made as u32);
    })?;
    Ok(0)
}

fn times_of(of: &Activations, timer: i32) -> core::result::Result<TimerTimes, Errno> {
    let (left, interval) = of.timer_left(timer as u32)?;
    let time = |ticks| times::to_time(times::to_nanoseconds(ticks));
    Ok(TimerTimes { interval: time(interval), value: time(left) })
}

pub fn timer_settime(
    may_fault: &mut MayFault,
    timer: i32,
    flags: i32,
    new: *const TimerTimes,
    old: *mut TimerTimes,
) -> Result {
    const ABSOLUTE: i32 = 1;
    let new: TimerTimes = copy_in(new as u64, may_fault)?;
    let (interval, value) = (times::of_time(new.interval)?, times::of_time(new.value)?);
    if !old.is_null() {
        copy_out(old as u64, &TimerTimes::default(), may_fault)?;
    }
    let of = own()?;
    let before = times_of(of, timer)?;
    if !old.is_null() {
        copy_out(old as u64, &before, may_fault)?;
    }
    let now = Kernel::current().uptime_nanoseconds();
    let after = match flags & ABSOLUTE {
        0 => value,
        _ => value.saturating_sub(now).max(1),
    };
    let due = if value == 0 { 0 } else { times::deadline_after(after) };
    let interval = match interval {
        0 => 0,
        interval => times::deadline_after(interval).saturating_sub(time::now()).max(1),
    };
    let _control = process::current().control.lock(may_fault);
    of.set_timer(timer as u32, due, interval)?;
    Ok(0)
}

pub fn timer_gettime(may_fault: &mut MayFault, timer: i32, times: *mut TimerTimes) -> Result {
    copy_out(times as u64, &TimerTimes::default(), may_fault)?;
    let left = times_of(own()?, timer)?;
    copy_out(times as u64, &left, may_fault).map(|()| 0)
}

pub fn timer_delete(may_fault: &mut MayFault, timer: i32) -> Result {
    let of = own()?;
    let _control = process::current().control.lock(may_fault);
    of.delete_timer(timer as u32).map(|()| 0)
}

fn errno(refused: Refused) -> Errno {
    match refused {
        Refused::NoProcessor | Refused::NoStack => Errno::EINVAL,
        Refused::NoBlock => Errno::ESRCH,
        Refused::NoSlot => Errno::EAGAIN,
    }
}
