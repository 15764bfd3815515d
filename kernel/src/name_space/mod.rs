//! The names of the system: what paths lead to.
//!
//! | volume | at | what is there |
//! |---|---|---|
//! | 1 | `/`, `/bin` | the folders, and the programs of the archive; nobody changes them |
//! | 2 | `/dev` | devices; the names stay |
//! | 3 | `/tmp` | files and folders of programs, in memory and swap space; gone when the system ends |
//!
//! | file | concept |
//! |---|---|
//! | this one | the tree of names, and who may do what with it |
//! | [`describe`] | what a file is, as programs hear it |
//! | [`opening`], `open_node.rs` | opening what a path leads to; what can be done with it then |
//! | [`listing`] | what is in a folder, as programs hear it |
//! | [`working_folder`] | where paths begin that do not begin with a slash |
//!
//! One mutex ([`names`]). With it held nobody waits for a page, touches user memory, or reads or writes contents: who
//! has found a node holds it ([`hold`]) and lets go of the mutex. What a call takes out of the tree, it frees without it.

pub mod describe;
pub mod listing;
mod open_node;
pub mod opening;
pub mod working_folder;

use crate::files::devices::{self, Device};
use crate::kernel::Kernel;
use crate::virtual_memory::archive::{self, ArchiveFile};
use abi::errno::Errno;
use dispatch::{Mutex, MutexGuard};
use machine::MayFault;
use memory::Memory;
use names::{Kind, Limits, NodeId, Tree, Volume};
use vm::Vm;
use vm::contents::{self, ContentsError, ContentsRef};

const ROOT: Volume = Volume { number: 1, read_only: true };
const DEVICES: Volume = Volume { number: 2, read_only: true };
const TEMPORARY: Volume = Volume { number: 3, read_only: false };

/// How many names there may be. They are in the kernel's heap.
const LIMITS: Limits = Limits { nodes: 1024, name_bytes: 32 << 10 };

/// What belongs to a name that is no folder.
#[derive(Clone)]
pub enum Content {
    /// A program of the archive.
    Program(&'static ArchiveFile),
    /// A device; none: the terminal.
    Device(Option<Device>),
    /// A file in memory.
    File(ContentsRef),
}

/// The system's names, with the mutex held.
pub type Names = MutexGuard<'static, Tree<Content>>;

/// The system's names.
pub fn names(may_fault: &mut MayFault) -> Result<Names, Errno> {
    let names: Option<&'static Mutex<Tree<Content>>> = Kernel::current().names.get();
    Ok(names.ok_or(Errno::ENOENT)?.lock(may_fault))
}

/// Makes the names that are always there. The archive has been opened, swap space attached.
pub fn start(kernel: &'static Kernel) {
    match make(kernel) {
        Ok(tree) => {
            kernel.names.call_once(|| Mutex::new(tree));
        }
        Err(error) => log::warn!("there are no names for files: {}", error.text()),
    }
    // Files leave programs some of the memory and of the swap space: nobody can be killed to get it back.
    let frames = Memory::current().frames.free_frames();
    let slots = Vm::current().swap.counts().slots;
    Vm::current().budget.set_limit(frames / 4 + slots / 4 * 3);
}

fn make(kernel: &'static Kernel) -> Result<Tree<Content>, Errno> {
    let mut tree = Tree::new(LIMITS, ROOT)?;
    let folder = |tree: &mut Tree<Content>, name: &str, volume| {
        tree.install(NodeId::ROOT, name.as_bytes(), Kind::Folder, volume, None)
    };
    let programs = folder(&mut tree, "bin", ROOT)?;
    let folder_of_devices = folder(&mut tree, "dev", DEVICES)?;
    folder(&mut tree, "tmp", TEMPORARY)?;
    for (name, device) in devices::NAMES {
        let content = Some(Content::Device(device));
        tree.install(folder_of_devices, name.as_bytes(), Kind::Device, DEVICES, content)?;
    }
    for file in archive::get(kernel).into_iter().flat_map(archive::Archive::programs) {
        let content = Some(Content::Program(file));
        tree.install(programs, file.name.as_bytes(), Kind::File, ROOT, content)?;
    }
    Ok(tree)
}

/// Lets go of a node that somebody held. With the last one a file without a name is freed.
pub fn let_go(node: NodeId, may_fault: &mut MayFault) {
    let Ok(mut names) = names(may_fault) else { return };
    let content = names.let_go(node);
    drop(names);
    free(content, may_fault);
}

/// Frees what was taken out of the tree.
pub fn free(content: Option<Content>, may_fault: &mut MayFault) {
    if let Some(Content::File(contents)) = content {
        contents::release(contents, may_fault);
    }
}

/// What an error of contents is to a program.
pub fn errno(error: ContentsError) -> Errno {
    match error {
        ContentsError::TooLong => Errno::EFBIG,
        ContentsError::NoSpace => Errno::ENOSPC,
        ContentsError::Device => Errno::EIO,
        ContentsError::Interrupted => Errno::EINTR,
    }
}
