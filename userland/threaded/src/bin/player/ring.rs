//! Blocks on their way from one thread to the next: a few at most, behind a mutex and two condition variables.

use crate::music::Block;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use libsa::sync::{Condvar, Mutex};

struct Inside {
    blocks: VecDeque<Box<Block>>,
    /// No more will come.
    is_closed: bool,
}

/// A buffer between two threads.
pub struct Ring {
    inside: Mutex<Inside>,
    has_room: Condvar,
    has_block: Condvar,
    most: usize,
}

impl Ring {
    /// For so many blocks.
    pub fn new(most: usize) -> Ring {
        let inside = Inside { blocks: VecDeque::with_capacity(most), is_closed: false };
        Ring {
            inside: Mutex::new(inside),
            has_room: Condvar::new(),
            has_block: Condvar::new(),
            most,
        }
    }

    /// Puts one in, once there is room.
    pub fn put(&self, block: Box<Block>) {
        let Ok(inside) = self.inside.lock();
        let Ok(mut inside) =
            self.has_room.wait_while(inside, |inside| inside.blocks.len() >= self.most);
        inside.blocks.push_back(block);
        drop(inside);
        self.has_block.notify_one();
    }

    /// Takes the next one, once there is one; none when there will not be any more.
    pub fn take(&self) -> Option<Box<Block>> {
        let Ok(inside) = self.inside.lock();
        let is_empty = |inside: &mut Inside| inside.blocks.is_empty() && !inside.is_closed;
        let Ok(mut inside) = self.has_block.wait_while(inside, is_empty);
        let block = inside.blocks.pop_front();
        drop(inside);
        self.has_room.notify_one();
        block
    }

    /// Nobody puts any more in.
    pub fn close(&self) {
        let Ok(mut inside) = self.inside.lock();
        inside.is_closed = true;
        drop(inside);
        self.has_block.notify_all();
    }
}
