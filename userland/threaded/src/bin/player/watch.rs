//! Starts the player, and the hog beside it, and prints every ten seconds how it goes.
//!
//! This part is a process of one LWP without threads of the library's: if the player hangs, somebody is left to say so.

use crate::counts::{DOING, NUMBERS};
use abi::errno::Errno;
use abi::files::{POLLIN, PollFd};
use threaded::again::{self, Started};
use userland::clock::{self, SECOND};
use userland::{Arguments, eprintln, files, println, system};

/// How often it prints.
const EVERY: u64 = 10 * SECOND;

/// If no block has been played for so long, the player hangs, or one of its threads has been lost.
const PATIENCE: u64 = 60 * SECOND;

/// Where the number of blocks played is in what the player says.
const PLAYED: usize = 3;

/// The last that the player and the hog have said.
#[derive(Default)]
struct News {
    player: [u64; NUMBERS],
    /// Rounds, pages of the last one, pages written to swap space.
    hog: [u64; 3],
}

/// Page faults of a process: those that did not wait for a disk, and those that did.
fn faults(process: u64) -> [u64; 2] {
    let mut info = abi::statistics::ProcessInfo::default();
    let length = size_of_val(&info);
    // SAFETY: the call fills the structure.
    match unsafe { system::raw::process_info(process, &raw mut info, length) } {
        Ok(found) if found == process => [info.counts[1], info.counts[2]],
        _ => [0, 0],
    }
}

impl News {
    fn print_head(has_hog: bool) {
        println!(
            "                         late because of                 worst  faults, faults that"
        );
        println!(
            "seconds hog-rounds  played  woken reader decoder playing  ms     waited for a disk"
        );
        if !has_hog {
            println!("(there is no hog)");
        }
    }

    fn print(&self, seconds: u64, [minor, major]: [u64; 2]) {
        let [_, _, _, played, woken, reader, decoder, playing, worst, ..] = self.player;
        println!(
            "{seconds:>7} {:>10} {played:>7} {woken:>6} {reader:>6} {decoder:>7} {playing:>7} {:>6} {minor:>7} {major:>7}",
            self.hog[0],
            worst / 1000,
        );
    }

    /// What the stages of a player did that hangs.
    fn print_stages(&self) {
        let [.., reader, decoder] = self.player;
        let [_, read, decoded, played, ..] = self.player;
        let doing = |number: u64| DOING.get(number as usize).copied().unwrap_or("?");
        eprintln!("the reader has read {read} blocks and {}", doing(reader));
        eprintln!("the decoder has decoded {decoded} and {}; {played} were played", doing(decoder));
    }
}

/// Waits for news, a second at most; says whose there are.
fn wait(all: [Option<&Started>; 2]) -> [bool; 2] {
    let mut polled = all.map(|started| PollFd {
        fd: started.map_or(-1, Started::descriptor),
        events: POLLIN,
        found: 0,
    });
    match files::poll(&mut polled, 1000) {
        Ok(_) | Err(Errno::EINTR) => polled.map(|one| one.found != 0),
        Err(error) => {
            eprintln!("player: poll: {}", error.text());
            [true; 2]
        }
    }
}

/// Plays for so many seconds, beside a hog that has a round every so many.
pub fn run(arguments: Arguments, seconds: u64, hog: Option<u64>) -> i32 {
    let variable = |word: &'static core::ffi::CStr| word.to_str().ok()?.strip_prefix("LIBSA=");
    let mode = arguments.environment().find_map(variable).unwrap_or("sa");
    let words = format_args!("{}\0{seconds}\0", crate::WORD);
    let player = match again::start("player", words, format_args!("{mode}")) {
        Ok(player) => player,
        Err(error) => {
            eprintln!("player: the child that plays: {}", error.text());
            return 1;
        }
    };
    let start = |every| again::start("hog", format_args!("{seconds}\0{every}\0"), format_args!(""));
    let mut hog = hog.map(start).and_then(|started| {
        started.map_err(|error| eprintln!("player: the hog: {}", error.text())).ok()
    });
    News::print_head(hog.is_some());
    let begin = clock::nanoseconds();
    let (mut heard, mut printed) = (begin, begin);
    let (mut news, mut hog_status) = (News::default(), 0);
    let number = player.number();
    let status = loop {
        let [from_player, from_hog] = wait([Some(&player), hog.as_ref()]);
        let now = clock::nanoseconds();
        if from_player {
            match player.hear() {
                Some(numbers) => {
                    if numbers[PLAYED] != news.player[PLAYED] {
                        heard = now;
                    }
                    news.player = numbers;
                }
                None => break player.finish(),
            }
        }
        if from_hog && let Some(running) = hog.take() {
            match running.hear() {
                Some(numbers) => {
                    news.hog = numbers;
                    hog = Some(running);
                }
                None => hog_status = running.finish(),
            }
        }
        if now - printed >= EVERY {
            printed += EVERY;
            news.print((now - begin) / SECOND, faults(number));
        }
        if now - heard >= PATIENCE {
            eprintln!("player: WRONG: nothing has been played for {} s", PATIENCE / SECOND);
            news.print_stages();
            return 1;
        }
    };
    if let Some(hog) = hog {
        while let Some(numbers) = hog.hear() {
            news.hog = numbers;
        }
        hog_status = hog.finish();
    }
    let [is_end, _, _, played, ..] = news.player;
    let [rounds, pages, outs] = news.hog;
    println!(
        "{played} blocks played; {rounds} rounds of the hog, {pages} pages the last; {outs} pages went to swap space"
    );
    if (status, is_end, hog_status) != (0, 1, 0) {
        eprintln!("player: WRONG: the player ended with {status:#x}, the hog with {hog_status:#x}");
        return 1;
    }
    println!("right: every block was what it should be, and no thread was lost");
    0
}
