//! Processors are shared out between the processes with activations: the kernel's side of [`activations::allocator`].
//!
//! It is looked at when a process wants more or has given something back ([`Processors::kick`]), and when the time has
//! come for what was ordered before. The locks of the processes are taken with the lock of this held, one at a time; so
//! whoever holds one of those only asks for a callout.
//!
//! What a process has and wants its library finds in its header ([`SaHeader`]), without a call.

use super::memory::Words;
use super::{Activations, State};
use crate::kernel::Kernel;
use crate::system_call::times;
use crate::threads;
use abi::activations::SaHeader;
use abi::errno::Errno;
use activations::allocator::{Allocator, Counts, Order, Space, Times};
use activations::{Nudge, VirtualProcessor};
use alloc::vec::Vec;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use dispatch::{Callout, processor_set};
use machine::tracing::emit;
use machine::{Atomic, SpinLock, time};
use trace::{EventId, Kind};

/// Most processes with activations.
const PROCESSES_MAX: u32 = 256;
/// How long a library has to give a processor back.
pub const GRACE_MILLISECONDS: u64 = 10;
/// See [`Times`], all in milliseconds.
const AGAIN: u64 = 1;
const PATIENCE: u64 = 20;
const TURN: u64 = 100;

/// All processes with activations.
pub struct Processors {
    shares: SpinLock<Shares, 11>,
    callout: Callout,
    /// The callout has been asked for.
    is_due: AtomicBool,
    /// Somebody wants more than he has.
    is_anybody_short: AtomicBool,
}

struct Shares {
    /// None before the first process.
    allocator: Option<Allocator>,
    /// At the place of its number.
    members: Vec<Option<&'static Activations>>,
}

impl Processors {
    /// Nobody.
    pub fn new() -> Processors {
        Processors {
            shares: SpinLock::new(Shares { allocator: None, members: Vec::new() }),
            callout: Callout::new(),
            is_due: AtomicBool::new(false),
            is_anybody_short: AtomicBool::new(false),
        }
    }

    /// A process has virtual processors from now on. Its number is for [`Processors::leave`].
    pub fn enter(&self, of: &'static Activations) -> Result<Space, Errno> {
        self.make_room()?;
        let space = {
            let mut shares = self.shares.lock_anywhere();
            let space = shares.allocator.as_mut().and_then(Allocator::enter);
            let space = space.ok_or(Errno::EAGAIN)?;
            shares.members[space.number() as usize] = Some(of);
            space
        };
        self.share_out();
        Ok(space)
    }

    /// The first time there is nothing.
    fn make_room(&self) -> Result<(), Errno> {
        if self.shares.lock_anywhere().allocator.is_some() {
            return Ok(());
        }
        let milliseconds = |count| threads::ticks(Kernel::current(), count * 1_000_000);
        let times = Times {
            grace: milliseconds(GRACE_MILLISECONDS),
            again: milliseconds(AGAIN),
            patience: milliseconds(PATIENCE),
            turn: milliseconds(TURN),
        };
        let mut members = Vec::new();
        members.try_reserve_exact(PROCESSES_MAX as usize).map_err(|_| Errno::ENOMEM)?;
        members.extend((0..PROCESSES_MAX).map(|_| None));
        let allocator = Allocator::new(times, PROCESSES_MAX).map_err(|_| Errno::ENOMEM)?;
        let mut made = Some(Shares { allocator: Some(allocator), members });
        let mut shares = self.shares.lock_anywhere();
        if shares.allocator.is_none()
            && let Some(made) = made.as_mut()
        {
            core::mem::swap(&mut *shares, made);
        }
        drop(shares);
        Ok(())
    }

    /// It has none any longer; nobody looks at it after this.
    pub fn leave(&self, space: Space) {
        {
            let mut shares = self.shares.lock_anywhere();
            shares.members[space.number() as usize] = None;
            if let Some(allocator) = shares.allocator.as_mut() {
                allocator.leave(space);
            }
        }
        self.kick();
    }

    /// Processors are shared out anew, soon. From anywhere, at the dispatcher's level at most.
    pub fn kick(&self) {
        if !self.is_due.swap(true, Ordering::SeqCst) {
            self.look_at(time::now());
        }
    }

    /// A virtual processor idles from now on: somebody may have waited for that.
    pub fn note_idle(&self) {
        if self.is_anybody_short.load(Ordering::Relaxed) {
            self.kick();
        }
    }

    fn look_at(&self, when: u64) {
        let callout = &Kernel::current().activation_processors.callout;
        Pin::static_ref(callout).arm(when, look, 0);
    }

    /// Shares processors out.
    pub fn share_out(&self) {
        let mut shares = self.shares.lock_anywhere();
        let Shares { allocator: Some(allocator), members } = &mut *shares else { return };
        self.is_due.store(false, Ordering::SeqCst);
        // Who idles from now on and is not seen to says so: the locks of the processes are taken after this.
        self.is_anybody_short.store(true, Ordering::SeqCst);
        for (place, of) in members.iter().enumerate() {
            if let Some(of) = of {
                let mut state = of.lock();
                state.protocol.take_news();
                allocator.set(Space::of(place as u32), state.protocol.demand());
            }
        }
        // Those of processor sets are their owners' affair.
        let free = processor_set::all().next();
        let on_line = free.map_or(1, |set| set.online().count_ones().max(1));
        let standing = allocator.share_out(on_line, time::now(), &mut |order| obey(members, order));
        self.is_anybody_short.store(standing.is_anybody_short, Ordering::Relaxed);
        for (place, of) in members.iter().enumerate() {
            if let Some(of) = of {
                of.show(allocator.entitled(Space::of(place as u32)), on_line, &allocator.counts());
            }
        }
        if let Some(next) = standing.next {
            self.look_at(next);
            // Somebody may have asked for it sooner.
            if self.is_due.load(Ordering::SeqCst) {
                self.look_at(time::now());
            }
        }
    }
}

/// The callout's handler.
fn look(_: usize, _: &Atomic) {
    Kernel::current().activation_processors.share_out();
}

/// Does what the allocator orders; says how much of it.
fn obey(members: &[Option<&'static Activations>], order: Order) -> u32 {
    let (Order::Grant(space, _)
    | Order::TakeIdle(space, _)
    | Order::Notice(space, ..)
    | Order::Force(space, _)) = order;
    let Some(of) = members[space.number() as usize] else { return 0 };
    note(space, order);
    let mut state = of.lock();
    let words = &mut Words(&of.shared);
    let done = match order {
        Order::Grant(_, count) => {
            let mut done = 0;
            while done < count {
                let nudge = state.protocol.grant(words);
                if nudge == Nudge::Nobody {
                    break;
                }
                state.carry_out(nudge);
                done += 1;
            }
            done
        }
        Order::TakeIdle(_, count) => {
            (0..count).map(|_| u32::from(state.protocol.take_idle())).sum()
        }
        Order::Notice(_, count, until) => {
            of.note_notice(count, until);
            let nudge = state.protocol.notice(count, words);
            state.carry_out(nudge);
            count
        }
        Order::Force(_, count) => {
            let poked = state.protocol.force();
            for home in (0..u64::BITS).filter(|home| poked >> home & 1 != 0) {
                poke(&state, VirtualProcessor::new(home));
            }
            count
        }
    };
    if state.protocol.take_news() {
        Kernel::current().activation_processors.kick();
    }
    done
}

/// For the trace.
fn note(space: Space, order: Order) {
    let (kind, count) = match order {
        Order::Grant(_, count) => (Kind::ProcessorGranted, count),
        Order::TakeIdle(_, count) => (Kind::ProcessorIdle, count),
        Order::Notice(_, count, _) => (Kind::ProcessorNotice, count),
        Order::Force(_, count) => (Kind::ProcessorForced, count),
    };
    emit(kind, u64::from(space.number()) << 16 | u64::from(count), EventId::NONE);
}

fn poke(state: &State, home: VirtualProcessor) {
    if let Some(activation) = state.protocol.activation_on(home) {
        state.carry_out(Nudge::Poke(activation));
    }
}

impl Activations {
    /// Notes a notice where the library sees it. `until` is in ticks of the clock.
    fn note_notice(&self, owed: u32, until: u64) {
        let header: &SaHeader = self.shared.header();
        header.deadline.store(times::to_nanoseconds(until), Ordering::Relaxed);
        header.owed.store(owed, Ordering::Relaxed);
        // Who sees this one sees the others.
        header.sequence.fetch_add(1, Ordering::Release);
    }

    /// Shows the library how things stand.
    fn show(&self, entitled: u32, on_line: u32, all: &Counts) {
        let state = self.lock();
        let (demand, counts) = (state.protocol.demand(), state.protocol.counts());
        let header = self.shared.header();
        header.granted.store(demand.granted, Ordering::Relaxed);
        header.wanted.store(demand.wanted, Ordering::Relaxed);
        header.entitled.store(entitled, Ordering::Relaxed);
        header.on_line.store(on_line, Ordering::Relaxed);
        header.taken_idle.store(counts.taken_idle, Ordering::Relaxed);
        header.given_back.store(counts.given_back, Ordering::Relaxed);
        header.taken.store(counts.taken, Ordering::Relaxed);
        header.spared.store(counts.spared, Ordering::Relaxed);
        let of_all = [all.granted, all.notices, all.forced, all.shared_in_time, all.turns];
        header.of_all.iter().zip(of_all).for_each(|(to, count)| to.store(count, Ordering::Relaxed));
    }
}
