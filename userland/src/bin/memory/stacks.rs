//! Arrays of stacks: what they cost, their guards, giving them back, what a child gets; the errors.

use super::maps::{PAGE, get, put, unmap};
use super::processes::{SEGMENTATION, exited, in_child};
use abi::calls::{Counter, STACK_STRIDE_MAX};
use abi::errno::Errno;
use core::arch::naked_asm;
use core::ptr;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::{self, raw};

/// Pages of a stride, of which one is the guard.
const STRIDE: usize = 16;

/// Declares stacks of the longest stride, with a guard page each.
fn stacks(count: usize) -> Result<*mut u8, Why> {
    // SAFETY: somewhere where nothing is.
    let made = unsafe { raw::stacks(count as u64, STACK_STRIDE_MAX, PAGE as u64) };
    match made {
        Ok(first) => Ok(ptr::with_exposed_provenance_mut(first as usize)),
        Err(error) => fail!("stacks: {}", error.text()),
    }
}

fn advise(memory: *mut u8, page: usize, count: usize) -> Result<u64, Errno> {
    const DO_NOT_NEED: i32 = 4;
    let start = memory as u64 + (page * PAGE) as u64;
    // SAFETY: the checks ask for stacks of their own that nobody runs on.
    unsafe { raw::madvise(start, (count * PAGE) as u64, DO_NOT_NEED) }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("of-a-million-stacks-those-are-paid-for-that-are-touched"), million);
    checks.check(format_args!("each-stack-has-a-guard"), || {
        const COUNT: usize = 8;
        let memory = stacks(COUNT)?;
        for page in 0..COUNT * STRIDE {
            let is_guard = page % STRIDE == 0;
            if !is_guard {
                put(memory, page, page as u64);
            } else if page % (3 * STRIDE) == 0 {
                let status = in_child(|| get(memory, page) as i32)?;
                if status != SEGMENTATION {
                    fail!("reading the guard of page {page} came to {status:#x}");
                }
            }
        }
        // SAFETY: a guard; the rights are those that it has.
        let protected = unsafe { raw::mprotect(memory as u64, PAGE as u64, 3) };
        let written = in_child(|| {
            put(memory, 0, 1);
            0
        })?;
        // The kernel cannot be made to write there either.
        // SAFETY: if it writes there after all, that is what the check is for.
        let by_call = unsafe { raw::uname(memory) };
        // SAFETY: stacks of its own.
        let locked = unsafe { raw::mlock(memory as u64, (COUNT * STRIDE * PAGE) as u64) };
        let all = (protected, written, by_call, locked);
        if all != (Ok(0), SEGMENTATION, Err(Errno::EFAULT), Ok(0)) {
            fail!("{all:?}");
        }
        unmap(memory, COUNT * STRIDE)
    });
    checks.check(format_args!("a-part-of-an-array-keeps-its-guards"), || {
        let memory = stacks(6)?;
        // SAFETY: stacks of its own.
        unmap(unsafe { memory.add(7 * PAGE) }, 2 * STRIDE)?;
        let last = 5 * STRIDE;
        put(memory, last + 1, 3);
        let guard = in_child(|| get(memory, last) as i32)?;
        let above = in_child(|| get(memory, last + 1) as i32)?;
        let gone = in_child(|| get(memory, 7) as i32)?;
        if (guard, above, gone) != (SEGMENTATION, exited(3), SEGMENTATION) {
            fail!("{guard:#x}, {above:#x}, {gone:#x}");
        }
        unmap(memory, 6 * STRIDE)
    });
    checks.check(format_args!("a-stack-that-is-given-back-is-zero-again"), || {
        let memory = stacks(4)?;
        (1..4 * STRIDE).filter(|page| page % STRIDE != 0).for_each(|page| put(memory, page, 9));
        let before = system::counter(Counter::FreeFrames);
        let advised = advise(memory, STRIDE, STRIDE);
        let back = system::counter(Counter::FreeFrames) - before;
        let kept = [STRIDE - 1, 2 * STRIDE + 1].map(|page| get(memory, page));
        let new = [STRIDE + 1, 2 * STRIDE - 1].map(|page| get(memory, page));
        if (advised, kept, new) != (Ok(0), [9, 9], [0, 0]) || back < STRIDE as u64 - 1 {
            fail!("{advised:?}, {back} pages came back; {kept:?}, {new:?}");
        }
        unmap(memory, 4 * STRIDE)
    });
    checks.check(format_args!("a-child-has-stacks-of-its-own"), || {
        let memory = stacks(3)?;
        let top = 2 * STRIDE - 1;
        put(memory, top, 4);
        let status = in_child(|| {
            let found = get(memory, top);
            put(memory, top, 5);
            // It gives back what its parent still has.
            let advised = advise(memory, STRIDE, STRIDE);
            (found + get(memory, top)) as i32 + i32::from(advised != Ok(0))
        })?;
        if (status, get(memory, top)) != (exited(4), 4) {
            fail!("the child came to {status:#x}, the parent has {}", get(memory, top));
        }
        unmap(memory, 3 * STRIDE)
    });
    checks.check(format_args!("one-can-run-on-each-of-them"), || {
        const COUNT: usize = 100;
        let memory = stacks(COUNT)?;
        for stack in 0..COUNT {
            // SAFETY: within the array; the top of the stack.
            let top = unsafe { memory.add((stack + 1) * STRIDE * PAGE) };
            // SAFETY: nobody else runs on this stack, and it is long enough.
            let sum = unsafe { call_on(top, sum_of_numbers, stack as u64 + 1000) };
            if sum != (0..stack as u64 + 1000).sum() {
                fail!("on stack {stack} the sum is {sum}");
            }
        }
        unmap(memory, COUNT * STRIDE)
    });
    checks.check(format_args!("wrong-arrays-have-their-errors"), wrong_arrays);
}

/// A million stacks, 61 GiB of addresses, of which every thousandth is touched.
fn million() -> Result<(), Why> {
    const COUNT: usize = 1_000_000;
    const TOUCHED: usize = 1_000;
    let before = system::counter(Counter::FreeFrames);
    let memory = stacks(COUNT)?;
    let declared = before - system::counter(Counter::FreeFrames);
    let top = |number: usize| (number * (COUNT / TOUCHED) + 1) * STRIDE - 1;
    (0..TOUCHED).for_each(|number| put(memory, top(number), number as u64));
    if let Some(number) = (0..TOUCHED).find(|&number| get(memory, top(number)) != number as u64) {
        fail!("stack {number} has lost what was written");
    }
    let spent = before - system::counter(Counter::FreeFrames);
    // So far apart each takes a page, a table that leads to it, and two nodes of an index, of which seven share a page;
    // beyond that there is a table and a node for each GiB. And the kernel may do something else meanwhile.
    let most = 2 * TOUCHED + 2 * TOUCHED / 7 + 200;
    if declared > 8 || !(2 * TOUCHED..=most).contains(&(spent as usize)) {
        fail!("{declared} frames when they were declared, {spent} when {TOUCHED} were touched");
    }
    unmap(memory, COUNT * STRIDE)?;
    let left = before.saturating_sub(system::counter(Counter::FreeFrames));
    // The slabs keep pages of nodes, and the tables stay.
    if left > spent - TOUCHED as u64 {
        fail!("of {spent} frames {left} have not come back");
    }
    Ok(())
}

fn wrong_arrays() -> Result<(), Why> {
    let page = PAGE as u64;
    for (count, stride, guard, expected) in [
        (0, 2 * page, page, Errno::EINVAL),
        (1, 0, 0, Errno::EINVAL),
        (1, page, page, Errno::EINVAL),
        (1, 4 * page, 0, Errno::EINVAL),
        (1, 4 * page, 4 * page, Errno::EINVAL),
        (1, 4 * page, page + 1, Errno::EINVAL),
        (1, 4 * page + 8, page, Errno::EINVAL),
        (1, STACK_STRIDE_MAX + page, page, Errno::EINVAL),
        (1, !(page - 1), page, Errno::EINVAL),
        (1 << 31, STACK_STRIDE_MAX, page, Errno::ENOMEM),
        (1 << 48, STACK_STRIDE_MAX, page, Errno::ENOMEM),
        (u64::MAX, 2 * page, page, Errno::ENOMEM),
        ((1 << 51) + 1, 2 * page, page, Errno::ENOMEM),
    ] {
        // SAFETY: somewhere where nothing is, if anywhere.
        let came = unsafe { raw::stacks(count, stride, guard) };
        if came != Err(expected) {
            fail!("stacks({count:#x}, {stride:#x}, {guard:#x}) came to {came:x?}");
        }
    }
    // SAFETY: the smallest that can be.
    let smallest = unsafe { raw::stacks(1, 2 * page, page) };
    let Ok(smallest) = smallest else { fail!("the smallest came to {smallest:?}") };
    unmap(ptr::with_exposed_provenance_mut(smallest as usize), 2)
}

extern "C" fn sum_of_numbers(count: u64) -> u64 {
    // In memory of the stack, so that it is used: half of it.
    let mut numbers = [0u64; 4000];
    for number in 0..count {
        numbers[number as usize] = number;
    }
    core::hint::black_box(&numbers).iter().sum()
}

/// Calls a function with another stack.
///
/// # Safety
///
/// The stack ends there, is long enough, and nobody else uses it.
#[unsafe(naked)]
unsafe extern "C" fn call_on(
    top: *mut u8,
    function: extern "C" fn(u64) -> u64,
    argument: u64,
) -> u64 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}
