//! What the player's threads do before the music is heard: one reads, one decodes; another shows how it goes.

use crate::counts::{Counts, Doing};
use crate::music::{Block, Dictionary};
use crate::ring::Ring;
use crate::song::Song;
use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use libsa::thread;
use userland::clock::{self, SECOND};

/// Reads the file from its beginning again and again, until a time.
pub fn read(song: &Song, to: &Ring, counts: &Counts, end: u64) {
    let mut number = 0;
    while clock::nanoseconds() < end {
        counts.reader.begins(Doing::Works);
        let mut block = Box::new(Block::new(number));
        if let Err(error) = song.read(&mut block) {
            counts.say_wrong(format_args!("block {number} cannot be read: {}", error.text()));
            break;
        }
        counts.read.fetch_add(1, Relaxed);
        counts.reader.begins(Doing::WaitsForRoom);
        to.put(block);
        number += 1;
    }
    counts.reader.begins(Doing::IsOver);
    to.close();
}

/// Decodes what has been read.
pub fn decode(dictionary: &Dictionary, from: &Ring, to: &Ring, counts: &Counts) {
    loop {
        counts.decoder.begins(Doing::WaitsForBlock);
        let Some(mut block) = from.take() else { break };
        counts.decoder.begins(Doing::Works);
        dictionary.decode(&mut block);
        counts.decoded.fetch_add(1, Relaxed);
        counts.decoder.begins(Doing::WaitsForRoom);
        to.put(block);
    }
    counts.decoder.begins(Doing::IsOver);
    to.close();
}

/// Words of what the user would see.
const SCREEN: usize = 128 * 1024;

/// The user interface: draws a part of its screen ten times a second, and tells the parent once a second.
pub fn show(counts: &Counts, begin: u64) {
    let mut screen = vec![0_u64; SCREEN];
    let mut drawn = 0_u64;
    let mut told = begin;
    while !counts.is_over.load(Relaxed) {
        thread::sleep(Duration::from_millis(100));
        // An eighth of the screen, in lines: each word says when it was drawn last.
        for place in (drawn as usize % 8..SCREEN).step_by(8) {
            let (is, was_drawn) = (screen[place], drawn.saturating_sub(7));
            if is != was_drawn {
                counts.say_wrong(format_args!("a word of the screen is {is}, not {was_drawn}"));
                return;
            }
            screen[place] = drawn + 1;
        }
        drawn += 1;
        let now = clock::nanoseconds();
        if now - told >= SECOND {
            told = now;
            counts.tell(false);
        }
    }
}
