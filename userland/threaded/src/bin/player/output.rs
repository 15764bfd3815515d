//! The output: every 20 ms a block is due, and has to be played before the next one is.
//!
//! What is late tells why by the times at which things happened: when the thread was woken, when it had a block, when it
//! had played it. The longest of the three delays is the cause. If it waited for a block, the stage that works just then
//! is to blame: a decoder that waits for a block itself waits for the reader.

use crate::counts::{Cause, Counts, Doing};
use crate::music::expected;
use crate::ring::Ring;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use libsa::thread;
use userland::clock;

/// From one block to the next, in nanoseconds.
pub const PERIOD: u64 = 20_000_000;

/// Buffers are filled for so long before the first block is due.
const BEFORE: u64 = 500_000_000;

/// Whose fault it is if there is no block now.
fn who_is_late(counts: &Counts) -> Cause {
    match counts.decoder.is(Doing::WaitsForBlock) {
        true => Cause::Reader,
        false => Cause::Decoder,
    }
}

/// Plays until no more blocks come.
pub fn play(from: &Ring, counts: &Counts) {
    let mut due = clock::nanoseconds() + BEFORE;
    for number in 0.. {
        let early = due.saturating_sub(clock::nanoseconds());
        if early > 0 {
            thread::sleep(Duration::from_nanos(early));
        }
        let woken = clock::nanoseconds();
        let stage = who_is_late(counts);
        let Some(block) = from.take() else { break };
        let has_block = clock::nanoseconds();
        if block.number != number {
            counts.say_wrong(format_args!("block {} comes in place of {number}", block.number));
        }
        if block.digest() != expected(number) {
            counts.say_wrong(format_args!("block {number} is not what it should be"));
        }
        drop(block);
        let played = clock::nanoseconds();
        counts.played.fetch_add(1, Relaxed);
        if woken < due {
            counts.say_wrong(format_args!("block {number} was {} ns early", due - woken));
        }
        due += PERIOD;
        if played > due {
            counts.worst.fetch_max((played - due) / 1000, Relaxed);
            let delays = [
                (woken.saturating_sub(due - PERIOD), Cause::Woken),
                (has_block - woken, stage),
                (played - has_block, Cause::Playing),
            ];
            let cause = delays.into_iter().max_by_key(|(delay, _)| *delay);
            if let Some((_, cause)) = cause {
                counts.late[cause as usize].fetch_add(1, Relaxed);
            }
            // There is a gap in the music, of whole periods.
            due += (played - due).next_multiple_of(PERIOD);
        }
    }
}
