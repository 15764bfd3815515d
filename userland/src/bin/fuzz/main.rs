//! Makes random system calls, in children with several LWPs; nothing may be left of them afterwards.
//!
//! `fuzz [--seed S] [--calls N] [--processes P]`. What must hold: the kernel stays, every error is one that is defined,
//! and when all children are gone, so is what they had: memory, objects, swap space. The calls come in three parts; what
//! caches keep they have after the first, and the third may not take more.

#![no_std]
#![no_main]

mod arguments;
mod calls;
mod files;
mod worker;

use abi::calls::Counter;
use abi::errno::Errno;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::system::{self, raw};
use userland::{Arguments, child, eprintln, lwp, println, program, signal};

program!(main);

const SIGKILL: i32 = 9;
const SIGUSR1: i32 = 10;
const NO_HANG: i32 = 1;

/// Most workers at a time.
const WORKERS_MAX: usize = 16;
/// Frames that caches may have more after the third part than after the first.
const FRAMES_KEPT: u64 = 512;
/// Anonymous objects that this program may have more by then.
const OBJECTS_KEPT: u64 = 4;
/// Places in swap space that may be in use: this program's own pages, where the workers have taken all memory.
const SLOTS_KEPT: u64 = 32;
/// A look at the workers, in nanoseconds; and how many without progress until a worker is nudged, and replaced.
const LOOK: u64 = 4_000_000;
const NUDGED_AFTER: u32 = 3;
const REPLACED_AFTER: u32 = 8;

/// What the workers share with who looks after them.
#[repr(C)]
pub struct Shared {
    /// Calls that each has made.
    pub done: [AtomicU64; WORKERS_MAX],
    /// Calls of which errors have come that nobody has defined: number and error.
    pub wrong: AtomicU64,
}

/// What there is in the system.
#[derive(Debug)]
struct Inventory {
    frames: u64,
    objects: u64,
    slots: u64,
}

fn inventory() -> Inventory {
    Inventory {
        frames: system::counter(Counter::FreeFrames),
        objects: system::counter(Counter::AnonymousObjects),
        slots: system::counter(Counter::FreeSwapSlots),
    }
}

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let (mut seed, mut count, mut processes) = (1, 30_000, 4);
    while let Some(word) = words.next() {
        let place = match word {
            // A worker has become this program anew.
            "child" => return 0,
            "--seed" => &mut seed,
            "--calls" => &mut count,
            "--processes" => &mut processes,
            _ => {
                eprintln!("usage: fuzz [--seed S] [--calls N] [--processes P]");
                return 2;
            }
        };
        let Some(number) = words.next().and_then(|word| word.parse().ok()) else {
            eprintln!("fuzz: {word} needs a number");
            return 2;
        };
        *place = number;
    }
    let processes = (processes as usize).clamp(1, WORKERS_MAX);
    // The first mapping has an address with a single bit, which is among the arguments: there is nothing.
    // SAFETY: fresh memory.
    let _ = unsafe { raw::mmap(0, 16 * 4096, 0, 0x22, -1, 0) };
    // SAFETY: fresh memory, shared with children.
    let shared = match unsafe { raw::mmap(0, 4096, 3, 0x21, -1, 0) } {
        Ok(address) => ptr::with_exposed_provenance::<Shared>(address as usize),
        Err(error) => {
            eprintln!("fuzz: {}", error.text());
            return 1;
        }
    };
    // SAFETY: mapped just now, zero, and never given back.
    let shared = unsafe { &*shared };
    let before = inventory();
    let mut first = None;
    for part in 0..3 {
        let replaced = run(shared, seed + 1_000_000 * part, count / 3, processes);
        if let Err(error) = clean() {
            eprintln!("fuzz: what is left of the workers does not go: {}", error.text());
            return 1;
        }
        let now = inventory();
        println!("fuzz: part {part}: {replaced} workers replaced, {now:?}");
        first.get_or_insert(now);
    }
    let (after, first) = (inventory(), first.unwrap_or(before));
    let wrong = shared.wrong.load(SeqCst);
    if wrong != 0 {
        eprintln!("fuzz: call {:#x} came to error {}", wrong >> 16, wrong & 0xffff);
        return 1;
    }
    if after.frames + FRAMES_KEPT < first.frames
        || after.objects > first.objects + OBJECTS_KEPT
        || after.slots + SLOTS_KEPT < first.slots
    {
        eprintln!("fuzz: something is left: {after:?}, not {first:?}");
        return 1;
    }
    println!("fuzz: {count} calls, seed {seed}: everything is back");
    0
}

/// Lets workers make so many calls; says how many had to be replaced.
fn run(shared: &'static Shared, seed: u64, count: u64, processes: usize) -> u64 {
    let mut workers = [0_u64; WORKERS_MAX];
    let mut seen = [(0_u64, 0_u32); WORKERS_MAX];
    let mut begun = 0;
    shared.done.iter().for_each(|done| done.store(0, SeqCst));
    while shared.done.iter().map(|done| done.load(SeqCst)).sum::<u64>() < count {
        for place in 0..processes {
            if workers[place] == 0 {
                begun += 1;
                let seed = seed.wrapping_add(begun);
                workers[place] = child::start(|| worker::work(shared, place, seed)).unwrap_or(0);
                seen[place].1 = 0;
                continue;
            }
            let worker = workers[place] as i64;
            let done = shared.done[place].load(SeqCst);
            let (before, idle) = seen[place];
            let idle = if done == before { idle + 1 } else { 0 };
            seen[place] = (done, idle);
            if idle >= NUDGED_AFTER {
                let _ = signal::kill(worker, SIGUSR1);
            }
            if idle >= REPLACED_AFTER {
                // What it has started goes with it.
                let _ = signal::kill(-worker, SIGKILL);
                let _ = signal::kill(worker, SIGKILL);
                while child::wait_for(worker, 0) == Err(Errno::EINTR) {}
                workers[place] = 0;
            } else if child::wait_for(worker, NO_HANG).is_ok_and(|found| found.0 != 0) {
                let _ = signal::kill(-worker, SIGKILL);
                workers[place] = 0;
            }
        }
        let _ = lwp::sleep(LOOK);
    }
    begun.saturating_sub(processes as u64)
}

/// Ends all other processes, and removes what they have made.
fn clean() -> Result<(), Errno> {
    const EVERYBODY: i64 = -1;
    for _ in 0..5000 {
        while child::wait_for(-1, NO_HANG).is_ok_and(|found| found.0 != 0) {}
        if signal::kill(EVERYBODY, SIGKILL) == Err(Errno::ESRCH)
            && child::wait_for(-1, NO_HANG) == Err(Errno::ECHILD)
        {
            files::remove()?;
            // What is given back later: stacks of threads, objects that are collapsed.
            let _ = lwp::sleep(300_000_000);
            return Ok(());
        }
        let _ = lwp::sleep(1_000_000);
    }
    Err(Errno::EBUSY)
}
