//! Children: what they get, and what becomes of them.

use super::maps::{PAGE, PRIVATE, get, pages, put, unmap};
use abi::errno::Errno;
use core::ptr;
use userland::report::{Checks, Why};
use userland::system::{self, raw};
use userland::{Arguments, fail};

/// How a child ended, as `wait4` says it.
pub const fn exited(status: i32) -> i32 {
    (status & 0xff) << 8
}

pub const SEGMENTATION: i32 = 11;
const BUS: i32 = 7;

/// Runs `body` in a child, and returns how it ended.
pub fn in_child(body: impl FnOnce() -> i32) -> Result<i32, Why> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        Ok(child) => wait(child),
        Err(error) => fail!("fork: {}", error.text()),
    }
}

/// Waits for a child.
fn wait(child: u64) -> Result<i32, Why> {
    let mut status = -1;
    // SAFETY: the status is its to write.
    match unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) } {
        Ok(waited) if waited == child => Ok(status),
        other => fail!("waiting for {child} came to {other:?}"),
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-child-has-a-copy"), || {
        let memory = pages(3, PRIVATE)?;
        (0..3).for_each(|page| put(memory, page, 1));
        let status = in_child(|| {
            let found = get(memory, 0) + get(memory, 1);
            put(memory, 1, 2);
            (found + get(memory, 1)) as i32
        })?;
        if status != exited(4) || get(memory, 1) != 1 {
            fail!("the child came to {status:#x}, the parent has {}", get(memory, 1));
        }
        unmap(memory, 3)
    });
    checks.check(format_args!("memory-can-be-shared-with-a-child-or-kept-from-it"), || {
        let memory = pages(2, PRIVATE)?;
        put(memory, 0, 1);
        put(memory, 1, 1);
        let start = memory as u64;
        // SAFETY: pages of its own.
        let shared = unsafe { raw::minherit(start, PAGE as u64, 0) };
        // SAFETY: likewise.
        let none = unsafe { raw::minherit(start + PAGE as u64, PAGE as u64, 2) };
        let first = in_child(|| {
            put(memory, 0, 5);
            0
        })?;
        let second = in_child(|| get(memory, 1) as i32)?;
        let all = (shared, none, first, second, get(memory, 0));
        if all != (Ok(0), Ok(0), exited(0), SEGMENTATION, 5) {
            fail!("{all:?}");
        }
        unmap(memory, 2)
    });
    checks.check(format_args!("wrong-accesses-end-the-child"), || {
        let memory = pages(2, PRIVATE)?;
        // SAFETY: a page of its own.
        let protected = unsafe { raw::mprotect(memory as u64, PAGE as u64, 1) };
        let written = in_child(|| {
            put(memory, 0, 1);
            0
        })?;
        unmap(memory, 2)?;
        let unmapped = in_child(|| get(memory, 1) as i32)?;
        // SAFETY: a path that ends with a null byte.
        let fd = unsafe { raw::open(c"/bin/hello".as_ptr().cast(), 0, 0) };
        let file = super::maps::map(0, 4096 * PAGE, 1, PRIVATE, fd.unwrap_or(0) as i32, 0);
        let Ok(file) = file else { fail!("{file:?}") };
        let behind = in_child(|| get(file, 4095) as i32)?;
        let all = (protected, written, unmapped, behind);
        if all != (Ok(0), SEGMENTATION, SEGMENTATION, BUS) {
            fail!("{all:?}");
        }
        unmap(file, 4096)
    });
    checks.check(format_args!("many-children-one-after-the-other"), || {
        let memory = pages(4, PRIVATE)?;
        for turn in 0..200 {
            let status = in_child(|| {
                put(memory, 0, 99);
                turn
            })?;
            put(memory, turn as usize % 4, turn as u64);
            if status != exited(turn) {
                fail!("child {turn} came to {status:#x}");
            }
        }
        unmap(memory, 4)
    });
    checks.check(format_args!("children-at-the-same-time"), || {
        const CHILDREN: usize = 12;
        let memory = pages(32, PRIVATE)?;
        (0..32).for_each(|page| put(memory, page, 1000));
        let mut children = [0; CHILDREN];
        for (which, child) in children.iter_mut().enumerate() {
            // SAFETY: the child goes on in a copy of all memory.
            match unsafe { raw::fork() } {
                Ok(0) => system::exit_group(busy_child(memory, which as u64)),
                Ok(id) => *child = id,
                Err(error) => fail!("fork: {}", error.text()),
            }
        }
        for child in children {
            let status = wait(child)?;
            if status != exited(0) {
                fail!("child {child} came to {status:#x}");
            }
        }
        // SAFETY: there is nobody to wait for.
        let nobody = unsafe { raw::wait4(-1, ptr::null_mut(), 0, ptr::null_mut()) };
        if nobody != Err(Errno::ECHILD) {
            fail!("waiting for nobody came to {nobody:?}");
        }
        unmap(memory, 32)
    });
    checks.check(format_args!("becoming-another-program"), || {
        let status = in_child(|| {
            let words = [c"memory".as_ptr(), c"child".as_ptr(), c"a word".as_ptr(), ptr::null()];
            let environment = [c"NAME=value".as_ptr(), ptr::null()];
            // SAFETY: arrays and strings that end as they should.
            let failed = unsafe {
                raw::execve(
                    c"/bin/memory".as_ptr().cast(),
                    words.as_ptr().cast(),
                    environment.as_ptr().cast(),
                )
            };
            if failed.is_err() { 1 } else { 2 }
        })?;
        if status != exited(77) {
            fail!("it came to {status:#x}");
        }
        let words = [c"x".as_ptr(), ptr::null()];
        // SAFETY: as above.
        let nowhere = unsafe {
            raw::execve(c"/bin/nowhere".as_ptr().cast(), words.as_ptr().cast(), ptr::null())
        };
        // SAFETY: as above; the array is not there.
        let bad =
            unsafe { raw::execve(c"/bin/hello".as_ptr().cast(), ptr::dangling(), ptr::null()) };
        if (nowhere, bad) != (Err(Errno::ENOENT), Err(Errno::EFAULT)) {
            fail!("{nowhere:?}, {bad:?}");
        }
        Ok(())
    });
}

/// Writes its own pages, reads the others, and forks on its own.
fn busy_child(memory: *mut u8, which: u64) -> i32 {
    for round in 0..4 {
        for page in 0..32 {
            let mine = (page as u64 + which).is_multiple_of(3);
            let expected = if mine && round > 0 { 1000 + which } else { 1000 };
            if get(memory, page) != expected {
                return 1;
            }
            if mine {
                put(memory, page, 1000 + which);
            }
        }
        let status = in_child(|| {
            put(memory, 3, 1);
            put(memory, 7, 1);
            get(memory, 3) as i32
        });
        if !matches!(status, Ok(status) if status == exited(1)) {
            return 2;
        }
    }
    0
}

/// What the program does as a child that has become it anew.
pub fn after_execve(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let is_right = words.next() == Some("child") && words.next() == Some("a word");
    if is_right && words.next().is_none() { 77 } else { 3 }
}
