//! What the scheduler knows of a thread.

use atomics::{AtomicU32, Ordering, spin_loop};
use core::num::NonZeroU32;

/// A thread's number in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(NonZeroU32);

impl ThreadId {
    /// The thread of this number, unless it is 0.
    pub fn new(number: u32) -> Option<ThreadId> {
        NonZeroU32::new(number).map(ThreadId)
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

/// Priorities: 0 is the least.
pub const LEVELS: usize = if cfg!(feature = "loom") { 4 } else { 8 };

/// The level of a thread that nobody has given another one.
pub const LEVEL: u32 = 3;

/// No token, and the thread is not parked.
const NOTHING: u32 = 0;
/// It has been unparked and has not parked since.
const TOKEN: u32 = 1;
/// It is parked.
const PARKED: u32 = 2;

/// What the scheduler knows of a thread.
#[derive(Debug)]
#[repr(C)]
pub struct Thread {
    /// The one behind it in its list, and the one before, or 0. Behind the lock of the list.
    pub(crate) next: AtomicU32,
    pub(crate) previous: AtomicU32,
    /// Not 0 while it stands on its stack: it runs, or is about to leave.
    on_stack: AtomicU32,
    token: AtomicU32,
    level: AtomicU32,
    /// Not 0 while it is in a [`crate::wait::WaitQueue`], behind whose lock this is.
    waits: AtomicU32,
}

impl Default for Thread {
    fn default() -> Thread {
        Thread::new()
    }
}

impl Thread {
    /// Where the word behind [`Thread::leave_stack`] is, for who leaves a stack without one to call a function on: 0 is stored there.
    pub const ON_STACK: usize = core::mem::offset_of!(Thread, on_stack);

    /// One that is in no list, is on no stack and has no token.
    pub fn new() -> Thread {
        Thread {
            next: AtomicU32::new(0),
            previous: AtomicU32::new(0),
            on_stack: AtomicU32::new(0),
            token: AtomicU32::new(NOTHING),
            level: AtomicU32::new(LEVEL),
            waits: AtomicU32::new(0),
        }
    }

    /// Its priority.
    pub fn level(&self) -> u32 {
        self.level.load(Ordering::Relaxed)
    }

    /// Gives it another priority, from the next time on that it is put into a run queue.
    pub fn set_level(&self, level: u32) {
        self.level.store(level.min(LEVELS as u32 - 1), Ordering::Relaxed);
    }

    /// It is put into a queue of those who wait, or taken out; the queue is locked.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(u32::from(waits), Ordering::Relaxed);
    }

    /// Whether it is in the queue that it was put into last, which is locked.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed) != 0
    }

    /// It goes on: it stands on its stack.
    pub fn enter_stack(&self) {
        self.on_stack.store(1, Ordering::Relaxed);
    }

    /// It has left its stack, and all that it goes on with lies in memory.
    pub fn leave_stack(&self) {
        self.on_stack.store(0, Ordering::Release);
    }

    /// Waits until it has left its stack. Whoever is about to has nothing else to do before.
    pub fn wait_until_off_its_stack(&self) {
        while self.on_stack.load(Ordering::Acquire) != 0 {
            spin_loop();
        }
    }

    /// Takes the token, if there is one: whoever parks need not.
    pub fn take_token(&self) -> bool {
        self.token.load(Ordering::Relaxed) == TOKEN
            && self.token.swap(NOTHING, Ordering::AcqRel) == TOKEN
    }

    /// The thread parks. If not, there was a token, which is taken.
    pub fn parks(&self) -> bool {
        let parked =
            self.token.compare_exchange(NOTHING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        if parked.is_err() {
            self.token.swap(NOTHING, Ordering::AcqRel);
        }
        parked.is_ok()
    }

    /// Gives it a token. If it is parked it takes it at once, and the caller is to put it into a run queue.
    #[must_use]
    pub fn unpark(&self) -> bool {
        // Each of these reads and writes at once, also where nothing changes: whoever takes the token sees what was done
        // before by all who gave it.
        let mut is = self.token.load(Ordering::Relaxed);
        loop {
            let becomes = if is == PARKED { NOTHING } else { TOKEN };
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            match self.token.compare_exchange(is, becomes, success, failure) {
                Ok(_) => return is == PARKED,
                Err(other) => is = other,
            }
        }
    }

    /// Its time is over: it is parked no longer, and gets no token. If it was, the caller is to put it into a run queue.
    #[must_use]
    pub fn unpark_late(&self) -> bool {
        self.token.compare_exchange(PARKED, NOTHING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
