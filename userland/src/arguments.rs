//! What a program was started with: arguments, environment, auxiliary vector.
//!
//! They lie on the initial stack, as on Linux: from the stack pointer upwards the number of
//! arguments, their addresses, null, the environment's addresses, null, and the pairs of the
//! auxiliary vector, of which the last has key 0. All of it lives as long as the program.

use core::ffi::CStr;

/// Key in the auxiliary vector: the address of the program headers.
pub const PROGRAM_HEADERS: u64 = 3;
/// Key in the auxiliary vector: how many program headers there are.
pub const PROGRAM_HEADER_COUNT: u64 = 5;
/// Key in the auxiliary vector: the size of a page.
pub const PAGE_SIZE: u64 = 6;
/// Key in the auxiliary vector: the address of the first instruction.
pub const ENTRY: u64 = 9;

/// What the program was started with.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    stack: *const u64,
}

impl Arguments {
    /// # Safety
    ///
    /// `stack` is the initial stack as it is described above; it is never changed or given back.
    pub(crate) unsafe fn from_initial_stack(stack: *const u64) -> Arguments {
        Arguments { stack }
    }

    /// The word of the initial stack at a place that lies in it.
    fn word(self, place: usize) -> u64 {
        // SAFETY: callers stay before the null pair at the end.
        unsafe { *self.stack.wrapping_add(place) }
    }

    fn count(self) -> usize {
        self.word(0) as usize
    }

    /// The argument at this place; 0 is the program's name.
    pub fn get(self, place: usize) -> Option<&'static CStr> {
        let address = (place < self.count()).then(|| self.word(1 + place))?;
        // SAFETY: the kernel put a string there, with a null byte behind it.
        Some(unsafe { CStr::from_ptr(address as *const _) })
    }

    /// The arguments after the program's name. One that is not UTF-8 reads as a single replacement
    /// character, which no program takes for anything.
    pub fn words(self) -> impl Iterator<Item = &'static str> + Clone {
        let words = (1..self.count()).filter_map(move |place| self.get(place));
        words.map(|word| word.to_str().unwrap_or("\u{fffd}"))
    }

    /// The addresses of the arguments from this place on, with null behind them, as `execve` takes them.
    pub fn addresses(self, place: usize) -> *const *const u8 {
        self.stack.wrapping_add(1 + place.min(self.count())).cast()
    }

    /// The addresses of the environment's strings, likewise.
    pub fn environment_addresses(self) -> *const *const u8 {
        self.stack.wrapping_add(1 + self.count() + 1).cast()
    }

    /// The environment: `NAME=value` each.
    pub fn environment(self) -> impl Iterator<Item = &'static CStr> + Clone {
        let addresses = (1 + self.count() + 1..).map(move |place| self.word(place));
        // SAFETY: the kernel put a string there, with a null byte behind it.
        let string = |address| unsafe { CStr::from_ptr(address as *const _) };
        addresses.take_while(|&address| address != 0).map(string)
    }

    /// The auxiliary vector's value for a key.
    pub fn auxiliary(self, key: u64) -> Option<u64> {
        let mut place = 1 + self.count() + 1 + self.environment().count() + 1;
        loop {
            match self.word(place) {
                0 => return None,
                found if found == key => return Some(self.word(place + 1)),
                _ => place += 2,
            }
        }
    }
}
