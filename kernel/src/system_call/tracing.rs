//! The call about the trace: which groups of events are noted. The boot option `trace=` says it first.

use super::Result;
use crate::kernel::Kernel;
use abi::calls::TRACE_CALLS;
use abi::errno::Errno;
use machine::{MayFault, tracing};
use trace::Groups;

const _: () = assert!(TRACE_CALLS == Groups::CALL.to_bits() as u64);

/// A group is a bit: those of [`Groups::NAMED`], in their order.
pub fn trace_groups(_: &mut MayFault, groups: u64) -> Result {
    let groups = u32::try_from(groups).map_err(|_| Errno::EINVAL)?;
    if groups & !Groups::ALL.to_bits() != 0 {
        return Err(Errno::EINVAL);
    }
    let before = tracing::groups();
    tracing::set_groups(Kernel::current().system, Groups::from_bits(groups));
    Ok(u64::from(before.to_bits()))
}
