//! Who blocks in the kernel blocks nobody else.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::runtime::{self, Mode};
use libsa::thread;
use userland::report::{Checks, Why};
use userland::system::raw;
use userland::{fail, lwp};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("who-sleeps-blocks-nobody"), sleeps);
    checks.check(format_args!("pipes-block-nobody"), pipes);
    checks.check(format_args!("each-block-is-told-and-ends"), are_told);
    checks.check(format_args!("every-virtual-processor-is-still-there"), are_there);
}

/// Many sleep at a time: together it takes little longer than one alone. Where a virtual processor sleeps along with its
/// thread it does not.
fn sleeps() -> Result<(), Why> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static IS_OVER: AtomicU64 = AtomicU64::new(0);
    let counts = thread::spawn(|| {
        while IS_OVER.load(Relaxed) == 0 {
            COUNT.fetch_add(1, Relaxed);
            if runtime::mode() == Mode::Mux {
                // Nobody else would make it.
                thread::yield_now();
            }
        }
    });
    let sleepers: [_; 8] = core::array::from_fn(|number| {
        thread::spawn(move || {
            for _ in 0..10 {
                let _ = lwp::sleep((1 + number as u64) * 1_000_000);
            }
        })
    });
    for sleeper in sleepers {
        let Ok(()) = sleeper.join();
    }
    IS_OVER.store(1, Relaxed);
    let Ok(()) = counts.join();
    if COUNT.load(Relaxed) == 0 && runtime::mode() != Mode::Mux {
        fail!("nobody counted")
    }
    Ok(())
}

/// A chain of threads, each of which reads from a pipe and writes to the next.
fn pipes() -> Result<(), Why> {
    const LINKS: usize = 6;
    if runtime::mode() == Mode::Mux && runtime::scheduler().processors() <= LINKS {
        // All virtual processors would read, and nobody write.
        return Ok(());
    }
    let mut ends = [[0_i32; 2]; LINKS + 1];
    for pair in &mut ends {
        // SAFETY: the pair is there.
        let made = unsafe { raw::pipe2(pair.as_mut_ptr().cast(), 0) };
        if made.is_err() {
            fail!("pipe2: {made:?}");
        }
    }
    let links: [_; LINKS] = core::array::from_fn(|link| {
        let (from, to) = (ends[link][0], ends[link + 1][1]);
        thread::spawn(move || {
            let mut passed = 0_u64;
            let mut byte = 0_u8;
            loop {
                // SAFETY: the byte is there.
                let read = unsafe { raw::read(from, &raw mut byte, 1) };
                if read != Ok(1) || byte == 255 {
                    break;
                }
                // SAFETY: the call writes to no memory.
                passed += unsafe { raw::write(to, &raw const byte, 1) }.unwrap_or(0);
            }
            let last = 255_u8;
            // SAFETY: likewise.
            let _ = unsafe { raw::write(to, &raw const last, 1) };
            passed
        })
    });
    for number in (0..200_u8).chain([255]) {
        // SAFETY: likewise.
        let written = unsafe { raw::write(ends[0][1], &raw const number, 1) };
        if written != Ok(1) {
            fail!("write: {written:?}");
        }
    }
    for number in (0..200_u8).chain([255]) {
        let mut byte = 0_u8;
        // SAFETY: the byte is there.
        let read = unsafe { raw::read(ends[LINKS][0], &raw mut byte, 1) };
        if (read, byte) != (Ok(1), number) {
            fail!("{number}: {read:?}, {byte}");
        }
    }
    for link in links {
        let Ok(passed) = link.join();
        if passed != 200 {
            fail!("one has passed {passed} on");
        }
    }
    for end in ends.as_flattened() {
        // SAFETY: nobody uses it any longer.
        let _ = unsafe { raw::close(*end) };
    }
    Ok(())
}

/// As many BLOCKED as UNBLOCKED, when nobody is in the kernel any longer but this thread.
fn are_told() -> Result<(), Why> {
    if runtime::mode() != Mode::Sa {
        return Ok(());
    }
    let before = runtime::counts();
    for round in 1.. {
        let _ = lwp::sleep(1_000_000);
        let after = runtime::counts();
        let told = [2, 3].map(|kind| after.events[kind] - before.events[kind]);
        // Others than this thread may be on their way still: a page of the program that nobody has touched before.
        // And for one that has blocked in the library no UNBLOCKED follows.
        let is_even = after.events[2] == after.events[3] + after.put_back;
        if round >= 20 && told[0] >= round && is_even {
            break;
        }
        if round == 500 {
            fail!("{told:?} of {round}; {after:?}");
        }
    }
    Ok(())
}

/// After all that: as many threads compute as there are virtual processors, until each of those was seen.
fn are_there() -> Result<(), Why> {
    let Err(seen) = threaded::present::all() else { return Ok(()) };
    let (idle, counts) = (runtime::scheduler().idle(), runtime::counts());
    fail!("only {seen:#b} run threads; idle {idle:?}; {counts:?}")
}
