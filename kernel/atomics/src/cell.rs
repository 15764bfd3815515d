//! A cell whose contents a lock protects. Under loom every access is checked: two at a time, of
//! which one writes, end the model with both places named.

#[cfg(not(feature = "loom"))]
mod flavour {
    use core::cell::UnsafeCell;
    use core::ops::{Deref, DerefMut};

    /// A value that is reached by whoever has the right to, under rules of its owner's.
    pub struct SharedCell<T>(UnsafeCell<T>);

    impl<T> SharedCell<T> {
        /// A cell with this value.
        pub const fn new(value: T) -> Self {
            SharedCell(UnsafeCell::new(value))
        }

        /// The value, to read and write.
        ///
        /// # Safety
        ///
        /// Nobody else has access for as long as the result lives.
        #[inline]
        pub unsafe fn access(&self) -> Access<'_, T> {
            // SAFETY: the caller's promise.
            Access(unsafe { &mut *self.0.get() })
        }

        /// The value, to read.
        ///
        /// # Safety
        ///
        /// Nobody writes for as long as the result lives.
        #[inline]
        pub unsafe fn share(&self) -> Shared<'_, T> {
            // SAFETY: the caller's promise.
            Shared(unsafe { &*self.0.get() })
        }
    }

    /// Access to a [`SharedCell`] beside others that read.
    pub struct Shared<'a, T>(&'a T);

    impl<T> Deref for Shared<'_, T> {
        type Target = T;
        #[inline]
        fn deref(&self) -> &T {
            self.0
        }
    }

    /// Sole access to a [`SharedCell`].
    pub struct Access<'a, T>(&'a mut T);

    impl<T> Deref for Access<'_, T> {
        type Target = T;
        #[inline]
        fn deref(&self) -> &T {
            self.0
        }
    }

    impl<T> DerefMut for Access<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            self.0
        }
    }
}

#[cfg(feature = "loom")]
mod flavour {
    use core::marker::PhantomData;
    use core::ops::{Deref, DerefMut};
    use loom::cell::{ConstPtr, MutPtr, UnsafeCell};

    /// A value that is reached by whoever has the right to, under rules of its owner's.
    pub struct SharedCell<T>(UnsafeCell<T>);

    impl<T> SharedCell<T> {
        /// A cell with this value.
        pub fn new(value: T) -> Self {
            SharedCell(UnsafeCell::new(value))
        }

        /// The value, to read and write.
        ///
        /// # Safety
        ///
        /// Nobody else has access for as long as the result lives.
        pub unsafe fn access(&self) -> Access<'_, T> {
            Access { pointer: self.0.get_mut(), cell: PhantomData }
        }

        /// The value, to read.
        ///
        /// # Safety
        ///
        /// Nobody writes for as long as the result lives.
        pub unsafe fn share(&self) -> Shared<'_, T> {
            Shared { pointer: self.0.get(), cell: PhantomData }
        }
    }

    /// Access to a [`SharedCell`] beside others that read; loom ends the model if somebody writes.
    pub struct Shared<'a, T> {
        pointer: ConstPtr<T>,
        cell: PhantomData<&'a T>,
    }

    impl<T> Deref for Shared<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            // SAFETY: `SharedCell::share` was promised that nobody writes for this lifetime.
            unsafe { self.pointer.deref() }
        }
    }

    /// Sole access to a [`SharedCell`]; loom ends the model if it is not.
    pub struct Access<'a, T> {
        pointer: MutPtr<T>,
        cell: PhantomData<&'a mut T>,
    }

    impl<T> Deref for Access<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            // SAFETY: `SharedCell::access` was promised sole access for this lifetime.
            unsafe { self.pointer.deref() }
        }
    }

    impl<T> DerefMut for Access<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: as above.
            unsafe { self.pointer.deref() }
        }
    }
}

pub use flavour::{Access, Shared, SharedCell};
