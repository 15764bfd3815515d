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
//! freed nothing and threads wait for memory, somebody has to go: the kernel is asked to choose ([`Victims`]), and is
//! not asked again before that one's memory is back.
//!
//! While there is anything to launder, a round has freed nothing only when the laundry has been called since the last
//! one and has given up: there is no swap space, or the device is gone. What it said earlier does not count. A victim's
//! slots may have come back since, and the device may take long over the first pages that go there.
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
    /// The laundry has been called and could not do anything: there is no slot, or the device is gone. The daemon has not
    /// heard of it.
    has_given_up: AtomicBool,
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
            has_given_up: AtomicBool::new(false),
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
    // What the laundry has said last, if nothing has been freed since.
    let mut is_stuck = false;
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
                (fruitless, is_stuck) = (0, false);
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
            let is_at_work = vm.daemon.is_laundering.load(Ordering::Acquire);
            let has_given_up = vm.daemon.has_given_up.swap(false, Ordering::AcqRel);
            is_stuck |= has_given_up;
            if (has_laundry || is_at_work) && !has_given_up {
                if has_laundry {
                    call_laundry();
                }
                if !is_stuck || vm.shortage.is_acute() {
                    // It calls when it has written something or has given up, if that is not enough.
                    break;
                }
                // Probably it gives up again, and nobody has to hear of that at once.
                vm.shortage.rest(goals.pause, may_fault);
                continue;
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
        if !is_short(high) {
            // The next shortage is another one.
            fruitless = 0;
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
        let given_up = loop {
            match launder(may_fault) {
                Laundered::Freed(_) => {
                    failures = 0;
                    daemon.has_freed.store(true, Ordering::Release);
                }
                Laundered::Failed => {
                    failures += 1;
                    let is_gone = failures >= FAILURES;
                    daemon.has_failed.store(!is_gone, Ordering::Release);
                    break is_gone;
                }
                Laundered::Nothing => {
                    let all_busy = vm.queues.count(Queue::Laundry) != 0;
                    daemon.found_all_busy.store(all_busy, Ordering::Release);
                    break false;
                }
                Laundered::NoSwap => break true,
            }
        };
        daemon.has_given_up.store(given_up, Ordering::Release);
        daemon.is_laundering.store(false, Ordering::Release);
        if vm.shortage.is_acute() {
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
