//! TLB shoot-down: making other processors forget translations.
//!
//! A processor that has changed entries leaves its *request* (a range of addresses) in its own slot,
//! notes itself in the `asked` word of every processor that may hold copies, and interrupts each of
//! them; then it waits until all have taken themselves out of its `waiting` word. A processor that is
//! asked forgets the range and answers. What it forgets too much does no harm, so a request does not say
//! whose addresses they are.
//!
//! Nobody waits for ever:
//! - the interrupt has a level above every level at which anybody spins ([`Pil::SHOOT_DOWN`]);
//! - a processor that spins with hardware interrupts off, as the handler of an interrupt may, looks for
//!   requests in every turn ([`crate::spin`]); one that waits for its own answers spins too;
//! - a processor that halts, or is off line, is in no active set, as it has left its address space
//!   first; from one that leaves meanwhile the request is taken back;
//! - when a processor has panicked, the others are being stopped, and nobody waits any more.
//!
//! Order of memory: the fence in `request` stands between the change of the entry and the look at the
//! active set, the one in [`Pmap::activate`](crate::pmap::Pmap::activate) between the entry in the
//! active set and the first read of the tables. So of the two one sees the other.

use crate::pil::{self, Pil};
use crate::tracing::{emit, emit_with};
use crate::{Cpu, backend};
use atomics::{AtomicU64, Ordering, fence};
use core::ops::Range;
use trace::{EventId, Kind};

/// The level of the interrupt.
pub const LEVEL: Pil = Pil::SHOOT_DOWN;

/// Its line within the level.
pub const LINE: u8 = 8;

/// A processor's part.
pub(crate) struct ShootDowns {
    /// Bit `n` set: processor `n` waits for this one.
    asked: AtomicU64,
    /// The request of this processor: the first address, and the one after the last.
    start: AtomicU64,
    end: AtomicU64,
    /// Bit `n` set: processor `n` has not answered it yet.
    waiting: AtomicU64,
    /// The event that its request began with. Core's atomics: what is traced has no say in what happens.
    event: core::sync::atomic::AtomicU64,
    /// How many processors it has asked (and not let off), and how many requests it has answered. Core's atomics in every
    /// flavour: only the processor itself writes them.
    sent: core::sync::atomic::AtomicU64,
    received: core::sync::atomic::AtomicU64,
}

fn add(count: &core::sync::atomic::AtomicU64, difference: i64) {
    let sum = count.load(Ordering::Relaxed).wrapping_add_signed(difference);
    count.store(sum, Ordering::Relaxed);
}

impl ShootDowns {
    pub(crate) fn new() -> ShootDowns {
        ShootDowns {
            asked: AtomicU64::new(0),
            start: AtomicU64::new(0),
            end: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            event: core::sync::atomic::AtomicU64::new(0),
            sent: core::sync::atomic::AtomicU64::new(0),
            received: core::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Whether anybody waits for this processor.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// The processor with the number of the lowest bit of a set, which it is taken out of.
fn take_first(set: &mut u64, cpu: &Cpu) -> Option<&'static Cpu> {
    if *set == 0 {
        return None;
    }
    let index = set.trailing_zeros() as usize;
    *set &= *set - 1;
    cpu.system().cpu(index)
}

/// Makes every processor of the active set forget a range; see the module. What the caller has changed
/// before, they see when they look again.
pub(crate) fn request(active_set: &AtomicU64, range: Range<u64>) {
    debug_assert!(Pil::current() <= Pil::SPIN_MAX, "a processor has one request at a time");
    let level = pil::raise_anywhere(Pil::SPIN_MAX);
    let cpu = Cpu::current(level.atomic());
    let own = 1 << cpu.index();
    fence(Ordering::SeqCst);
    let active = active_set.load(Ordering::Acquire);
    let others = active & !own;
    let mut event = EventId::NONE;
    if others != 0 {
        event = emit(Kind::ShootDownBegin, others, EventId::NONE);
        cpu.shoot_downs.event.store(event.to_bits(), Ordering::Relaxed);
        ask(cpu, others, &range);
    }
    if active & own != 0 {
        backend::pmap::forget(cpu, &range);
    }
    if others != 0 {
        wait(cpu, active_set);
        emit(Kind::ShootDownEnd, 0, event);
    }
}

/// Leaves the request and interrupts the others.
fn ask(cpu: &Cpu, mut others: u64, range: &Range<u64>) {
    let request = &cpu.shoot_downs;
    request.start.store(range.start, Ordering::Relaxed);
    request.end.store(range.end, Ordering::Relaxed);
    request.waiting.store(others, Ordering::Relaxed);
    add(&request.sent, i64::from(others.count_ones()));
    while let Some(other) = take_first(&mut others, cpu) {
        let asked = other.shoot_downs.asked.fetch_or(1 << cpu.index(), Ordering::AcqRel);
        // Whoever was the first to ask interrupts it, and it will find all of them.
        if asked == 0 {
            backend::send(other, LEVEL, LINE);
        }
    }
}

/// Waits until all have answered, or have left.
fn wait(cpu: &Cpu, active_set: &AtomicU64) {
    let request = &cpu.shoot_downs;
    while let waiting @ 1.. = request.waiting.load(Ordering::Acquire) {
        if backend::pmap::is_stopping(cpu) {
            break;
        }
        let left = waiting & !active_set.load(Ordering::Acquire);
        if left != 0 {
            take_back(cpu, left);
        }
        crate::spin();
    }
}

/// Takes the request back from processors that have left the address space, and so have forgotten all of
/// it, unless they are about to answer.
fn take_back(cpu: &Cpu, mut left: u64) {
    while let Some(other) = take_first(&mut left, cpu) {
        let asked = other.shoot_downs.asked.fetch_and(!(1 << cpu.index()), Ordering::AcqRel);
        if asked & 1 << cpu.index() != 0 {
            cpu.shoot_downs.waiting.fetch_and(!(1 << other.index()), Ordering::AcqRel);
            add(&cpu.shoot_downs.sent, -1);
        }
    }
}

/// Does what others have asked of the current processor, hardware interrupts off.
pub(crate) fn received(cpu: &Cpu) {
    let mut asked = cpu.shoot_downs.asked.swap(0, Ordering::AcqRel);
    while let Some(other) = take_first(&mut asked, cpu) {
        let request = &other.shoot_downs;
        let start = request.start.load(Ordering::Relaxed);
        let end = request.end.load(Ordering::Relaxed);
        backend::pmap::forget(cpu, &(start..end));
        add(&cpu.shoot_downs.received, 1);
        emit_with(Kind::ShootDownDone, || {
            let asked = EventId::from_bits(request.event.load(Ordering::Relaxed));
            (other.index() as u64, asked)
        });
        request.waiting.fetch_and(!(1 << cpu.index()), Ordering::AcqRel);
    }
}

/// In every turn of a spin loop: the interrupt may be unable to come.
#[inline]
pub(crate) fn answer() {
    if backend::pmap::is_asked() {
        backend::without_interrupts(|atomic| received(Cpu::current(atomic)));
    }
}
