//! Calls about memory: with Linux's numbers, flags and errors, `minherit` as on the BSDs; `stacks` is this kernel's own.

use super::Result;
use crate::files::descriptors;
use crate::process;
use crate::virtual_memory::archive::ArchiveFile;
use crate::virtual_memory::patience::patiently;
use abi::calls::STACK_STRIDE_MAX;
use abi::errno::Errno;
use machine::MayFault;
use machine::pmap::Rights;
use vm::entry::{Advice, Inheritance};
use vm::map::{MapError, Place, Request};
use vm::space::WireError;
use vm::stacks::StackShape;
use vm::{FaultError, PAGE_SIZE};

const PROT_READ: i32 = 1;
const PROT_WRITE: i32 = 2;
const PROT_EXEC: i32 = 4;

const MAP_SHARED: i32 = 1;
const MAP_PRIVATE: i32 = 2;
const MAP_TYPE: i32 = 0xf;
const MAP_FIXED: i32 = 0x10;
const MAP_ANONYMOUS: i32 = 0x20;
const MAP_GROWSDOWN: i32 = 0x100;
const MAP_FIXED_NOREPLACE: i32 = 0x10_0000;

/// Where memory is mapped for which the program has no wish: above programs and their heaps.
const MAP_BASE: u64 = 0x1000_0000_0000;

fn errno(error: MapError) -> Errno {
    match error {
        MapError::NoSpace
        | MapError::NotMapped
        | MapError::TooManyEntries
        | MapError::OutOfMemory => Errno::ENOMEM,
        MapError::Taken => Errno::EEXIST,
        MapError::NotPermitted => Errno::EACCES,
        MapError::BadRange => Errno::EINVAL,
    }
}

/// Rights as `PROT_…` say them.
fn rights(protection: i32) -> core::result::Result<Rights, Errno> {
    if protection & !(PROT_READ | PROT_WRITE | PROT_EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let of = |bit, right| if protection & bit != 0 { right } else { Rights::NONE };
    Ok(of(PROT_READ, Rights::READ)
        | of(PROT_WRITE, Rights::READ | Rights::WRITE)
        | of(PROT_EXEC, Rights::READ | Rights::EXECUTE))
}

/// A range as Linux takes it: the address whole pages, the length rounded up.
fn range(address: u64, length: u64) -> core::result::Result<core::ops::Range<u64>, Errno> {
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
    Ok(address..address.checked_add(length).ok_or(Errno::ENOMEM)?)
}

/// The file that is mapped by a descriptor.
fn mapped(fd: i32, may_fault: &mut MayFault) -> core::result::Result<&'static ArchiveFile, Errno> {
    descriptors::with(fd, may_fault, |file, _| match file.kind().file().mapped() {
        Some(_) if !file.is_readable() => Err(Errno::EACCES),
        Some(mapped) => Ok(mapped),
        None => Err(Errno::ENODEV),
    })
}

pub fn mmap(
    may_fault: &mut MayFault,
    address: u64,
    length: u64,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: u64,
) -> Result {
    let rights = rights(protection)?;
    let is_shared = match flags & MAP_TYPE {
        MAP_SHARED => true,
        MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL),
    };
    if length == 0 || flags & MAP_GROWSDOWN != 0 || !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
    let place = match (flags & MAP_FIXED != 0, flags & MAP_FIXED_NOREPLACE != 0) {
        (_, true) => Place::FixedIfFree,
        (true, false) => Place::Fixed,
        (false, false) => Place::Hint,
    };
    let address = match (place, address) {
        (Place::Hint, 0) => MAP_BASE,
        // A hint need not be a whole page.
        (Place::Hint, hint) => hint & !(PAGE_SIZE - 1),
        (_, address) => address,
    };
    let process = process::current();
    let all = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    let (file, rights_max) = if flags & MAP_ANONYMOUS != 0 {
        (None, all)
    } else {
        let file = mapped(fd, may_fault)?;
        // The archive cannot be written.
        let rights_max = if is_shared { Rights::READ | Rights::EXECUTE } else { all };
        if !rights_max.contains(rights) {
            return Err(Errno::EACCES);
        }
        (Some(file), rights_max)
    };
    let request = Request {
        address,
        length,
        place,
        rights,
        rights_max,
        inheritance: if is_shared { Inheritance::Share } else { Inheritance::Copy },
        shared: is_shared,
        stacks: None,
    };
    let inserted = patiently(may_fault, |may_fault| {
        let object = file.map(|file| (file.reference(may_fault), offset / PAGE_SIZE));
        process.space().insert(&request, object, may_fault)
    });
    inserted.map_err(errno)
}

/// Guards are no memory: no right reaches them, and `mlock` passes them by. What is mapped in place of a part of the array
/// has none.
pub fn stacks(may_fault: &mut MayFault, count: u64, stride: u64, guard: u64) -> Result {
    let shape = StackShape { stride, guard };
    if count == 0 || !shape.is_good() || stride > STACK_STRIDE_MAX {
        return Err(Errno::EINVAL);
    }
    let request = Request {
        address: MAP_BASE,
        length: count.checked_mul(stride).ok_or(Errno::ENOMEM)?,
        place: Place::Hint,
        rights: Rights::READ | Rights::WRITE,
        rights_max: Rights::READ | Rights::WRITE,
        inheritance: Inheritance::Copy,
        shared: false,
        stacks: Some(shape),
    };
    let space = process::current().space();
    let inserted = patiently(may_fault, |may_fault| space.insert(&request, None, may_fault));
    inserted.map_err(|error| match error {
        // Longer than all addresses.
        MapError::BadRange => Errno::ENOMEM,
        error => errno(error),
    })
}

pub fn munmap(may_fault: &mut MayFault, address: u64, length: u64) -> Result {
    let range = range(address, length).map_err(|_| Errno::EINVAL)?;
    let space = process::current().space();
    patiently(may_fault, |may_fault| space.remove(range.clone(), may_fault)).map_err(errno)?;
    Ok(0)
}

pub fn mprotect(may_fault: &mut MayFault, address: u64, length: u64, protection: i32) -> Result {
    let (rights, range) = (rights(protection)?, range(address, length)?);
    if !range.is_empty() {
        let space = process::current().space();
        let protect = |may_fault: &mut _| space.protect(range.clone(), rights, may_fault);
        patiently(may_fault, protect).map_err(errno)?;
    }
    Ok(0)
}

pub fn minherit(may_fault: &mut MayFault, address: u64, length: u64, inheritance: i32) -> Result {
    let inheritance = match inheritance {
        0 => Inheritance::Share,
        1 => Inheritance::Copy,
        2 => Inheritance::None,
        _ => return Err(Errno::EINVAL),
    };
    let range = range(address, length)?;
    let space = process::current().space();
    let inherit = |may_fault: &mut _| space.inherit(range.clone(), inheritance, may_fault);
    patiently(may_fault, inherit).map_err(errno)?;
    Ok(0)
}

pub fn madvise(may_fault: &mut MayFault, address: u64, length: u64, advice: i32) -> Result {
    const WILL_NEED: i32 = 3;
    const DO_NOT_NEED: i32 = 4;
    const FREE: i32 = 8;
    let range = range(address, length)?;
    if range.is_empty() {
        return Ok(0);
    }
    let space = process::current().space();
    let advice = match advice {
        0 => Some(Advice::Normal),
        1 => Some(Advice::Random),
        2 => Some(Advice::Sequential),
        // Pages come when they are touched; nothing is promised.
        WILL_NEED => return Ok(0),
        DO_NOT_NEED | FREE => None,
        _ => return Err(Errno::EINVAL),
    };
    let advised = patiently(may_fault, |may_fault| match advice {
        Some(advice) => space.advise(range.clone(), advice, may_fault),
        None => space.discard(range.clone(), may_fault),
    });
    advised.map_err(errno)?;
    Ok(0)
}

fn wire(may_fault: &mut MayFault, address: u64, length: u64, wired: bool) -> Result {
    let start = address & !(PAGE_SIZE - 1);
    let end = address.checked_add(length).ok_or(Errno::EINVAL)?;
    let range = range(start, end - start)?;
    if range.is_empty() {
        return Ok(0);
    }
    let space = process::current().space();
    let wire = |may_fault: &mut _| space.wire(range.clone(), wired, may_fault);
    patiently(may_fault, wire).map_err(|error| match error {
        WireError::Map(error) => errno(error),
        WireError::Fault(FaultError::Interrupted) => Errno::EINTR,
        WireError::Fault(_) => Errno::ENOMEM,
    })?;
    Ok(0)
}

pub fn mlock(may_fault: &mut MayFault, address: u64, length: u64) -> Result {
    wire(may_fault, address, length, true)
}

pub fn munlock(may_fault: &mut MayFault, address: u64, length: u64) -> Result {
    wire(may_fault, address, length, false)
}

pub fn brk(may_fault: &mut MayFault, end: u64) -> Result {
    let process = process::current();
    let (start, before) = *process.heap().lock(may_fault);
    let pages = |end: u64| end.checked_next_multiple_of(PAGE_SIZE);
    let (Some(old), Some(new)) = (pages(before), pages(end)) else { return Ok(before) };
    if end < start {
        return Ok(before);
    }
    let changed = if new > old {
        let request = Request {
            address: old,
            length: new - old,
            place: Place::FixedIfFree,
            rights: Rights::READ | Rights::WRITE,
            rights_max: Rights::READ | Rights::WRITE | Rights::EXECUTE,
            inheritance: Inheritance::Copy,
            shared: false,
            stacks: None,
        };
        let insert = |may_fault: &mut _| process.space().insert(&request, None, may_fault);
        patiently(may_fault, insert).map(|_| ())
    } else if new < old {
        patiently(may_fault, |may_fault| process.space().remove(new..old, may_fault))
    } else {
        Ok(())
    };
    if changed.is_err() {
        return Ok(before);
    }
    process.heap().lock(may_fault).1 = end;
    Ok(end)
}
