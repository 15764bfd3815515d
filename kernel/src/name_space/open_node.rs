//! What can be done with a file that was opened by a path.
//!
//! Contents are open from [`File::begin`] to [`File::end`]: what a call writes is seen whole, wherever it comes from.

use super::describe::describe;
use super::opening::OpenNode;
use super::{Content, errno, let_go, names};
use crate::files::terminal;
use crate::files::{File, How, Result, archive_file};
use crate::kernel::Kernel;
use crate::virtual_memory::archive::ArchiveFile;
use abi::errno::Errno;
use abi::files::{POLLIN, POLLOUT, Stat};
use machine::MayFault;
use vm::contents::{Contents, ContentsRef};

impl OpenNode {
    /// What its reading and writing is another file's; none: the contents of a file in memory, or a folder.
    fn inner(&self) -> Option<&dyn File> {
        match self.content.as_ref()? {
            Content::Device(Some(device)) => Some(device),
            Content::Device(None) => Some(&terminal::Opened),
            Content::Program(_) | Content::File(_) => None,
        }
    }

    fn contents(&self) -> Option<&ContentsRef> {
        match &self.content {
            Some(Content::File(contents)) => Some(contents),
            _ => None,
        }
    }
}

impl File for OpenNode {
    fn read(
        &self,
        at: &mut u64,
        to: &mut [u8],
        how: How,
        may_fault: &mut MayFault,
    ) -> Result<usize> {
        match &self.content {
            None => Err(Errno::EISDIR),
            Some(Content::Program(file)) => archive_file::Opened(file).read(at, to, how, may_fault),
            Some(Content::File(contents)) => {
                let open = contents.kept();
                let read = open.read(*at, to, may_fault);
                open.keep();
                let count = read.map_err(errno)?;
                *at += count as u64;
                Ok(count)
            }
            Some(Content::Device(_)) => {
                self.inner().ok_or(Errno::EINVAL)?.read(at, to, how, may_fault)
            }
        }
    }

    fn write(
        &self,
        at: &mut u64,
        from: &[u8],
        how: How,
        may_fault: &mut MayFault,
    ) -> Result<usize> {
        match (self.contents(), self.inner()) {
            (Some(contents), _) => write(contents, at, from, how, may_fault),
            (_, Some(inner)) => inner.write(at, from, how, may_fault),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A folder has places too: where who reads it goes on.
    fn length(&self, may_fault: &mut MayFault) -> Option<u64> {
        match &self.content {
            None => Some(0),
            Some(Content::Program(file)) => Some(file.length()),
            Some(Content::File(contents)) => Some(contents.length()),
            Some(Content::Device(_)) => self.inner()?.length(may_fault),
        }
    }

    fn status(&self, may_fault: &mut MayFault) -> Stat {
        match names(may_fault) {
            Ok(names) => describe(&names, self.node),
            // What has been opened by a path has a name space.
            Err(_) => Stat::default(),
        }
    }

    fn ready(&self, may_fault: &mut MayFault) -> u16 {
        self.inner().map_or(POLLIN | POLLOUT, |inner| inner.ready(may_fault))
    }

    fn control(&self, request: u32, argument: u64, may_fault: &mut MayFault) -> Result<u64> {
        self.inner().ok_or(Errno::ENOTTY)?.control(request, argument, may_fault)
    }

    fn mapped(&self) -> Option<&'static ArchiveFile> {
        match self.content {
            Some(Content::Program(file)) => Some(file),
            _ => None,
        }
    }

    fn begin(&self, may_fault: &mut MayFault) -> Result<()> {
        match self.contents() {
            Some(contents) => contents.open(may_fault).map(|open| open.keep()).map_err(errno),
            None => Ok(()),
        }
    }

    fn end(&self, may_fault: &mut MayFault) {
        if let Some(contents) = self.contents() {
            contents.kept().close(may_fault);
        }
    }

    fn close(&self, may_fault: &mut MayFault) {
        let_go(self.node, may_fault);
    }
}

/// Writes contents: at the end, if that is asked for, wherever it is then.
fn write(
    contents: &Contents,
    at: &mut u64,
    from: &[u8],
    how: How,
    may_fault: &mut MayFault,
) -> Result<usize> {
    let mut open = contents.kept();
    if how.appends {
        *at = open.length();
    }
    let written = open.write(*at, from, may_fault);
    open.keep();
    let count = written.map_err(errno)?;
    contents.note_change(Kernel::current().uptime_nanoseconds());
    *at += count as u64;
    Ok(count)
}
