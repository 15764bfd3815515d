//! What the threads say of themselves, for each other and for whoever watches.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use userland::eprintln;

/// What a stage does.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Doing {
    Works,
    WaitsForBlock,
    WaitsForRoom,
    IsOver,
}

/// The same in words.
pub const DOING: [&str; 4] = ["works", "waits for a block", "waits for room", "is over"];

/// Why a block was late.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Cause {
    /// The output thread was woken late.
    Woken,
    /// There was no block: the reader had not read one.
    Reader,
    /// There was no block: it had been read, and the decoder had not decoded it.
    Decoder,
    /// It took long to play: a page was missing, or a processor.
    Playing,
}

/// How many causes there are.
pub const CAUSES: usize = 4;

/// How many numbers the watcher gets.
pub const NUMBERS: usize = 8 + CAUSES;

/// A stage.
#[derive(Default)]
pub struct Stage(AtomicU64);

impl Stage {
    pub fn begins(&self, what: Doing) {
        self.0.store(what as u64, Relaxed);
    }

    pub fn is(&self, what: Doing) -> bool {
        self.0.load(Relaxed) == what as u64
    }
}

/// Everything.
#[derive(Default)]
pub struct Counts {
    pub reader: Stage,
    pub decoder: Stage,
    /// Blocks.
    pub read: AtomicU64,
    pub decoded: AtomicU64,
    pub played: AtomicU64,
    /// Of these, those that were late, by cause.
    pub late: [AtomicU64; CAUSES],
    /// By how much, at most, in microseconds.
    pub worst: AtomicU64,
    pub wrong: AtomicU64,
    /// Nobody plays any more.
    pub is_over: AtomicBool,
}

impl Counts {
    /// Something is not as it must be.
    pub fn say_wrong(&self, what: fmt::Arguments<'_>) {
        self.wrong.fetch_add(1, Relaxed);
        eprintln!("player: WRONG: {what}");
    }

    /// Tells whoever watches.
    pub fn tell(&self, is_end: bool) {
        let of = |count: &AtomicU64| count.load(Relaxed);
        let [woken, reader, decoder, playing] = self.late.each_ref().map(of);
        // Nobody may be there: then nobody wants to know.
        let _: bool = threaded::again::tell::<NUMBERS>(&[
            u64::from(is_end),
            of(&self.read),
            of(&self.decoded),
            of(&self.played),
            woken,
            reader,
            decoder,
            playing,
            of(&self.worst),
            of(&self.wrong),
            of(&self.reader.0),
            of(&self.decoder.0),
        ]);
    }
}
