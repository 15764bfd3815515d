//! Starting the other processors.
//!
//! A processor that gets INIT and then a start-up interrupt begins in real mode at a page below
//! 1 MiB. The code copied there (the *trampoline*) goes straight to long mode on the kernel's own
//! page tables, in which that one page is also mapped at its physical address for the time being,
//! finds out its APIC identifier, and with it its own [`Cpu`] and stack. All processors can be
//! started at once: they share nothing that is written.

use super::descriptors::{self, InterruptTable};
use super::private;
use super::stack::{self, Stack};
use crate::{Cpu, System};
use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where a started processor finds its own: indexed by APIC identifier.
pub struct StartTable {
    places: [StartPlace; 256],
}

#[repr(C)]
struct StartPlace {
    cpu: AtomicU64,
    stack_top: AtomicU64,
}

impl StartTable {
    /// A table with nobody in it.
    #[expect(clippy::new_without_default, reason = "there is nothing default about it")]
    pub const fn new() -> StartTable {
        StartTable {
            places: [const { StartPlace { cpu: AtomicU64::new(0), stack_top: AtomicU64::new(0) } };
                256],
        }
    }

    /// Says what the processor with this APIC identifier starts with.
    pub fn set(&self, cpu: &'static Cpu, stack: Stack) {
        let place = &self.places[cpu.backend.apic_id as usize];
        place.stack_top.store(stack.top, Ordering::Relaxed);
        place.cpu.store(core::ptr::from_ref(cpu) as u64, Ordering::Release);
    }
}

/// Where a processor goes once its machine layer is up.
pub type Main = fn(&'static Cpu) -> !;

/// What the trampoline needs to know; its last part.
#[repr(C)]
struct Parameters {
    root: u32,
    far_offset: u32,
    far_selector: u32,
    gdt_limit: u16,
    gdt_base: [u16; 2],
    padding: u16,
    table: u64,
    entry: u64,
    gdt: [u64; 2],
}

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_long: u8;
    static trampoline_parameters: u8;
    static trampoline_end: u8;
}

global_asm!(
    r#"
    .pushsection .rodata.trampoline, "a"
    .balign 16
    .global trampoline, trampoline_long, trampoline_parameters, trampoline_end
    .code16
trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl trampoline_parameters - trampoline + 12
    # Physical address extension, which long mode needs.
    mov $0x20, %eax
    mov %eax, %cr4
    mov trampoline_parameters - trampoline, %eax
    mov %eax, %cr3
    # EFER: long mode, no-execute pages, syscall.
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    # Paging, write protection, protection: from real mode to long mode in one step.
    mov $0x80010011, %eax
    mov %eax, %cr0
    ljmpl *(trampoline_parameters - trampoline + 4)
    .code64
trampoline_long:
    mov $1, %eax
    cpuid
    shr $24, %ebx
    shl $4, %ebx
    add trampoline_table_slot(%rip), %rbx
    mov (%rbx), %rdi
    mov 8(%rbx), %rsp
    xor %ebp, %ebp
    push $0
    jmp *trampoline_entry_slot(%rip)
    .balign 16
trampoline_parameters:
    .skip 24
trampoline_table_slot:
    .skip 8
trampoline_entry_slot:
    .skip 8
    .skip 16
trampoline_end:
    .popsection
    "#,
    options(att_syntax)
);

/// Writes the trampoline into a page below 1 MiB.
///
/// # Safety
///
/// The page is the caller's, is mapped with the rest of physical memory and, executable, at its own
/// physical address; `table` is filled before a processor starts.
pub unsafe fn prepare(system: &System, page: u64, root: u64, table: &'static StartTable) {
    assert!(page < 1 << 20 && page.is_multiple_of(4096), "a start-up page lies below 1 MiB");
    let root = u32::try_from(root).expect("the loader's tables lie below 4 GiB");
    let start = &raw const trampoline as u64;
    let long = &raw const trampoline_long as u64 - start;
    let parameters = &raw const trampoline_parameters as u64 - start;
    let length = &raw const trampoline_end as u64 - start;
    let gdt_base = page + parameters + core::mem::offset_of!(Parameters, gdt) as u64;
    let values = Parameters {
        root,
        far_offset: (page + long) as u32,
        far_selector: 8,
        gdt_limit: 15,
        gdt_base: [gdt_base as u16, (gdt_base >> 16) as u16],
        padding: 0,
        table: core::ptr::from_ref(table) as u64,
        entry: arrive as *const () as u64,
        gdt: [0, 0x00af_9b00_0000_ffff],
    };
    let place = super::paging::physical::<u8>(system, page);
    // SAFETY: the page is the caller's; the trampoline is shorter than a page.
    unsafe { core::ptr::copy_nonoverlapping(start as *const u8, place, length as usize) };
    // SAFETY: the parameters' place is in the page, and aligned like the trampoline.
    let place = unsafe { place.add(parameters as usize) }.cast::<Parameters>();
    // SAFETY: as above.
    unsafe { place.write(values) };
}

/// Where a processor leaves the trampoline.
extern "C" fn arrive(cpu: &'static Cpu) -> ! {
    // SAFETY: the first thing that this processor does.
    unsafe { private::adopt(cpu) };
    let system = cpu.system();
    // SAFETY: the first processor has them, and they are all alike.
    unsafe { system.backend.features.enable() };
    let main: Main = {
        let main = system.backend.main.load(Ordering::Acquire);
        // SAFETY: `start_all` stored a `Main` before it started anybody.
        unsafe { core::mem::transmute::<*mut (), Main>(main) }
    };
    main(cpu)
}

/// Prepares the current processor for traps, interrupts and system calls.
///
/// # Safety
///
/// Called once per processor, by that processor, on `stack`; the entry stacks are mapped.
pub unsafe fn finish(
    cpu: &'static Cpu,
    stack: Stack,
    interrupts: &'static InterruptTable,
    system_call_entry: u64,
) {
    // SAFETY: the caller runs on it.
    unsafe { stack::set_current(cpu, stack) };
    // SAFETY: the caller's promise.
    unsafe { descriptors::load(cpu, interrupts) };
    // SAFETY: the GDT is loaded, and the entry is the kernel's.
    unsafe { descriptors::set_system_call_entry(system_call_entry) };
    cpu.system().backend.local_apic.enable();
}

/// Starts every processor of the system but the current one, at the trampoline in `page`; each goes
/// on to `main`. `pause(nanoseconds)` waits. Processors announce themselves by their `online` flag;
/// whoever is not there after `pause` has been called for a while is left out.
///
/// Returns how many are on line, with the current one.
pub fn start_all(system: &'static System, page: u64, main: Main, pause: impl Fn(u64)) -> usize {
    system.backend.main.store(main as *mut (), Ordering::Release);
    let own = private::current_cpu();
    let others = || system.cpus().filter(|cpu| cpu.index() != own.index());
    let missing = || others().filter(|cpu| !cpu.backend.online.load(Ordering::Acquire));
    let apic = &system.backend.local_apic;
    for cpu in others() {
        apic.send_init(cpu.backend.apic_id);
    }
    if others().next().is_some() {
        pause(INIT_NANOSECONDS);
    }
    // Once is enough on processors of this century; twice is what the manual says.
    for _ in 0..2 {
        for cpu in missing() {
            apic.send_start(cpu.backend.apic_id, (page >> 12) as u8);
        }
        for _ in 0..ARRIVAL_STEPS {
            if missing().next().is_none() {
                break;
            }
            pause(ARRIVAL_STEP_NANOSECONDS);
        }
    }
    system.cpu_count() - missing().count()
}

/// Between INIT and the start-up interrupt. The manual's 10 ms are for processors of the nineties.
const INIT_NANOSECONDS: u64 = 100_000;
const ARRIVAL_STEP_NANOSECONDS: u64 = 50_000;
/// Half a second for all of them to arrive, for each of the two start-up interrupts.
const ARRIVAL_STEPS: u64 = 10_000;
