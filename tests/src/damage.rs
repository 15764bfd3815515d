//! Images with something wrong with them: what a loader and a kernel may be handed in practice.

use std::path::{Path, PathBuf};

use abi::boot::{KERNEL_FILE, PROGRAM_FOLDER};
use anyhow::{Context, Result};
use boot::image::{self, Entry};
use boot::workspace;

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// There is no image at all.
    NoImage,
    /// It is no tar archive.
    RandomBytes,
    /// It ends in the middle of the kernel, between two blocks of the archive.
    TruncatedTar,
    /// It ends in the middle of a block.
    RaggedTar,
    /// It holds programs only.
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
}

/// The program that is damaged.
pub const DAMAGED_PROGRAM: &str = "hello";

/// Length of a block of a tar archive; a file's header fills one.
const BLOCK: usize = 512;

/// Where an ELF file says which machine it is for, and the number for a 64-bit Arm.
const ELF_MACHINE: (usize, u16) = (18, 183);

impl Damage {
    /// The image to boot: the good one, none, or a damaged one that is written to `folder`.
    pub fn image(self, good: &Path, entries: &[Entry], folder: &Path) -> Result<Option<PathBuf>> {
        let bytes = match self {
            Damage::None => return Ok(Some(good.to_owned())),
            Damage::NoImage => return Ok(None),
            other => other.bytes(entries)?,
        };
        let path = folder.join("image.tar");
        workspace::write_whole(&path, &bytes)?;
        Ok(Some(path))
    }

    fn bytes(self, entries: &[Entry]) -> Result<Vec<u8>> {
        let mut entries = entries.to_vec();
        let program = format!("{PROGRAM_FOLDER}{DAMAGED_PROGRAM}");
        match self {
            Damage::None | Damage::NoImage => {}
            Damage::RandomBytes => return Ok(noise(256 << 10)),
            Damage::TruncatedTar => {
                let half = content(&mut entries, KERNEL_FILE)?.len() / 2;
                return cut(&entries, BLOCK + half - half % BLOCK);
            }
            Damage::RaggedTar => return cut(&entries, BLOCK + 100),
            Damage::NoKernel => entries.retain(|entry| entry.name != KERNEL_FILE),
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
        image::pack(&entries)
    }
}

fn content<'a>(entries: &'a mut [Entry], name: &str) -> Result<&'a mut Vec<u8>> {
    let entry = entries.iter_mut().find(|entry| entry.name == name);
    Ok(&mut entry.with_context(|| format!("the image has no `{name}`"))?.content)
}

/// The beginning of the archive.
fn cut(entries: &[Entry], length: usize) -> Result<Vec<u8>> {
    let mut archive = image::pack(entries)?;
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
    use boot::image::{Entry, pack};

    fn entries() -> Vec<Entry> {
        let elf = [b"\x7fELF".as_slice(), &[0; 996]].concat();
        let file = |name: &str| Entry { name: name.to_owned(), content: elf.clone() };
        vec![file("kernel"), file("bin/hello"), file("bin/fault")]
    }

    #[test]
    fn each_damage_does_what_it_says_and_no_more() {
        let whole = pack(&entries()).unwrap();
        let damaged = |damage: Damage| damage.bytes(&entries()).unwrap();
        assert_eq!(damaged(Damage::None), whole);
        assert_eq!(damaged(Damage::TruncatedTar), whole[..512]);
        assert_eq!(damaged(Damage::RaggedTar), whole[..612]);
        assert!(!damaged(Damage::NoKernel).starts_with(b"kernel"));
        // Header, then the file at offset 512: its machine is at 18.
        assert_eq!(damaged(Damage::ArmKernel)[512 + 18..][..2], [183, 0]);
        let program = 512 + 1024 + 512;
        assert_eq!(damaged(Damage::ArmProgram)[program + 18..][..2], [183, 0]);
        assert_eq!(damaged(Damage::HalfKernel).len(), whole.len() - 512);
        assert_eq!(damaged(Damage::KernelStump(0)).len(), whole.len() - 1024);
        assert!(Damage::NoKernel.bytes(&[]).is_ok());
        assert!(Damage::ArmKernel.bytes(&[]).is_err());
    }

    #[test]
    fn noise_is_no_archive_and_always_the_same() {
        let bytes = noise(4096);
        assert_ne!(&bytes[257..262], b"ustar");
        assert_eq!(bytes, noise(4096));
        assert!(bytes.iter().filter(|byte| **byte == 0).count() < 100);
    }
}
