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
//! Two threads: the daemon, which never waits for a device, and the laundry, which does. Calls of the laundry are
//! numbered, and it answers each: so an answer that the daemon hears is one to its last call, and not to an earlier one,
//! since when a victim's slots may have come back. While it has not answered nothing is concluded; it calls the daemon
//! when it has.
//!
//! When several rounds have freed nothing and threads wait for memory, somebody has to go: the kernel is asked to choose
//! ([`Victims`]), and is not asked again before that one's memory is back. A round counts as such if there was nothing
//! to launder, or the laundry could do nothing: there was no slot, or the device is gone. The last of them take pages
//! although they have just been used, and if it was slots that there were none of, those are taken back that lie with
//! dirty pages.
//!
//! Who cannot wait and has failed asks ([`Vm::ask_for_memory`]): then what lies with the processors is put together first,
//! even if by the count there is enough.
//!
//! Mach's pageout daemon; FreeBSD: `vm_pageout`, `vm_pageout_oom`; Babaoglu and Joy, *Converting a Swap-Based System to
//! do Paging*, 1981, for the second chance.

use crate::Vm;
use crate::page::Exclusive;
use crate::page_out::{Laundered, forget, give_slots_back, launder};
use crate::page_queue::Queue;
use crate::reverse_map::{take_accessed, unmap_all};
use atomics::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use dispatch::WaitChannel;
use machine::MayFault;
use memory::Memory;

/// Rounds without any success before somebody has to go. A page that has just been used takes three to be free: the
/// note of its use goes, it becomes inactive, it goes. (Being moved is no success: where there is no swap space left,
/// pages go round for ever.)
const FRUITLESS: u32 = 4;

/// How many rounds before that pages are taken although they have been used.
const BY_FORCE: u32 = 2;

/// Writes that fail in a row before the device is taken for one that is gone, and what cannot be written for memory
/// that cannot be had. Until then the pages stay where they are, and it is tried again after a pause.
const FAILURES: u32 = 10;

/// Who can end a program whose memory is needed.
pub trait Victims: Sync {
    /// Puts the free frames that processors keep for themselves where everybody can have them: on many processors that is
    /// more than a fault needs. Before somebody has to go, and when somebody asks ([`Vm::ask_for_memory`]).
    fn gather(&self, _: &mut MayFault) {}

    /// Asks one program to end, the one with the most memory and swap space of those that may be chosen, and says
    /// so. Does nothing while one that was asked before is still there.
    fn choose(&self, may_fault: &mut MayFault);
}

/// What the laundry has come to when it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum LaundryAnswer {
    /// There was something that it could do, or nothing to do.
    Done,
    /// There is no slot of swap space.
    NoSlot,
    /// The device is gone.
    NoDevice,
}

impl LaundryAnswer {
    fn from_number(number: u8) -> LaundryAnswer {
        let all = [LaundryAnswer::NoSlot, LaundryAnswer::NoDevice];
        all.into_iter().find(|result| *result as u8 == number).unwrap_or(LaundryAnswer::Done)
    }
}

/// What the daemon and the laundry share. Part of the system.
pub(crate) struct Daemon {
    /// How often the laundry has been called. Changed by the daemon, and by who stops both.
    calls: AtomicU64,
    /// The last call that it has answered.
    answered: AtomicU64,
    /// Its answer, a [`LaundryAnswer`].
    answer: AtomicU8,
    laundry: WaitChannel,
    stops: AtomicBool,
    /// The laundry has freed something, and the daemon has not heard of it.
    has_freed: AtomicBool,
    /// The device has failed, not for the last time that is tolerated, and the daemon has not heard of it.
    has_failed: AtomicBool,
    /// The laundry has found nothing that it could write, though its queue is not empty, and the daemon has not heard of
    /// it.
    found_all_busy: AtomicBool,
}

impl Daemon {
    pub(crate) fn new() -> Daemon {
        Daemon {
            calls: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answer: AtomicU8::new(LaundryAnswer::Done as u8),
            laundry: WaitChannel::new(),
            stops: AtomicBool::new(false),
            has_freed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            found_all_busy: AtomicBool::new(false),
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
    let daemon = &vm.daemon;
    let high = goals.high;
    let mut fruitless = 0;
    // The last call whose answer has been heard, and that answer, if nothing has been freed since.
    let (mut heard, mut answer) = (0, LaundryAnswer::Done);
    loop {
        // Also before it waits: a pause may have taken back the call of who stops it.
        if daemon.stops.load(Ordering::Acquire) {
            return;
        }
        vm.shortage.wait_for_call(may_fault);
        loop {
            if daemon.stops.load(Ordering::Acquire) {
                return;
            }
            if vm.shortage.take_request() {
                victims.gather(may_fault);
                vm.shortage.relieve();
            }
            if !is_short(high) {
                break;
            }
            let by_force = fruitless + BY_FORCE >= FRUITLESS && vm.shortage.is_acute();
            if round(high, by_force, may_fault) != 0
                || daemon.has_freed.swap(false, Ordering::AcqRel)
            {
                (fruitless, answer) = (0, LaundryAnswer::Done);
                continue;
            }
            if daemon.has_failed.swap(false, Ordering::AcqRel) {
                fruitless = 0;
                vm.shortage.pause(goals.pause, may_fault);
            }
            if daemon.found_all_busy.swap(false, Ordering::AcqRel) {
                // Who has it busy may have a lower priority than these two.
                vm.shortage.pause(goals.pause, may_fault);
            }
            // Who waits has said so before it called; the laundry answers before it looks whether anybody waits. One
            // of the two sees the other.
            fence(Ordering::SeqCst);
            let calls = daemon.calls.load(Ordering::Relaxed);
            if daemon.answered.load(Ordering::Acquire) != calls {
                break;
            }
            let is_new = core::mem::replace(&mut heard, calls) != calls;
            if is_new {
                answer = LaundryAnswer::from_number(daemon.answer.load(Ordering::Relaxed));
            }
            let has_given_up = is_new && answer != LaundryAnswer::Done;
            if vm.queues.count(Queue::Laundry) != 0 && !has_given_up {
                call_laundry();
                if answer == LaundryAnswer::Done || vm.shortage.is_acute() {
                    break;
                }
                // Probably it gives up again, and nobody has to hear of that at once.
                vm.shortage.rest(goals.pause, may_fault);
                continue;
            }
            fruitless += 1;
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
                // The answer counts once: if that helps nobody, there must be another.
                let was_without_slots =
                    core::mem::replace(&mut answer, LaundryAnswer::Done) == LaundryAnswer::NoSlot;
                if was_without_slots
                    && (vm.swap.counts().free != 0 || give_slots_back(may_fault) != 0)
                {
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
    let mut answered = 0;
    loop {
        let mut call = daemon.calls.load(Ordering::Acquire);
        while call == answered {
            let nothing_to_do = || daemon.calls.load(Ordering::Acquire) == answered;
            daemon.laundry.sleep_while(nothing_to_do, may_fault);
            call = daemon.calls.load(Ordering::Acquire);
        }
        if daemon.stops.load(Ordering::Acquire) {
            return;
        }
        let answer = loop {
            match launder(may_fault) {
                Laundered::Freed(_) => {
                    failures = 0;
                    daemon.has_freed.store(true, Ordering::Release);
                }
                Laundered::Failed => {
                    failures += 1;
                    let is_gone = failures >= FAILURES;
                    daemon.has_failed.store(!is_gone, Ordering::Release);
                    break if is_gone { LaundryAnswer::NoDevice } else { LaundryAnswer::Done };
                }
                Laundered::Nothing => {
                    let all_busy = vm.queues.count(Queue::Laundry) != 0;
                    daemon.found_all_busy.store(all_busy, Ordering::Release);
                    break LaundryAnswer::Done;
                }
                Laundered::NoSwap => break LaundryAnswer::NoSlot,
            }
        };
        answered = call;
        daemon.answer.store(answer as u8, Ordering::Relaxed);
        daemon.answered.store(call, Ordering::Release);
        // See `run`.
        fence(Ordering::SeqCst);
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
    daemon.calls.fetch_add(1, Ordering::AcqRel);
    daemon.laundry.wake_all();
}

fn is_short(high: u64) -> bool {
    Memory::current().frames.free_frames() < high || Vm::current().shortage.is_acute()
}

/// Looks through the queues once. Returns how many pages were freed. `by_force`: that a page has just been used does not
/// help it.
fn round(high: u64, by_force: bool, may_fault: &mut MayFault) -> u64 {
    let vm = Vm::current();
    let wanted = high.saturating_sub(Memory::current().frames.free_frames()).max(1);
    let mut freed = 0;
    let inactive = vm.queues.count(Queue::Inactive);
    for _ in 0..inactive {
        if freed >= wanted {
            return freed;
        }
        let Some(page) = vm.queues.take_first(Queue::Inactive, inactive) else { break };
        freed += u64::from(let_go(page, by_force, may_fault));
    }
    // As many as are wanted are to be inactive by the next round.
    let active = vm.queues.count(Queue::Active);
    let mut moved = 0;
    for _ in 0..active {
        if moved >= 2 * wanted {
            break;
        }
        let Some(page) = vm.queues.take_first(Queue::Active, active) else { break };
        // A wired page gets into none.
        if (take_accessed(&page) | page.take_reference()) && !by_force || page.wired() != 0 {
            vm.queues.put(page.page(), Queue::Active);
        } else {
            vm.queues.put(page.page(), Queue::Inactive);
            moved += 1;
        }
    }
    freed
}

/// Frees an inactive page, or puts it where it belongs. Says whether it is free.
fn let_go(page: Exclusive, by_force: bool, may_fault: &mut MayFault) -> bool {
    let queues = &Vm::current().queues;
    let is_used = take_accessed(&page) | page.take_reference();
    if page.wired() != 0 || is_used && !by_force {
        // A wired page gets into none.
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
