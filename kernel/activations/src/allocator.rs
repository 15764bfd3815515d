//! Which process has how many processors.
//!
//! Processors are shared out in space, not in time (T. Anderson and others, 1992): each process has so many for itself,
//! and its library decides what runs there. The rules:
//!
//! 1. Nobody gets a processor that he does not want, and none is without while it wants one and there is one.
//! 2. Shares are equal: of two processes that both want more than they have, one has one processor more than the other
//!    at most. What one does not want is shared out among the others in the same way.
//! 3. Where the processors cannot be divided equally the one more goes round, a [`Times::turn`] each.
//! 4. A processor is taken back only for a process that is entitled to it. One that idles is taken at once. For the
//!    others there is a notice: the library chooses which virtual processor it gives up, and in what state
//!    ([`Times::grace`]). After that one is taken by force, wherever it is but in the library; that is tried again and again
//!    ([`Times::again`]).
//! 5. Whoever stays in the library for so long ([`Times::patience`]) keeps the virtual processor, but not the processor:
//!    somebody else is granted one more than there are, and the dispatcher shares them in time. So a library that lies
//!    about itself gains no more than any program with as many LWPs has.
//!
//! This knows numbers only. Whoever uses it tells it what each process has and wants ([`Demand`]) and does what it
//! orders.

use crate::protocol::{OutOfMemory, reserved};
use alloc::vec::Vec;

/// A process with activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(u32);

impl Space {
    /// The process of a number.
    pub fn of(number: u32) -> Space {
        Space(number)
    }

    /// Its number: that of one that is gone is another's later.
    pub fn number(self) -> u32 {
        self.0
    }

    fn place(self) -> usize {
        self.0 as usize
    }
}

/// What a process has and wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// How many virtual processors have a processor.
    pub granted: u32,
    /// Those of them with nothing to do.
    pub idle: u32,
    /// How many have something to do, with a processor or without.
    pub wanted: u32,
    /// How many it has been told to give back, and has not.
    pub owed: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Virtual processors of this process begin, so many. Done: those that do.
    Grant(Space, u32),
    /// So many that idle lose their processors. Done: those that do.
    TakeIdle(Space, u32),
    /// The library is told that it is to give so many back, from now on; 0: none any longer. The second number is until
    /// when.
    Notice(Space, u32, u64),
    /// So many lose their processors as soon as they are out of the library.
    Force(Space, u32),
}

/// How long things last, in whatever the time is counted in.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From a notice until processors are taken by force.
    pub grace: u64,
    /// From one attempt until the next.
    pub again: u64,
    /// From the first attempt until the processor is shared in time.
    pub patience: u64,
    /// How long somebody has the one processor more.
    pub turn: u64,
}

/// What happened, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processors granted.
    pub granted: u64,
    /// Taken from who idled.
    pub taken_idle: u64,
    /// Notices, and how many processors they were about.
    pub notices: u64,
    /// Times that some were to be taken by force.
    pub forced: u64,
    /// Times that a processor was shared in time.
    pub shared_in_time: u64,
    /// Turns.
    pub turns: u64,
}

/// What a process owes.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    /// So many processors.
    count: u32,
    /// When the first attempt by force is or was.
    due: u64,
    /// When the next thing is done about it.
    next: u64,
    /// Others get as many, although these have not come back.
    is_written_off: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    is_used: bool,
    demand: Demand,
    entitled: u32,
    debt: Debt,
}

impl Share {
    /// How many more it is to get.
    fn short(&self) -> u32 {
        self.entitled.saturating_sub(self.demand.granted)
    }

    /// How many it has that are not its own.
    fn over(&self) -> u32 {
        self.demand.granted.saturating_sub(self.entitled)
    }
}

/// How things stand when all is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When it is to be looked at again, if nothing changes.
    pub next: Option<u64>,
    /// Somebody wants more than he has: who idles is to say so.
    pub is_anybody_short: bool,
}

/// All processes with activations. See the module.
#[derive(Clone, Debug)]
pub struct Allocator {
    shares: Vec<Share>,
    times: Times,
    /// The place of who is the first to have one more; until when, or 0.
    turn: usize,
    turn_ends: u64,
    counts: Counts,
}

impl Allocator {
    /// No process, and room for so many.
    pub fn new(times: Times, most: u32) -> Result<Allocator, OutOfMemory> {
        let shares = reserved(most)?;
        Ok(Allocator { shares, times, turn: 0, turn_ends: 0, counts: Counts::default() })
    }

    /// One more process, which wants nothing so far. `None` if there are as many as there can be.
    pub fn enter(&mut self) -> Option<Space> {
        let free = self.shares.iter().position(|share| !share.is_used);
        let place = free.unwrap_or(self.shares.len());
        let share = Share { is_used: true, ..Share::default() };
        if free.is_some() {
            self.shares[place] = share;
        } else if place < self.shares.capacity() {
            self.shares.extend([share]);
        } else {
            return None;
        }
        Some(Space(place as u32))
    }

    /// It is gone, and what it had is there for others.
    pub fn leave(&mut self, space: Space) {
        self.shares[space.place()] = Share::default();
    }

    /// What a process has and wants.
    pub fn set(&mut self, space: Space, demand: Demand) {
        self.shares[space.place()].demand = demand;
    }

    /// How many processors a process is entitled to.
    pub fn entitled(&self, space: Space) -> u32 {
        self.shares[space.place()].entitled
    }

    /// What has happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Shares so many processors out, at this time. What is to be done is ordered one after the other; the answer says how
    /// much of it has been done.
    pub fn share_out(
        &mut self,
        processors: u32,
        now: u64,
        order: &mut impl FnMut(Order) -> u32,
    ) -> Standing {
        self.entitle(processors, now);
        self.take_idle(processors, order);
        self.claim(processors, now, order);
        self.grant(processors, order);
        let debts = self.shares.iter().filter(|share| share.debt.count != 0);
        let next = debts.map(|share| share.debt.next).min();
        let turn = (self.turn_ends != 0).then_some(self.turn_ends);
        let is_short = |share: &Share| share.demand.wanted > share.demand.granted;
        Standing {
            next: next.into_iter().chain(turn).min(),
            is_anybody_short: self.shares.iter().any(is_short),
        }
    }

    /// Rules 1 to 3.
    fn entitle(&mut self, processors: u32, now: u64) {
        self.shares.iter_mut().for_each(|share| share.entitled = 0);
        let wants = |share: &Share| share.demand.wanted - share.entitled;
        let mut left = processors;
        loop {
            let hungry = self.shares.iter().filter(|share| wants(share) != 0).count() as u32;
            let Some(each) = left.checked_div(hungry) else { break };
            if each == 0 {
                break;
            }
            for share in &mut self.shares {
                let more = wants(share).min(each);
                share.entitled += more;
                left -= more;
            }
        }
        let is_hungry = |place: &usize| wants(&self.shares[*place]) != 0;
        let count = self.shares.len();
        if left == 0 || !(0..count).any(|place| is_hungry(&place)) {
            self.turn_ends = 0;
            return;
        }
        let first = |from: usize| (from..from + count).map(|place| place % count).find(is_hungry);
        let mut start = first(self.turn).unwrap_or(0);
        if self.turn_ends == 0 {
            self.turn_ends = now + self.times.turn;
        } else if now >= self.turn_ends {
            start = first(start + 1).unwrap_or(0);
            self.turn_ends = now + self.times.turn;
            self.counts.turns += 1;
        }
        self.turn = start;
        for place in (start..start + count).map(|place| place % count) {
            if left != 0 && wants(&self.shares[place]) != 0 {
                self.shares[place].entitled += 1;
                left -= 1;
            }
        }
    }

    /// How many have to come back, so that everybody could have what he is entitled to.
    fn missing(&self, processors: u32) -> u32 {
        let (mut short, mut granted) = (0, 0);
        for share in &self.shares {
            short += share.short();
            granted += share.demand.granted;
        }
        (short + granted).saturating_sub(processors)
    }

    /// Rule 4, of those who idle.
    fn take_idle(&mut self, processors: u32, order: &mut impl FnMut(Order) -> u32) {
        let mut missing = self.missing(processors);
        for (place, share) in self.shares.iter_mut().enumerate() {
            let count = share.demand.idle.min(share.over()).min(missing);
            if count != 0 {
                let done = order(Order::TakeIdle(Space(place as u32), count)).min(count);
                share.demand.granted -= done;
                share.demand.idle -= done;
                missing -= done;
                self.counts.taken_idle += u64::from(done);
            }
        }
    }

    /// Rule 4, of the others, and rule 5.
    fn claim(&mut self, processors: u32, now: u64, order: &mut impl FnMut(Order) -> u32) {
        let mut missing = self.missing(processors);
        for (place, share) in self.shares.iter_mut().enumerate() {
            let space = Space(place as u32);
            let count = share.over().min(missing);
            missing -= count;
            let due = if share.debt.count == 0 { now + self.times.grace } else { share.debt.due };
            if count == 0 {
                share.debt = Debt::default();
            } else if share.debt.count == 0 {
                share.debt = Debt { count, due, next: due, is_written_off: false };
            }
            share.debt.count = count;
            if share.demand.owed != count {
                order(Order::Notice(space, count, due));
                share.demand.owed = count;
                self.counts.notices += u64::from(count != 0);
            }
            if count == 0 || now < share.debt.next {
                continue;
            }
            order(Order::Force(space, count));
            self.counts.forced += 1;
            share.debt.next = now + self.times.again;
            if now >= due + self.times.patience && !share.debt.is_written_off {
                share.debt.is_written_off = true;
                self.counts.shared_in_time += u64::from(count);
            }
        }
    }

    fn grant(&mut self, processors: u32, order: &mut impl FnMut(Order) -> u32) {
        let mut room = processors;
        for share in &self.shares {
            room += if share.debt.is_written_off { share.debt.count } else { 0 };
        }
        let granted: u32 = self.shares.iter().map(|share| share.demand.granted).sum();
        room = room.saturating_sub(granted);
        for (place, share) in self.shares.iter_mut().enumerate() {
            let count = share.short().min(room);
            if count != 0 {
                let done = order(Order::Grant(Space(place as u32), count)).min(count);
                share.demand.granted += done;
                room -= done;
                self.counts.granted += u64::from(done);
            }
        }
    }
}
