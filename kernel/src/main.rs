//! The kernel: from `bootloader_api`'s entry to the first program.
//!
//! [`start`] is the boot order, a numbered list to read from top to bottom. Where things are:
//!
//! | file | concept |
//! |---|---|
//! | [`kernel`] | the kernel's own data, per system and per processor |
//! | [`options`] | the boot options |
//! | [`boot_memory`], [`kernel_space`], [`heap`] | memory: before frames, what is mapped where, odd sizes |
//! | [`processors`] | bringing processors up |
//! | [`threads`] | what the dispatcher is given: thread objects, stacks, the idle loop's extra work |
//! | [`traps`] | what the machine calls: exceptions, interrupts, pokes, preemption |
//! | [`system_call`] | the system-call path and the calls |
//! | [`user_structure`] | structures of programs, by their bytes |
//! | [`process`], [`lwp`], [`signal`] | processes: loading, running, ending; their LWPs; signals |
//! | [`files`] | open files, descriptors, pipes, the terminal |
//! | [`console`], [`logger`], [`report_channel`] | the serial port, the log, the lines for the harness |
//! | [`pci`], [`disk`] | devices and their interrupts; disks |
//! | [`mod@panic`], [`backtrace`], [`symbols`] | the last report |
//! | [`trap_trace`] | the last traps of each processor |
//! | [`timeline`] | the rings of events: making them, showing them |
//! | [`ending`] | how a run ends, as seen from outside |
//! | [`checks`], [`panic_kinds`] | the kernel's own checks, and panics on purpose |
//! | [`bench`] | measuring the kernel's own parts |

#![no_std]
#![no_main]

extern crate alloc;

mod backtrace;
mod bench;
mod boot_memory;
mod checks;
mod console;
mod disk;
mod ending;
mod files;
mod heap;
mod kernel;
mod kernel_space;
mod logger;
mod lwp;
mod name_space;
mod observe;
mod options;
mod panic;
mod panic_kinds;
mod pci;
mod process;
mod processors;
mod report_channel;
mod signal;
mod symbols;
mod system_call;
mod threads;
mod timeline;
mod trap_trace;
mod traps;
mod upcalls;
mod user_structure;
mod virtual_memory;

use abi::boot::{COMMAND_LINE_REGION, MEMORY_MIN};
use abi::ending::Ending;
use boot_memory::BootMemory;
use bootloader_api::config::{Mapping, Mappings};
use bootloader_api::info::MemoryRegionKind;
use bootloader_api::{BootInfo, BootloaderConfig, entry_point};
use console::Console;
use core::sync::atomic::{AtomicUsize, Ordering};
use disk::Disks;
use dispatch::disp_lock::LockClass;
use dispatch::{CpuDispatch, DispLock, Dispatch};
use ending::{end, refuse};
use kernel::{Kernel, PerCpu};
use kernel_space::{
    BOOT_STACK, BOOT_STACK_SIZE, DYNAMIC, KernelSpace, NoSpace, PHYSICAL, SlabPages, boot_stack,
};
use machine::x86_64::clock::Reference;
use machine::x86_64::descriptors::InterruptTable;
use machine::x86_64::features::Features;
use machine::x86_64::firmware::{BadFirmware, Firmware};
use machine::x86_64::io_apic::IoApic;
use machine::x86_64::private::{adopt, interrupts_on};
use machine::x86_64::state::{CpuState, SystemState};
use machine::x86_64::{legacy_pic, paging, trap};
use machine::{Cpu, MayFault, SpinLock, System, time};
use memory::{Memory, Slab};
use options::{BadOption, Options};
use pci::Pci;
use process::CannotRun;
use processors::{ProcessorSlabs, refill_reserve, take_traps};
use threads::KernelResources;
use traps::KernelHooks;
use vm::Vm;

/// What the kernel asks of whoever loads it.
static CONFIG: BootloaderConfig = {
    let mut config = BootloaderConfig::new_default();
    let mut mappings = Mappings::new_default();
    mappings.physical_memory = Some(Mapping::FixedAddress(PHYSICAL));
    mappings.kernel_stack = Mapping::FixedAddress(BOOT_STACK);
    mappings.dynamic_range_start = Some(DYNAMIC.start);
    mappings.dynamic_range_end = Some(DYNAMIC.end - 1);
    config.mappings = mappings;
    config.kernel_stack_size = BOOT_STACK_SIZE;
    config
};

entry_point!(start, config = &CONFIG);

/// The kernel's first line.
fn start(info: &'static mut BootInfo) -> ! {
    let start = time::now();

    // 1. What can this processor do? Nothing has been set up yet, so a refusal is one line.
    let features = Features::detect().unwrap_or_else(|missing| {
        refuse(Ending::UnsuitableProcessor, format_args!("it lacks {}", missing.0))
    });

    // 2. The command line, and pieces of memory for what lives for ever.
    let regions = &*info.memory_regions;
    let Some(mut memory) = BootMemory::new(regions, PHYSICAL) else {
        refuse(Ending::TooLittleMemory, format_args!("the memory map has none"));
    };
    let options = read_options(info, &mut memory);
    if memory.usable_bytes() < MEMORY_MIN - NOT_USABLE {
        refuse(
            Ending::TooLittleMemory,
            format_args!(
                "{} KiB usable, {} MiB needed",
                memory.usable_bytes() >> 10,
                MEMORY_MIN >> 20
            ),
        );
    }

    // 3. The first processor's own data. From here on locks and interrupt levels work.
    let system: &'static System =
        memory.keep(System::new(&KernelHooks, SystemState::new(PHYSICAL, features, &KernelHooks)));
    // SAFETY: the processor has them; no user page exists.
    unsafe { features.enable() };
    let cpu: &'static Cpu = memory.keep(Cpu::new(system, 0, CpuState::new(first_apic_id())));
    // SAFETY: the first thing that this processor does with the machine layer.
    unsafe { adopt(cpu) };
    system.add_cpu(cpu);
    let per_cpu: &'static PerCpu = memory.keep(PerCpu::new());
    per_cpu.install(cpu);
    let kernel: &'static Kernel = memory.keep(Kernel {
        system,
        options,
        image: kernel_image(info),
        start,
        root: paging::current_root(),
        interrupts: InterruptTable::new(),
        console: Console::new(),
        terminal: files::terminal::Line::new(),
        report_lock: SpinLock::new(()),
        heap: heap::new(),
        space: SpinLock::new(KernelSpace::new()),
        threads: Slab::new(&SlabPages),
        process_objects: Slab::new(&SlabPages),
        lwp_objects: Slab::new(&SlabPages),
        activation_objects: Slab::new(&SlabPages),
        activation_processors: upcalls::allocator::Processors::new(),
        signal_objects: Slab::new(&SlabPages),
        processes_table: process::table::Table::new(),
        observations: observe::Observations::new(),
        archive: spin::Once::new(),
        archive_files: Slab::new(&SlabPages),
        files: files::Files::new(),
        missing: system_call::missing::Missing::new(),
        names: spin::Once::new(),
        reserves: spin::Once::new(),
        stores: virtual_memory::stores::Stores::new(),
        disks: Disks::new(),
        foreground: SpinLock::new(None),
        bench_locks: [const { LockClass::Test }; 2].map(DispLock::new),
        shared: checks::Shared::new(),
        processors: AtomicUsize::new(1),
    });
    kernel.install();
    let processors: &'static ProcessorSlabs = memory.keep(ProcessorSlabs::new());
    let dispatch: &'static Dispatch = memory.keep(Dispatch::new(&KernelResources));
    dispatch.install(system);
    dispatch.add_cpu(memory.keep(CpuDispatch::new(cpu)));

    // 4. Frames.
    let pages = memory.make_pages();
    let virtual_memory: &'static Vm = memory.keep(virtual_memory::make(pages));
    virtual_memory.install(system);
    if let Some(bug) = options.bug {
        virtual_memory.bring_back(bug);
    }
    if !options.collapse {
        virtual_memory.leave_chains();
    }
    memory.into_frames().install(system);
    let start_page = processors::take_start_page().unwrap_or_else(|_| {
        refuse(Ending::TooLittleMemory, format_args!("none below 1 MiB to start processors in"))
    });

    // 5. The kernel's half of the address space, and traps: from here on every exception is reported.
    let prepared = prepare_space(kernel, per_cpu);
    if prepared.is_err() {
        refuse(Ending::TooLittleMemory, format_args!("not even the kernel's own stacks fit"));
    }
    take_traps(kernel, cpu, boot_stack(info));
    // What the loader left in the lower half, its GDT above all, has served.
    // SAFETY: the kernel, its stack and all that it was given lie in the upper half.
    unsafe { paging::clear_lower_half(system) };
    refill_reserve();
    logger::start(options.log);

    // 6. The platform: processors, interrupt controllers, clock.
    let firmware = read_firmware(kernel, info);
    start_interrupts(kernel, &firmware);
    // SAFETY: on the boot stack, tables loaded, nothing held.
    unsafe { interrupts_on() };
    // SAFETY: the boot thread is a thread: interrupts on, nothing held; its only token.
    let mut may_fault = unsafe { MayFault::assume() };

    // 7. The dispatcher: from here on this is the boot thread. Then the other processors.
    if threads::begin_first(kernel, cpu).is_err() {
        refuse(Ending::TooLittleMemory, format_args!("no room for the idle thread"));
    }
    cpu.backend.online.store(true, Ordering::Release);
    let online = match processors::start_others(kernel, processors, &firmware, start_page) {
        Ok(online) => online,
        Err(NoSpace) => {
            refuse(Ending::TooLittleMemory, format_args!("no room for the other processors"))
        }
    };
    log::info!(
        "upcall {} up: {online} processors, {} MiB free, {:?}",
        env!("CARGO_PKG_VERSION"),
        Memory::current().frames.free_frames() >> 8,
        system.backend.features
    );

    timeline::start(kernel);

    // 8. The disks, if there are any.
    kernel.disks.start(&mut Pci::new(kernel, firmware.pci_configuration));
    virtual_memory::start(kernel, &mut may_fault);
    name_space::start(kernel);

    // 9. What was asked for.
    end(serve(kernel, &mut may_fault))
}

/// Firmware keeps a little of what a machine has.
const NOT_USABLE: u64 = 2 << 20;

/// The first processor's APIC identifier, before its APIC is mapped.
fn first_apic_id() -> u32 {
    core::arch::x86_64::__cpuid(1).ebx >> 24
}

/// Copies the command line and reads it.
fn read_options(info: &BootInfo, memory: &mut BootMemory<'_>) -> Options {
    let is_line = |kind| kind == MemoryRegionKind::UnknownBios(COMMAND_LINE_REGION);
    let line = match info.memory_regions.iter().find(|region| is_line(region.kind)) {
        None => &[],
        Some(region) => {
            let start = (PHYSICAL + region.start) as *const u8;
            let length = (region.end - region.start) as usize;
            // SAFETY: the convention in `abi::boot`: these bytes are the command line.
            memory.keep_bytes(unsafe { core::slice::from_raw_parts(start, length) })
        }
    };
    core::str::from_utf8(line)
        .map_err(|_| BadOption::NotText)
        .and_then(Options::parse)
        .unwrap_or_else(|error| refuse(Ending::BadOption, format_args!("{error}")))
}

/// The kernel's own ELF file, which stays in memory for ever.
fn kernel_image(info: &BootInfo) -> &'static [u8] {
    let start = (PHYSICAL + info.kernel_addr) as *const u8;
    // SAFETY: the file lies there in physical memory, and nobody writes to it.
    unsafe { core::slice::from_raw_parts(start, info.kernel_len as usize) }
}

fn prepare_space(kernel: &Kernel, per_cpu: &PerCpu) -> Result<(), NoSpace> {
    kernel.space.lock_anywhere().prepare(kernel.system)?;
    kernel_space::protect_image(kernel)?;
    let stacks = processors::make_entry_stacks(kernel)?;
    per_cpu.entry_stacks.call_once(|| stacks);
    let heap = kernel.space.lock_anywhere().map_heap(kernel)?;
    // SAFETY: mapped just now, for the heap alone.
    unsafe { heap::start(kernel, heap) };
    Ok(())
}

/// The ACPI tables.
fn read_firmware(kernel: &Kernel, info: &BootInfo) -> Firmware {
    let Some(&root) = info.rsdp_addr.as_ref() else {
        refuse(Ending::NoAcpi, format_args!("processors and interrupt routing are unknown"));
    };
    // SAFETY: the loader found the root pointer there and mapped the tables' memory.
    unsafe { Firmware::read(kernel.system, root) }.unwrap_or_else(|error| {
        let why = match error {
            BadFirmware::Tables => "they are damaged",
            BadFirmware::NoMadt => "they do not list the interrupt controllers",
            BadFirmware::NoProcessor => "they list no processor",
        };
        refuse(Ending::NoAcpi, format_args!("{why}"))
    })
}

/// The interrupt controllers and the clock, interrupts still off.
fn start_interrupts(kernel: &Kernel, firmware: &Firmware) {
    legacy_pic::silence();
    let map = |address| match kernel.space.lock_anywhere().map_device(kernel, address) {
        Ok(mapped) => mapped,
        Err(NoSpace) => {
            refuse(Ending::TooLittleMemory, format_args!("no room for the interrupt controllers"))
        }
    };
    let state = &kernel.system.backend;
    let access = (!state.features.contains(Features::X2APIC)).then(|| map(firmware.local_apic));
    // SAFETY: a mapping of the registers that is not cached, or the processors have x2APIC.
    unsafe { state.local_apic.set_access(access) };
    state.local_apic.enable();

    let reference =
        firmware.pm_timer.map_or(Reference::IntervalTimer, |port| Reference::PmTimer { port });
    assert!(state.clock.calibrate(reference), "the clock does not run");

    let line = firmware.isa_line(console::ISA_IRQ);
    let vector = trap::vector(console::LEVEL, console::LINE);
    let own = state.local_apic.id();
    for entry in firmware.io_apics() {
        // SAFETY: a mapping of the registers that is not cached, made for this alone.
        let mut controller = unsafe { IoApic::new(entry, map(entry.address)) };
        if controller.route(line, vector, own) {
            kernel.console.lock_anywhere().enable_input();
        }
    }
    if firmware.cpus_left_out > 0 {
        log::warn!("{} processors are more than can be used", firmware.cpus_left_out);
    }
}

/// The program that runs if nobody says which.
const SHELL: &str = "shell";

/// Does what the command line asks for; says how that ended.
fn serve(kernel: &'static Kernel, may_fault: &mut MayFault) -> Ending {
    let options = &kernel.options;
    if let Some(kind) = options.panic {
        panic_kinds::provoke(kernel, kind);
    }
    if let Some(names) = options.check {
        checks::run(kernel, names, may_fault);
        return Ending::ChecksEnded;
    }
    let command = match (options.command, options.bench) {
        ("", Some(group)) => {
            bench::run(group, may_fault);
            return Ending::PoweredOff;
        }
        ("", None) => SHELL,
        (command, _) => command,
    };
    match process::run(kernel, command, may_fault) {
        Ok(_) => {
            if let Some(group) = options.bench {
                bench::run(group, may_fault);
            }
            Ending::ProgramEnded
        }
        Err(error) => {
            let ending = match error {
                CannotRun::NoArchive(why) => refuse(Ending::NoArchive, format_args!("{why}")),
                CannotRun::NotFound => Ending::NoSuchProgram,
                CannotRun::Unsuitable(_) | CannotRun::Device | CannotRun::Interrupted => {
                    Ending::BadProgram
                }
                CannotRun::OutOfMemory => Ending::TooLittleMemory,
            };
            refuse(ending, format_args!("{command}: {error}"))
        }
    }
}
