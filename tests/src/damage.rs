//! Images with something wrong with them: what a loader and a kernel may be handed in practice.

use std::path::{Path, PathBuf};

use abi::boot::{KERNEL_FILE, PROGRAM_FOLDER};
use anyhow::{Context, Result};
use boot::image::{self, Entry, Image};
use boot::workspace;

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// There is no ramdisk at all.
    NoRamdisk,
    /// The ramdisk is no tar archive.
    RandomRamdisk,
    /// It ends in the middle of the kernel, between two blocks of the archive.
    TruncatedRamdisk,
    /// It ends in the middle of a block.
    RaggedRamdisk,
    /// It holds something else than a kernel.
    NoKernel,
    /// The kernel's ELF file has lost its second half.
    HalfKernel,
    /// Of the kernel's ELF file, only so many bytes are left.
    KernelStump(usize),
    /// The kernel's ELF file is for a 64-bit Arm.
    ArmKernel,
    /// The ELF file of `hello` ends early.
    TruncatedProgram,
    /// The ELF file of `hello` is for a 64-bit Arm.
    ArmProgram,
    /// There is no disk with the programs.
    NoArchive,
    /// What is on it is no tar archive.
    RandomArchive,
    /// It ends in the middle of the first program.
    TruncatedArchive,
    /// A bit of the name of the first program is wrong.
    DamagedArchive,
}

/// The program that is damaged.
pub const DAMAGED_PROGRAM: &str = "hello";

/// Length of a block of a tar archive; a file's header fills one.
const BLOCK: usize = 512;
/// Every content begins with one.
const PAGE: usize = 4096;

/// Where an ELF file says which machine it is for, and the number for a 64-bit Arm.
const ELF_MACHINE: (usize, u16) = (18, 183);

impl Damage {
    /// The image to boot: the good one, or one of which a part is missing or damaged, which is written to `folder`.
    pub fn image(self, good: &Image, entries: &[Entry], folder: &Path) -> Result<Image> {
        let damaged = || -> Result<Option<PathBuf>> {
            let path = folder.join("damaged.tar");
            workspace::write_whole(&path, &self.bytes(entries)?)?;
            Ok(Some(path))
        };
        let image = good.clone();
        Ok(match self {
            Damage::None => image,
            Damage::NoRamdisk => Image { ramdisk: None, ..image },
            Damage::NoArchive => Image { archive: None, ..image },
            _ if self.is_of_the_archive() => Image { archive: damaged()?, ..image },
            _ => Image { ramdisk: damaged()?, ..image },
        })
    }

    fn is_of_the_archive(self) -> bool {
        matches!(
            self,
            Damage::TruncatedProgram
                | Damage::ArmProgram
                | Damage::NoArchive
                | Damage::RandomArchive
                | Damage::TruncatedArchive
                | Damage::DamagedArchive
        )
    }

    fn bytes(self, entries: &[Entry]) -> Result<Vec<u8>> {
        let mut entries = entries.to_vec();
        let program = format!("{PROGRAM_FOLDER}{DAMAGED_PROGRAM}");
        match self {
            Damage::None | Damage::NoRamdisk | Damage::NoArchive => {}
            Damage::RandomRamdisk | Damage::RandomArchive => return Ok(noise(256 << 10)),
            Damage::TruncatedArchive => {
                let mut archive = image::archive(&entries)?;
                archive.truncate(2 * PAGE);
                return Ok(archive);
            }
            Damage::DamagedArchive => {
                let mut archive = image::archive(&entries)?;
                archive[PAGE - BLOCK] ^= 1;
                return Ok(archive);
            }
            Damage::TruncatedRamdisk => {
                let half = content(&mut entries, KERNEL_FILE)?.len() / 2;
                return cut(&entries, BLOCK + half - half % BLOCK);
            }
            Damage::RaggedRamdisk => return cut(&entries, BLOCK + 100),
            Damage::NoKernel => {
                for entry in entries.iter_mut().filter(|entry| entry.name == KERNEL_FILE) {
                    entry.name = "no-kernel".to_owned();
                }
            }
            Damage::HalfKernel => {
                let kernel = content(&mut entries, KERNEL_FILE)?;
                kernel.truncate(kernel.len() / 2);
            }
            Damage::KernelStump(length) => content(&mut entries, KERNEL_FILE)?.truncate(length),
            Damage::ArmKernel => arm(content(&mut entries, KERNEL_FILE)?),
            Damage::TruncatedProgram => {
                let file = content(&mut entries, &program)?;
                file.truncate(file.len() / 2);
            }
            Damage::ArmProgram => arm(content(&mut entries, &program)?),
        }
        if self.is_of_the_archive() { image::archive(&entries) } else { image::ramdisk(&entries) }
    }
}

fn content<'a>(entries: &'a mut [Entry], name: &str) -> Result<&'a mut Vec<u8>> {
    let entry = entries.iter_mut().find(|entry| entry.name == name);
    Ok(&mut entry.with_context(|| format!("the image has no `{name}`"))?.content)
}

/// The beginning of the ramdisk.
fn cut(entries: &[Entry], length: usize) -> Result<Vec<u8>> {
    let mut archive = image::ramdisk(entries)?;
    archive.truncate(length);
    Ok(archive)
}

fn arm(elf: &mut [u8]) {
    let (place, machine) = ELF_MACHINE;
    elf[place..place + 2].copy_from_slice(&machine.to_le_bytes());
}

/// Bytes without any sense, the same every time (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Damage, noise};
    use boot::image::{Entry, archive, ramdisk};

    fn entries() -> Vec<Entry> {
        let elf = [b"\x7fELF".as_slice(), &[0; 996]].concat();
        let file = |name: &str| Entry { name: name.to_owned(), content: elf.clone() };
        vec![file("kernel"), file("bin/hello"), file("bin/fault")]
    }

    #[test]
    fn each_damage_does_what_it_says_and_no_more() {
        let whole = ramdisk(&entries()).unwrap();
        let damaged = |damage: Damage| damage.bytes(&entries()).unwrap();
        assert_eq!(damaged(Damage::None), whole);
        assert_eq!(damaged(Damage::TruncatedRamdisk), whole[..512]);
        assert_eq!(damaged(Damage::RaggedRamdisk), whole[..612]);
        // A filling, then the header, then the file with the second page: its machine is at 18.
        let name = 4096 - 512;
        assert!(whole[name..].starts_with(b"kernel\0"));
        assert!(!damaged(Damage::NoKernel)[name..].starts_with(b"kernel"));
        assert_eq!(damaged(Damage::ArmKernel)[4096 + 18..][..2], [183, 0]);
        let size = |bytes: &[u8]| bytes[name + 124..name + 135].to_vec();
        assert_eq!(size(&damaged(Damage::HalfKernel)), b"00000000764");
        assert_eq!(size(&damaged(Damage::KernelStump(0))), b"00000000000");
        assert!(Damage::NoKernel.bytes(&[]).is_ok());
        assert!(Damage::ArmKernel.bytes(&[]).is_err());

        let whole = archive(&entries()).unwrap();
        assert!(whole[name..].starts_with(b"bin/hello\0"));
        let arm = damaged(Damage::ArmProgram);
        assert_eq!(arm[4096 + 18..][..2], [183, 0]);
        assert_eq!(arm.len(), whole.len());
        assert_eq!(size(&damaged(Damage::TruncatedProgram)), b"00000000764");
        assert_eq!(damaged(Damage::TruncatedArchive), whole[..8192]);
        let other = damaged(Damage::DamagedArchive);
        assert_eq!(whole.iter().zip(&other).filter(|(one, other)| one != other).count(), 1);
    }

    #[test]
    fn noise_is_no_archive_and_always_the_same() {
        let bytes = noise(4096);
        assert_ne!(&bytes[257..262], b"ustar");
        assert_eq!(bytes, noise(4096));
        assert!(bytes.iter().filter(|byte| **byte == 0).count() < 100);
    }
}
