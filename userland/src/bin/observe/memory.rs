//! Memory of an observed process.

use crate::child::{
    SIGKILL, WRITE, getpid, go_on, kill, next_is, observed, start, then, wait, wait_is,
};
use abi::errno::Errno;
use abi::observe::{ABORT, BEFORE_CALL, OBSERVE_BEFORE, ObserveChange};
use core::ptr;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::{self, raw};

pub fn read(process: u64, address: u64, buffer: &mut [u8]) -> Result<u64, Errno> {
    // SAFETY: the call fills the buffer.
    unsafe { raw::observe_read(process, address, buffer.as_mut_ptr(), buffer.len()) }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("memory-of-who-stands-is-read"), text);
    checks.check(format_args!("many-pages-are-read"), pages);
    checks.check(format_args!("reading-ends-where-memory-does"), ends);
}

fn text() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || {
        // Made where it runs, so that the parent has it nowhere.
        let mut text = *b"abcdefghijklmnop";
        text.iter_mut().for_each(|byte| *byte ^= 0x20);
        let written = system::write(1, core::hint::black_box(&text));
        i32::from(written != Err(Errno::EINTR))
    })?;
    let event = next_is(BEFORE_CALL, WRITE)?;
    let mut found = [0; 16];
    let length = read(child, event.arguments[1], &mut found);
    if length != Ok(16) || &found != b"ABCDEFGHIJKLMNOP" || event.arguments[2] != 16 {
        fail!("{length:?}: {found:?}");
    }
    then(&event, ABORT, ObserveChange::default())?;
    kill(child, SIGKILL)?;
    wait(child).map(drop)
}

/// Memory of the child's own, in part untouched; two pages are unmapped behind it.
fn mapped() -> u64 {
    const LENGTH: u64 = 8 * 4096;
    // SAFETY: new memory.
    let Ok(address) = (unsafe { raw::mmap(0, LENGTH, 3, 0x22, -1, 0) }) else { return 0 };
    for word in (0..LENGTH / 2).step_by(8) {
        // SAFETY: in the memory that has just been mapped.
        unsafe {
            ptr::with_exposed_provenance_mut::<u64>((address + word) as usize).write_volatile(word)
        };
    }
    // SAFETY: nobody uses it.
    let _ = unsafe { raw::munmap(address + LENGTH - 2 * 4096, 2 * 4096) };
    address
}

/// A child that stands before a call that has the address of its memory as its argument.
fn with_memory() -> Result<(u64, u64), Why> {
    const MUNMAP: u64 = 11;
    let child = observed(OBSERVE_BEFORE, || {
        let address = mapped();
        // SAFETY: aborted, or the child's last.
        let _ = unsafe { raw::munmap(address, 1) };
        let _ = getpid();
        0
    })?;
    go_on(&next_is(BEFORE_CALL, 9)?)?;
    go_on(&next_is(BEFORE_CALL, MUNMAP)?)?;
    let event = next_is(BEFORE_CALL, MUNMAP)?;
    Ok((child, event.arguments[0]))
}

fn pages() -> Result<(), Why> {
    static mut BUFFER: [u8; 6 * 4096] = [0xff; 6 * 4096];
    let (child, address) = with_memory()?;
    // SAFETY: the only use of it.
    let buffer = unsafe { &mut *(&raw mut BUFFER) };
    let length = read(child, address, buffer);
    if length != Ok(6 * 4096) {
        fail!("{length:?}");
    }
    for (index, word) in buffer.as_chunks::<8>().0.iter().enumerate() {
        let expected = if index < 2048 { 8 * index as u64 } else { 0 };
        if u64::from_le_bytes(*word) != expected {
            fail!("word {index} is {:#x}", u64::from_le_bytes(*word));
        }
    }
    kill(child, SIGKILL)?;
    wait_is(child, SIGKILL)
}

fn ends() -> Result<(), Why> {
    let (child, address) = with_memory()?;
    let end = address + 6 * 4096;
    let mut buffer = [1; 100];
    let partly = read(child, end - 60, &mut buffer);
    if partly != Ok(60) || buffer[..60] != [0; 60] || buffer[60..] != [1; 40] {
        fail!("{partly:?}: {buffer:?}");
    }
    for nowhere in [0, 8, end, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 50] {
        let found = read(child, nowhere, &mut buffer);
        if found != Err(Errno::EFAULT) {
            fail!("{nowhere:#x}: {found:?}");
        }
    }
    for nowhere in [8, 1 << 47, usize::MAX - 50, ends as *const () as usize] {
        let place = ptr::with_exposed_provenance_mut(nowhere);
        // SAFETY: nothing can be written there.
        let found = unsafe { raw::observe_read(child, address, place, 100) };
        if found != Err(Errno::EFAULT) {
            fail!("to {nowhere:#x}: {found:?}");
        }
    }
    let nothing = read(child, end, &mut []);
    if nothing != Ok(0) {
        fail!("nothing: {nothing:?}");
    }
    kill(child, SIGKILL)?;
    wait_is(child, SIGKILL)?;
    // Who does not stand cannot read.
    let child = observed(OBSERVE_BEFORE, || {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let running = read(child, address, &mut buffer);
    let other = start(|| {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let foreign = read(other, address, &mut buffer);
    for child in [child, other] {
        kill(child, SIGKILL)?;
        wait_is(child, SIGKILL)?;
    }
    let over = read(child, address, &mut buffer);
    let expected = (Err(Errno::EAGAIN), Err(Errno::ESRCH), Err(Errno::ESRCH));
    if (running, foreign, over) != expected {
        fail!("running: {running:?}, not observed: {foreign:?}, over: {over:?}");
    }
    Ok(())
}
