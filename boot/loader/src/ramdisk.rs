//! Finds the kernel in the ramdisk, a tar archive.
//!
//! `tar-no-std` checks the whole archive before it lets anyone look: checksums of headers, that no
//! file reaches past the end, and that the end is there. What is left to decide here is how a
//! failure is called: an archive that is damaged and one that has no kernel end a run differently.

use crate::failure::Failure;
use abi::boot::KERNEL_FILE;
use abi::ending::Ending;
use tar_no_std::{CorruptDataError, TarArchiveRef};

/// The bytes of the kernel's file. The first file of that name counts, with or without `./` before
/// it: archivers differ in that.
pub fn find_kernel(ramdisk: &[u8]) -> Result<&[u8], Failure> {
    let archive = TarArchiveRef::new(ramdisk)
        .map_err(|error| Failure::new(Ending::CorruptRamdisk, describe(error)))?;
    let kernel = archive.entries().find(|entry| {
        let name = entry.filename();
        let name = name.as_str().unwrap_or_default();
        name.strip_prefix("./").unwrap_or(name) == KERNEL_FILE
    });
    let missing = Failure::new(Ending::NoKernel, "the archive has no file of the name `kernel`");
    Ok(kernel.ok_or(missing)?.data())
}

fn describe(error: CorruptDataError) -> &'static str {
    match error {
        CorruptDataError::EmptyArchive | CorruptDataError::TooShort { .. } => {
            "too short for a tar archive"
        }
        CorruptDataError::InvalidBlockSize => "its length is no multiple of 512",
        CorruptDataError::InvalidChecksum { .. } => {
            "not a tar archive, or a file header has a wrong checksum"
        }
        CorruptDataError::InvalidTypeFlag { .. } => "a file header has an unknown type",
        CorruptDataError::InvalidPayloadSize { .. } => "a file header has a wrong size",
        CorruptDataError::PayloadExtendsBeyondArchive { .. } => "it ends in the middle of a file",
        CorruptDataError::MissingTerminator => "it ends without the two blocks of an end",
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // Set by hand: `append_data` would tidy the name.
            header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn ending(ramdisk: &[u8]) -> Ending {
        find_kernel(ramdisk).unwrap_err().ending
    }

    #[test]
    fn the_kernel_is_found_wherever_it_is() {
        let bytes = [7; 1000];
        let ramdisk = archive(&[("bin/kernel", b"no"), ("kernel", &bytes), ("bin/sh", b"no")]);
        assert_eq!(find_kernel(&ramdisk), Ok(&bytes[..]));
        assert_eq!(find_kernel(&archive(&[("./kernel", b"yes")])), Ok(&b"yes"[..]));
    }

    #[test]
    fn no_kernel_is_told_from_no_archive() {
        assert_eq!(ending(&archive(&[("bin/kernel", b"x")])), Ending::NoKernel);
        assert_eq!(ending(&[0; 1024 + 512]), Ending::NoKernel);
        assert_eq!(ending(&[0xa5; 4096]), Ending::CorruptRamdisk);
        assert_eq!(ending(&[]), Ending::CorruptRamdisk);
    }

    #[test]
    fn every_truncation_is_noticed() {
        let whole = archive(&[("kernel", &[7; 1000]), ("bin/sh", &[8; 700])]);
        for length in 0..whole.len() {
            assert_eq!(ending(&whole[..length]), Ending::CorruptRamdisk, "length {length}");
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(position in 0_usize..2048, value: u8, noise: Vec<u8>) {
            let mut ramdisk = archive(&[("kernel", &[7; 600]), ("bin/sh", &[8; 700])]);
            ramdisk[position] = value;
            let _ = find_kernel(&ramdisk);
            let _ = find_kernel(&noise);
        }
    }
}
