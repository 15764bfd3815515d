//! What the calls do: one function per entry of the table in `abi::calls`, with its name and
//! arguments. Pointers are user addresses and are reached through the copy routine only.

use super::Result;
pub(super) use super::activations::{
    sa_enable, sa_preempt, sa_register, sa_setconcurrency, sa_stacks, sa_unblockyield, sa_yield,
    timer_create, timer_delete, timer_gettime, timer_settime,
};
pub(super) use super::alarms::{alarm, getitimer, setitimer};
pub(super) use super::describe::describe;
pub(super) use super::descriptors::{close, dup, dup2, dup3, fcntl, pipe, pipe2};
pub(super) use super::files::{
    fstat, getrandom, ioctl, lseek, pread64, pwrite64, read, readv, write, writev,
};
pub(super) use super::folders::{
    chdir, fchdir, getcwd, getdents64, mkdir, mkdirat, readlink, readlinkat, rename, renameat,
    rmdir, unlink, unlinkat,
};
pub(super) use super::identity::{
    getegid, geteuid, getgid, getpgid, getpgrp, getpid, getppid, getsid, getuid, setpgid, setsid,
};
pub(super) use super::information::{lwp_info, process_info};
pub(super) use super::limits::{getrlimit, prlimit64, sched_getaffinity};
pub(super) use super::lwps::{
    arch_prctl, gettid, lwp_continue, lwp_create, lwp_exit, lwp_name, lwp_park, lwp_private,
    lwp_self, lwp_suspend, lwp_unpark, lwp_wait, prctl, set_tid_address,
};
pub(super) use super::memory::{
    brk, madvise, minherit, mlock, mmap, mprotect, munlock, munmap, stacks,
};
pub(super) use super::observation::{observe, observe_continue, observe_read, observe_wait};
pub(super) use super::opening::{creat, open, openat};
pub(super) use super::polling::{poll, ppoll};
pub(super) use super::processes::{clone, execve, fork, vfork, wait4};
pub(super) use super::processors::{
    p_online, processor_bind, processor_info, pset_assign, pset_bind, pset_create, pset_destroy,
};
pub(super) use super::signals::{
    kill, pause, rt_sigaction, rt_sigpending, rt_sigprocmask, rt_sigreturn, rt_sigsuspend,
    rt_sigtimedwait, sigaltstack, tgkill, tkill,
};
pub(super) use super::status::{
    access, faccessat, ftruncate, lstat, newfstatat, stat, statx, truncate,
};
pub(super) use super::times::{
    clock_getres, clock_gettime, clock_nanosleep, gettimeofday, nanosleep, time,
};
pub(super) use super::tracing::trace_groups;
pub(super) use super::traps::trap_trace;
pub(super) use super::usage::{getrusage, times};
use crate::kernel::Kernel;
use crate::process::Outcome;
use crate::{lwp, name_space, panic_kinds, process, report_channel};
use abi::calls::Counter;
use abi::errno::Errno;
use core::sync::atomic::Ordering;
use machine::MayFault;
use machine::x86_64::user_copy::{self, BadAddress};
use memory::Memory;
use report::{LINE_MAX, Line};
use vm::Vm;

fn fault(_: BadAddress) -> Errno {
    Errno::EFAULT
}

pub(super) fn sched_yield(_: &mut MayFault) -> Result {
    dispatch::preempt::yield_now();
    Ok(0)
}

pub(super) fn exit(may_fault: &mut MayFault, status: i32) -> Result {
    lwp::ending::exit(u64::from(status as u8), may_fault)
}

pub(super) fn exit_group(may_fault: &mut MayFault, status: i32) -> Result {
    process::current().end(Outcome::Exited(status as u8));
    lwp::ending::leave(0, may_fault)
}

pub(super) fn uname(may_fault: &mut MayFault, buffer: *mut u8) -> Result {
    /// The size of a field, with its null byte.
    const FIELD: usize = 65;
    const FIELDS: [&str; 6] = [
        "Upcall",
        "upcall",
        env!("CARGO_PKG_VERSION"),
        "a teaching kernel for scheduler activations",
        "x86_64",
        "",
    ];
    panic_kinds::provoke_in_system_call(Kernel::current());
    let mut names = [0; FIELD * FIELDS.len()];
    for (place, name) in names.chunks_exact_mut(FIELD).zip(FIELDS) {
        place[..name.len()].copy_from_slice(name.as_bytes());
    }
    user_copy::copy_out(buffer as u64, &names, may_fault).map_err(fault)?;
    Ok(0)
}

pub(super) fn counter(may_fault: &mut MayFault, which: u32) -> Result {
    let kernel = Kernel::current();
    let census = &Vm::current().census;
    Ok(match Counter::from_number(which).ok_or(Errno::EINVAL)? {
        Counter::KernelStart => kernel.start,
        Counter::Processors => kernel.processors.load(Ordering::Relaxed) as u64,
        Counter::SystemCalls => kernel.system.cpus().map(|cpu| cpu.backend.system_calls()).sum(),
        Counter::BadCalls => kernel.sum(|cpu| &cpu.bad_calls),
        Counter::RefusedEntries => kernel.sum(|cpu| &cpu.refused_entries),
        Counter::IretqReturns => kernel.sum(|cpu| &cpu.iretq_returns),
        Counter::FreeFrames => Memory::current().frames.free_frames(),
        Counter::Pokes => kernel.system.cpus().map(machine::Cpu::pokes).sum(),
        Counter::AnonymousObjects => census.anonymous_objects.get() as u64,
        Counter::AnonymousEntries => census.anonymous_entries.get() as u64,
        Counter::Collapses => census.collapses.get() as u64,
        Counter::Bypasses => census.bypasses.get() as u64,
        Counter::PageIns => census.page_ins.get() as u64,
        Counter::PageOuts => census.page_outs.get() as u64,
        Counter::SwapSlots => Vm::current().swap.counts().slots,
        Counter::FreeSwapSlots => Vm::current().swap.counts().free,
        Counter::Victims => census.victims.get() as u64,
        Counter::DeepestWalk => {
            census.walks().iter().rposition(|&walks| walks != 0).unwrap_or(0) as u64
        }
        Counter::OpenFiles => kernel.files.open.counts().live,
        Counter::Pipes => kernel.files.pipes.counts().live,
        Counter::FilePages => Vm::current().budget.counts().1,
        Counter::Names => name_space::names(may_fault)?.len() as u64,
        Counter::ObjectsTooMany => census.broken_lemma().map_or(0, |broken| broken.too_many()),
    })
}

pub(super) fn report(may_fault: &mut MayFault, line: *const u8, length: usize) -> Result {
    if length > LINE_MAX {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; LINE_MAX];
    let bytes = &mut bytes[..length];
    user_copy::copy_in(bytes, line as u64, may_fault).map_err(fault)?;
    let line = core::str::from_utf8(bytes).ok().and_then(Line::parse).ok_or(Errno::EINVAL)?;
    match line {
        // How a program ends is the kernel's to say.
        Line::Exited { .. } | Line::Killed { .. } => Err(Errno::EINVAL),
        _ => {
            report_channel::send(line);
            Ok(0)
        }
    }
}
