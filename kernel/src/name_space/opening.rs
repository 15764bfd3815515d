//! Opening what a path leads to.

use super::{Content, Names, errno};
use crate::files::File;
use crate::kernel::Kernel;
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use abi::files::{O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_TRUNC};
use machine::MayFault;
use memory::OutOfMemory;
use names::{FileToOpen, NodeId};
use vm::contents::{Contents, ContentsRef};

/// A node that somebody has open: it is held until it is closed.
pub struct OpenNode {
    /// Which.
    pub node: NodeId,
    /// What is in it; a folder has nothing.
    pub content: Option<Content>,
}

/// Contents for a file that may have to be made, if flags say that it may: got before the mutex of the names, because who
/// wants memory may have to be patient.
pub fn prepare(flags: i32, may_fault: &mut MayFault) -> Result<Option<ContentsRef>, Errno> {
    if flags & O_CREAT == 0 {
        return Ok(None);
    }
    let made = patiently(may_fault, |_| Contents::make());
    made.map(Some).map_err(|OutOfMemory| Errno::ENOMEM)
}

/// Opens what a path leads to from a folder, as flags say; a file that is not there is made if they say so, of what
/// [`prepare`] gave.
pub fn open(
    mut names: Names,
    from: NodeId,
    path: &[u8],
    flags: i32,
    prepared: &mut Option<ContentsRef>,
    may_fault: &mut MayFault,
) -> Result<OpenNode, Errno> {
    let makes = flags & O_CREAT != 0;
    let found = if makes {
        if flags & O_DIRECTORY != 0 {
            return Err(Errno::EINVAL);
        }
        let exclusive = flags & O_EXCL != 0;
        let now = Kernel::current().uptime_nanoseconds();
        let content = || {
            let contents = prepared.take().ok_or(Errno::ENOMEM)?;
            contents.note_change(now);
            Ok(Content::File(contents))
        };
        names.find_or_make_file(from, path, exclusive, now, content)?
    } else {
        FileToOpen::Found(names.find(from, path)?)
    };
    let node = match found {
        FileToOpen::Made(node) => node,
        FileToOpen::Found(node) => {
            check(&names, node, flags)?;
            node
        }
    };
    let content = names.content(node).cloned();
    names.hold(node)?;
    drop(names);
    let open = OpenNode { node, content };
    match open.empty(flags, may_fault) {
        Ok(()) => Ok(open),
        Err(error) => {
            open.close(may_fault);
            Err(error)
        }
    }
}

/// Whether what is there can be opened so.
fn check(names: &Names, node: NodeId, flags: i32) -> Result<(), Errno> {
    let changes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0;
    match names.content(node) {
        None if changes || flags & O_CREAT != 0 => Err(Errno::EISDIR),
        None => Ok(()),
        Some(_) if flags & O_DIRECTORY != 0 => Err(Errno::ENOTDIR),
        Some(Content::Program(_)) if changes => Err(Errno::EROFS),
        Some(_) => Ok(()),
    }
}

impl OpenNode {
    /// Takes the contents out, if the flags say so.
    fn empty(&self, flags: i32, may_fault: &mut MayFault) -> Result<(), Errno> {
        match &self.content {
            Some(Content::File(_)) if flags & O_TRUNC != 0 => {
                set_length(self.content.as_ref(), 0, may_fault)
            }
            _ => Ok(()),
        }
    }
}

/// Gives a file this length.
pub fn set_length(
    content: Option<&Content>,
    length: u64,
    may_fault: &mut MayFault,
) -> Result<(), Errno> {
    let contents = match content {
        None => return Err(Errno::EISDIR),
        Some(Content::Program(_)) => return Err(Errno::EROFS),
        Some(Content::Device(_)) => return Err(Errno::EINVAL),
        Some(Content::File(contents)) => contents,
    };
    let mut open = contents.open(may_fault).map_err(errno)?;
    let set = open.set_length(length, may_fault);
    open.close(may_fault);
    contents.note_change(Kernel::current().uptime_nanoseconds());
    set.map_err(errno)
}
