//! Shortage: getting memory, and waiting for it.
//!
//! Nobody waits for memory with anything held. A fault that gets none lets go of all that it has and sleeps here
//! until somebody frees a page, then begins again. The page daemon is told that it is needed.

use atomics::{AtomicU32, Ordering, fence};
use dispatch::{WaitChannel, Woken};
use machine::MayFault;
use memory::{FrameNumber, Memory, OutOfMemory};

/// Free frames above which nobody need be modest.
const PLENTY: u64 = 64;

/// Who waits for memory. See the module.
pub(crate) struct Shortage {
    waiting: AtomicU32,
    channel: WaitChannel,
}

impl Shortage {
    pub(crate) fn new() -> Shortage {
        Shortage { waiting: AtomicU32::new(0), channel: WaitChannel::new() }
    }

    /// A frame for a program's page.
    #[inline]
    pub(crate) fn allocate(&self) -> Result<FrameNumber, OutOfMemory> {
        Memory::current().frames.allocate_anywhere()
    }

    /// Whether there is so much that reading ahead does no harm.
    pub(crate) fn is_plentiful(&self) -> bool {
        Memory::current().frames.free_frames() > PLENTY
    }

    /// Sleeps until there may be memory, or the thread is interrupted. Nothing is held.
    pub(crate) fn wait(&self, may_fault: &mut MayFault) -> Woken {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // First the count, then the look; who frees: first the frame, then the count.
        fence(Ordering::SeqCst);
        let is_short = || Memory::current().frames.free_frames() == 0;
        let woken = self.channel.sleep_while_interruptible(is_short, may_fault);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        woken
    }

    /// A frame has been freed.
    #[inline]
    pub(crate) fn note_free(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.channel.wake_all();
        }
    }
}
