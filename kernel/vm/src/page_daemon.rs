//! The page daemon: makes memory free when it gets short.
//!
//! ```text
//!             used again                     used again                     used again
//!        ┌───────────────────┬──────────────────────────────┬────────────────────────────────┐
//!        ▼                   │                              │                                │
//!     active ──not used──► inactive ──dirty──► laundry ──written to swap──► free      (device failed)
//!                            └──────clean──────────────────────────────────► free
//! ```
//!
//! Whether a page has been used says the accessed bit of its mappings, looked at once on the way from active to
//! inactive and once on the way out of that: a second chance. Pages that a device or a fault has busy are passed by.
//!
//! Two threads: the daemon, which never waits for a device, and the laundry, which does. When several rounds have
//! freed nothing, nothing is being written or is to be tried again, and threads wait for memory, somebody has to go: the kernel is asked
//! to choose ([`Victims`]), and is not asked again before that one's memory is back.
//!
//! Mach's pageout daemon; FreeBSD: `vm_pageout`, `vm_pageout_oom`; Babaoglu and Joy, *Converting a Swap-Based System to
//! do Paging*, 1981, for the second chance.

use crate::Vm;
use crate::page::Exclusive;
use crate::page_out::{Laundered, forget, launder};
use crate::page_queue::Queue;
use crate::reverse_map::{take_accessed, unmap_all};
use atomics::{AtomicBool, Ordering};
use dispatch::WaitChannel;
use machine::MayFault;
use memory::Memory;

/// Rounds without any success before somebody has to go. A page that has just been used takes three to be free: the
/// note of its use goes, it becomes inactive, it goes. (Being moved is no success: where there is no swap space left,
/// pages go round for ever.)
const FRUITLESS: u32 = 4;

/// Writes that fail in a row before the device is taken for one that is gone, and what cannot be written for memory
/// that cannot be had. Until then the pages stay where they are, and it is tried again after a pause.
const FAILURES: u32 = 10;

/// Who can end a program whose memory is needed.
pub trait Victims: Sync {
    /// Puts the free frames that processors keep for themselves where everybody can have them. Before somebody has to
    /// go: on many processors that is more than a fault needs.
    fn gather(&self, _: &mut MayFault) {}

    /// Asks one program to end, the one with the most memory and swap space of those that may be chosen, and says
    /// so. Does nothing while one that was asked before is still there.
    fn choose(&self, may_fault: &mut MayFault);
}

/// What the daemon and the laundry share. Part of the system.
pub(crate) struct Daemon {
    to_launder: AtomicBool,
    laundry: WaitChannel,
    stops: AtomicBool,
    /// The laundry is at work. What it has in hand is in no queue.
    is_laundering: AtomicBool,
    /// The laundry has freed something, and the daemon has not heard of it.
    has_freed: AtomicBool,
    /// The device has failed, not for the last time that is tolerated, and the daemon has not heard of it.
    has_failed: AtomicBool,
    /// The laundry has found nothing that it could write, though its queue is not empty, and the daemon has not heard of
    /// it.
    found_all_busy: AtomicBool,
    /// The laundry cannot do anything: there is no slot, or the device is gone.
    laundry_is_stuck: AtomicBool,
}

impl Daemon {
    pub(crate) fn new() -> Daemon {
        Daemon {
            to_launder: AtomicBool::new(false),
            laundry: WaitChannel::new(),
            stops: AtomicBool::new(false),
            is_laundering: AtomicBool::new(false),
            has_freed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            found_all_busy: AtomicBool::new(false),
            laundry_is_stuck: AtomicBool::new(false),
        }
    }
}

/// What the daemon is to do.
#[derive(Clone, Copy, Debug)]
pub struct Goals {
    /// So many frames are to be free.
    pub high: u64,
    /// So many ticks pass before what could not be done is tried again.
    pub pause: u64,
}

/// What the page daemon does, in a thread of its own, until [`stop`].
pub fn run(goals: Goals, victims: &dyn Victims, may_fault: &mut MayFault) {
    let vm = Vm::current();
    let high = goals.high;
    let mut fruitless = 0;
    loop {
        // Also before it waits: a pause may have taken back the call of who stops it.
        if vm.daemon.stops.load(Ordering::Acquire) {
            return;
        }
        vm.shortage.wait_for_call(may_fault);
        while is_short(high) {
            if vm.daemon.stops.load(Ordering::Acquire) {
                return;
            }
            if round(high, may_fault) != 0 || vm.daemon.has_freed.swap(false, Ordering::AcqRel) {
                fruitless = 0;
                continue;
            }
            if vm.daemon.has_failed.swap(false, Ordering::AcqRel) {
                fruitless = 0;
                vm.shortage.pause(goals.pause, may_fault);
            }
            if vm.daemon.found_all_busy.swap(false, Ordering::AcqRel) {
                // Who has it busy may have a lower priority than these two.
                vm.shortage.pause(goals.pause, may_fault);
            }
            fruitless += 1;
            let has_laundry = vm.queues.count(Queue::Laundry) != 0;
            if has_laundry {
                call_laundry();
            }
            if (has_laundry || vm.daemon.is_laundering.load(Ordering::Acquire))
                && !vm.daemon.laundry_is_stuck.load(Ordering::Acquire)
            {
                // It calls when it has written something, if that is not enough.
                break;
            }
            vm.shortage.relieve();
            // All may have been used a moment ago: each round takes the note of that away.
            if fruitless >= FRUITLESS {
                fruitless = 0;
                if !vm.shortage.is_acute() {
                    break;
                }
                victims.gather(may_fault);
                vm.shortage.relieve();
                if !vm.shortage.is_acute() {
                    continue;
                }
                victims.choose(may_fault);
                // What is busy now need not be in a while, and nobody says so.
                vm.shortage.pause(goals.pause, may_fault);
            } else if !vm.shortage.is_acute() {
                vm.shortage.rest(goals.pause, may_fault);
            }
        }
    }
}

/// What the laundry does, in a thread of its own, until [`stop`].
pub fn run_laundry(may_fault: &mut MayFault) {
    let vm = Vm::current();
    let daemon = &vm.daemon;
    let mut failures = 0;
    loop {
        while !daemon.to_launder.swap(false, Ordering::AcqRel) {
            let nothing_to_do = || !daemon.to_launder.load(Ordering::Acquire);
            daemon.laundry.sleep_while(nothing_to_do, may_fault);
        }
        if daemon.stops.load(Ordering::Acquire) {
            return;
        }
        daemon.is_laundering.store(true, Ordering::Release);
        let mut was_stuck = daemon.laundry_is_stuck.load(Ordering::Acquire);
        loop {
            let laundered = launder(may_fault);
            failures = match laundered {
                Laundered::Freed(_) => 0,
                Laundered::Failed => failures + 1,
                Laundered::Nothing | Laundered::NoSwap => failures,
            };
            let is_stuck = laundered == Laundered::NoSwap || failures >= FAILURES;
            daemon.laundry_is_stuck.store(is_stuck, Ordering::Release);
            match laundered {
                Laundered::Freed(_) => {
                    was_stuck = false;
                    daemon.has_freed.store(true, Ordering::Release);
                }
                Laundered::Failed => {
                    daemon.has_failed.store(!is_stuck, Ordering::Release);
                    break;
                }
                Laundered::Nothing => {
                    let all_busy = vm.queues.count(Queue::Laundry) != 0;
                    daemon.found_all_busy.store(all_busy, Ordering::Release);
                    break;
                }
                Laundered::NoSwap => break,
            }
        }
        daemon.is_laundering.store(false, Ordering::Release);
        // Who is stuck, and was so before, is not waited for.
        let is_waited_for = !was_stuck || !daemon.laundry_is_stuck.load(Ordering::Acquire);
        if vm.shortage.is_acute() && is_waited_for {
            vm.shortage.call_daemon();
        }
    }
}

/// Lets both threads come to their ends: for tests, and for who shuts the system down.
pub fn stop() {
    let vm = Vm::current();
    vm.daemon.stops.store(true, Ordering::Release);
    vm.shortage.call_daemon();
    call_laundry();
}

fn call_laundry() {
    let daemon = &Vm::current().daemon;
    if !daemon.to_launder.swap(true, Ordering::AcqRel) {
        daemon.laundry.wake_all();
    }
}

fn is_short(high: u64) -> bool {
    Memory::current().frames.free_frames() < high || Vm::current().shortage.is_acute()
}

/// Looks through the queues once. Returns how many pages were freed.
fn round(high: u64, may_fault: &mut MayFault) -> u64 {
    let vm = Vm::current();
    let wanted = high.saturating_sub(Memory::current().frames.free_frames()).max(1);
    let mut freed = 0;
    let inactive = vm.queues.count(Queue::Inactive);
    for _ in 0..inactive {
        if freed >= wanted {
            return freed;
        }
        let Some(page) = vm.queues.take_first(Queue::Inactive, inactive) else { break };
        freed += u64::from(let_go(page, may_fault));
    }
    // As many as are wanted are to be inactive by the next round.
    let active = vm.queues.count(Queue::Active);
    let mut moved = 0;
    for _ in 0..active {
        if moved >= 2 * wanted {
            break;
        }
        let Some(page) = vm.queues.take_first(Queue::Active, active) else { break };
        if page.wired() != 0 {
            vm.queues.remove(page.page());
        } else if take_accessed(&page) | page.take_reference() {
            vm.queues.put(page.page(), Queue::Active);
        } else {
            vm.queues.put(page.page(), Queue::Inactive);
            moved += 1;
        }
    }
    freed
}

/// Frees an inactive page, or puts it where it belongs. Says whether it is free.
fn let_go(page: Exclusive, may_fault: &mut MayFault) -> bool {
    let queues = &Vm::current().queues;
    if page.wired() != 0 {
        queues.remove(page.page());
        return false;
    }
    if take_accessed(&page) | page.take_reference() {
        queues.put(page.page(), Queue::Active);
        return false;
    }
    unmap_all(&page);
    if page.is_dirty() {
        queues.put(page.page(), Queue::Laundry);
        return false;
    }
    forget(page, None, may_fault);
    true
}

#[cfg(test)]
#[path = "tests/page_daemon.rs"]
mod tests;
