//! Calls about processors: which there are, who runs where, what they have done. This kernel's own.
//!
//! Locks, in this order: the dispatcher's of the processors, `Process::control`, a process's list of LWPs. A thread's
//! object may become another thread's once its LWP has been waited for; so who acts on a thread holds the list, or, if
//! it has to sleep meanwhile, `control`, without which nobody is waited for.

use super::Result;
use super::lwps::with;
use crate::kernel::{Kernel, PerCpu};
use crate::lwp::{self, Lwp};
use crate::threads::{KernelDuties, ticks};
use crate::user_structure::copy_out;
use abi::errno::Errno;
use abi::statistics::{ASK, BIND_NONE, BIND_QUERY, OFF_LINE, ON_LINE, ProcessorInfo};
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::binding::{self, BindError, Strength};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{OffLineError, cpu_offline, cpu_online};
use dispatch::processor_set::{self, SetError};
use dispatch::{CpuDispatch, Dispatch, Partition, idle_time};
use machine::{MayFault, preempt, time};

/// A processor of that number that has been started.
fn processor(number: u64) -> core::result::Result<&'static CpuDispatch, Errno> {
    let index = usize::try_from(number).map_err(|_| Errno::ENXIO)?;
    let cpu = Dispatch::current().cpus().find(|cpu| cpu.index() == index);
    cpu.filter(|cpu| cpu.is_ready()).ok_or(Errno::ENXIO)
}

/// The set of that number. To be looked up with the processors locked, so that it stays.
fn set(number: u32) -> core::result::Result<&'static Partition, Errno> {
    let is_meant = |set: &&Partition| u32::from(set.number()) == number;
    processor_set::all().find(is_meant).ok_or(Errno::EINVAL)
}

fn why_not_bound(error: BindError) -> Errno {
    match error {
        BindError::Invalid => Errno::EINVAL,
        BindError::NotReady => Errno::ENXIO,
        BindError::NoSuchThread => Errno::ESRCH,
    }
}

fn why_on_line(error: OffLineError) -> Errno {
    match error {
        OffLineError::NotReady => Errno::ENXIO,
        OffLineError::OutOfMemory => Errno::ENOMEM,
        _ => Errno::EBUSY,
    }
}

fn why_no_change(error: SetError) -> Errno {
    match error {
        SetError::Invalid => Errno::EINVAL,
        SetError::TooMany => Errno::EAGAIN,
        SetError::Busy => Errno::EBUSY,
        SetError::OutOfMemory => Errno::ENOMEM,
    }
}

pub fn processor_bind(may_fault: &mut MayFault, number: u64, wanted: i64) -> Result {
    let to = match wanted {
        BIND_QUERY | BIND_NONE => None,
        0.. => Some((processor(wanted as u64)?, Strength::Hard)),
        _ => return Err(Errno::EINVAL),
    };
    let asks = wanted == BIND_QUERY;
    let lock = lock_processors(may_fault);
    with(number, |lwp| {
        let thread = lwp.made_thread().ok_or(Errno::ESRCH)?;
        let before = binding::processor_binding(thread);
        if !asks {
            binding::processor_bind(thread, to, &lock).map_err(why_not_bound)?;
        }
        Ok(before.map_or(0, |(cpu, _)| cpu.index() as u64 + 1))
    })?
}

pub fn p_online(may_fault: &mut MayFault, number: u32, what: u32) -> Result {
    let cpu = processor(u64::from(number))?;
    let lock = lock_processors(may_fault);
    let before = u64::from(cpu.is_online());
    match what {
        ASK => {}
        OFF_LINE => {
            cpu_offline(cpu, false, &KernelDuties, &lock, may_fault).map_err(why_on_line)?;
        }
        ON_LINE => {
            cpu_online(cpu, &KernelDuties, &lock, may_fault).map_err(|_| Errno::ENOMEM)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    // There are more to share out, or less.
    Kernel::current().activation_processors.kick();
    Ok(before)
}

pub fn processor_info(
    may_fault: &mut MayFault,
    number: u32,
    buffer: *mut u8,
    length: usize,
) -> Result {
    let cpu = processor(u64::from(number))?;
    if length < size_of::<ProcessorInfo>() {
        return Err(Errno::EINVAL);
    }
    count_own_time(may_fault);
    copy_out(buffer as u64, &describe(cpu), may_fault).map(|()| 0)
}

/// The caller's own processor knows of the caller's time up to this call.
fn count_own_time(may_fault: &mut MayFault) {
    let guard = preempt::disable(may_fault);
    PerCpu::current(guard.atomic()).user_time.count(lwp::current());
}

fn describe(cpu: &'static CpuDispatch) -> ProcessorInfo {
    const SECOND: u64 = 1_000_000_000;
    let (counts, machine) = (cpu.counts(), cpu.cpu());
    let per_cpu = PerCpu::of(machine);
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    // Time in user mode is read first, so that it is part of the busy time.
    let user = per_cpu.user_time.total();
    let times = idle_time::times(cpu, time::now());
    let user = user.min(times.busy);
    ProcessorInfo {
        number: cpu.index() as u64,
        on_line: u64::from(cpu.is_online()),
        set: u64::from(processor_set::of_processor(cpu).number()),
        frequency: ticks(Kernel::current(), SECOND),
        user,
        system: times.busy - user,
        idle: times.idle,
        off_line: times.off_line,
        switches: read(&counts.switches),
        preemptions: read(&counts.preemptions),
        steals: read(&counts.steals),
        calls: machine.backend.system_calls(),
        timer_interrupts: read(&per_cpu.timer_interrupts),
        pokes: machine.pokes(),
    }
}

pub fn pset_create(may_fault: &mut MayFault) -> Result {
    let lock = lock_processors(may_fault);
    let set = processor_set::create(&lock).map_err(why_no_change)?;
    Ok(u64::from(set.number()))
}

pub fn pset_destroy(may_fault: &mut MayFault, number: u32) -> Result {
    let lock = lock_processors(may_fault);
    let set = set(number)?;
    processor_set::destroy(set, &lock, may_fault).map_err(why_no_change)?;
    Ok(0)
}

pub fn pset_assign(may_fault: &mut MayFault, number: u32, cpu: u32) -> Result {
    let cpu = processor(u64::from(cpu))?;
    let lock = lock_processors(may_fault);
    let set = set(number)?;
    let before = processor_set::of_processor(cpu).number();
    processor_set::move_processor(cpu, set, &lock, may_fault).map_err(why_no_change)?;
    Ok(u64::from(before))
}

pub fn pset_bind(may_fault: &mut MayFault, number: u32, lwp: u64) -> Result {
    let lock = lock_processors(may_fault);
    let set = set(number)?;
    let control = lwp::current().process.control.lock(may_fault);
    let thread = with(lwp, Lwp::made_thread)?.ok_or(Errno::ESRCH)?;
    let before = processor_set::of(thread).number();
    let done = processor_set::bind(&[thread], set, &lock, may_fault);
    drop(control);
    done.map_err(why_no_change)?;
    Ok(u64::from(before))
}
