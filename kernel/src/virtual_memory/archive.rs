//! The files of the archive: what programs are mapped from. They are on a disk and nowhere else.
//!
//! The archive is a tar archive in which every content begins with a page (`boot` packs it so), so a file is a run of
//! whole pages of the disk. Its headers are read once, when the system starts. What has been read of a file stays in
//! memory until the page daemon wants it back; an object per file, for as long as the system runs, keeps it. Whoever
//! looks into a file, to find out whether it can be run or what its functions are called, looks at the same pages that
//! programs map.

use super::stores;
use super::tar::{BLOCK, Block, Header};
use crate::disk;
use crate::kernel::Kernel;
use crate::symbols::Source;
use abi::boot::{CHECKSUM_FILE, PROGRAM_FOLDER};
use alloc::vec::Vec;
use core::fmt;
use machine::MayFault;
use memory::OutOfMemory;
use vm::object::Kind;
use vm::read::{Reach, peek, read};
use vm::store::{File, Store};
use vm::{FaultError, Object, ObjectRef, PAGE_SIZE, shadow};

/// Why there are no programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoArchive {
    /// There is no such disk.
    NoDisk,
    /// There is, but it cannot be read.
    Device,
    /// There is, but no program is on it.
    NoPrograms,
    /// There is not enough memory.
    OutOfMemory,
}

impl fmt::Display for NoArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoArchive::NoDisk => write!(
                f,
                "the machine has no virtio disk with the serial number '{}': start it by \
                 'cargo upcall run', or give it the disk that 'cargo upcall image' makes",
                disk::ARCHIVE
            ),
            NoArchive::Device => write!(f, "the disk '{}' cannot be read", disk::ARCHIVE),
            NoArchive::NoPrograms => write!(
                f,
                "the disk '{}' holds no tar archive with programs under {PROGRAM_FOLDER}: give the machine the disk \
                 that 'cargo upcall image' makes",
                disk::ARCHIVE
            ),
            NoArchive::OutOfMemory => write!(f, "not enough memory to list what is on it"),
        }
    }
}

impl From<OutOfMemory> for NoArchive {
    fn from(_: OutOfMemory) -> NoArchive {
        NoArchive::OutOfMemory
    }
}

/// A file.
pub struct ArchiveFile {
    /// Its name.
    pub name: &'static str,
    file: &'static File,
    object: ObjectRef,
}

impl ArchiveFile {
    fn new(
        kernel: &'static Kernel,
        name: &'static str,
        file: File,
    ) -> Result<ArchiveFile, NoArchive> {
        // Kept for ever, as the archive is.
        let file: &'static File =
            kernel.archive_files.allocate(file).map_err(|(error, _)| error)?.leak();
        let object = Object::make(Kind::File(file), file.pages())?;
        Ok(ArchiveFile { name, file, object })
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.file.bytes
    }

    /// The disk's page in which it begins.
    pub fn first_page(&self) -> u64 {
        self.file.first
    }

    /// A reference to its object, for an entry of a map.
    pub fn reference(&self, may_fault: &mut MayFault) -> ObjectRef {
        shadow::another(&self.object, may_fault)
    }

    /// Copies bytes out of it, which must lie within it.
    pub fn read(
        &self,
        from: u64,
        to: &mut [u8],
        reach: Reach,
        may_fault: &mut MayFault,
    ) -> Result<(), FaultError> {
        if from.checked_add(to.len() as u64).is_none_or(|end| end > self.length()) {
            return Err(FaultError::BehindEnd);
        }
        read(&self.object, from, to, reach, may_fault)
    }

    /// Takes all pages out of memory that nobody maps or has busy.
    pub fn forget_pages(&self, may_fault: &mut MayFault) {
        shadow::forget_clean(&self.object, may_fault);
    }
}

/// A file to be looked into by who may wait.
pub struct Reader<'a> {
    /// The file.
    pub file: &'static ArchiveFile,
    /// How far to go for it.
    pub reach: Reach,
    /// The thread's.
    pub may_fault: &'a mut MayFault,
}

impl Source for Reader<'_> {
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        self.file.read(from, to, self.reach, self.may_fault).is_ok()
    }
}

/// A file to be looked into in the panic path: as much of it as is in memory.
pub struct Peeker(pub &'static ArchiveFile);

impl Source for Peeker {
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        let end = from.checked_add(to.len() as u64);
        end.is_some_and(|end| end <= self.0.length()) && peek(&self.0.object, from, to)
    }
}

/// The programs of the archive.
pub struct Archive {
    programs: Vec<ArchiveFile>,
    /// What the bytes before it have to add up to.
    pub checksum: Option<ArchiveFile>,
    /// All of the disk.
    whole: ArchiveFile,
}

/// The archive of the system, or why there is none.
pub fn get(kernel: &'static Kernel) -> Result<&'static Archive, NoArchive> {
    kernel.archive.get().unwrap_or(&Err(NoArchive::NoDisk)).as_ref().map_err(|why| *why)
}

impl Archive {
    /// The program with this name.
    pub fn find(&self, name: &str) -> Option<&ArchiveFile> {
        self.programs.iter().find(|file| file.name == name)
    }

    /// All programs, in the order of the archive.
    pub fn programs(&self) -> impl Iterator<Item = &ArchiveFile> {
        self.programs.iter()
    }

    /// Takes the pages of all files out of memory that nobody uses.
    pub fn forget_pages(&self, may_fault: &mut MayFault) {
        for file in self.programs.iter().chain(&self.checksum).chain([&self.whole]) {
            file.forget_pages(may_fault);
        }
    }

    /// Reads the headers of an archive.
    fn read(
        kernel: &'static Kernel,
        store: &'static dyn Store,
        may_fault: &mut MayFault,
    ) -> Result<Archive, NoArchive> {
        let whole = File { store, first: 0, bytes: store.pages() * PAGE_SIZE };
        let whole = ArchiveFile::new(kernel, "", whole)?;
        let mut archive = Archive { programs: Vec::new(), checksum: None, whole };
        let listed = archive.list(kernel, may_fault);
        if listed.is_ok() && !archive.programs.is_empty() {
            return Ok(archive);
        }
        for file in archive.programs.into_iter().chain(archive.checksum).chain([archive.whole]) {
            shadow::release(file.object, may_fault);
        }
        Err(listed.err().unwrap_or(NoArchive::NoPrograms))
    }

    fn list(&mut self, kernel: &'static Kernel, may_fault: &mut MayFault) -> Result<(), NoArchive> {
        let mut at = 0;
        loop {
            let mut block = [0; BLOCK];
            match self.whole.read(at, &mut block, Reach::Device, may_fault) {
                Ok(()) => {}
                Err(FaultError::BehindEnd) => return Ok(()),
                Err(_) => return Err(NoArchive::Device),
            }
            let header = match Block::parse(&block) {
                Block::Header(header) => header,
                Block::End => return Ok(()),
                Block::Damaged => {
                    log::warn!(
                        "the archive is damaged at byte {at}: what lies behind is not found"
                    );
                    return Ok(());
                }
            };
            let content = at + BLOCK as u64;
            let end = content.checked_add(header.size).filter(|end| *end <= self.whole.length());
            let Some(end) = end else {
                log::warn!("the archive ends in the middle of a file, which is not found");
                return Ok(());
            };
            if header.is_file {
                self.add(kernel, &header, content)?;
            }
            at = end.next_multiple_of(BLOCK as u64);
        }
    }

    /// Adds a file, if it is of any use: a program, or the checksum.
    fn add(
        &mut self,
        kernel: &'static Kernel,
        header: &Header,
        content: u64,
    ) -> Result<(), NoArchive> {
        let Some(name) = header.name() else { return Ok(()) };
        let program = name.strip_prefix(PROGRAM_FOLDER);
        let program = program.filter(|name| !name.is_empty() && !name.contains('/'));
        if program.is_none() && name != CHECKSUM_FILE {
            return Ok(());
        }
        if !content.is_multiple_of(PAGE_SIZE) {
            log::warn!("{name} does not begin with a page of the archive: it cannot be run");
            return Ok(());
        }
        let store = self.whole.file.store;
        let file = File { store, first: content / PAGE_SIZE, bytes: header.size };
        match program {
            Some(name) => {
                self.programs.try_reserve(1).map_err(|_| OutOfMemory)?;
                self.programs.extend([ArchiveFile::new(kernel, keep(name)?, file)?]);
            }
            None => self.checksum = Some(ArchiveFile::new(kernel, CHECKSUM_FILE, file)?),
        }
        Ok(())
    }
}

/// A name for ever.
fn keep(name: &str) -> Result<&'static str, OutOfMemory> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(name.len()).map_err(|_| OutOfMemory)?;
    bytes.extend(name.bytes());
    Ok(core::str::from_utf8(bytes.leak()).unwrap_or(""))
}

/// Opens the archive, or notes why it cannot be opened: whoever wants a program is told.
pub fn open(kernel: &'static Kernel, may_fault: &mut MayFault) {
    let opened = match stores::archive(kernel) {
        Some(store) => Archive::read(kernel, store, may_fault),
        None => Err(NoArchive::NoDisk),
    };
    if let Err(why) = &opened {
        log::warn!("there are no programs: {why}");
    }
    kernel.archive.call_once(|| opened);
}
