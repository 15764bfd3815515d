//! An array of stacks, of which a few are in use at a time: taken, written, read, given back; beside children that have
//! copies of them.

use crate::{child, wait};
use abi::calls::Counter;
use userland::pattern::{Memory, PAGE, Says};
use userland::random::Random;
use userland::system::raw;
use userland::{eprintln, println, system};

/// Pages of a stack and its guard.
const STRIDE: u64 = 16;
/// Most stacks that are in use at a time.
const USED_MAX: usize = 8192;
/// Between two forks so many stacks are taken or given back.
const TURNS: u64 = 8192;

/// A stack in use: which one, and its version.
type Used = Option<(u64, u64)>;

/// Declares `count` stacks, of which half of `most` are in use most of the time, and forks so often.
pub fn run(count: u64, most: u64, rounds: u64, seed: u64) -> i32 {
    let declared = system::counter(Counter::FreeFrames);
    // SAFETY: somewhere where nothing is.
    let made = unsafe { raw::stacks(count, STRIDE * PAGE, PAGE) };
    let Ok(start) = made else {
        eprintln!("stacks: {count} of them came to {made:?}");
        return 1;
    };
    let memory = Memory { start, pages: count * STRIDE };
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut used: [Used; USED_MAX] = [None; USED_MAX];
    let used = &mut used[..(most as usize).clamp(1, USED_MAX)];
    for round in 0..rounds {
        for turn in 0..TURNS {
            if !take_or_give_back(memory, count, &mut random, used, round * TURNS + turn + 1) {
                return 1;
            }
        }
        // The child sees them as they are now, and gives them all back: the parent does not notice.
        let looker = child(|| i32::from(!used.iter().all(|used| give_back(memory, *used))));
        if let Some(looker) = looker
            && wait(looker) != 0
        {
            eprintln!("stacks: the child of round {round} saw something else");
            return 1;
        }
    }
    let spent = declared.saturating_sub(system::counter(Counter::FreeFrames));
    let is_right = used.iter().all(|used| give_back(memory, *used));
    println!("stacks: {count} declared, {rounds} rounds; {spent} frames were in use at the end");
    memory.unmap();
    i32::from(!is_right)
}

/// The pages of a stack that are used: a random number from its top downwards, the same for each version.
fn pages(stack: u64, version: u64) -> core::ops::Range<u64> {
    let end = (stack + 1) * STRIDE;
    end - 1 - version % (STRIDE - 1)..end
}

fn take_or_give_back(
    memory: Memory,
    count: u64,
    random: &mut Random,
    used: &mut [Used],
    version: u64,
) -> bool {
    let place = random.below(used.len() as u64) as usize;
    if let Some(before) = used[place].take() {
        return give_back(memory, Some(before));
    }
    let stack = random.below(count);
    if used.iter().flatten().any(|(other, _)| *other == stack) {
        return true;
    }
    for page in pages(stack, version) {
        let found = memory.read(page);
        if found != Some(Says::NOTHING) {
            eprintln!("stacks: page {page} of a new stack says {found:?}");
            return false;
        }
        memory.write(page, stack, version);
    }
    used[place] = Some((stack, version));
    true
}

/// Checks a stack, and gives it back.
fn give_back(memory: Memory, used: Used) -> bool {
    const DO_NOT_NEED: i32 = 4;
    let Some((stack, version)) = used else { return true };
    for page in pages(stack, version) {
        let (found, expected) = (memory.read(page), Says { owner: stack, page, version });
        if found != Some(expected) {
            eprintln!("stacks: page {page} says {found:?}, not {expected:?}");
            return false;
        }
    }
    let start = memory.start + stack * STRIDE * PAGE;
    // SAFETY: nobody uses this stack any more.
    let advised = unsafe { raw::madvise(start, STRIDE * PAGE, DO_NOT_NEED) };
    if advised != Ok(0) {
        eprintln!("stacks: giving back stack {stack} came to {advised:?}");
    }
    advised == Ok(0)
}
