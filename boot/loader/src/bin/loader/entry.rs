//! The first instructions: from the PVH entry to 64-bit Rust.
//!
//! The firmware finds the entry through an ELF note and jumps to it as the PVH boot protocol says:
//! 32-bit protected mode, flat segments, paging and interrupts off, `ebx` the address of the start
//! information; no stack, and a GDT that may be gone. From there it takes a stack, a page table, four
//! control registers and a far return. The page tables are data that the assembler computes: 2048
//! pages of 2 MiB that map the first 4 GiB to themselves, writable and executable. They live until
//! the kernel's own come into force.
//!
//! A processor without long mode or without no-execute pages is refused here, before the bit that
//! it lacks is set.

use crate::boot::boot;
use abi::ending::{DEBUG_EXIT_PORT, Ending};
use core::arch::global_asm;

/// Leaf 0x80000001 of CPUID, register edx: long mode, no-execute pages.
const NEEDED_FEATURES: u32 = 1 << 29 | 1 << 20;
/// Page-table entry: present, writable.
const TABLE: u64 = 0b11;
/// Page-table entry: present, writable, 2 MiB.
const LARGE_PAGE: u64 = 1 << 7 | 0b11;
/// CR4: physical address extension, which long mode builds on.
const PAE: u32 = 1 << 5;
const EFER: u32 = 0xc000_0080;
/// EFER: long mode, no-execute pages.
const LME_NXE: u32 = 1 << 8 | 1 << 11;
/// CR0: paging, write protection for the kernel itself, protected mode.
const PG_WP_PE: u32 = 1 << 31 | 1 << 16 | 1;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18                      // lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_entry

    .section .text.entry, "ax"
    .code32
    .global pvh_entry
pvh_entry:
    cld
    mov esp, offset boot_stack_top
    mov ebp, ebx                        // the start information; cpuid writes ebx

    mov eax, 0x80000000                 // is there a leaf 0x80000001?
    cpuid
    cmp eax, 0x80000001
    jb unsuitable_processor
    mov eax, 0x80000001
    cpuid
    and edx, {needed_features}
    cmp edx, {needed_features}
    jne unsuitable_processor

    mov eax, {pae}
    mov cr4, eax
    mov eax, offset boot_page_map
    mov cr3, eax
    mov ecx, {efer}
    rdmsr
    or eax, {lme_nxe}
    wrmsr
    mov eax, {pg_wp_pe}
    mov cr0, eax                        // long mode now, but in a 32-bit code segment

    lgdt [gdt_pointer]
    push 0x08                           // 64-bit code
    mov eax, offset long_mode
    push eax
    retf

unsuitable_processor:                   // says so by itself: Rust runs in 64-bit mode only
    mov esi, offset unsuitable_text
2:  lodsb
    test al, al
    jz 4f
    mov ah, al
    mov dx, 0x3fd                       // COM1: wait for room, then send
3:  in al, dx
    test al, 0x20
    jz 3b
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    jmp 2b
4:  mov edx, {debug_exit}
    mov eax, {unsuitable_processor}
    out dx, eax
5:  hlt
    jmp 5b

    .code64
long_mode:
    mov eax, 0x10                       // data
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov edi, ebp
    xor ebp, ebp                        // where a chain of frame pointers ends
    call {boot}
    ud2

    .section .rodata.unsuitable, "a"
unsuitable_text:
    .asciz "loader: unsuitable processor: it has no long mode or no no-execute pages\n"

    // The GDT outlives the loader's page tables: see `handover`. The descriptors are marked as
    // accessed, so that the processor has no reason to write to them.
    .section .handover.tables, "a"
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            // 0x08: 64-bit code
    .quad 0x00cf93000000ffff            // 0x10: data
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad gdt

    .section .data.page_tables, "aw"
    .balign 4096
boot_page_map:
    .quad boot_directory_pointers + {table}
    .fill 511, 8, 0
boot_directory_pointers:
    .quad boot_directories + {table}
    .quad boot_directories + 0x1000 + {table}
    .quad boot_directories + 0x2000 + {table}
    .quad boot_directories + 0x3000 + {table}
    .fill 508, 8, 0
boot_directories:
    .set page, 0
    .rept 2048
    .quad page + {large_page}
    .set page, page + 0x200000
    .endr

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip 0x40000
boot_stack_top:

    .text
    "#,
    needed_features = const NEEDED_FEATURES,
    pae = const PAE,
    efer = const EFER,
    lme_nxe = const LME_NXE,
    pg_wp_pe = const PG_WP_PE,
    debug_exit = const DEBUG_EXIT_PORT,
    unsuitable_processor = const Ending::UnsuitableProcessor as u32,
    table = const TABLE,
    large_page = const LARGE_PAGE,
    boot = sym boot,
);
