//! A processor that goes off line waits for those who are bound to it weakly: by time, asleep, not for ever.

use super::super::{Outcome, Run, Wrong, ensure};
use super::{cpu, ensure_last_stays, last_cpu, loop_until, real_time, run_threads, system};
use crate::kernel::Kernel;
use crate::threads::{self, KernelDuties};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::binding::affinity_set;
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{OffLineError, cpu_offline, cpu_online};
use dispatch::weak_binding::nomigrate;
use dispatch::{Mutex, Semaphore, Thread, sleep};
use machine::MayFault;

/// How long a binding lasts that ends by itself, from when its processor is in motion. In nanoseconds.
const SHORT: u64 = 20_000_000;

/// The time to drain that another binding outlasts. In nanoseconds.
const SHORT_DRAIN: u64 = 20_000_000;

/// How long the neighbour sleeps between its turns, in ticks of the clock.
const NAP: u64 = 100_000;

/// How often a host may be so busy that a short binding outlasts the time to drain.
const ATTEMPTS: usize = 10;

/// One attempt to take the last processor off line.
struct Attempt {
    /// Whether the binding ends by itself, or with the attempt.
    ends_by_itself: bool,
    is_bound: Semaphore,
    /// From before the binding is made until just before it is dropped.
    binding_there: AtomicBool,
    /// When the attempt began, and how long after that the binding was dropped, in nanoseconds.
    began: AtomicU64,
    lasted: AtomicU64,
    /// Whether the processor was off line when the binding was dropped.
    astray: AtomicBool,
    /// Turns of the neighbour while the binding was waited for.
    turns: AtomicU64,
    over: AtomicBool,
    answer: Mutex<Option<Answer>>,
}

/// What came of it.
#[derive(Clone, Copy)]
struct Answer {
    result: Result<(), OffLineError>,
    /// At the moment of the answer.
    binding_there: bool,
    online: bool,
    /// Nanoseconds.
    waited: u64,
}

impl Attempt {
    fn new(ends_by_itself: bool) -> Attempt {
        Attempt {
            ends_by_itself,
            is_bound: Semaphore::new(0),
            binding_there: AtomicBool::new(false),
            began: AtomicU64::new(0),
            lasted: AtomicU64::new(0),
            astray: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            over: AtomicBool::new(false),
            answer: Mutex::new(None),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Goes to the last processor, and binds itself there weakly and in no other way.
    fn bind(&self, kernel: &Kernel, may_fault: &mut MayFault) {
        let last = last_cpu(kernel);
        let lock = lock_processors(may_fault);
        self.binding_there.store(true, Ordering::Release);
        let affinity = affinity_set(Thread::running(), last, &lock);
        let binding = nomigrate();
        drop(affinity);
        drop(lock);
        self.is_bound.v();
        loop_until(|| last.is_in_motion() || self.is_over());
        if self.ends_by_itself {
            kernel.spin_nanoseconds(SHORT);
        } else {
            loop_until(|| self.is_over());
        }
        let lasted = kernel.uptime_nanoseconds() - self.began.load(Ordering::Acquire);
        self.lasted.store(lasted, Ordering::Relaxed);
        self.astray.store(!last.is_online(), Ordering::Relaxed);
        self.binding_there.store(false, Ordering::Release);
        drop(binding);
    }

    /// Takes the last processor off line, and puts it on line again.
    fn take_off_line(&self, kernel: &Kernel, may_fault: &mut MayFault) {
        self.is_bound.p(may_fault);
        let last = last_cpu(kernel);
        let lock = lock_processors(may_fault);
        let began = kernel.uptime_nanoseconds();
        self.began.store(began, Ordering::Release);
        let result = cpu_offline(last, false, &KernelDuties, &lock, may_fault);
        let answer = Answer {
            result,
            binding_there: self.binding_there.load(Ordering::Acquire),
            online: last.is_online(),
            waited: kernel.uptime_nanoseconds() - began,
        };
        let came = cpu_online(last, &KernelDuties, &lock, may_fault);
        drop(lock);
        *self.answer.lock(may_fault) = came.is_ok().then_some(answer);
        self.over.store(true, Ordering::Release);
    }

    /// Runs on the waiting processor now and then, if nothing better does.
    fn be_neighbour(&self, kernel: &Kernel, may_fault: &mut MayFault) {
        let last = last_cpu(kernel);
        while !self.is_over() {
            if last.is_in_motion() && self.binding_there.load(Ordering::Acquire) {
                self.turns.fetch_add(1, Ordering::Relaxed);
            }
            sleep::delay(NAP, may_fault);
        }
    }

    /// Makes the attempt.
    fn make(&self, run: &mut Run<'_>) -> Result<Answer, Wrong> {
        fn body(attempt: &Attempt, number: usize, may_fault: &mut MayFault) {
            let kernel = Kernel::current();
            match number {
                0 => attempt.bind(kernel, may_fault),
                1 => attempt.be_neighbour(kernel, may_fault),
                _ => attempt.take_off_line(kernel, may_fault),
            }
        }
        // The one that waits is better than its neighbour, who runs only if it sleeps.
        let first = cpu(run.kernel, 0);
        let attributes = [system(), system().bound(first), real_time(100).bound(first)];
        run_threads(self, attributes.into_iter(), body, run.may_fault)?;
        let answer = *self.answer.lock(run.may_fault);
        answer.ok_or_else(|| Wrong::new(format_args!("no memory to put the processor on line")))
    }
}

pub fn off_line_waits_for_weak_bindings(run: &mut Run<'_>) -> Outcome {
    if run.kernel.system.cpu_count() == 1 {
        return ensure_last_stays(run);
    }
    for _ in 0..ATTEMPTS {
        let attempt = Attempt::new(true);
        let Answer { result, binding_there, online, .. } = attempt.make(run)?;
        let lasted = attempt.lasted.load(Ordering::Relaxed);
        let host_is_busy = !run.kernel.options.counted && lasted >= threads::DRAIN;
        if result == Err(OffLineError::Bound) && host_is_busy {
            continue;
        }
        ensure!(result.is_ok() && !online, "a binding that lasted {lasted} ns: {result:?}");
        let astray = attempt.astray.load(Ordering::Relaxed);
        ensure!(!binding_there && !astray, "it went off line with a thread bound to it");
        let turns = attempt.turns.load(Ordering::Relaxed);
        ensure!(turns > 0, "nobody else ran on the processor that waited {lasted} ns");
        return Ok(());
    }
    Err(Wrong::new(format_args!("{ATTEMPTS} times a short binding outlasted the time to drain")))
}

pub fn off_line_gives_up_on_weak_bindings(run: &mut Run<'_>) -> Outcome {
    if run.kernel.system.cpu_count() == 1 {
        return ensure_last_stays(run);
    }
    threads::set_drain(run.kernel, SHORT_DRAIN);
    let attempt = Attempt::new(false);
    let answer = attempt.make(run);
    threads::set_drain(run.kernel, threads::DRAIN);
    let Answer { result, online, waited, .. } = answer?;
    ensure!(
        result == Err(OffLineError::Bound) && online,
        "a binding that did not end: {result:?}, on line: {online}"
    );
    // The parts into which the time is divided are whole ticks of the clock.
    ensure!(waited >= SHORT_DRAIN / 10 * 9, "it gave up after {waited} ns");
    let turns = attempt.turns.load(Ordering::Relaxed);
    ensure!(turns > 0, "nobody else ran on the processor that waited {waited} ns");
    ensure!(!last_cpu(run.kernel).is_in_motion(), "it gave up, and is in motion");
    Ok(())
}
