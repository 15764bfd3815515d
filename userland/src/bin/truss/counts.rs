//! How often each call is made, how long it takes, how often it fails.

use abi::observe::{AFTER_CALL, AT_SIGNAL, BEFORE_CALL, ObserveEvent};
use abi::signature;
use userland::println;

/// LWPs that are in a call at the same time and whose time is measured.
const LWPS: usize = 256;

#[derive(Clone, Copy, Default)]
struct Row {
    calls: u64,
    errors: u64,
    /// Nanoseconds in the kernel.
    time: u64,
}

/// A row per call of the table, and one for all others.
pub struct Counts {
    rows: [Row; signature::ALL.len() + 1],
    /// LWPs, and what they had spent in calls when theirs began.
    begun: [(u64, u64); LWPS],
    signals: u64,
}

impl Counts {
    pub fn new() -> Counts {
        Counts {
            rows: [Row::default(); signature::ALL.len() + 1],
            begun: [(0, 0); LWPS],
            signals: 0,
        }
    }

    /// Counts an event.
    pub fn note(&mut self, event: &ObserveEvent) {
        let place = signature::ALL.binary_search_by_key(&event.number, |call| call.number);
        let row = &mut self.rows[place.unwrap_or(signature::ALL.len())];
        match event.kind {
            BEFORE_CALL => {
                row.calls += 1;
                let free = |begun: &&mut (u64, u64)| begun.0 == event.lwp;
                let place = match self.begun.iter_mut().find(free) {
                    Some(place) => Some(place),
                    None => self.begun.iter_mut().find(|begun| begun.0 == 0),
                };
                if let Some(place) = place {
                    *place = (event.lwp, event.in_calls);
                }
            }
            AFTER_CALL => {
                row.errors += u64::from(signature::error(event.result).is_some());
                if let Some(place) = self.begun.iter_mut().find(|begun| begun.0 == event.lwp) {
                    row.time += event.in_calls.saturating_sub(place.1);
                    *place = (0, 0);
                }
            }
            AT_SIGNAL => self.signals += 1,
            _ => {}
        }
    }

    /// Prints the calls that were made, those that took longest first.
    pub fn show(&mut self) {
        println!("call                      calls   errors  microseconds");
        let mut total = Row::default();
        loop {
            let rows = self.rows.iter_mut().enumerate().filter(|(_, row)| row.calls > 0);
            let Some((place, row)) = rows.max_by_key(|(_, row)| (row.time, row.calls)) else {
                break;
            };
            let name = signature::ALL.get(place).map_or("others", |call| call.name);
            println!("{name:<22} {:>8} {:>8} {:>13}", row.calls, row.errors, row.time / 1000);
            total.calls += row.calls;
            total.errors += row.errors;
            total.time += row.time;
            *row = Row::default();
        }
        println!("{:<22} {:>8} {:>8} {:>13}", "all", total.calls, total.errors, total.time / 1000);
        if self.signals > 0 {
            println!("signals: {}", self.signals);
        }
    }
}
