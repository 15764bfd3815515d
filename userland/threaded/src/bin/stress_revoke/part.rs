//! One of the processes: it reads from its standard input what to do, a line each, and says on its standard output what
//! came of it, a line each.
//!
//! | it reads | it does | it says |
//! |---|---|---|
//! | `want N` | N threads compute from now on | `yes`, or `no` if an earlier result was wrong |
//! | `share LOW HIGH` | waits until it has so many processors | `yes`, or `no` and how many it has |
//! | `deaf 1` | listens to no notice, until `deaf 0` | `yes` |
//! | `stay` | as many threads as processors stay in the library until it reads on | `yes` |
//! | `burst N` | N times many threads begin, compute, sleep and end | as `want` |
//! | `counts` | | given back, taken, spared, taken while idle |

use crate::work::{self, Workers};
use abi::files::{POLLIN, PollFd};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use libsa::{line, notice, runtime, thread};
use userland::files;
use userland::stream::Reader;
use userland::text::Text;
use userland::{clock, eprintln};

/// How long it waits for its share.
const PATIENCE: u64 = 20_000_000_000;
/// So often in a row it has to see its share.
const LOOKS: u32 = 3;

static STOP: AtomicBool = AtomicBool::new(false);

/// Does what it is told until there is nothing more to read.
pub fn play() -> i32 {
    let mut input = Reader::new(0);
    let mut place = [0; 64];
    let mut workers = Workers::start(0, &STOP);
    while let Ok(Some((line, _))) = input.line(&mut place) {
        let words = core::str::from_utf8(line).unwrap_or("").split_once(' ');
        let (what, rest) = words.unwrap_or((core::str::from_utf8(line).unwrap_or(""), ""));
        let mut numbers = rest.split(' ').map(|word| word.parse::<u64>().unwrap_or(0));
        let mut number = || numbers.next().unwrap_or(0);
        match what {
            "want" => {
                let is_right = workers.finish();
                workers = Workers::start(number() as usize, &STOP);
                say(is_right);
            }
            "share" => share(number() as u32, number() as u32),
            "deaf" => {
                notice::ignore(number() != 0);
                say(true);
            }
            "stay" => {
                // There may be only one processor, on which nothing else goes on then.
                say(true);
                stay();
            }
            "burst" => say(burst(number())),
            "counts" => counts(),
            other => {
                eprintln!("stress_revoke: {other}?");
                return 2;
            }
        }
    }
    i32::from(!workers.finish())
}

fn reply(text: Text<64>) {
    let _ = files::write(1, text.as_str().as_bytes());
}

fn say(is_so: bool) {
    reply(Text::new(format_args!("{}\n", if is_so { "yes" } else { "no" })));
}

fn granted() -> u32 {
    runtime::header().map_or(0, |header| header.granted.load(Ordering::Relaxed))
}

fn share(low: u32, high: u32) {
    let end = clock::nanoseconds() + PATIENCE;
    let mut seen = 0;
    while seen < LOOKS && clock::nanoseconds() < end {
        seen = if (low..=high).contains(&granted()) { seen + 1 } else { 0 };
        thread::sleep(Duration::from_millis(3));
    }
    if seen == LOOKS {
        say(true);
    } else {
        reply(Text::new(format_args!("no: {} processors\n", granted())));
    }
}

/// As many threads as virtual processors stay in critical sections, this one among them, until there is something to read.
/// Each looks for itself: any of them may be the only one that runs.
fn stay() {
    static LEAVES: AtomicBool = AtomicBool::new(false);
    fn stays() {
        line::enter();
        let mut input = [PollFd { fd: 0, events: POLLIN, found: 0 }];
        // The call does not sleep.
        while !LEAVES.load(Ordering::Acquire) && files::poll(&mut input, 0) == Ok(0) {
            core::hint::spin_loop();
        }
        line::leave();
    }
    LEAVES.store(false, Ordering::Release);
    for _ in 1..runtime::scheduler().processors() {
        drop(thread::spawn(stays));
    }
    stays();
    LEAVES.store(true, Ordering::Release);
}

fn burst(times: u64) -> bool {
    let mut is_right = true;
    for round in 0..times {
        let count = 4 + round % 13;
        let begin = |seed: u64| {
            thread::spawn(move || {
                let never = AtomicBool::new(false);
                let first = work::compute(seed, 20_000 * (seed % 3), &never);
                if seed.is_multiple_of(2) {
                    let _ = userland::lwp::sleep(300_000 * seed);
                } else {
                    thread::sleep(Duration::from_micros(200 * seed));
                }
                first && work::compute(seed + 1, 10_000, &never)
            })
        };
        let threads: Vec<_> = (0..count).map(begin).collect();
        for thread in threads {
            is_right &= thread.join().unwrap_or(false);
        }
    }
    is_right
}

fn counts() {
    let Some(header) = runtime::header() else { return say(false) };
    let [given_back, taken, spared, idle] =
        [&header.given_back, &header.taken, &header.spared, &header.taken_idle]
            .map(|count| count.load(Ordering::Relaxed));
    reply(Text::new(format_args!("{given_back} {taken} {spared} {idle}\n")));
}
