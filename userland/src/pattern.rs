//! Memory that is tested. What is in a page: whose it is, where it is, and its version, in three words at the page's start
//! and three at its end.

use crate::system::raw;
use core::ptr;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Memory that is tested.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Its first address.
    pub start: u64,
    /// How many pages.
    pub pages: u64,
}

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says {
    /// Whose it is.
    pub owner: u64,
    /// Which page of the memory.
    pub page: u64,
    /// How often it was written, or what else its owner calls that.
    pub version: u64,
}

impl Says {
    /// Of a page that nobody has written.
    pub const NOTHING: Says = Says { owner: 0, page: 0, version: 0 };
}

impl Memory {
    /// Maps private memory.
    pub fn map(pages: u64) -> Option<Memory> {
        const READ_WRITE: i32 = 3;
        const PRIVATE_ANONYMOUS: i32 = 0x22;
        // SAFETY: somewhere where nothing is.
        let mapped = unsafe { raw::mmap(0, pages * PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) };
        mapped.ok().map(|start| Memory { start, pages })
    }

    /// Gives it back.
    pub fn unmap(self) {
        // SAFETY: nobody uses it any more.
        let _ = unsafe { raw::munmap(self.start, self.pages * PAGE) };
    }

    fn words(self, page: u64) -> [*mut u64; 2] {
        let start = self.start + page * PAGE;
        [start, start + PAGE - 24].map(|at| ptr::with_exposed_provenance_mut(at as usize))
    }

    /// Writes a page.
    pub fn write(self, page: u64, owner: u64, version: u64) {
        for words in self.words(page) {
            for (place, value) in [owner, page, version].into_iter().enumerate() {
                // SAFETY: within the page.
                let word = unsafe { words.add(place) };
                // SAFETY: the memory is mapped and written by one thread at a time.
                unsafe { word.write_volatile(value) };
            }
        }
    }

    /// Reads a page; none if its two ends do not say the same.
    pub fn read(self, page: u64) -> Option<Says> {
        let [first, last] = self.words(page).map(|words| {
            [0, 1, 2].map(|place| {
                // SAFETY: within the page.
                let word = unsafe { words.add(place) };
                // SAFETY: the memory is mapped.
                unsafe { word.read_volatile() }
            })
        });
        let [owner, page, version] = first;
        (first == last).then_some(Says { owner, page, version })
    }
}
