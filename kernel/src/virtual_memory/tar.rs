//! Headers of a tar archive (POSIX ustar). The archive comes from outside and may hold anything.

/// The size of a header, and what contents are rounded up to.
pub const BLOCK: usize = 512;

/// Where things are in a header.
const NAME: core::ops::Range<usize> = 0..100;
const SIZE: core::ops::Range<usize> = 124..136;
const SUM: core::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: core::ops::Range<usize> = 257..262;

/// A header of an archive.
pub struct Header {
    name: [u8; NAME.end],
    /// How long the content is, in bytes.
    pub size: u64,
    /// It is a file, not a folder, a link or a device.
    pub is_file: bool,
}

/// What a block of an archive is where a header should be.
pub enum Block {
    /// A header.
    Header(Header),
    /// Zeros: the archive has ended.
    End,
    /// Something else.
    Damaged,
}

impl Block {
    /// Reads a block.
    pub fn parse(block: &[u8; BLOCK]) -> Block {
        if block.iter().all(|&byte| byte == 0) {
            return Block::End;
        }
        // The field of the sum itself counts as spaces.
        let counted = block.iter().enumerate().map(|(place, &byte)| match SUM.contains(&place) {
            true => u64::from(b' '),
            false => u64::from(byte),
        });
        let sum: u64 = counted.sum();
        let (Some(size), Some(expected)) = (octal(&block[SIZE]), octal(&block[SUM])) else {
            return Block::Damaged;
        };
        if &block[MAGIC] != b"ustar" || sum != expected {
            return Block::Damaged;
        }
        let mut name = [0; NAME.end];
        name.copy_from_slice(&block[NAME]);
        Block::Header(Header { name, size, is_file: matches!(block[KIND], b'0' | 0) })
    }
}

impl Header {
    /// The file's name, if it is text.
    pub fn name(&self) -> Option<&str> {
        let name = self.name.split(|&byte| byte == 0).next()?;
        let name = core::str::from_utf8(name).ok()?;
        Some(name.strip_prefix("./").unwrap_or(name))
    }
}

/// A number in octal digits, with spaces or null bytes around it.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    u64::from_str_radix(digits, 8).ok()
}
