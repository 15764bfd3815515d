//! Deadlines against a sorted list.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use scheduler::ThreadId;
use scheduler::timers::{Deadline, Deadlines, NEVER, Timers};
use std::collections::BTreeSet;

const THREADS: usize = 64;

struct Table(Vec<Deadline>);

impl Deadlines for Table {
    fn deadline(&self, thread: ThreadId) -> &Deadline {
        &self.0[thread.number() as usize]
    }
}

fn id(number: u64) -> ThreadId {
    ThreadId::new(number as u32).expect("it is not 0")
}

/// The next number that looks like chance (G. Marsaglia's xorshift).
fn chance(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

/// What comes and goes in any order comes out in order, and nobody is lost.
#[test]
fn deadlines_come_in_order() {
    for seed in 1..200_u64 {
        let mut state = seed * 0x9e37_79b9;
        let table = Table((0..THREADS).map(|_| Deadline::default()).collect());
        let timers = Timers::new();
        let mut model = BTreeSet::new();
        let mut of = [None; THREADS];
        for _ in 0..400 {
            let thread = 1 + chance(&mut state, THREADS as u64 - 1);
            match (of[thread as usize], chance(&mut state, 10)) {
                (_, 0) => {
                    // Some of those whose time comes have been woken meanwhile.
                    let now = chance(&mut state, 1000);
                    let mut came = Vec::new();
                    timers.expire(now, &table, |thread| {
                        came.push(u64::from(thread.number()));
                        thread.number() % 3 != 0
                    });
                    let due: Vec<u64> =
                        model.iter().filter(|(at, _)| *at <= now).map(|(_, it)| *it).collect();
                    let times = |list: &[u64]| -> Vec<_> {
                        list.iter().map(|thread| of[*thread as usize]).collect()
                    };
                    assert_eq!(times(&came), times(&due), "seed {seed}");
                    model.retain(|(at, _)| *at > now);
                    for thread in came {
                        of[thread as usize] = None;
                        let is_over = timers.ends(id(thread), &table);
                        assert_eq!(is_over, thread % 3 != 0, "seed {seed}: {thread}");
                    }
                }
                (None, _) => {
                    let at = chance(&mut state, 1000);
                    let is_first = timers.add(id(thread), at, &table);
                    let was_first = model.first().map_or(NEVER, |(first, _)| *first);
                    assert!(is_first == (at < was_first) || at == was_first, "seed {seed}");
                    model.insert((at, thread));
                    of[thread as usize] = Some(at);
                }
                (Some(at), _) => {
                    assert!(!timers.ends(id(thread), &table), "seed {seed}: {thread} is early");
                    model.remove(&(at, thread));
                    of[thread as usize] = None;
                }
            }
            let earliest = model.first().map_or(NEVER, |(first, _)| *first);
            assert_eq!(timers.earliest(), earliest, "seed {seed}");
        }
    }
}
