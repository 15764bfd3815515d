//! The loader: from the firmware's PVH entry to the kernel's first line.
//!
//! QEMU's `-kernel` enters the program in `src/bin/loader`, in 32-bit mode with paging off. It
//! switches to long mode, finds the kernel in the ramdisk, builds the kernel's address space as the
//! kernel's own `bootloader_api` configuration asks, and jumps. It prints nothing unless it fails.
//!
//! This library is its thinking half: it decides, and touches nothing. Every function here takes
//! slices and numbers and gives numbers back, so all of it runs under plain tests on the host. The
//! program has the other half: reading what firmware left in memory, writing page tables, jumping.
//!
//! In the order in which a start goes through them:
//!
//! 1. [`memory_map`]: what the firmware says is where, without overlaps;
//! 2. [`rsdp`]: the root of the ACPI tables, where the firmware does not name it;
//! 3. [`ramdisk`]: the tar archive that holds the kernel;
//! 4. [`kernel_elf`]: the kernel's file, checked;
//! 5. [`virtual_layout`]: which virtual address everything gets;
//! 6. [`frames`]: physical memory for it;
//! 7. [`physical_map`]: which physical memory the kernel sees through its window.
//!
//! [`failure`] is how each of them says no.

#![no_std]
#![forbid(unsafe_code)]

pub mod failure;
pub mod frames;
pub mod kernel_elf;
pub mod memory_map;
pub mod physical_map;
pub mod ramdisk;
pub mod rsdp;
pub mod virtual_layout;

/// Size of a page and of a frame, in bytes.
pub const PAGE: u64 = 4096;

/// `address`, or the next address below it that is a multiple of `alignment` (a power of two).
pub const fn align_down(address: u64, alignment: u64) -> u64 {
    address & !(alignment - 1)
}

/// `address`, or the next address above it that is a multiple of `alignment` (a power of two). At
/// the very end of the address space, where there is none, the last multiple.
pub const fn align_up(address: u64, alignment: u64) -> u64 {
    align_down(address.saturating_add(alignment - 1), alignment)
}
