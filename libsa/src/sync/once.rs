//! What is done once.

use super::Mutex;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// Something that is done by the first who comes; the others wait for it.
pub struct Once {
    is_done: AtomicBool,
    doing: Mutex<()>,
}

impl Once {
    /// It has not been done.
    pub const fn new() -> Once {
        Once { is_done: AtomicBool::new(false), doing: Mutex::new(()) }
    }

    /// Whether it has been done.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Does it, unless it has been done; returns when it has.
    pub fn call_once(&self, act: impl FnOnce()) {
        if self.is_completed() {
            return;
        }
        let Ok(_doing) = self.doing.lock();
        if !self.is_completed() {
            act();
            self.is_done.store(true, Ordering::Release);
        }
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}

/// A value that is written once.
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written once, by one thread, before any other reads it.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: likewise.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Without a value.
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it has been written.
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it has been written, and stays.
        self.once.is_completed().then(|| unsafe { &*self.value.get().cast::<T>() })
    }

    /// The value; if it has not been written, this one.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.once.call_once(|| {
            let value = make();
            // SAFETY: nobody reads it yet, and nobody else writes it.
            unsafe { self.value.get().write(MaybeUninit::new(value)) };
        });
        self.get().expect("it has just been written")
    }

    /// Writes it, unless it has been written: then the value comes back.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("it is there"));
        value.map_or(Ok(()), Err)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if self.once.is_completed() {
            // SAFETY: it has been written, and nobody has it any longer.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
