//! The panic path: says what happened and ends the run. Takes no lock, allocates nothing, and waits
//! for nobody: it gives the other processors a moment to stop, and a serial port that is there takes
//! its bytes.
//!
//! The first processor that panics owns the report. It stops the others by NMI; one that panics at
//! the same moment stops by itself. A second panic on the owner, inside the report, is told in one
//! line and ends the run with a status of its own.

use crate::backtrace::{self, Start};
use crate::console::write_unlocked;
use crate::ending::end;
use crate::kernel::Kernel;
use crate::{process, timeline, trap_trace};
use abi::ending::Ending;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::Ordering;
use dispatch::{Dispatch, watchdog};
use machine::System;
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::private::{interrupts_off, is_adopted, stop};
use machine::x86_64::stack;
use machine::x86_64::trap::Fatal;

/// In the panicking mark: the next report is to panic itself.
const PANIC_INSIDE: u32 = 1 << 31;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    interrupts_off();
    report(backtrace::here(), |write| {
        write(format_args!("{}\n", info.message()));
        if let Some(location) = info.location() {
            write(format_args!("  at {location}\n"));
        }
    })
}

/// A trap that the kernel does not survive.
pub fn fatal_trap(frame: &TrapFrame, cause: Fatal) -> ! {
    let start = Start { rip: frame.rip, rbp: frame.rbp };
    report(start, |write| describe_trap(frame, cause, write))
}

type Write<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

fn describe_trap(frame: &TrapFrame, cause: Fatal, write: Write<'_>) {
    let address = frame.fault_address;
    match cause {
        Fatal::StackOverflow => {
            write(format_args!(
                "kernel stack overflow: no room above the guard page, at {address:#018x}\n"
            ));
        }
        Fatal::StackReserveEmpty => write(format_args!(
            "a hole in the kernel stack at {address:#018x}, and no frame in reserve to fill it\n"
        )),
        Fatal::NestedPageFault => {
            write(format_args!("page fault at {address:#018x} inside the page-fault entry\n"))
        }
        Fatal::FaultInCriticalSection => write(format_args!(
            "user memory at {address:#018x} was touched inside a critical section\n"
        )),
        Fatal::NoLanding => {
            write(format_args!("no kernel stack to handle a trap on\n"));
        }
        Fatal::Exception => {}
    }
    let name = exception_name(frame.vector);
    write(format_args!("{name} (vector {}, error code {:#x})", frame.vector, frame.error));
    if frame.vector == 14 {
        write(format_args!(": {} of {address:#018x}", access(frame.error)));
    }
    write(format_args!("\n{frame}\n"));
}

/// What a page fault's error code says of the access.
pub fn access(error: u64) -> &'static str {
    const WRITE: u64 = 1 << 1;
    const RESERVED: u64 = 1 << 3;
    const FETCH: u64 = 1 << 4;
    if error & RESERVED != 0 {
        "damaged page table on access"
    } else if error & FETCH != 0 {
        "execution"
    } else if error & WRITE != 0 {
        "write"
    } else {
        "read"
    }
}

/// An exception's name.
pub fn exception_name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "undefined instruction",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack-segment fault",
        13 => "general-protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "misaligned access",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualisation exception",
        21 => "control-protection exception",
        _ => "exception",
    }
}

/// Makes the next report panic itself; to test that it ends all the same.
pub fn panic_inside_next_report(kernel: &Kernel) {
    kernel.system.backend.panicking.store(PANIC_INSIDE, Ordering::Relaxed);
}

fn report(start: Start, describe: impl FnOnce(Write<'_>)) -> ! {
    if !is_adopted() {
        write_unlocked(format_args!("\nkernel panic before the first processor was set up: "));
        describe(&mut |text| write_unlocked(text));
        end(Ending::KernelPanic);
    }
    let system = System::current();
    // SAFETY: interrupts are off for good.
    let cpu = machine::Cpu::current(unsafe { machine::Atomic::assume() });
    let provoked = become_owner(system, cpu.index());
    stop_others(system, cpu.index());
    if let Some(dispatch) = Dispatch::find() {
        dispatch.note_panic();
    }
    let write: Write<'_> = &mut |text| write_unlocked(text);
    write(format_args!("\nkernel panic on cpu {}", cpu.index()));
    if let Some(program) = process::name_on(cpu, &mut [0; 32]) {
        write(format_args!(", running {program}"));
    }
    write(format_args!(": "));
    describe(write);
    assert!(!provoked, "a panic inside the report, as asked for");
    let own = stack::current(cpu);
    write(format_args!("  kernel stack {:#018x}..{:#018x}\n", own.bottom, own.top));
    if let Some(kernel) = Kernel::find() {
        if backtrace::is_kernel(start) {
            write(format_args!("backtrace:\n"));
            let mut file = kernel.image;
            backtrace::show(system, start, &mut file, write);
            process::show_own_backtrace(cpu, None, write);
        } else {
            process::show_own_backtrace(cpu, Some(start), write);
        }
    }
    if let Some(dispatch) = Dispatch::find() {
        write(format_args!("{}", watchdog::Report(dispatch)));
    }
    trap_trace::show(cpu, write);
    timeline::show_latest(system, cpu.index(), write);
    write(format_args!("end of panic report\n"));
    end(Ending::KernelPanic)
}

/// Returns, once, on the processor that panicked first; says whether the report is to panic.
fn become_owner(system: &System, index: usize) -> bool {
    let own = index as u32 + 1;
    let mut seen = 0;
    loop {
        match system.backend.panicking.compare_exchange(
            seen,
            own,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => return seen == PANIC_INSIDE,
            Err(PANIC_INSIDE) => seen = PANIC_INSIDE,
            Err(owner) if owner == own => {
                write_unlocked(format_args!("\nkernel panic inside the report of the first\n"));
                end(Ending::PanicInPanic)
            }
            Err(_) => stop(),
        }
    }
}

/// Stops every other processor; gives them a moment, and does not wait for one that is deaf.
fn stop_others(system: &System, own: usize) {
    let others = || system.cpus().filter(|cpu| cpu.index() != own);
    let online = || others().filter(|cpu| cpu.backend.online.load(Ordering::Acquire));
    for cpu in online() {
        system.backend.local_apic.send_non_maskable(cpu.backend.apic_id);
    }
    const LOOKS: u32 = 100_000;
    for _ in 0..LOOKS {
        if online().next().is_none() {
            return;
        }
        core::hint::spin_loop();
    }
    write_unlocked(format_args!("\n(a processor did not stop)\n"));
}
