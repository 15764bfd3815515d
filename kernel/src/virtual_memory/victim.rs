//! Who goes when there is no memory left: the process that has the most, in memory and in swap space together.
//!
//! Exceptions: one that is going already; and nobody is chosen while one is, so that its memory is back before another
//! has to go. The kernel itself is no process.

use crate::console::print;
use crate::kernel::Kernel;
use crate::process;
use crate::signal;
use dispatch::binding::affinity_set;
use dispatch::cpu_lock::lock_processors;
use dispatch::{CpuDispatch, Thread};
use machine::MayFault;
use memory::Memory;
use vm::Vm;
use vm::page_daemon::Victims;

/// The processes of the kernel.
pub struct Processes;

impl Victims for Processes {
    /// Goes round the processors: what lies with one of them only that one may touch.
    fn gather(&self, may_fault: &mut MayFault) {
        for cpu in Kernel::current().system.cpus().map(CpuDispatch::of) {
            let lock = lock_processors(may_fault);
            if !cpu.is_online() {
                continue;
            }
            let there = affinity_set(Thread::running(), cpu, &lock);
            drop(lock);
            Vm::current().reclaim();
            Memory::current().frames.empty_cache();
            drop(there);
        }
    }

    fn choose(&self, may_fault: &mut MayFault) {
        let Some(victim) = process::largest(may_fault) else { return };
        Vm::current().census.victims.note();
        let kernel = Kernel::current();
        let swap = Vm::current().swap.counts();
        print(format_args!(
            "out of memory: process {} ({}) has {} pages, {} in memory and {} in swap space, the most of all, and is killed; \
             {} of {} slots are free\n",
            victim.id,
            victim.name(),
            victim.pages(),
            victim.resident,
            victim.swapped,
            swap.free,
            swap.slots,
        ));
        process::signal(kernel, victim.id, signal::SIGKILL, may_fault);
    }
}
