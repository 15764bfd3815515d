//! Children that are observed: they wait until they are, and then do what a check wants.

use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::observe::{GO_ON, ObserveChange, ObserveEvent};
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use userland::fail;
use userland::report::Why;
use userland::system::{self, raw};

/// Numbers of calls.
pub const WRITE: u64 = 1;
pub const NANOSLEEP: u64 = 35;
pub const GETPID: u64 = 39;
pub const FORK: u64 = 57;
pub const EXECVE: u64 = 59;
pub const EXIT_GROUP: u64 = 231;
pub const GETPPID: u64 = 110;

pub const SIGKILL: i32 = 9;
pub const SIGTERM: i32 = 15;

/// How long an event may take to come: much longer than it does.
const PATIENCE: TimeSpec = TimeSpec { seconds: 20, nanoseconds: 0 };

/// How a child ended, as `wait4` says it.
pub const fn exited(status: i32) -> i32 {
    (status & 0xff) << 8
}

/// A word that parent and children share.
pub fn shared() -> Result<&'static AtomicU64, Why> {
    const READ_AND_WRITE: i32 = 3;
    const SHARED_ANONYMOUS: i32 = 0x21;
    // SAFETY: new memory.
    match unsafe { raw::mmap(0, 4096, READ_AND_WRITE, SHARED_ANONYMOUS, -1, 0) } {
        // SAFETY: a page that nobody unmaps; zeros are a number.
        Ok(address) => Ok(unsafe { &*ptr::with_exposed_provenance(address as usize) }),
        Err(error) => fail!("mmap: {}", error.text()),
    }
}

/// Waits until the word is at least this, without a call that could be observed.
pub fn wait_for_word(word: &AtomicU64, value: u64) {
    while word.load(Ordering::Acquire) < value {
        core::hint::spin_loop();
    }
}

/// Makes a child, which ends with the status that the body gives.
pub fn start(body: impl FnOnce() -> i32) -> Result<u64, Why> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        Ok(child) => Ok(child),
        Err(error) => fail!("fork: {}", error.text()),
    }
}

/// Makes a child and observes it; the body begins when that is done.
pub fn observed(what: u32, body: impl FnOnce() -> i32) -> Result<u64, Why> {
    let gate = shared()?;
    let child = start(|| {
        wait_for_word(gate, 1);
        body()
    })?;
    match observe(child, what) {
        Ok(0) => {}
        other => fail!("observe: {other:?}"),
    }
    gate.store(1, Ordering::Release);
    Ok(child)
}

pub fn observe(process: u64, what: u32) -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::observe(process, what) }
}

/// Waits for an event, at most so long.
pub fn wait_at_most(time: TimeSpec) -> Result<ObserveEvent, Errno> {
    let mut event = ObserveEvent::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::observe_wait(&raw mut event, size_of::<ObserveEvent>(), &raw const time) }?;
    Ok(event)
}

/// The next event.
pub fn next() -> Result<ObserveEvent, Why> {
    match wait_at_most(PATIENCE) {
        Ok(event) => Ok(event),
        Err(error) => fail!("waiting for an event: {}", error.text()),
    }
}

/// The next event, of this kind and about this call or signal.
pub fn next_is(kind: u32, about: u64) -> Result<ObserveEvent, Why> {
    let event = next()?;
    let found = if event.number != 0 { event.number } else { u64::from(event.signal) };
    if event.kind != kind || found != about {
        fail!("kind {} about {found}, expected {kind} about {about}", event.kind);
    }
    Ok(event)
}

/// Lets an LWP go on.
pub fn act(lwp: u64, action: u32, change: ObserveChange) -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory of this process's.
    unsafe { raw::observe_continue(lwp, action, &raw const change) }
}

/// The same, as it must succeed.
pub fn then(event: &ObserveEvent, action: u32, change: ObserveChange) -> Result<(), Why> {
    match act(event.lwp, action, change) {
        Ok(0) => Ok(()),
        other => fail!("going on ({action}) after kind {}: {other:?}", event.kind),
    }
}

pub fn go_on(event: &ObserveEvent) -> Result<(), Why> {
    then(event, GO_ON, ObserveChange::default())
}

/// Waits for a child; says how it ended.
pub fn wait(child: u64) -> Result<i32, Why> {
    let mut status = -1;
    // SAFETY: the status is its to write.
    match unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) } {
        Ok(waited) if waited == child => Ok(status),
        other => fail!("waiting for {child} came to {other:?}"),
    }
}

/// Waits for a child, which must end so.
pub fn wait_is(child: u64, expected: i32) -> Result<(), Why> {
    let status = wait(child)?;
    if status != expected {
        fail!("the child came to {status:#x}, expected {expected:#x}");
    }
    Ok(())
}

/// Ends a child whatever it does.
pub fn kill(child: u64, signal: i32) -> Result<(), Why> {
    // SAFETY: the call writes to no memory.
    match unsafe { raw::kill(child as i32, signal) } {
        Ok(_) => Ok(()),
        Err(error) => fail!("kill: {}", error.text()),
    }
}

pub fn sleep(milliseconds: i64) -> Result<u64, Errno> {
    let time = TimeSpec { seconds: 0, nanoseconds: milliseconds * 1_000_000 };
    // SAFETY: nothing is asked for.
    unsafe { raw::nanosleep(&raw const time, ptr::null_mut()) }
}

/// A call without arguments, by its own stub.
pub fn getppid() -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::getppid() }
}

pub fn getpid() -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::getpid() }
}
