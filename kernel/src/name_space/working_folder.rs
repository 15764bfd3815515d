//! The working folder of a process: where paths begin that do not begin with a slash.
//!
//! It is read and changed with the mutex of the names held: so nobody lets go of it while another LWP of the process
//! looks a path up from there. The root, with which processes begin, is held by nobody; it stays.

use super::{Names, let_go, names};
use crate::process::Process;
use abi::errno::Errno;
use machine::{MayFault, SpinLock};
use names::NodeId;

/// A working folder; none is the root.
pub type WorkingFolder = SpinLock<Option<NodeId>, 13>;

/// The working folder of a process.
pub fn get(process: &Process, _: &Names, may_fault: &mut MayFault) -> NodeId {
    process.working_folder.lock(may_fault).unwrap_or(NodeId::ROOT)
}

/// Changes it.
pub fn set(
    process: &Process,
    folder: NodeId,
    mut names: Names,
    may_fault: &mut MayFault,
) -> Result<(), Errno> {
    names.hold(folder)?;
    let before = process.working_folder.lock(may_fault).replace(folder);
    drop(names);
    if let Some(before) = before {
        let_go(before, may_fault);
    }
    Ok(())
}

/// A child begins where its parent is.
pub fn inherit(child: &Process, parent: &Process, may_fault: &mut MayFault) {
    let Ok(mut names) = names(may_fault) else { return };
    let folder = *parent.working_folder.lock(may_fault);
    if let Some(folder) = folder
        && names.hold(folder).is_ok()
    {
        *child.working_folder.lock(may_fault) = Some(folder);
    }
}

/// A process has none any more.
pub fn leave(process: &Process, may_fault: &mut MayFault) {
    let before = process.working_folder.lock(may_fault).take();
    if let Some(before) = before {
        let_go(before, may_fault);
    }
}
