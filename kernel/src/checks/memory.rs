//! Checks of frames, slabs and the heap: everything is known, runs out as an error, comes back.

use super::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use ::memory::{FrameNumber, FrameState, Memory, Slab, SlabBox};
use alloc::vec::Vec;
use dispatch::CpuDispatch;
use dispatch::kernel_thread::{self, Attributes};
use machine::x86_64::paging;
use machine::{MayFault, System};

pub fn frames_are_all_known(run: &mut Run<'_>) -> Outcome {
    let frames = &Memory::current().frames;
    let counts = frames.counts();
    let known = counts.free + counts.cached + counts.used + counts.reserved;
    ensure!(known * 4096 >= abi::boot::MEMORY_MIN / 2, "only {known} frames are known");
    let inside = frames.state(FrameNumber::containing(run.kernel.root));
    ensure!(
        inside == FrameState::Reserved,
        "the kernel's page table is in a frame that is {inside:?}"
    );
    let free = frames.free_frames();
    ensure!(free > 1024, "only {free} frames are free");
    Ok(())
}

/// Largest blocks in which the checks take frames: they are linked through their first words, and a
/// word in each single frame would make the host find memory for every one.
const ORDER: u8 = ::memory::frames::ORDER_MAX;

/// Takes frames until there are none or `most`, as a list of blocks through the blocks themselves; until they are given
/// back there are no reserves, so that all that is left is for everybody. Returns the list and how many frames are on it.
pub fn take_frames(system: &System, most: u64) -> (u64, u64) {
    let frames = &Memory::current().frames;
    frames.set_reserves(0, 0, 0);
    let mut list = 0;
    let mut count = 0;
    for order in (0..=ORDER).rev() {
        while count + (1 << order) <= most {
            let Ok(block) = frames.allocate_block(order) else { break };
            let address = block.address();
            // SAFETY: a fresh block, which nobody else knows.
            unsafe { paging::physical::<[u64; 2]>(system, address).write([list, 1 << order]) };
            list = address;
            count += 1 << order;
        }
    }
    (list, count)
}

/// Gives back what [`take_frames`] took. Says how many frames there were.
pub fn give_frames(system: &System, mut list: u64) -> u64 {
    if let Some(reserves) = Kernel::current().reserves.get() {
        reserves.set();
    }
    let mut count = 0;
    while list != 0 {
        // SAFETY: `take_frames` left the next block's address and this one's size there.
        let [next, size] = unsafe { paging::physical::<[u64; 2]>(system, list).read() };
        Memory::current().frames.free_block(FrameNumber::containing(list));
        list = next;
        count += size;
    }
    count
}

pub fn frames_run_out_and_come_back(run: &mut Run<'_>) -> Outcome {
    let frames = &Memory::current().frames;
    frames.empty_cache();
    let before = frames.counts();
    let (list, taken) = take_frames(run.kernel.system, u64::MAX);
    let refused = frames.allocate_anywhere().is_err() && frames.allocate_block(3).is_err();
    let given = give_frames(run.kernel.system, list);
    frames.empty_cache();
    let after = frames.counts();
    ensure!(refused, "an allocation succeeded without memory");
    ensure!(taken == given, "{taken} frames were taken, {given} were on the list");
    ensure!(taken >= before.free, "{} frames were free, {taken} could be had", before.free);
    ensure!(before == after, "before {before:?}, after {after:?}");
    Ok(())
}

/// An object of an odd size.
pub struct Object {
    next: Option<SlabBox<Object>>,
    payload: [u64; 12],
}

/// Lets every processor give back the frames that it keeps for itself, in slabs too.
pub fn empty_all_caches(run: &mut Run<'_>) -> Outcome {
    for cpu in run.kernel.system.cpus() {
        let empty = |_, _: &mut MayFault| {
            vm::Vm::current().reclaim();
            Kernel::current().process_objects.reclaim();
            Memory::current().frames.empty_cache();
            0
        };
        let attributes = Attributes::system("check").bound(CpuDispatch::of(cpu));
        let Ok(thread) = kernel_thread::create(&attributes, empty, 0) else {
            return Err(Wrong::new(format_args!("no memory for a thread")));
        };
        thread.join(run.may_fault);
    }
    Ok(())
}

pub fn slabs_run_out_and_come_back(run: &mut Run<'_>) -> Outcome {
    empty_all_caches(run)?;
    let frames = &Memory::current().frames;
    frames.empty_cache();
    let before = frames.counts();
    // Leave some for everybody else, then use that up with objects.
    let free = frames.free_frames();
    let (list, _) = take_frames(run.kernel.system, free.saturating_sub(512));
    let slab: &'static Slab<Object> = &run.kernel.shared.objects;
    let mut objects: Option<SlabBox<Object>> = None;
    let mut count = 0u64;
    let outcome = loop {
        let object = Object { next: objects.take(), payload: [count; 12] };
        match slab.allocate(object) {
            Ok(object) => objects = Some(object),
            Err((_, object)) => {
                objects = object.next;
                break Ok(());
            }
        }
        count += 1;
        if count > 100_000 {
            break Err(());
        }
    };
    let mut expected = count;
    let mut intact = true;
    while let Some(mut object) = objects {
        expected -= 1;
        intact &= object.payload == [expected; 12];
        objects = object.next.take();
    }
    slab.reclaim();
    let counts = slab.counts();
    give_frames(run.kernel.system, list);
    frames.empty_cache();
    let after = frames.counts();
    ensure!(outcome.is_ok(), "objects never ran out");
    ensure!(count > 10_000, "only {count} objects fitted into 512 frames");
    ensure!(intact && expected == 0, "objects were damaged, or {expected} were lost");
    ensure!(counts.live == 0, "{} objects are left", counts.live);
    // The magazines of this processor may keep pages; they are few and counted.
    let kept = before.free - after.free;
    ensure!(kept == counts.pages as u64, "{kept} frames are missing, {} pages held", counts.pages);
    Ok(())
}

pub fn heap_runs_out_and_comes_back(run: &mut Run<'_>) -> Outcome {
    let used = |run: &Run<'_>| run.kernel.heap.lock_anywhere().used();
    let before = used(run);
    let mut blocks: [Vec<u8>; 64] = [const { Vec::new() }; 64];
    let mut refused = 0;
    for (index, block) in blocks.iter_mut().enumerate() {
        if block.try_reserve_exact(1 << (index % 16)).is_err() {
            refused += 1;
        }
    }
    let mut huge = Vec::<u8>::new();
    ensure!(huge.try_reserve_exact(1 << 40).is_err(), "a tebibyte was granted");
    let during = used(run);
    drop(blocks);
    let after = used(run);
    ensure!(during > before, "the heap did not count {during} > {before}");
    ensure!(refused < 32, "{refused} of 64 small blocks were refused");
    ensure!(before == after, "{before} bytes used before, {after} after");
    Ok(())
}
