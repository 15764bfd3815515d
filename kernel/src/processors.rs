//! The processors: bringing them up.

use crate::kernel::{Kernel, PerCpu};
use crate::kernel_space::{NoSpace, SlabPages, free_frame, zeroed_frame_as};
use crate::{system_call, threads};
use core::sync::atomic::Ordering;
use dispatch::{CpuDispatch, Dispatch};
use machine::x86_64::descriptors::{EntryStack, EntryStacks};
use machine::x86_64::firmware::Firmware;
use machine::x86_64::paging::{self, Flags, Tables};
use machine::x86_64::private::{interrupts_on, stop};
use machine::x86_64::stack::{Reserve, Stack};
use machine::x86_64::start::{self, StartTable};
use machine::x86_64::state::CpuState;
use machine::{Cpu, MayFault};
use memory::{Class, FrameNumber, Memory, Slab};

/// Pages of an entry stack: enough for the report of a panic.
const ENTRY_STACK_PAGES: u64 = 4;
/// Pages of a processor's own stack, on which it starts and idles.
const IDLE_STACK_PAGES: u64 = 4;
/// Below this, a started processor can find its first instruction.
const REAL_MODE_FRAMES: u64 = (1 << 20) >> 12;

/// Stacks for a processor's traps to enter on.
pub fn make_entry_stacks(kernel: &Kernel) -> Result<EntryStacks, NoSpace> {
    let mut stacks = [Stack { bottom: 0, top: 0 }; EntryStack::COUNT];
    let mut space = kernel.space.lock_anywhere();
    for stack in &mut stacks {
        *stack = space.make_stack(kernel, ENTRY_STACK_PAGES, ENTRY_STACK_PAGES)?;
    }
    Ok(EntryStacks(stacks))
}

/// What processors are made of; kept for ever.
pub struct ProcessorSlabs {
    /// The processors but the first.
    cpus: Slab<Cpu>,
    /// What the kernel keeps per processor.
    per_cpu: Slab<PerCpu>,
    /// What the dispatcher keeps per processor.
    dispatch: Slab<CpuDispatch>,
    /// Where each starts.
    table: StartTable,
}

impl ProcessorSlabs {
    /// Empty.
    pub fn new() -> ProcessorSlabs {
        ProcessorSlabs {
            cpus: Slab::new(&SlabPages),
            per_cpu: Slab::new(&SlabPages),
            dispatch: Slab::new(&SlabPages),
            table: StartTable::new(),
        }
    }
}

/// A frame in which a processor can start. To be taken before the low memory goes to others.
pub fn take_start_page() -> Result<FrameNumber, NoSpace> {
    let limit = FrameNumber::new(REAL_MODE_FRAMES);
    Memory::current().frames.allocate_block_below(0, limit).map_err(|_| NoSpace)
}

/// Makes the processors that the firmware lists known and starts them. Returns how many are on line.
pub fn start_others(
    kernel: &'static Kernel,
    slabs: &'static ProcessorSlabs,
    firmware: &Firmware,
    start_page: FrameNumber,
) -> Result<usize, NoSpace> {
    let own = kernel.system.backend.local_apic.id();
    let limit = kernel.options.cpus;
    for &apic_id in firmware.cpus().iter().filter(|&&id| id != own).take(limit - 1) {
        let cpu = Cpu::new(kernel.system, kernel.system.cpu_count(), CpuState::new(apic_id));
        let cpu = slabs.cpus.allocate(cpu).map_err(|_| NoSpace)?.leak();
        let per_cpu = slabs.per_cpu.allocate(PerCpu::new()).map_err(|_| NoSpace)?.leak();
        let stacks = make_entry_stacks(kernel)?;
        per_cpu.entry_stacks.call_once(|| stacks);
        per_cpu.install(cpu);
        let stack =
            kernel.space.lock_anywhere().make_stack(kernel, IDLE_STACK_PAGES, IDLE_STACK_PAGES)?;
        // The processor knows its stack from the start; its entry makes it official.
        // SAFETY: it has not started, and it will run on this stack.
        unsafe { machine::x86_64::stack::set_current(cpu, stack) };
        slabs.table.set(cpu, stack);
        let of_dispatcher = slabs.dispatch.allocate_with(|| CpuDispatch::new(cpu));
        let of_dispatcher: &'static CpuDispatch = of_dispatcher.map_err(|_| NoSpace)?.leak();
        Dispatch::current().add_cpu(of_dispatcher);
        threads::prepare_interrupts(of_dispatcher)?;
        kernel.system.add_cpu(cpu);
    }
    if kernel.system.cpu_count() == 1 {
        return Ok(1);
    }
    let address = start_page.address();
    {
        // SAFETY: the lower half is this processor's alone while the system starts.
        let mut tables = unsafe { Tables::at(kernel.system, kernel.root) };
        let mut frames = crate::kernel_space::TableFrames;
        // SAFETY: the page is ours, and it is executable and not writable here.
        unsafe { tables.map(address, address, Flags::empty(), &mut frames) }?;
    }
    // SAFETY: the page is ours and mapped at its own address; the table is filled.
    unsafe { start::prepare(kernel.system, address, kernel.root, &slabs.table) };
    let online =
        start::start_all(kernel.system, address, main, |time| kernel.spin_nanoseconds(time));
    if online < kernel.system.cpu_count() {
        // One that is late still needs the way in, so it stays.
        log::error!("{} processors did not start", kernel.system.cpu_count() - online);
        return Ok(online);
    }
    // SAFETY: every processor has left the lower half of the kernel's own tables.
    unsafe {
        paging::tear_down(kernel.system, kernel.root, &mut |frame| {
            if frame != address {
                free_frame(frame);
            }
        });
    };
    paging::flush_user();
    Ok(online)
}

/// Where a started processor begins.
fn main(cpu: &'static Cpu) -> ! {
    let kernel = Kernel::current();
    let stack = machine::x86_64::stack::current(cpu);
    take_traps(kernel, cpu, stack);
    kernel.system.backend.local_apic.enable();
    refill_reserve();
    kernel.processors.fetch_add(1, Ordering::AcqRel);
    cpu.backend.online.store(true, Ordering::SeqCst);
    // A panic that looked before the store has sent no NMI here.
    if kernel.system.backend.panicking.load(Ordering::SeqCst) != 0 {
        stop();
    }
    // SAFETY: the tables are loaded, and this is the processor's own stack.
    unsafe { interrupts_on() };
    // SAFETY: the start of a thread, with interrupts on and nothing held.
    threads::begin_other(kernel, cpu, unsafe { MayFault::assume() })
}

/// Makes the current processor take traps and system calls, once, on the stack that it runs on.
pub fn take_traps(kernel: &'static Kernel, cpu: &'static Cpu, stack: Stack) {
    let stacks = *PerCpu::of(cpu).entry_stacks.get().expect("the entry stacks are made before");
    // SAFETY: once, on this processor, on this stack; its entry stacks are mapped.
    unsafe { start::finish(cpu, stack, stacks, &kernel.interrupts, system_call::entry_address()) };
}

/// Tops up the current processor's reserve for holes in kernel stacks: with the last frames that there are, if need be,
/// as a hole can neither wait nor be done without.
pub fn refill_reserve() {
    let guard = machine::preempt::disable_anywhere();
    // SAFETY: the frames come from the pool, for this alone.
    unsafe { Reserve::refill(guard.atomic(), || zeroed_frame_as(Class::Interrupt).ok()) };
}
