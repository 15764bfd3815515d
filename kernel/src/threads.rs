//! Threads of the kernel: what the dispatcher takes from here (thread objects, stacks), and how its
//! processors begin.

use crate::kernel::Kernel;
use crate::kernel_space::NoSpace;
use crate::processors::refill_reserve;
use crate::{console, disk, traps};
use dispatch::hot_plug::Duties;
use dispatch::interrupt_thread::{self, InterruptContext};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::resources::{KernelStack, OutOfMemory, Resources, StackKind};
use dispatch::{CpuDispatch, Dispatch, Priority, Thread, idle_loop, start, tick};
use machine::time::TIMER_LEVEL;
use machine::{Cpu, MayFault, Pil};
use memory::Slab;

/// The priority of the boot thread: the system class's lowest.
const BOOT_PRIORITY: Priority = Priority::SYSTEM_MIN;

/// How long a processor waits for a dispatcher lock before it concludes that it waits for ever, in
/// nanoseconds: much longer than a host may keep one of QEMU's threads waiting.
const WATCHDOG_LIMIT: u64 = 10_000_000_000;

/// How long bindings may take to end when a processor goes off line, in nanoseconds.
pub const DRAIN: u64 = 200_000_000;

/// A time in ticks of the clock; none before that is calibrated.
pub fn ticks(kernel: &Kernel, nanoseconds: u64) -> u64 {
    kernel.system.backend.clock.frequency().map_or(0, |frequency| frequency.ticks(nanoseconds))
}

/// Sets the limit of the dispatcher's watchdog, in nanoseconds.
pub fn set_watchdog(kernel: &Kernel, nanoseconds: u64) {
    Dispatch::current().set_watchdog_limit(ticks(kernel, nanoseconds));
}

/// Sets the time between two clock ticks, in nanoseconds; 0: there are none.
pub fn set_tick(kernel: &Kernel, nanoseconds: u64) {
    Dispatch::current().set_tick_interval(ticks(kernel, nanoseconds));
}

/// Sets how long bindings may take to end when a processor goes off line, in nanoseconds.
pub fn set_drain(kernel: &Kernel, nanoseconds: u64) {
    Dispatch::current().set_drain(ticks(kernel, nanoseconds));
}

/// The dispatcher's memory. Has no state.
pub struct KernelResources;

impl Resources for KernelResources {
    fn new_thread(&self) -> Result<&'static Thread, OutOfMemory> {
        new_thread(&Kernel::current().threads, Thread::unused)
    }

    fn take_stack(&self, kind: StackKind) -> Result<KernelStack, OutOfMemory> {
        let stack = Kernel::current().take_thread_stack().map_err(|NoSpace| OutOfMemory)?;
        Ok(KernelStack { stack, kind })
    }

    fn give_stack(&self, stack: KernelStack) {
        // SAFETY: `take_stack` took it, and the dispatcher gives back what nobody stands on.
        unsafe { Kernel::current().give_thread_stack(stack.stack) };
    }

    fn handle_interrupt(&self, level: Pil, line: u8, context: &mut InterruptContext) {
        traps::handle_interrupt(level, line, context);
    }
}

fn new_thread(
    threads: &'static Slab<Thread>,
    thread: impl FnOnce() -> Thread,
) -> Result<&'static Thread, OutOfMemory> {
    Ok(threads.allocate_with(thread).map_err(|_| OutOfMemory)?.leak())
}

/// What processors do besides running threads. The first one takes the interrupts of all devices, which
/// cannot move: it stays on line.
pub struct KernelDuties;

impl Duties for KernelDuties {
    fn move_interrupts(&self, cpu: &'static CpuDispatch) -> bool {
        cpu.index() != 0
    }
}

/// Puts the first processor under the dispatcher: the caller becomes the boot thread.
pub fn begin_first(kernel: &'static Kernel, cpu: &'static Cpu) -> Result<(), NoSpace> {
    let boot = new_thread(&kernel.threads, Thread::of_running_code).map_err(|_| NoSpace)?;
    let cpu = CpuDispatch::of(cpu);
    prepare_interrupts(cpu)?;
    set_watchdog(kernel, WATCHDOG_LIMIT);
    set_tick(kernel, tick::INTERVAL);
    set_drain(kernel, DRAIN);
    start::begin_as_thread(cpu, boot, BOOT_PRIORITY, idle, 0).map_err(|_| NoSpace)
}

/// Makes the interrupt threads of a processor, which may be another one that has not started.
pub fn prepare_interrupts(cpu: &'static CpuDispatch) -> Result<(), NoSpace> {
    // The first processor takes the interrupts of all devices.
    let disks = (cpu.index() == 0).then_some(disk::LEVEL);
    for level in [console::LEVEL, TIMER_LEVEL].into_iter().chain(disks) {
        interrupt_thread::prepare(cpu, level).map_err(|_| NoSpace)?;
    }
    Ok(())
}

/// Puts a started processor under the dispatcher: the caller, on the processor's own stack, becomes its
/// idle thread.
pub fn begin_other(kernel: &'static Kernel, cpu: &'static Cpu, mut may_fault: MayFault) -> ! {
    let thread = new_thread(&kernel.threads, Thread::of_running_code);
    let Ok(thread) = thread else { panic!("no memory for the idle thread of a processor") };
    start::begin_as_idle(CpuDispatch::of(cpu), thread);
    idle(0, &mut may_fault);
    unreachable!("the idle loop ends");
}

/// What an idle thread does.
fn idle(_: usize, may_fault: &mut MayFault) -> usize {
    idle_loop(may_fault, |_| {
        refill_reserve();
        false
    });
    0
}

/// Runs `work` on a processor, in a thread of its own that is bound there. Says whether there was memory
/// for it.
pub fn run_on(cpu: &'static Cpu, work: fn()) -> bool {
    fn entry(argument: usize, _: &mut MayFault) -> usize {
        // SAFETY: `run_on` passes a `fn()`.
        let work = unsafe { core::mem::transmute::<usize, fn()>(argument) };
        work();
        0
    }
    let attributes = Attributes::system("work").bound(CpuDispatch::of(cpu));
    kernel_thread::create(&attributes, entry, work as usize).is_ok()
}
