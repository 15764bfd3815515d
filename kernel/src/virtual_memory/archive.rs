//! The files of the archive: what programs are mapped from.
//!
//! Every content begins with a page (`boot` packs it so), so a file is a run of whole pages of its store. What has been
//! read stays in memory until the page daemon wants it back; an object per file, for as long as the system runs,
//! keeps it.

use super::stores;
use crate::kernel::Kernel;
use crate::ramdisk;
use alloc::vec::Vec;
use machine::MayFault;
use vm::object::Kind;
use vm::store::File;
use vm::{Object, ObjectRef, PAGE_SIZE, shadow};

/// A file.
pub struct ArchiveFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it, for those who only look.
    pub bytes: &'static [u8],
    object: ObjectRef,
}

impl ArchiveFile {
    /// A reference to its object, for an entry of a map.
    pub fn reference(&self, may_fault: &mut MayFault) -> ObjectRef {
        shadow::another(&self.object, may_fault)
    }

    /// Takes all pages out of memory that nobody maps or has busy.
    pub fn forget_pages(&self, may_fault: &mut MayFault) {
        shadow::forget_clean(&self.object, may_fault);
    }
}

/// The programs of the archive.
pub struct Archive(Vec<ArchiveFile>);

impl Archive {
    /// The program with this name.
    pub fn find(&self, name: &str) -> Option<&ArchiveFile> {
        self.0.iter().find(|file| file.name == name)
    }

    /// The number of the program with this name.
    pub fn position(&self, name: &str) -> Option<u16> {
        self.0.iter().position(|file| file.name == name).map(|place| place as u16)
    }

    /// The program with this number.
    pub fn at(&self, place: u16) -> Option<&ArchiveFile> {
        self.0.get(usize::from(place))
    }

    /// The program with this content.
    pub fn find_content(&self, content: &[u8]) -> Option<&ArchiveFile> {
        self.0.iter().find(|file| core::ptr::eq(file.bytes, content))
    }

    /// Takes the pages of all files out of memory that nobody uses.
    pub fn forget_pages(&self, may_fault: &mut MayFault) {
        for file in &self.0 {
            file.forget_pages(may_fault);
        }
    }
}

/// Opens the archive. What cannot be had is named in the log and not there.
pub fn open(kernel: &'static Kernel, _: &mut MayFault) {
    kernel.archive.call_once(|| {
        let store = stores::archive(kernel);
        let mut files = Vec::new();
        let mut all = Vec::new();
        ramdisk::for_each_program_file(kernel.ramdisk, |name, bytes| {
            let offset = (bytes.as_ptr().addr() - kernel.ramdisk.as_ptr().addr()) as u64;
            if !offset.is_multiple_of(PAGE_SIZE) {
                log::warn!("{name} does not begin with a page of the archive: it cannot be run");
            } else if all.try_reserve(1).is_ok() {
                let file = File { store, first: offset / PAGE_SIZE, bytes: bytes.len() as u64 };
                all.extend([(name, bytes, file)]);
            }
        });
        let room = files.try_reserve_exact(all.len()).is_ok();
        for (name, bytes, file) in all {
            let object = kernel.files.allocate(file).map_err(|(error, _)| error).and_then(|file| {
                // Kept for ever, as the archive is.
                let file = file.leak();
                Object::make(Kind::File(file), file.pages())
            });
            match object {
                Ok(object) if room => files.extend([ArchiveFile { name, bytes, object }]),
                _ => log::warn!("no memory for {name}: it cannot be run"),
            }
        }
        Archive(files)
    });
}
