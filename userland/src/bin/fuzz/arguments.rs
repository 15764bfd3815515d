//! Arguments that may interest a call: addresses that are there and those that are not, ends of pages and of the address
//! space, descriptors, numbers of processes and LWPs, paths, small and huge numbers.

use core::ptr;

/// Random numbers (xorshift).
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// The next, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }
}

/// Bytes of the memory that calls may do anything to.
pub const ARENA: u64 = 64 << 10;
/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Paths; what is made lies in `/tmp`.
const PATHS: [&core::ffi::CStr; 12] = [
    c"/tmp/a",
    c"/tmp/b",
    c"/tmp/a/b",
    c"/tmp/b/a",
    c"/tmp",
    c"/",
    c".",
    c"..",
    c"/dev/null",
    c"/dev/zero",
    c"/bin/hello",
    c"/tmp/a/b/a",
];

/// What a worker's calls may be given.
pub struct Pool {
    /// Its arena.
    pub arena: u64,
    /// Its own number, and those of its LWPs.
    pub process: u64,
    /// See [`Pool::process`].
    pub lwps: [u64; 4],
    /// An address of code.
    pub code: u64,
}

impl Pool {
    /// Some argument.
    pub fn any(&self, random: &mut Random) -> u64 {
        match random.below(16) {
            0..4 => self.inside(random),
            4 => self.arena + ARENA - random.below(64),
            5 => random.one_of(&[
                0,
                8,
                PAGE - 1,
                1 << 46,
                (1 << 47) - 1,
                1 << 47,
                u64::MAX << 47,
                u64::MAX - 7,
                u64::MAX << 31,
                u64::MAX - PAGE + 1,
            ]),
            6 | 7 => random.below(16),
            8 => random.below(300),
            9 => 1 << random.below(64),
            10 => u64::MAX - random.below(16),
            11 => random.one_of(&self.lwps),
            12 => random.one_of(&[self.process, self.code, 4096, 65536, 1 << 20]),
            13 => random.one_of(&PATHS).as_ptr() as u64,
            14 => PAGE * random.below(32),
            _ => random.next(),
        }
    }

    /// An address in the arena.
    pub fn inside(&self, random: &mut Random) -> u64 {
        let at = self.arena + random.below(ARENA);
        random.one_of(&[at, at & !7, at & !63, at & !(PAGE - 1), (at | (PAGE - 1)) - 7])
    }

    /// Puts words into the arena that may mean something in a structure.
    pub fn season(&self, random: &mut Random) {
        for _ in 0..8 {
            let place = (self.arena + random.below(ARENA / 8) * 8) as usize;
            let value = self.any(random);
            // SAFETY: in the arena, unless a call has unmapped it: then the worker ends, and another follows.
            unsafe { ptr::with_exposed_provenance_mut::<u64>(place).write_volatile(value) };
        }
    }
}
