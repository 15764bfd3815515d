//! The application's own buffer cache: part of the tree is in memory, the rest would have to be read from a disk.
//!
//! The nodes are a file of blocks, for some of which there is a frame. Who needs a block pins it, and reads there; a block
//! that is pinned stays. One that has no frame is *missed*: the thread sleeps in the kernel for as long as a disk takes.
//! Who finds that somebody is reading it already waits for that one, in the library.
//!
//! A thread has one block pinned at most, and none while it waits for another. So whoever waits for a frame gets one.

use crate::forces::Source;
use crate::tree::Node;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, Ordering::Relaxed};
use libsa::sync::{Condvar, Mutex};
use userland::lwp;

/// Nodes of a block.
const NODES: usize = 16;

/// In the word of a block, beside the number of its pins: it has a frame.
const IS_HERE: u32 = 1 << 31;

/// In place of a block or a frame: none.
const NONE: u32 = u32::MAX;

/// A block of the file.
struct Block {
    /// How many have pinned it, and whether it has a frame.
    pins: AtomicU32,
    /// Its frame.
    frame: AtomicU32,
    /// It has been used since a frame was last looked for.
    is_used: AtomicBool,
    /// It has been read.
    has_come: Condvar,
}

struct Frame(UnsafeCell<[Node; NODES]>);

// SAFETY: who reads has a pin, who writes has the frame to itself.
unsafe impl Sync for Frame {}

/// What changes when a block is missed.
struct Changing {
    /// The block of each frame.
    blocks: Vec<u32>,
    /// Whether somebody reads a block.
    is_read: Vec<bool>,
    /// Where a frame is looked for next.
    hand: usize,
}

/// The cache.
pub struct Cache {
    /// What is on the disk.
    file: Vec<Node>,
    blocks: Vec<Block>,
    frames: Vec<Frame>,
    changing: Mutex<Changing>,
    /// A pin has gone, or a block has come.
    has_frame: Condvar,
    /// Threads that wait for a frame.
    waiting: AtomicU32,
    /// How long the disk takes, in nanoseconds.
    time: u64,
    percent: usize,
    pub counts: Counts,
}

/// What has happened.
#[derive(Default)]
pub struct Counts {
    /// Blocks missed.
    pub misses: AtomicU32,
    /// How many are being read.
    now: AtomicU32,
    /// How many were at most.
    pub most: AtomicU32,
}

impl Cache {
    /// For so much of the file; a block that is not here takes so many nanoseconds.
    pub fn new(percent: usize, time: u64) -> Cache {
        let changing = Changing { blocks: Vec::new(), is_read: Vec::new(), hand: 0 };
        Cache {
            file: Vec::new(),
            blocks: Vec::new(),
            frames: Vec::new(),
            changing: Mutex::new(changing),
            has_frame: Condvar::new(),
            waiting: AtomicU32::new(0),
            time,
            percent,
            counts: Counts::default(),
        }
    }

    /// The file is another one, which has just been written: the end of it is still here.
    pub fn write(&mut self, nodes: &[Node]) {
        let count = nodes.len().div_ceil(NODES);
        let room = (count * self.percent).div_ceil(100).max(1);
        self.file.clear();
        self.file.extend_from_slice(nodes);
        self.file.resize(count * NODES, Node::default());
        self.frames.resize_with(room, || Frame(UnsafeCell::new([Node::default(); NODES])));
        self.blocks.clear();
        self.blocks.extend((0..count).map(|_| Block {
            pins: AtomicU32::new(0),
            frame: AtomicU32::new(NONE),
            is_used: AtomicBool::new(false),
            has_come: Condvar::new(),
        }));
        let Ok(changing) = self.changing.get_mut();
        changing.hand = 0;
        changing.blocks.clear();
        changing.is_read.clear();
        changing.is_read.resize(count, false);
        for (frame, block) in (count - room..count).enumerate() {
            self.frames[frame].0.get_mut().copy_from_slice(&self.file[block * NODES..][..NODES]);
            changing.blocks.push(block as u32);
            self.blocks[block] = Block {
                pins: AtomicU32::new(IS_HERE),
                frame: AtomicU32::new(frame as u32),
                is_used: AtomicBool::new(false),
                has_come: Condvar::new(),
            };
        }
    }

    /// For a thread.
    pub fn reader(&self) -> Reader<'_> {
        Reader { cache: self, pinned: NONE }
    }

    /// Pins a block if it is here.
    fn try_pin(&self, block: &Block) -> bool {
        if block.pins.fetch_add(1, Ordering::Acquire) & IS_HERE != 0 {
            if !block.is_used.load(Relaxed) {
                block.is_used.store(true, Relaxed);
            }
            return true;
        }
        self.unpin(block);
        false
    }

    fn unpin(&self, block: &Block) {
        let before = block.pins.fetch_sub(1, Ordering::SeqCst);
        // Who waits has counted itself before it looked at the pins. What is not here has no frame to take.
        if before == IS_HERE + 1 && self.waiting.load(Ordering::SeqCst) != 0 {
            drop(self.changing.lock());
            self.has_frame.notify_all();
        }
    }

    fn pin(&self, number: u32) {
        let block = &self.blocks[number as usize];
        if !self.try_pin(block) {
            self.miss(number, block);
        }
    }

    /// Takes a frame from a block that nobody has pinned, and, if there is one, that was not used lately.
    fn take_frame(&self, changing: &mut Changing) -> Option<u32> {
        let count = self.frames.len();
        for _ in 0..2 * count + 1 {
            let frame = changing.hand;
            changing.hand = (frame + 1) % count;
            let Some(block) = self.blocks.get(changing.blocks[frame] as usize) else { continue };
            if block.is_used.swap(false, Relaxed) {
                continue;
            }
            let (is, becomes) = (IS_HERE, 0);
            let taken =
                block.pins.compare_exchange(is, becomes, Ordering::SeqCst, Ordering::SeqCst);
            if taken.is_ok() {
                changing.blocks[frame] = NONE;
                return Some(frame as u32);
            }
        }
        None
    }

    /// Pins a block that was not here.
    #[cold]
    fn miss(&self, number: u32, block: &Block) {
        let Ok(mut changing) = self.changing.lock();
        let frame = loop {
            if self.try_pin(block) {
                return;
            }
            if changing.is_read[number as usize] {
                let Ok(again) = block.has_come.wait(changing);
                changing = again;
                continue;
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let frame = self.take_frame(&mut changing);
            if frame.is_none() {
                let Ok(again) = self.has_frame.wait(changing);
                changing = again;
            }
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            if let Some(frame) = frame {
                break frame;
            }
        };
        changing.is_read[number as usize] = true;
        drop(changing);
        self.read(number, frame);
        let Ok(mut changing) = self.changing.lock();
        changing.is_read[number as usize] = false;
        changing.blocks[frame as usize] = number;
        block.frame.store(frame, Relaxed);
        block.is_used.store(true, Relaxed);
        block.pins.fetch_add(IS_HERE + 1, Ordering::Release);
        drop(changing);
        block.has_come.notify_all();
        if self.waiting.load(Ordering::SeqCst) != 0 {
            self.has_frame.notify_all();
        }
    }

    /// The disk at work: the thread sleeps in the kernel, which is not libsa's own sleep.
    fn read(&self, number: u32, frame: u32) {
        let now = self.counts.now.fetch_add(1, Relaxed) + 1;
        self.counts.most.fetch_max(now, Relaxed);
        self.counts.misses.fetch_add(1, Relaxed);
        lwp::sleep(self.time).expect("nobody sends signals");
        // SAFETY: the frame is nobody else's until the block is here.
        let to = unsafe { &mut *self.frames[frame as usize].0.get() };
        to.copy_from_slice(&self.file[number as usize * NODES..][..NODES]);
        self.counts.now.fetch_sub(1, Relaxed);
    }
}

/// How a thread reads nodes: the block of the last one stays pinned.
pub struct Reader<'a> {
    cache: &'a Cache,
    pinned: u32,
}

impl Reader<'_> {
    fn let_go(&mut self) {
        if let Some(block) = self.cache.blocks.get(self.pinned as usize) {
            self.cache.unpin(block);
        }
        self.pinned = NONE;
    }
}

impl Source for Reader<'_> {
    fn node(&mut self, number: u32) -> Node {
        let (block, place) = (number / NODES as u32, number as usize % NODES);
        if block != self.pinned {
            self.let_go();
            self.cache.pin(block);
            self.pinned = block;
        }
        let frame = self.cache.blocks[block as usize].frame.load(Relaxed);
        // SAFETY: nobody writes there while the block is pinned.
        let frame = unsafe { &*self.cache.frames[frame as usize].0.get() };
        frame[place]
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.let_go();
    }
}
