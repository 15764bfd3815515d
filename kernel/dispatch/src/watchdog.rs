//! The watchdog: notices that a processor waits for a dispatcher lock for ever, and says who
//! waits for whom.
//!
//! Dispatcher locks are held for a few dozen instructions. A processor that has waited for one for
//! seconds waits for ever, and since it waits at `DISP_LEVEL`, soon everybody does. So each wait
//! has a limit ([`Watch`]); who exceeds it panics and names the lock and, if the waits form one,
//! the cycle. The kernel's panic report has a [`Report`] besides, whatever the panic: for every
//! processor the thread, its state, its lock pointer and what that is the lock of, its wait channel
//! and the channel's bucket, the locks that the processor holds and the one that it waits for.
//!
//! A processor that loops with its interrupts held back for another reason is noticed by another one
//! that still has clock ticks ([`Heartbeat`]).
//!
//! That is the walk by which bug 5017148 was found in a crash dump: from the processor that spins,
//! to the lock, to its holder, to the lock that the holder spins for.
//!
//! Everything here only looks, without locks: what it finds may be a moment out of date, except
//! that who waits for ever does not move.

use crate::Dispatch;
use crate::cpu::CpuDispatch;
use crate::disp_lock::DispLock;
use crate::priority::Priority;
use crate::sleep_queue::SleepQueues;
use crate::system::CPUS;
use crate::thread::{State, Thread};
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU64, AtomicUsize};
use machine::{Atomic, time};

/// A processor's wait for a lock. Made when the lock was found held, dropped when it
/// has been taken.
pub(crate) struct Watch {
    lock: &'static DispLock,
    /// Who waits; none before the dispatcher has the processor.
    cpu: Option<&'static CpuDispatch>,
    since: u64,
    turns: u32,
}

/// Turns of a wait between two looks at the clock.
const TURNS: u32 = 64;

impl Watch {
    #[cold]
    pub(crate) fn begin(lock: &'static DispLock, atomic: &Atomic) -> Watch {
        let cpu = CpuDispatch::find_current(atomic);
        if let Some(cpu) = cpu {
            cpu.held_locks.set_wanted(Some(lock));
        }
        Watch { lock, cpu, since: time::now(), turns: 0 }
    }

    /// One turn of the wait.
    pub(crate) fn turn(&mut self, atomic: &Atomic) {
        machine::spin();
        self.turns += 1;
        if self.turns < TURNS || self.cpu.is_none() {
            return;
        }
        self.turns = 0;
        let limit = Dispatch::of(atomic).watchdog_limit();
        if limit != 0 && time::now().saturating_sub(self.since) > limit {
            self.bark(atomic);
        }
    }

    #[cold]
    fn bark(&self, atomic: &Atomic) -> ! {
        let index = CpuDispatch::current(atomic).index();
        match cycle(Dispatch::of(atomic)) {
            Some(cycle) => {
                panic!(
                    "watchdog: processor {index} waits for ever for {}\n{cycle}",
                    Name(self.lock)
                )
            }
            None => panic!("watchdog: processor {index} waits for ever for {}", Name(self.lock)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(cpu) = self.cpu {
            cpu.held_locks.set_wanted(None);
        }
    }
}

/// What a processor knows of the one that it watches: the next, in order of index, that runs a thread.
/// Once a second its clock tick looks whether the other has had any. A processor that has had none for
/// long loops with interrupts held back: for a spin lock of the machine's, or for nothing at all.
///
/// Seconds are counted in the watcher's own ticks, so that a host that stood still for a while, and
/// everybody with it, is no hang. Core's atomics in every flavour: only the watcher touches them.
pub(crate) struct Heartbeat {
    /// The index of the watched processor.
    watched: AtomicUsize,
    /// Its ticks, at the last look.
    ticks: AtomicU64,
    /// Looks that found no more of them.
    misses: AtomicU64,
}

/// How many seconds a processor may go without a tick, at least.
const SECONDS_MIN: u64 = 2;

impl Heartbeat {
    pub(crate) fn new() -> Heartbeat {
        Heartbeat {
            watched: AtomicUsize::new(usize::MAX),
            ticks: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Looks at the next processor that runs a thread. Once a second, by the clock tick.
    pub(crate) fn look_at_next(&self, cpu: &'static CpuDispatch, atomic: &Atomic) {
        let dispatch = Dispatch::of(atomic);
        let busy =
            |other: &&CpuDispatch| other.is_online() && other.dispatch_priority() != Priority::NONE;
        let after = |other: &&CpuDispatch| other.index() > cpu.index();
        let next = dispatch.cpus().filter(after).find(busy);
        let Some(next) = next.or_else(|| dispatch.cpus().find(busy)) else { return };
        let ticks = next.counts().ticks.load(Relaxed);
        if self.watched.load(Relaxed) != next.index() || self.ticks.load(Relaxed) != ticks {
            self.watched.store(next.index(), Relaxed);
            self.ticks.store(ticks, Relaxed);
            self.misses.store(0, Relaxed);
            return;
        }
        let misses = self.misses.load(Relaxed) + 1;
        self.misses.store(misses, Relaxed);
        let limit = dispatch.watchdog_limit();
        if limit != 0 && misses > SECONDS_MIN.max(limit / dispatch.second().max(1)) {
            panic!(
                "watchdog: processor {} has had no clock tick for {misses} s: it loops with \
                 interrupts held back",
                next.index()
            );
        }
    }
}

/// A lock, in words.
struct Name(&'static DispLock);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = core::ptr::from_ref(self.0).addr();
        match self.0.processor() {
            Some(cpu) => write!(f, "the thread lock of processor {cpu}")?,
            None => write!(f, "a lock of class {:?} at {address:#x}", self.0.class())?,
        }
        match self.0.holder() {
            Some(holder) => write!(f, ", held by processor {holder}"),
            None if self.0.is_held() => write!(f, ", always held"),
            None => write!(f, ", free"),
        }
    }
}

/// What every processor does and waits for, one line or more each.
pub struct Report(pub &'static Dispatch);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cpus().try_for_each(|cpu| describe(cpu, f))
    }
}

fn describe(cpu: &'static CpuDispatch, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let line = if cpu.is_online() { "on line" } else { "off line" };
    write!(f, "processor {}, {line}, {} waiting: ", cpu.index(), cpu.waiting())?;
    match cpu.running_thread() {
        Some(thread) => describe_thread(thread, f)?,
        None => write!(f, "no thread")?,
    }
    writeln!(f)?;
    for lock in cpu.held_locks.each() {
        writeln!(f, "  holds {}", Name(lock))?;
    }
    if let Some(lock) = cpu.held_locks.wanted() {
        writeln!(f, "  waits for {}", Name(lock))?;
    }
    Ok(())
}

fn describe_thread(thread: &'static Thread, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let priority = thread.dispatch_priority().number().unwrap_or(0);
    write!(
        f,
        "thread {} {}, {:?}, priority {priority}",
        thread.id(),
        thread.name(),
        thread.state()
    )?;
    if let Some(lock) = thread.lock_pointer() {
        write!(f, ", its lock is {}", Name(lock))?;
    }
    let channel = thread.sleep.channel();
    if thread.state() == State::Sleep || channel != 0 {
        write!(f, ", wait channel {channel:#x}, bucket {}", SleepQueues::bucket(channel))?;
    }
    Ok(())
}

/// Processors of which each waits for a lock that the next holds, the last for one of the first.
struct Cycle {
    cpus: [Option<&'static CpuDispatch>; CPUS],
    first: usize,
    length: usize,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a cycle of locks: ")?;
        let members = self.cpus[self.first..self.length].iter().flatten();
        for cpu in members {
            if let Some(lock) = cpu.held_locks.wanted() {
                write!(f, "processor {} waits for {}; ", cpu.index(), Name(lock))?;
            }
        }
        write!(f, "and so on")
    }
}

/// The cycle that the waits form, if they do.
fn cycle(dispatch: &'static Dispatch) -> Option<Cycle> {
    dispatch.cpus().find_map(|start| {
        let mut cpus = [None; CPUS];
        let mut cpu = start;
        for length in 0..=CPUS {
            let seen = cpus[..length]
                .iter()
                .flatten()
                .position(|&seen: &&CpuDispatch| core::ptr::eq(seen, cpu));
            if let Some(first) = seen {
                return Some(Cycle { cpus, first, length });
            }
            *cpus.get_mut(length)? = Some(cpu);
            cpu = dispatch.cpu(cpu.held_locks.wanted()?.holder()?)?;
        }
        None
    })
}
