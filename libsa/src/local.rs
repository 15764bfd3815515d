//! Thread-local values, under the name of `std::thread::LocalKey`.
//!
//! A key gets its number when it is first used. A thread's values are boxed, and a table leads from numbers to them; it is
//! made when the thread has its first value, and goes with the thread, values and all, the last first.

use crate::control::ControlBlock;
use crate::thread::me;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A thread's values: by the number of their key, less 1.
type Values = Vec<Option<Box<dyn Any>>>;

/// The number of the last key that has one.
static LAST: AtomicU32 = AtomicU32::new(0);

/// A value for each thread that asks for it: see [`thread_local!`](crate::thread_local).
pub struct LocalKey<T: 'static> {
    /// 0: it has none yet.
    number: AtomicU32,
    make: fn() -> T,
}

/// The thread is about to be over, and its values are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl<T: 'static> LocalKey<T> {
    /// A key whose values are made by this.
    pub const fn new(make: fn() -> T) -> LocalKey<T> {
        LocalKey { number: AtomicU32::new(0), make }
    }

    fn number(&self) -> usize {
        let number = self.number.load(Relaxed);
        if number != 0 {
            return number as usize - 1;
        }
        let new = LAST.fetch_add(1, Relaxed) + 1;
        // Who was quicker is right; the other number is nobody's.
        let known = self.number.compare_exchange(0, new, Relaxed, Relaxed).err().unwrap_or(new);
        known as usize - 1
    }

    /// Does something with the running thread's value, which is made if there is none.
    ///
    /// # Panics
    ///
    /// As a value is dropped, if that value is gone already.
    pub fn with<R>(&'static self, act: impl FnOnce(&T) -> R) -> R {
        self.try_with(act).expect("the thread's values are being dropped")
    }

    /// The same, with an error instead.
    pub fn try_with<R>(&'static self, act: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let me = me();
        if me.locals.get().is_null() {
            me.locals.set(Box::into_raw(Box::new(Values::new())).cast());
        }
        if me.locals.get() == GOING {
            return Err(AccessError);
        }
        let values = me.locals.get().cast::<Values>();
        let number = self.number();
        // SAFETY: the running thread's own, made above; no reference to the table is kept while anybody else's code runs.
        let known = unsafe { &*values }.get(number).and_then(Option::as_deref);
        let value: *const dyn Any = match known {
            Some(value) => value,
            None => {
                let value: Box<dyn Any> = Box::new((self.make)());
                // SAFETY: as above; what `make` has done is over.
                let values = unsafe { &mut *values };
                if values.len() <= number {
                    values.resize_with(number + 1, || None);
                }
                let place: &dyn Any = &**values[number].insert(value);
                place
            }
        };
        // SAFETY: boxed: it stays where it is while the table grows, until the thread drops it.
        let value = unsafe { &*value }.downcast_ref::<T>().expect("a key's values are of one type");
        Ok(act(value))
    }
}

/// In place of the table: its values are being dropped.
const GOING: *mut u8 = core::ptr::without_provenance_mut(1);

/// Drops the values of a thread that is about to be over.
pub fn drop_all(thread: &ControlBlock) {
    if thread.locals.get().is_null() {
        return;
    }
    let values = thread.locals.replace(GOING).cast::<Values>();
    // SAFETY: made by `try_with`, and nobody finds it any longer.
    let mut values = unsafe { Box::from_raw(values) };
    while values.pop().is_some() {}
    thread.locals.set(core::ptr::null_mut());
}

/// Declares thread-local values, as `std::thread_local` does.
#[macro_export]
macro_rules! thread_local {
    ($($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty = $make:expr;)+) => {
        $($(#[$attribute])* $visible static $name: $crate::local::LocalKey<$type> =
            $crate::local::LocalKey::new(|| $make);)+
    };
}
