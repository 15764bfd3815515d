//! An atomic `Option<&'static T>`: the one place where pointers between the dispatcher's objects
//! are turned into references. Everything that is pointed to (threads, processors, queues, locks)
//! lives for ever, so a pointer that was read is good whatever happens afterwards.

use atomics::{AtomicPtr, Ordering};
use core::ptr;

/// A reference that changes. See the module.
pub(crate) struct AtomicRef<T: 'static>(AtomicPtr<T>);

fn pointer<T>(value: Option<&'static T>) -> *mut T {
    value.map_or(ptr::null_mut(), |value| ptr::from_ref(value).cast_mut())
}

impl<T: Sync> AtomicRef<T> {
    /// With this value.
    pub(crate) fn new(value: Option<&'static T>) -> AtomicRef<T> {
        AtomicRef(AtomicPtr::new(pointer(value)))
    }

    /// The value.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> Option<&'static T> {
        // SAFETY: null, or a `&'static T` that `new` or `store` was given.
        unsafe { self.0.load(order).as_ref() }
    }

    /// Changes the value.
    #[inline]
    pub(crate) fn store(&self, value: Option<&'static T>, order: Ordering) {
        self.0.store(pointer(value), order);
    }

    /// Whether the value is this one.
    #[inline]
    pub(crate) fn is(&self, value: &T, order: Ordering) -> bool {
        ptr::eq(self.0.load(order), value)
    }
}
