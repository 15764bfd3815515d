//! Processors: which there are, what they have done, who runs on them.

use crate::system::raw;
use abi::errno::Errno;
use abi::statistics::{ASK, BIND_NONE, BIND_QUERY, OFF_LINE, ON_LINE, ProcessorInfo, TrapRecord};

/// How many processors there can be.
pub const MAX: usize = 64;

/// What the kernel says about a processor.
pub fn info(processor: u32) -> Result<ProcessorInfo, Errno> {
    let mut info = ProcessorInfo::NOTHING;
    // SAFETY: the call fills the structure.
    unsafe {
        raw::processor_info(processor, (&raw mut info).cast(), size_of::<ProcessorInfo>())?;
    }
    Ok(info)
}

/// What it says about each.
pub fn all() -> impl Iterator<Item = ProcessorInfo> {
    (0..MAX as u32).map_while(|processor| info(processor).ok())
}

/// The most traps that are kept of a processor.
pub const TRAPS_MAX: usize = 32;

/// Its last traps, the oldest first.
pub fn last_traps(processor: u32, buffer: &mut [TrapRecord]) -> Result<&[TrapRecord], Errno> {
    let length = size_of_val(buffer);
    // SAFETY: the call fills the records.
    let filled = unsafe { raw::trap_trace(processor, buffer.as_mut_ptr(), length) }?;
    Ok(buffer.get(..filled as usize / size_of::<TrapRecord>()).unwrap_or_default())
}

/// Where an LWP (0: the caller) was bound to: the call's answer.
fn bound(answer: u64) -> Option<u32> {
    u32::try_from(answer).ok()?.checked_sub(1)
}

/// Binds an LWP (0: the caller) to a processor; returns what it was bound to.
pub fn bind(lwp: u64, processor: u32) -> Result<Option<u32>, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::processor_bind(lwp, i64::from(processor)) }.map(bound)
}

/// Undoes that.
pub fn unbind(lwp: u64) -> Result<Option<u32>, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::processor_bind(lwp, BIND_NONE) }.map(bound)
}

/// What an LWP is bound to.
pub fn binding(lwp: u64) -> Result<Option<u32>, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::processor_bind(lwp, BIND_QUERY) }.map(bound)
}

/// Puts a processor on line or takes it off; says whether it was on line.
pub fn set_on_line(processor: u32, on_line: bool) -> Result<bool, Errno> {
    let what = if on_line { ON_LINE } else { OFF_LINE };
    // SAFETY: the call writes to no memory.
    unsafe { raw::p_online(processor, what) }.map(|before| before != 0)
}

/// Whether a processor is on line.
pub fn is_on_line(processor: u32) -> Result<bool, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::p_online(processor, ASK) }.map(|is| is != 0)
}

/// Makes a set of processors; returns its number.
pub fn create_set() -> Result<u32, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::pset_create() }.map(|set| set as u32)
}

/// Ends a set.
pub fn destroy_set(set: u32) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::pset_destroy(set) }.map(drop)
}

/// Puts a processor into a set; returns the one that it was in.
pub fn assign(set: u32, processor: u32) -> Result<u32, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::pset_assign(set, processor) }.map(|before| before as u32)
}

/// Lets an LWP (0: the caller) run in a set only; returns the one that it ran in.
pub fn enter_set(set: u32, lwp: u64) -> Result<u32, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::pset_bind(set, lwp) }.map(|before| before as u32)
}
