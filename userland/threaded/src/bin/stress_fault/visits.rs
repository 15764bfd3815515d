//! The memory, and what threads do with it.

use crate::boxes::Boxes;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::sync::{Barrier, Mutex};
use threaded::many::{Outcome, many};
use userland::fail;
use userland::pattern::{Memory, Says};

/// Pieces of the memory that is behind mutexes.
const PIECES: usize = 16;
/// The owner of pages behind the first mutex; threads have lower numbers.
const PIECE: u64 = 1 << 20;
/// A thread's pages are visited in steps of so many.
const STRIDE: u64 = 37;
/// At the end every so manyeth page is looked at once more: all were in the last round.
const SAMPLE: usize = 16;

/// A piece of memory that whoever holds its mutex may visit.
struct Piece {
    memory: Memory,
    /// What its pages say.
    owner: u64,
    /// How often each page was written.
    versions: Vec<u64>,
    /// The next to be visited.
    next: u64,
}

/// All memory that is visited: half of it by one thread for each page, a quarter by who holds a mutex, and a quarter lies
/// in boxes of the threads' own.
pub struct Machine {
    threads: u64,
    seed: u64,
    own: Memory,
    pieces: Vec<Mutex<Piece>>,
    boxes: Vec<Mutex<Boxes>>,
    visits: [AtomicU64; 3],
}

impl Machine {
    /// With so many pages, all of them empty.
    pub fn new(threads: u64, pages: u64, seed: u64) -> Option<Machine> {
        let own = Memory::map((pages / 2 / threads).max(1) * threads)?;
        let length = (pages / 4 / PIECES as u64).max(1);
        let mut pieces = Vec::new();
        for number in 0..PIECES as u64 {
            let (memory, versions) = (Memory::map(length)?, vec![0; length as usize]);
            pieces.push(Mutex::new(Piece { memory, owner: PIECE + number, versions, next: 0 }));
        }
        let boxes = (pages / 4 / threads).max(1);
        let boxes = (0..threads).map(|owner| Mutex::new(Boxes::new(owner, boxes))).collect();
        let visits = [const { AtomicU64::new(0) }; 3];
        Some(Machine { threads, seed, own, pieces, boxes, visits })
    }

    /// How many visits there were by threads that held nothing, by threads that held a mutex, and in the allocator.
    pub fn visits(&self, which: usize) -> u64 {
        self.visits[which].load(Relaxed)
    }

    /// Writes all pages for the first time.
    pub fn write(&self) -> Outcome {
        self.go_through(0)
    }

    /// Visits all pages: each says what it said when it was last visited.
    pub fn visit(&self, round: u64) -> Outcome {
        self.go_through(round)
    }

    /// Each thread has as many pages of its own, a part of the boxes, and a share of the visits behind mutexes.
    fn go_through(&self, round: u64) -> Outcome {
        let each = self.own.pages / self.threads;
        let all_begin = Barrier::new(self.threads as usize);
        many(self.threads, self.seed.wrapping_add(round), |me, random| {
            // Its stack is among what has to make room.
            all_begin.wait();
            let Ok(mut boxes) = self.boxes[me as usize].lock();
            let mut outcome = boxes.exchange(round);
            self.visits[2].fetch_add(boxes.count(), Relaxed);
            let first = random.below(each);
            for step in 0..each {
                let page = me * each + place(first, step, each);
                outcome = outcome.and_then(|()| self.own_page(me, page, round));
                if step % 2 == 0 {
                    let piece = &self.pieces[random.below(PIECES as u64) as usize];
                    outcome = outcome.and_then(|()| self.page_behind(piece));
                }
            }
            outcome
        })
    }

    /// A page that nobody else visits.
    fn own_page(&self, me: u64, page: u64, round: u64) -> Outcome {
        self.visits[0].fetch_add(1, Relaxed);
        if round != 0 {
            is_right(self.own, page, me, round)?;
        }
        self.own.write(page, me, round + 1);
        Ok(())
    }

    /// A page that belongs to who holds the mutex.
    fn page_behind(&self, piece: &Mutex<Piece>) -> Outcome {
        self.visits[1].fetch_add(1, Relaxed);
        let Ok(mut piece) = piece.lock();
        let (page, owner, memory) = (piece.next, piece.owner, piece.memory);
        piece.next = (page + 1) % memory.pages;
        let version = &mut piece.versions[page as usize];
        if *version != 0 {
            is_right(memory, page, owner, *version)?;
        }
        *version += 1;
        memory.write(page, owner, *version);
        Ok(())
    }

    /// Looks at some of all pages once more, and at whether each visit behind a mutex is known.
    pub fn look(&self, rounds: u64) -> Outcome {
        let each = self.own.pages / self.threads;
        many(self.threads, self.seed, |me, _| {
            for page in (me * each..(me + 1) * each).step_by(SAMPLE) {
                is_right(self.own, page, me, rounds + 1)?;
            }
            let Ok(boxes) = self.boxes[me as usize].lock();
            boxes.look_at(rounds + 1, SAMPLE)
        })?;
        let mut visits = 0;
        for piece in &self.pieces {
            let Ok(piece) = piece.lock();
            for (page, &version) in piece.versions.iter().enumerate() {
                visits += version;
                if version != 0 && page % SAMPLE == 0 {
                    is_right(piece.memory, page as u64, piece.owner, version)?;
                }
            }
        }
        if visits != self.visits(1) {
            fail!("{visits} visits are known of {} by holders of mutexes", self.visits(1));
        }
        Ok(())
    }
}

/// All places once, beginning anywhere, with long steps where that comes out.
fn place(first: u64, step: u64, count: u64) -> u64 {
    let stride = if count.is_multiple_of(STRIDE) { 1 } else { STRIDE };
    (first + step * stride) % count
}

/// Whether a page says what it should.
fn is_right(memory: Memory, page: u64, owner: u64, version: u64) -> Outcome {
    let (says, expected) = (memory.read(page), Says { owner, page, version });
    if says == Some(expected) { Ok(()) } else { fail!("{says:?} instead of {expected:?}") }
}
