//! Counted references to objects of a slab: what several descriptors, processes or calls have at a time.
//!
//! The last reference that goes takes the object with it. Whoever has to do something before that, with the right to
//! sleep, lets go with [`Shared::release`].

use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use memory::{OutOfMemory, Slab, SlabBox};

/// An object and how many references there are to it.
pub struct Counted<T> {
    references: AtomicUsize,
    value: T,
}

/// A reference.
pub struct Shared<T: 'static>(NonNull<Counted<T>>);

// SAFETY: it gives shared access from any thread, and whoever is last owns the value.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: likewise.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The first reference to a value; if there is no memory for it, the value comes back.
    pub fn new(slab: &'static Slab<Counted<T>>, value: T) -> Result<Shared<T>, (OutOfMemory, T)> {
        match slab.allocate(Counted { references: AtomicUsize::new(1), value }) {
            Ok(object) => Ok(Shared(object.into_raw())),
            Err((error, counted)) => Err((error, counted.value)),
        }
    }

    /// One more. There are never as many as can be counted: each has a place in memory.
    pub fn another(&self) -> Shared<T> {
        // SAFETY: the object is there as long as this reference.
        unsafe { self.0.as_ref() }.references.fetch_add(1, Ordering::Relaxed);
        Shared(self.0)
    }

    /// Lets go; the last one gets the value.
    pub fn release(self) -> Option<T> {
        let this = ManuallyDrop::new(self);
        this.let_go().map(|object| object.into_inner().value)
    }

    /// The object, if this was the last reference. The reference is not used any more.
    fn let_go(&self) -> Option<SlabBox<Counted<T>>> {
        // SAFETY: the object is there as long as this reference.
        let references = unsafe { &self.0.as_ref().references };
        if references.fetch_sub(1, Ordering::Release) != 1 {
            return None;
        }
        // What the others did with it comes before its end.
        fence(Ordering::Acquire);
        // SAFETY: from `new`, and nobody else has a reference.
        Some(unsafe { SlabBox::from_raw(self.0) })
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the object is there as long as this reference.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        drop(self.let_go());
    }
}
