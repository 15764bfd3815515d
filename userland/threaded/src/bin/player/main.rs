//! Plays music to deadlines, with threads that read, decode and play, beside a program that takes all memory.
//!
//! ```text
//! player SECONDS                  plays so long
//! player SECONDS --hog [EVERY]    beside the program `hog`, which has a round every so many seconds (10)
//! LIBSA=mode,processors           as any program of many threads: see libsa's `runtime`
//! ```
//!
//! After C. Limpach's test of NetBSD's scheduler activations (tech-kern, 24 August 2003): a music player and a program that
//! grabs all available memory every 10 seconds. That crashed after 10 to 30 minutes. Pages of the player go to swap space
//! again and again: of its buffers, its dictionary, its threads' stacks, and of the thread library.
//!
//! | file | concept |
//! |---|---|
//! | [`music`], [`song`] | what is played, and the file that it is in |
//! | [`ring`] | buffers between threads |
//! | [`stages`], [`output`] | what the threads do |
//! | [`counts`] | what they say of themselves |
//! | [`watch`] | the program that starts all this, and prints how it goes |

#![no_std]
#![no_main]

extern crate alloc;

mod counts;
mod music;
mod output;
mod ring;
mod song;
mod stages;
mod watch;

use core::sync::atomic::Ordering::Relaxed;
use counts::Counts;
use libsa::thread;
use music::Dictionary;
use ring::Ring;
use song::Song;
use userland::clock::{self, SECOND};
use userland::{Arguments, eprintln, program};

program!(begin);

/// The first word of the process that plays.
const WORD: &str = "--play";

/// Blocks that have been read, at most, and blocks that have been decoded: more than a second of music.
const READ: usize = 16;
const DECODED: usize = 64;

fn begin(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let first = words.next();
    let (second, third, more) = (words.next(), words.next(), words.next());
    let seconds = |word: Option<&str>| word?.parse::<u64>().ok().filter(|it| *it <= 1 << 32);
    match (seconds(first), second, seconds(third)) {
        _ if more.is_some() => {}
        (None, ..) if first == Some(WORD) => return libsa::runtime::run(arguments, main),
        (Some(first), None, None) => return watch::run(arguments, first, None),
        (Some(first), Some("--hog"), None) if third.is_none() => {
            return watch::run(arguments, first, Some(10));
        }
        (Some(first), Some("--hog"), every @ Some(1..)) => {
            return watch::run(arguments, first, every);
        }
        _ => {}
    }
    eprintln!("usage: player SECONDS [--hog [EVERY]]");
    2
}

/// With the library of threads: plays.
fn main(arguments: Arguments) -> i32 {
    let Some(seconds) = arguments.words().nth(1).and_then(|word| word.parse::<u64>().ok()) else {
        return 2;
    };
    let song = match Song::write() {
        Ok(song) => song,
        Err(error) => {
            eprintln!("player: /tmp/music: {}", error.text());
            return 1;
        }
    };
    let (dictionary, counts) = (Dictionary::new(), Counts::default());
    let (read, decoded) = (Ring::new(READ), Ring::new(DECODED));
    let begin = clock::nanoseconds();
    let end = begin + seconds * SECOND;
    thread::scope(|scope| {
        let show = scope.spawn(|| stages::show(&counts, begin));
        let reader = scope.spawn(|| stages::read(&song, &read, &counts, end));
        let decoder = scope.spawn(|| stages::decode(&dictionary, &read, &decoded, &counts));
        let output = scope.spawn(|| output::play(&decoded, &counts));
        let (Ok(()), Ok(()), Ok(())) = (reader.join(), decoder.join(), output.join());
        counts.is_over.store(true, Relaxed);
        let Ok(()) = show.join();
    });
    let [read, decoded, played] =
        [&counts.read, &counts.decoded, &counts.played].map(|count| count.load(Relaxed));
    if read != decoded || decoded != played {
        counts.say_wrong(format_args!("{read} blocks read, {decoded} decoded, {played} played"));
    }
    if let Err(why) = threaded::processors::all_run_threads() {
        counts.say_wrong(format_args!("virtual processors: {why}"));
    }
    counts.tell(true);
    i32::from(counts.wrong.load(Relaxed) != 0)
}
