//! What the loader hands to the kernel beyond `bootloader_api::BootInfo`: the command line, and the
//! names inside the ramdisk.
//!
//! **Command line.** `BootInfo` has no field for it. The convention: the memory map contains exactly
//! one region of kind `MemoryRegionKind::UnknownBios(COMMAND_LINE_REGION)`. Its `start` is the
//! physical address of the first byte and its `end` the address after the last, so it is as long as
//! the text: no terminator, no padding, any alignment. The bytes lie inside a region that is
//! reported as `Bootloader` as well; the kernel copies them before it reuses any such frame. An
//! empty command line is a region with `start == end`; a loader that knows nothing of the
//! convention has no such region, which the kernel reads as an empty command line.
//!
//! **Its grammar.** Words separated by spaces; `name=value` options first; after the word `--`
//! come the program and its arguments. A word, or part of one, between double quotes keeps its
//! spaces; `\` before `"` or `\` takes that character as it is.
//!
//! **Ramdisk.** One tar archive (POSIX ustar), whole in memory. It holds [`KERNEL_FILE`], which the
//! loader starts, and the programs under [`PROGRAM_FOLDER`].

/// Tag of the memory region that carries the command line: "UPCL" in ASCII.
pub const COMMAND_LINE_REGION: u32 = 0x5550_434c;

/// Longest command line that the loader passes on, in bytes. A longer one is refused.
pub const COMMAND_LINE_MAX: usize = 4096;

/// Name of the kernel's ELF file in the ramdisk.
pub const KERNEL_FILE: &str = "kernel";

/// Folder of the programs in the ramdisk, with the slash that ends it.
pub const PROGRAM_FOLDER: &str = "bin/";

/// Smallest amount of memory, in bytes, with which the system is meant to run.
pub const MEMORY_MIN: u64 = 48 << 20;

/// Name, in the archive, of the entries of zeros between others: so that every content begins with a page.
pub const FILLING_FILE: &str = "filling";
