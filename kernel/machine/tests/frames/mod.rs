//! Frames for the tests of pmaps: page tables and user memory.

#![allow(dead_code, reason = "each test file uses a part")]

use machine::pmap::{Rights, TableMemory, Translation};
use machine::sim::{self, Machine, physical};
use machine::{Pmap, content};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

pub const PAGE: u64 = machine::pmap::PAGE;

/// An address of user mode.
pub const ADDRESS: u64 = 0x40_0000;

/// Rights that tests often give.
pub const READ: Rights = Rights::READ;

pub fn read_write() -> Rights {
    Rights::READ | Rights::WRITE
}

/// Frames that are taken and given back; at most so many at a time.
pub struct Frames(Mutex<Inner>);

struct Inner {
    taken: BTreeSet<u64>,
    next: u64,
    most: usize,
}

impl Frames {
    pub fn new() -> Frames {
        Frames::limited(usize::MAX)
    }

    pub fn limited(most: usize) -> Frames {
        Frames(Mutex::new(Inner { taken: BTreeSet::new(), next: PAGE, most }))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn taken(&self) -> usize {
        self.with(|inner| inner.taken.len())
    }

    fn take(&self) -> Option<u64> {
        self.with(|inner| {
            let frame = inner.next;
            (inner.taken.len() < inner.most).then(|| {
                inner.taken.insert(frame);
                inner.next += PAGE;
                frame
            })
        })
    }

    /// A frame of user memory with this in its first word.
    pub fn with_word(&self, word: u64) -> u64 {
        let frame = self.take().expect("there is a frame");
        physical::store(frame, word);
        frame
    }
}

// SAFETY: every frame is handed out once.
unsafe impl TableMemory for Frames {
    fn allocate_table(&self) -> Option<u64> {
        let frame = self.take()?;
        // SAFETY: a fresh frame.
        unsafe { content::clear_from(frame, 0) };
        Some(frame)
    }

    fn free_table(&self, frame: u64) {
        assert!(self.with(|inner| inner.taken.remove(&frame)), "{frame:#x} was not taken");
    }
}

/// Runs `body` with a machine, a source of frames and an empty pmap.
pub fn run(cpus: usize, body: impl FnOnce(&Machine, &'static Frames, &'static Pmap)) {
    sim::run(cpus, sim::Quiet, |machine| {
        let frames = machine.keep(Frames::new());
        let pmap = machine.keep(Pmap::new(frames).expect("there is a frame"));
        body(machine, frames, pmap);
        machine.join();
        // So that it may be dropped.
        let mut mapped = Vec::new();
        pmap.for_each(0..u64::MAX, &mut |address, _| {
            mapped.push(address);
            ControlFlow::Continue(())
        });
        for address in mapped {
            pmap.exchange(address, None);
        }
        assert_eq!(pmap.resident_pages(), 0);
    });
}

/// Maps a fresh frame with this in its first word; returns the frame.
pub fn map(frames: &Frames, pmap: &Pmap, address: u64, rights: Rights, word: u64) -> u64 {
    let frame = frames.with_word(word);
    pmap.prepare(address).expect("there is a frame");
    assert_eq!(pmap.exchange(address, Some(Translation::new(frame, rights))), None);
    frame
}
