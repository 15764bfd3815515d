//! What the firmware leaves in memory for the loader: the PVH start information, the BIOS data
//! area, the ACPI root pointer.
//!
//! Nothing is believed beyond what the protocol promises: an address that the loader's own map of
//! the first 4 GiB does not reach ends in `Ending::BadStartInfo`.

use abi::boot::COMMAND_LINE_MAX;
use abi::ending::Ending;
use core::ops::Range;
use loader::failure::Failure;
use loader::memory_map::FirmwareEntry;
use loader::rsdp;

const MAGIC: u32 = 0x336e_c578;
/// What the loader's identity map reaches.
const REACH: u64 = 1 << 32;

/// Word of the BIOS data area that holds the segment of the extended BIOS data area (EBDA).
const EBDA_SEGMENT: u64 = 0x40e;
/// Between these an EBDA is believed; it reaches up to the second.
const EBDA_RANGE: Range<u64> = 0x8_0000..0xa_0000;
/// How much of the EBDA may hold an RSDP.
const EBDA_SEARCHED: u64 = 1024;
/// The BIOS's read-only memory, which may hold one too.
const BIOS_RANGE: Range<u64> = 0xe_0000..0x10_0000;

/// `hvm_start_info` of the PVH protocol, version 1.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    magic: u32,
    version: u32,
    flags: u32,
    modules_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_count: u32,
    reserved: u32,
}

/// `hvm_modlist_entry`: one file that was loaded with the program.
#[derive(Clone, Copy)]
#[repr(C)]
struct Module {
    address: u64,
    length: u64,
    command_line: u64,
    reserved: u64,
}

/// Length of an `hvm_memmap_table_entry`: address and length (8 bytes each), type, reserved (4 each).
const ENTRY_LENGTH: usize = 24;

/// The start information, checked. The slices are where the firmware put them.
pub struct StartInfo {
    memory: &'static [[u8; ENTRY_LENGTH]],
    /// Without the zero at its end.
    pub command_line: &'static [u8],
    /// The first module.
    pub ramdisk: &'static [u8],
    /// Address of the ACPI root pointer.
    pub rsdp: Option<u64>,
}

impl StartInfo {
    /// Reads what `ebx` pointed at when the loader was entered.
    pub fn read(address: u64) -> Result<Self, Failure> {
        let header = physical_value::<Header>(address)?;
        if header.magic != MAGIC {
            return Err(bad("no PVH start information; the loader starts with QEMU's -kernel"));
        }
        if header.version < 1 || header.memory_map_count == 0 {
            return Err(bad("it has no memory map"));
        }
        let memory_length = u64::from(header.memory_map_count) * ENTRY_LENGTH as u64;
        Ok(StartInfo {
            memory: physical_bytes(header.memory_map, memory_length)?.as_chunks().0,
            command_line: read_command_line(header.command_line)?,
            ramdisk: read_ramdisk(&header)?,
            rsdp: find_rsdp(header.rsdp),
        })
    }

    /// The firmware's memory map.
    pub fn memory(&self) -> impl Iterator<Item = FirmwareEntry> + Clone {
        self.memory.iter().map(|entry| {
            let [start, length, kind] = *entry.as_chunks::<8>().0 else { unreachable!() };
            FirmwareEntry {
                start: u64::from_le_bytes(start),
                length: u64::from_le_bytes(length),
                // The upper half is reserved.
                kind: u64::from_le_bytes(kind) as u32,
            }
        })
    }
}

/// The extended BIOS data area, if there is one.
pub fn ebda() -> Option<Range<u64>> {
    let start = u64::from(physical_value::<u16>(EBDA_SEGMENT).ok()?) << 4;
    EBDA_RANGE.contains(&start).then_some(start..EBDA_RANGE.end)
}

fn read_command_line(address: u64) -> Result<&'static [u8], Failure> {
    if address == 0 {
        return Ok(&[]);
    }
    let available = (COMMAND_LINE_MAX as u64 + 1).min(REACH.saturating_sub(address));
    let bytes = physical_bytes(address, available)?;
    let length = bytes.iter().position(|byte| *byte == 0);
    Ok(&bytes[..length.ok_or(bad("the command line is longer than 4096 bytes"))?])
}

fn read_ramdisk(header: &Header) -> Result<&'static [u8], Failure> {
    let none = Failure::new(Ending::NoRamdisk, "pass one with QEMU's -initrd");
    if header.modules_count == 0 {
        return Err(none);
    }
    let module = physical_value::<Module>(header.modules)?;
    if module.length == 0 {
        return Err(none);
    }
    physical_bytes(module.address, module.length)
}

/// The address that the start information gives, if it is right; else what a search finds.
fn find_rsdp(given: u64) -> Option<u64> {
    let valid_at = |length| physical_bytes(given, length).is_ok_and(rsdp::is_valid);
    // The first version of the structure has 20 bytes, later ones have 36.
    if valid_at(36) || valid_at(20) {
        return Some(given);
    }
    let ebda = ebda().map(|range| range.start..range.end.min(range.start + EBDA_SEARCHED));
    ebda.into_iter().chain([BIOS_RANGE]).find_map(|range| {
        let bytes = physical_bytes(range.start, range.end - range.start).ok()?;
        Some(range.start + rsdp::find(bytes)? as u64)
    })
}

/// Physical memory as it is.
fn physical_bytes(address: u64, length: u64) -> Result<&'static [u8], Failure> {
    let end = address.checked_add(length).ok_or(OUT_OF_REACH)?;
    if address == 0 || end > REACH {
        return Err(OUT_OF_REACH);
    }
    // SAFETY: the range is inside the first 4 GiB, which `entry` maps to themselves, and does not
    // start at null. The loader writes to its own image and to frames that overlap nothing of what
    // is read through this while it is read (`boot` reserves it), so the slice never changes.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
}

/// A copy of a structure in physical memory. Not every firmware aligns them.
fn physical_value<T: Plain>(address: u64) -> Result<T, Failure> {
    let bytes = physical_bytes(address, size_of::<T>() as u64)?;
    // SAFETY: there are as many bytes as the type has, and any bytes are a value of it.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Types for which any bytes are a value.
///
/// # Safety
///
/// That is the whole condition: integers, and `repr(C)` structures of them without padding.
unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u16 {}
// SAFETY: integers, without padding.
unsafe impl Plain for Header {}
// SAFETY: integers, without padding.
unsafe impl Plain for Module {}

const OUT_OF_REACH: Failure = bad("something in it is not within the first 4 GiB");

const fn bad(detail: &'static str) -> Failure {
    Failure::new(Ending::BadStartInfo, detail)
}
