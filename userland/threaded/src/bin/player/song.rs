//! The file that is played: in `/tmp`, so that what is not in memory is on the swap disk.

use crate::music::{BLOCKS, Block, WORDS, word_of_file};
use abi::errno::Errno;
use abi::files::{O_CREAT, O_RDWR, O_TRUNC};
use core::slice;
use userland::{files, paths};

const PATH: &[u8] = b"/tmp/music";
const BYTES: usize = WORDS * 8;

/// The file, open.
pub struct Song(i32);

fn bytes(words: &mut [u64; WORDS]) -> &mut [u8] {
    // SAFETY: the same memory; any bytes are words.
    unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), BYTES) }
}

impl Song {
    /// Writes it.
    pub fn write() -> Result<Song, Errno> {
        let song = Song(paths::open(PATH, O_RDWR | O_CREAT | O_TRUNC)?);
        for block in 0..BLOCKS {
            let mut words = core::array::from_fn(|place| word_of_file(block, place));
            if files::write(song.0, bytes(&mut words))? != BYTES {
                return Err(Errno::ENOSPC);
            }
        }
        Ok(song)
    }

    /// Reads the block that this one's number leads to.
    pub fn read(&self, block: &mut Block) -> Result<(), Errno> {
        let place = (block.number % BLOCKS) as i64 * BYTES as i64;
        let read = files::read_at(self.0, bytes(&mut block.words), place)?;
        if read == BYTES { Ok(()) } else { Err(Errno::EIO) }
    }
}
