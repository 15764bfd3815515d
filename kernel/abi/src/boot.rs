//! What the loader hands to the kernel beyond `bootloader_api::BootInfo`: the command line, and the
//! names inside the ramdisk and the archive.
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
//! **Ramdisk.** A tar archive (POSIX ustar), whole in memory. It holds [`KERNEL_FILE`], which the loader
//! starts, and need hold nothing else.
//!
//! **Archive.** A tar archive on a virtio disk with the serial number `archive`. It holds the programs under
//! [`PROGRAM_FOLDER`], and behind them [`CHECKSUM_FILE`]. Every content begins with a page of the disk; entries named
//! [`FILLING_FILE`] see to that.

/// Tag of the memory region that carries the command line: "UPCL" in ASCII.
pub const COMMAND_LINE_REGION: u32 = 0x5550_434c;

/// Longest command line that the loader passes on, in bytes. A longer one is refused.
pub const COMMAND_LINE_MAX: usize = 4096;

/// Name of the kernel's ELF file in the ramdisk.
pub const KERNEL_FILE: &str = "kernel";

/// Folder of the programs in the archive, with the slash that ends it.
pub const PROGRAM_FOLDER: &str = "bin/";

/// Name, in the archive, of a file with 16 hexadecimal digits: what [`checksum`] makes of all bytes of the archive before
/// the file's own first.
pub const CHECKSUM_FILE: &str = "checksum";

/// The checksum of some bytes behind others: Fowler, Noll and Vo's, with 64 bits. It begins with
/// [`CHECKSUM_START`].
pub fn checksum(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The checksum of nothing.
pub const CHECKSUM_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Smallest amount of memory, in bytes, with which the system is meant to run.
pub const MEMORY_MIN: u64 = 48 << 20;

/// Name, in the archive, of the entries of zeros between others: so that every content begins with a page.
pub const FILLING_FILE: &str = "filling";
