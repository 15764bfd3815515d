//! Checks of contexts and kernel stacks: switching, holes, interrupts that meet holes.

use super::memory::{empty_all_caches, give_frames, take_frames};
use super::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use crate::kernel_space::{StackCounts, THREAD_STACK_PAGES};
use crate::processors::refill_reserve;
use ::memory::Memory;
use core::hint::black_box;
use machine::pil::{self, Pil, PilGuard};
use machine::x86_64::paging;
use machine::x86_64::stack::{PAGE, Stack};
use machine::x86_64::user_copy::copy_in;
use machine::{Context, Cpu, MayFault, poke, switch};

/// Pages of the stacks that the checks make.
const PAGES: u64 = 12;

/// What the other context of a check finds through its argument.
struct Pair {
    checker: Context,
    other: Option<Context>,
    kernel: &'static Kernel,
    turns: u64,
    result: u64,
}

impl Pair {
    fn new(kernel: &'static Kernel, turns: u64) -> Pair {
        Pair { checker: Context::of_running(), other: None, kernel, turns, result: 0 }
    }

    /// Runs `entry` on `stack` to its end, or to wherever it switches back.
    fn go(&mut self, run: &mut Run<'_>) {
        let guard = pil::raise(Pil::DISP, run.may_fault);
        let other = self.other.as_ref().expect("the other context is made before");
        // SAFETY: `checker` is this thread; the other context waits for exactly this.
        unsafe { switch(guard.atomic(), &self.checker, other) };
    }
}

/// The pair behind a context's argument.
///
/// # Safety
///
/// The argument is the address of a pair that outlives the context, and the checker touches it only
/// while the context does not run.
unsafe fn pair<'a>(argument: usize) -> &'a mut Pair {
    // SAFETY: the caller's promise.
    unsafe { &mut *(argument as *mut Pair) }
}

/// A context that runs `entry` with `pair`.
fn prepare(pair: &mut Pair, stack: Stack, entry: machine::switch::Entry) {
    let argument = core::ptr::from_mut(pair) as usize;
    // SAFETY: a fresh stack for this context alone, its top populated.
    pair.other = Some(unsafe { Context::new(stack, entry, argument) });
}

/// A stack for a thread, or what is wrong without.
pub fn thread_stack(kernel: &Kernel) -> Result<Stack, Wrong> {
    kernel.take_thread_stack().map_err(|_| Wrong::new(format_args!("no memory for a stack")))
}

pub fn thread_stacks_run_out_and_come_back(run: &mut Run<'_>) -> Outcome {
    /// So many frames are left for stacks: no multiple of what a stack needs.
    const LEFT: u64 = 300;
    /// More stacks than that.
    const MOST: usize = 64;
    let kernel = run.kernel;
    let frames = &Memory::current().frames;
    let used = || {
        frames.empty_cache();
        frames.counts().used
    };
    empty_all_caches(run)?;
    let (before, used_before) = (kernel.thread_stacks(), used());
    let (list, _) = take_frames(kernel.system, frames.free_frames().saturating_sub(LEFT));
    let stacks: [_; MOST] = core::array::from_fn(|_| kernel.take_thread_stack().ok());
    give_frames(kernel.system, list);
    let taken = stacks.iter().flatten().count() as u64;
    ensure!(taken > before.free && taken < MOST as u64, "{taken} stacks of {LEFT} frames");
    // The one that memory did not suffice for, to its end.
    let last = thread_stack(kernel)?;
    let after = kernel.thread_stacks();
    let made = after.made - before.made;
    ensure!(made == taken + 1 - before.free && after.free == 0, "{before:?}, {after:?}");
    let spent = used() - used_before;
    let pages = made * THREAD_STACK_PAGES;
    // And page tables, each of which serves 16 stacks.
    ensure!((pages..=pages + made / 16 + 2).contains(&spent), "{spent} frames for {made} stacks");
    let all = || stacks.iter().flatten().chain([&last]);
    for stack in all() {
        let there = |address| paging::is_present(kernel.system, address);
        let whole = (stack.bottom..stack.top).step_by(PAGE as usize).all(there);
        ensure!(whole && !there(stack.bottom - PAGE), "{stack:x?} has no guard page, or holes");
        ensure!(all().filter(|other| *other == stack).count() == 1, "{stack:x?} was given twice");
    }
    for _ in 0..2 {
        for stack in all() {
            // SAFETY: taken above, or again below; nothing has run on it.
            unsafe { kernel.give_thread_stack(*stack) };
        }
        let given = kernel.thread_stacks();
        ensure!(given == StackCounts { free: taken + 1, ..after }, "given back: {given:?}");
        for _ in all() {
            let again = thread_stack(kernel)?;
            ensure!(all().any(|stack| *stack == again), "{again:x?} is new");
        }
        ensure!(kernel.thread_stacks() == after, "again: {:?}", kernel.thread_stacks());
    }
    for stack in all() {
        // SAFETY: taken above; nothing has run on it.
        unsafe { kernel.give_thread_stack(*stack) };
    }
    Ok(())
}

pub fn context_switch(run: &mut Run<'_>) -> Outcome {
    const TURNS: u64 = 1000;
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        for turn in 1..=TURNS {
            // SAFETY: `context_switch` keeps the pair and waits.
            let pair = unsafe { pair(argument) };
            pair.result += turn;
            let other = pair.other.as_ref().expect("this context");
            // SAFETY: at the level at which contexts start; back to whoever came here.
            let atomic = unsafe { machine::Atomic::assume() };
            // SAFETY: `other` is this context; the checker waits.
            unsafe { switch(atomic, other, &pair.checker) };
        }
        // SAFETY: `context_switch` keeps the pair until after the last switch.
        unsafe { &pair(argument).checker }
    }
    let kernel = run.kernel;
    let stack = thread_stack(kernel)?;
    let mut pair = Pair::new(kernel, TURNS);
    prepare(&mut pair, stack, entry);
    let mut sum = 0;
    for turn in 1..=TURNS {
        pair.go(run);
        sum += turn;
        ensure!(pair.result == sum, "after turn {turn}: {} instead of {sum}", pair.result);
    }
    // One more, in which the context ends.
    pair.go(run);
    // SAFETY: taken above; the context is over.
    unsafe { kernel.give_thread_stack(stack) };
    ensure!(Pil::current() == Pil::NONE, "the level is {:?} afterwards", Pil::current());
    ensure!(machine::preempt::is_possible(), "preemption is off afterwards");
    Ok(())
}

/// Goes about a page deeper with each turn; returns the lowest address it has been to.
#[inline(never)]
fn deepen(turns: u64) -> u64 {
    let mut page = [0u8; 3900];
    black_box(&mut page)[turns as usize] = turns as u8;
    let here = page.as_ptr() as u64;
    if turns <= 1 { here } else { deepen(turns - 1).min(black_box(here)) }
}

fn lazy_stack(run: &Run<'_>) -> Result<Stack, Wrong> {
    run.kernel
        .space
        .lock_anywhere()
        .make_stack(run.kernel, PAGES, 2)
        .map_err(|_| Wrong::new(format_args!("no memory for a stack")))
}

/// Puts the level down and preemption on in a new context, runs `body`, and ends it.
fn as_thread(argument: usize, body: impl FnOnce(&mut Pair)) -> &'static Context {
    // SAFETY: the switch that came here raised the level, and nobody else restores it.
    drop(unsafe { PilGuard::adopt(Pil::NONE) });
    // SAFETY: the checks keep the pair until the context is over.
    let pair = unsafe { pair(argument) };
    body(pair);
    // The end is as the beginning: at the dispatcher's level.
    pil::raise_anywhere(Pil::DISP).leave_raised();
    &pair.checker
}

pub fn stack_holes_are_filled(run: &mut Run<'_>) -> Outcome {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        as_thread(argument, |pair| pair.result = deepen(pair.turns))
    }
    let stack = lazy_stack(run)?;
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    let before = own.backend.reserve.filled();
    let mut pair = Pair::new(run.kernel, PAGES - 2);
    prepare(&mut pair, stack, entry);
    pair.go(run);
    // Also where all that is left is for those who cannot do without.
    let frames = &Memory::current().frames;
    frames.empty_cache();
    let all = frames.free_frames();
    frames.set_reserves(all, all, all);
    let ordinary = frames.allocate_anywhere();
    refill_reserve();
    if let Some(reserves) = run.kernel.reserves.get() {
        reserves.set();
    } else {
        frames.set_reserves(0, 0, 0);
    }
    let refused = ordinary.map(|frame| frames.free_anywhere(frame)).is_err();
    ensure!(refused, "a reserve was given to somebody who can wait");
    let filled = own.backend.reserve.filled() - before;
    ensure!(stack.contains(pair.result), "it went to {:#x}", pair.result);
    let depth = (stack.top - pair.result).div_ceil(PAGE);
    ensure!(
        filled >= depth - 3 && filled <= PAGES - 2,
        "{filled} holes filled, {depth} pages deep"
    );
    ensure!(own.backend.reserve.count() > PAGES as u32, "the reserve was not refilled");
    Ok(())
}

pub fn interrupts_on_stack_holes(run: &mut Run<'_>) -> Outcome {
    /// Pokes its own processor at each place just above a hole: the interrupt, and the preemption
    /// that follows it, find the page below absent.
    #[inline(never)]
    fn poke_all_the_way(own: &Cpu, turns: u64) -> u64 {
        let mut page = [0u8; 4000];
        black_box(&mut page)[0] = 1;
        {
            let guard = machine::preempt::disable_anywhere();
            machine::preempt::want(guard.atomic());
            poke::poke(own);
            core::mem::forget(guard);
        }
        // SAFETY: takes up the guard that was forgotten, so that the interrupt's return, and not
        // the guard, is what preempts.
        drop(unsafe { machine::preempt::PreemptGuard::adopt() });
        poke::poke(own);
        if turns > 1 { poke_all_the_way(own, turns - 1) + 1 } else { u64::from(page[0]) }
    }
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        as_thread(argument, |pair| {
            // SAFETY: contexts start with preemption off once.
            drop(unsafe { machine::preempt::PreemptGuard::adopt() });
            let own = pair.kernel.system.cpu(0).expect("the first processor is there");
            pair.result = poke_all_the_way(own, pair.turns);
            core::mem::forget(machine::preempt::disable_anywhere());
        })
    }
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    let before = own.pokes();
    let stack = lazy_stack(run)?;
    let turns = PAGES - 3;
    let mut pair = Pair::new(run.kernel, turns);
    prepare(&mut pair, stack, entry);
    pair.go(run);
    refill_reserve();
    ensure!(pair.result == turns, "{} turns of {turns}", pair.result);
    let pokes = own.pokes() - before;
    ensure!(pokes == 2 * turns, "{pokes} pokes came of {}", 2 * turns);
    Ok(())
}

pub fn user_faults_on_stack_holes(run: &mut Run<'_>) -> Outcome {
    /// Touches absent user memory all the way down: the frame of each fault has to be moved onto a
    /// stack whose next page may be absent.
    #[inline(never)]
    fn fault_all_the_way(turns: u64, may_fault: &mut MayFault) -> u64 {
        let mut page = [0u8; 4000];
        let refused = u64::from(copy_in(black_box(&mut page[..8]), NOWHERE, may_fault).is_err());
        if turns > 1 { fault_all_the_way(turns - 1, may_fault) + refused } else { refused }
    }
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        as_thread(argument, |pair| {
            // SAFETY: contexts start with preemption off once, and where it is off nobody may fault.
            drop(unsafe { machine::preempt::PreemptGuard::adopt() });
            // SAFETY: now this is a thread like any other; its only token.
            let mut may_fault = unsafe { MayFault::assume() };
            pair.result = fault_all_the_way(pair.turns, &mut may_fault);
            core::mem::forget(machine::preempt::disable_anywhere());
        })
    }
    /// A user address; there is no program, so nothing is there.
    const NOWHERE: u64 = 0x40_0000;
    let stack = lazy_stack(run)?;
    let turns = PAGES - 3;
    let mut pair = Pair::new(run.kernel, turns);
    prepare(&mut pair, stack, entry);
    pair.go(run);
    refill_reserve();
    ensure!(pair.result == turns, "{} faults of {turns}", pair.result);
    Ok(())
}
