//! Stores in the host's memory.

use super::dispatcher::{Flag, spawn, system};
use dispatch::Semaphore;
use machine::MayFault;
use machine::sim::physical;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use vm::PAGE_SIZE;
use vm::store::{Answer, DeviceError, Direction, Store};

/// A store that answers from a thread of its own, or at once.
pub struct MemoryStore {
    pages: u64,
    content: Mutex<BTreeMap<u64, u64>>,
    /// Answers come from the thread that asks.
    pub at_once: AtomicBool,
    /// So many transfers fail from now on.
    pub failures: AtomicU64,
    /// Transfers of which this page is one fail, always.
    pub bad_page: AtomicU64,
    /// Of these only reads count.
    pub only_reads_fail: AtomicBool,
    /// Of these only writes count.
    pub only_writes_fail: AtomicBool,
}

impl MemoryStore {
    /// With room for so many pages.
    pub fn new(pages: u64) -> MemoryStore {
        MemoryStore {
            pages,
            content: Mutex::default(),
            at_once: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            bad_page: AtomicU64::new(u64::MAX),
            only_reads_fail: AtomicBool::new(false),
            only_writes_fail: AtomicBool::new(false),
        }
    }

    /// Puts a first word into a page.
    pub fn put(&self, page: u64, word: u64) {
        self.content.lock().unwrap().insert(page, word);
    }

    fn transfer(
        &self,
        direction: Direction,
        first: u64,
        frames: &[u64],
    ) -> Result<(), DeviceError> {
        let failures = self.failures.load(Ordering::SeqCst);
        let spared = match direction {
            Direction::Read => &self.only_writes_fail,
            Direction::Write => &self.only_reads_fail,
        };
        let may_fail = !spared.load(Ordering::SeqCst);
        if failures != 0 && may_fail {
            self.failures.store(failures - 1, Ordering::SeqCst);
            return Err(DeviceError);
        }
        let bad_page = self.bad_page.load(Ordering::SeqCst);
        if (first..first + frames.len() as u64).contains(&bad_page) {
            return Err(DeviceError);
        }
        for (page, frame) in (first..).zip(frames) {
            assert!(page < self.pages, "page {page} of {}", self.pages);
            match direction {
                Direction::Read => {
                    let word = self.content.lock().unwrap().get(&page).copied().unwrap_or(0);
                    physical::store(*frame, word);
                }
                Direction::Write => {
                    let word = physical::load(*frame);
                    self.content.lock().unwrap().insert(page, word);
                }
            }
        }
        Ok(())
    }
}

/// The device, for ever.
pub struct Device(pub &'static MemoryStore);

impl Store for Device {
    fn pages(&self) -> u64 {
        self.0.pages
    }

    fn submit(
        &self,
        direction: Direction,
        page: u64,
        frames: &[u64],
        answer: Answer,
        _: &mut MayFault,
    ) {
        let store = self.0;
        if store.at_once.load(Ordering::SeqCst) {
            answer.done(store.transfer(direction, page, frames));
            return;
        }
        let frames = frames.to_vec();
        drop(spawn(system(70), move |_| answer.done(store.transfer(direction, page, &frames))));
    }
}

/// A device that answers when it is told to.
pub struct LateDevice {
    store: &'static MemoryStore,
    asked: Mutex<VecDeque<Asked>>,
    /// As many as have not been answered.
    pub waiting: Semaphore,
}

/// What a device has been asked for.
struct Asked {
    direction: Direction,
    page: u64,
    frames: Vec<u64>,
    answer: Answer,
}

impl LateDevice {
    /// On a store.
    pub fn new(store: &'static MemoryStore) -> LateDevice {
        LateDevice { store, asked: Mutex::default(), waiting: Semaphore::new(0) }
    }

    /// Answers what it was asked for first, after who is about to has taken a unit of [`LateDevice::waiting`].
    pub fn answer(&self) {
        let first = self.asked.lock().unwrap().pop_front();
        let Asked { direction, page, frames, answer } = first.expect("it was asked");
        answer.done(self.store.transfer(direction, page, &frames));
    }
}

impl Store for LateDevice {
    fn pages(&self) -> u64 {
        self.store.pages
    }

    fn submit(
        &self,
        direction: Direction,
        page: u64,
        frames: &[u64],
        answer: Answer,
        _: &mut MayFault,
    ) {
        if self.store.at_once.load(Ordering::SeqCst) {
            answer.done(self.store.transfer(direction, page, frames));
            return;
        }
        let asked = Asked { direction, page, frames: frames.to_vec(), answer };
        self.asked.lock().unwrap().push_back(asked);
        self.waiting.v();
    }
}
