//! The image: two tar archives. One holds the kernel, and QEMU passes it as the ramdisk; the other holds the programs, and
//! is a disk.
//!
//! ELF files lose their DWARF on the way, because loading costs time and memory, but keep their
//! symbol tables, because the kernel names the functions in its own backtraces. What is loaded into
//! memory stays as it was to the byte. The same input gives the same archive, whenever it is made.

use std::fs;
use std::path::{Path, PathBuf};

use abi::boot::{self, CHECKSUM_FILE, FILLING_FILE, KERNEL_FILE, PROGRAM_FOLDER};
use anyhow::{Context, Result};
use object::build::elf::Builder;
use object::elf::SHF_ALLOC;

use crate::doctor;
use crate::workspace::{self, Build, Profile};

/// A file of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the archive.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// What a machine boots from, as files. In a test one of them may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// With the kernel; QEMU passes it as the ramdisk.
    pub ramdisk: Option<PathBuf>,
    /// With the programs; a disk.
    pub archive: Option<PathBuf>,
}

impl Image {
    /// The same with an archive of these programs, written to a folder.
    pub fn with_archive(self, entries: &[Entry], folder: &Path) -> Result<Image> {
        let path = folder.join("archive.tar");
        workspace::write_whole(&path, &archive(entries)?)?;
        Ok(Image { archive: Some(path), ..self })
    }
}

/// A program that is none of the build's, to be packed as it is.
pub fn foreign(path: &Path) -> Result<Entry> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a program needs a name")?;
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Entry { name: format!("{PROGRAM_FOLDER}{name}"), content })
}

/// Everything that a boot needs: gets what is missing, builds, and packs.
pub fn prepare(profile: Profile) -> Result<(Build, Image)> {
    doctor::ensure_ready()?;
    let build = workspace::build(profile)?;
    let image = make(&build, &workspace::output_folder().join(build.profile.name()))?;
    Ok((build, image))
}

/// Kernel and programs of a build, ready to be packed.
pub fn entries(build: &Build) -> Result<Vec<Entry>> {
    let kernel = Entry { name: KERNEL_FILE.to_owned(), content: stripped_file(&build.kernel)? };
    let mut all = vec![kernel];
    for program in &build.programs {
        let name = program.file_name().and_then(|name| name.to_str()).context("program's name")?;
        all.push(Entry {
            name: format!("{PROGRAM_FOLDER}{name}"),
            content: stripped_file(program)?,
        });
    }
    Ok(all)
}

/// The ramdisk: what the loader needs, which is the kernel.
pub fn ramdisk(entries: &[Entry]) -> Result<Vec<u8>> {
    Ok(pack(entries.iter().filter(|entry| !is_program(entry)))?.bytes)
}

/// The archive: the programs, and a checksum behind them.
pub fn archive(entries: &[Entry]) -> Result<Vec<u8>> {
    let number = |sum: u64| format!("{sum:016x}").into_bytes();
    let checksum = Entry { name: CHECKSUM_FILE.to_owned(), content: number(0) };
    let programs = entries.iter().filter(|entry| is_program(entry));
    let Packed { mut bytes, last } = pack(programs.chain([&checksum]))?;
    let sum = number(boot::checksum(boot::CHECKSUM_START, &bytes[..last]));
    bytes[last..last + sum.len()].copy_from_slice(&sum);
    Ok(bytes)
}

fn is_program(entry: &Entry) -> bool {
    entry.name.starts_with(PROGRAM_FOLDER)
}

/// Disks are read in pages: an archive is filled up with zeros to a whole one.
const PAGE: usize = 4096;

/// What a header takes, and a multiple of what content takes.
const BLOCK: usize = 512;

/// A tar archive.
struct Packed {
    bytes: Vec<u8>,
    /// Where the content of the last entry begins.
    last: usize,
}

/// Every content begins with a page, so that it can be mapped: in front of it is an entry of zeros that fills the page
/// before, together with the two headers.
fn pack<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<Packed> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content)
    };
    let (mut length, mut last) = (0, 0);
    for entry in entries {
        last = (length + 2 * BLOCK).next_multiple_of(PAGE);
        append(FILLING_FILE, &vec![0; last - (length + 2 * BLOCK)])?;
        append(&entry.name, &entry.content)?;
        length = last + entry.content.len().next_multiple_of(BLOCK);
    }
    let mut bytes = archive.into_inner()?;
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    Ok(Packed { bytes, last })
}

/// Writes the image of a build to a folder.
pub fn make(build: &Build, folder: &Path) -> Result<Image> {
    let entries = entries(build)?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = folder.join(name);
        workspace::write_whole(&path, bytes)?;
        Ok(path)
    };
    Ok(Image {
        ramdisk: Some(write("kernel.tar", &ramdisk(&entries)?)?),
        archive: Some(write("archive.tar", &archive(&entries)?)?),
    })
}

fn stripped_file(path: &Path) -> Result<Vec<u8>> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    strip(&content).with_context(|| format!("removing debug information from {}", path.display()))
}

/// An ELF file without its debug information.
pub fn strip(elf: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(elf)?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        let debug = name.starts_with(".debug_") || name.starts_with(".rela.debug_");
        // Not everything with such a name is for the debugger alone: some is loaded into memory.
        section.delete = debug && !section.sh_flags.contains(SHF_ALLOC);
    }
    let mut stripped = Vec::new();
    builder.write(&mut stripped)?;
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::{Entry, archive, ramdisk, strip};
    use abi::boot;
    use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};
    use std::io::Read;

    #[test]
    fn stripping_keeps_segments_and_symbols() {
        // Any ELF file with debug information will do: this test's own is at hand.
        let before = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let after = strip(&before).unwrap();
        assert!(after.len() < before.len());
        let (before, after) =
            (object::File::parse(&*before).unwrap(), object::File::parse(&*after).unwrap());
        assert!(before.section_by_name(".debug_info").is_some());
        assert!(after.section_by_name(".debug_info").is_none());
        assert_eq!(before.entry(), after.entry());

        // Dynamic symbols name sections by number, and the numbers change; nothing of ours has any.
        let dynamic = |name: &str| name.starts_with(".dyn") || name.starts_with(".gnu");
        let loaded = |file: &object::File| -> Vec<(u64, u64)> {
            file.segments().map(|it| (it.address(), it.size())).collect()
        };
        assert_eq!(loaded(&before), loaded(&after));
        for section in before.sections().filter(|it| it.address() != 0) {
            if dynamic(section.name().unwrap()) {
                continue;
            }
            let same = after.section_by_name(section.name().unwrap());
            let same = same.unwrap_or_else(|| panic!("{:?} is gone", section.name()));
            assert_eq!(section.address(), same.address());
            assert!(section.data().unwrap() == same.data().unwrap(), "{:?}", section.name());
        }
        let names = |file: &object::File| -> Vec<(String, u64)> {
            let symbols = file.symbols().filter(|it| it.size() > 0);
            symbols.map(|it| (it.name().unwrap().to_owned(), it.address())).collect()
        };
        assert!(!names(&after).is_empty());
        assert!(names(&before) == names(&after));
    }

    fn read_back(packed: &[u8]) -> Vec<Entry> {
        let mut read = Vec::new();
        for file in tar::Archive::new(packed).entries().unwrap() {
            let mut file = file.unwrap();
            let mut content = Vec::new();
            assert!(
                file.raw_file_position() % 4096 == 0 || file.path().unwrap().ends_with("filling")
            );
            file.read_to_end(&mut content).unwrap();
            read.push(Entry { name: file.path().unwrap().display().to_string(), content });
        }
        read.retain(|entry| entry.name != "filling");
        read
    }

    #[test]
    fn the_archives_can_be_read_back_and_are_reproducible() {
        let entries = [
            Entry { name: "kernel".into(), content: vec![7; 1000] },
            Entry { name: "bin/hello".into(), content: vec![] },
            Entry { name: "bin/fault".into(), content: vec![8; 5000] },
        ];
        let (kernel, programs) = (ramdisk(&entries).unwrap(), archive(&entries).unwrap());
        for packed in [&kernel, &programs] {
            assert_eq!(packed.len() % 4096, 0);
            assert_eq!(&packed[257..263], b"ustar\0");
        }
        assert_eq!(read_back(&kernel), entries[..1]);
        let mut read = read_back(&programs);
        let checksum = read.pop().unwrap();
        assert_eq!(read, entries[1..]);
        assert_eq!(kernel, ramdisk(&entries).unwrap());
        assert_eq!(programs, archive(&entries).unwrap());

        // Any other byte makes another sum.
        assert_eq!(checksum.name, "checksum");
        let expected =
            u64::from_str_radix(std::str::from_utf8(&checksum.content).unwrap(), 16).unwrap();
        let mut before = programs[..programs.len() - 4096].to_vec();
        assert_eq!(programs[before.len()..][..16], checksum.content[..]);
        assert_eq!(boot::checksum(boot::CHECKSUM_START, &before), expected);
        before[9000] ^= 1;
        assert_ne!(boot::checksum(boot::CHECKSUM_START, &before), expected);
    }
}
