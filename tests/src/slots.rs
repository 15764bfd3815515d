//! Not starting more at once than the host can carry: a counting semaphore over its processors.
//!
//! A guest with many processors has a host thread for each, so it counts as more than one run.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use boot::qemu::{Machine, Pace};

/// Guests with more processors than this have the host to themselves.
const LIGHT: u32 = 4;

/// The host's capacity.
#[derive(Debug)]
pub struct Slots {
    all: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// Part of the capacity, given back when dropped.
#[derive(Debug)]
pub struct Slot<'a> {
    slots: &'a Slots,
    count: usize,
}

impl Slots {
    /// So many.
    pub fn new(all: usize) -> Slots {
        Slots { all, free: Mutex::new(all), freed: Condvar::new() }
    }

    /// Those of this host.
    pub fn host() -> &'static Slots {
        static HOST: OnceLock<Slots> = OnceLock::new();
        HOST.get_or_init(|| Slots::new(parallelism()))
    }

    /// How many runs of this machine the capacity is worth.
    pub fn weight(&self, machine: &Machine) -> usize {
        if machine.pace == Pace::Counted || machine.cpus <= LIGHT { 1 } else { self.all }
    }

    /// Waits until there is room.
    pub fn take(&self, count: usize) -> Slot<'_> {
        let count = count.min(self.all);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(free, |free| *free < count);
        *waited.unwrap_or_else(PoisonError::into_inner) -= count;
        Slot { slots: self, count }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.slots.free.lock().unwrap_or_else(PoisonError::into_inner) += self.count;
        self.slots.freed.notify_all();
    }
}

/// The host's processors.
pub fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_there_is_room_for() {
        let slots = Slots::new(3);
        let busy = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for count in [1, 2, 3, 9, 1, 2] {
                let (slots, busy) = (&slots, &busy);
                scope.spawn(move || {
                    let _slot = slots.take(count);
                    let count = count.min(3);
                    assert!(busy.fetch_add(count, Ordering::SeqCst) + count <= 3);
                    std::thread::yield_now();
                    busy.fetch_sub(count, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(*slots.free.lock().unwrap(), 3);
    }
}
