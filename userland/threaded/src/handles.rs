//! Many handles of threads: in memory of their own, as there is no heap.

use libsa::runtime;
use libsa::thread::{self, JoinHandle};

/// Threads that can be joined.
pub struct Handles {
    first: *mut JoinHandle<u64>,
    count: u64,
}

impl Handles {
    /// Starts so many threads, each with its number.
    pub fn start(count: u64, act: impl Fn(u64) -> u64 + Copy + Send + 'static) -> Option<Handles> {
        let length = (count as usize * size_of::<JoinHandle<u64>>()).next_multiple_of(4096);
        let first = runtime::map(0, length.max(4096))? as *mut JoinHandle<u64>;
        for number in 0..count {
            let handle = thread::spawn(move || act(number));
            // SAFETY: within what was mapped.
            unsafe { first.wrapping_add(number as usize).write(handle) };
        }
        Some(Handles { first, count })
    }

    /// The handle of a thread.
    pub fn get(&self, number: u64) -> &JoinHandle<u64> {
        assert!(number < self.count, "there is no thread {number}");
        // SAFETY: written above.
        unsafe { &*self.first.wrapping_add(number as usize) }
    }

    /// Waits for all; returns the sum of what came out of them.
    pub fn join(self) -> u64 {
        let mut sum = 0_u64;
        for number in 0..self.count as usize {
            // SAFETY: written above, and read once.
            let Ok(came) = unsafe { self.first.wrapping_add(number).read() }.join();
            sum = sum.wrapping_add(came);
        }
        runtime::unmap(self.first as usize, self.count as usize * size_of::<JoinHandle<u64>>());
        sum
    }
}
