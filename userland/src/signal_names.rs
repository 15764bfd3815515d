//! Signals by name, and the tool `kill`, of which the shell has one of its own.

use crate::tool::{FAILED, WRONG_USE};
use crate::{eprintln, println, signal};

/// What a job that ended by a signal is called.
const DESCRIPTIONS: [(i32, &str); 25] = [
    (1, "Hangup"),
    (2, "Interrupted"),
    (3, "Quit"),
    (4, "Illegal instruction"),
    (5, "Trap"),
    (6, "Aborted"),
    (7, "Bus error"),
    (8, "Arithmetic exception"),
    (9, "Killed"),
    (10, "User signal 1"),
    (11, "Segmentation fault"),
    (12, "User signal 2"),
    (13, "Broken pipe"),
    (14, "Alarm"),
    (15, "Terminated"),
    (17, "Child"),
    (18, "Continued"),
    (19, "Stopped"),
    (20, "Stopped"),
    (21, "Stopped, wants to read"),
    (22, "Stopped, wants the terminal"),
    (23, "Urgent"),
    (26, "Virtual alarm"),
    (27, "Profiling alarm"),
    (28, "Window changed"),
];

/// Signals that have names: all but the real-time ones.
const NAMED: core::ops::RangeInclusive<i32> = 1..=31;

/// A signal's name without `SIG`.
fn name(signal: i32) -> &'static str {
    let name = abi::signals::name(signal as u32);
    name.strip_prefix("SIG").unwrap_or(name)
}

/// What has happened to who got it, in words.
pub fn description(signal: i32) -> &'static str {
    DESCRIPTIONS
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or("Unknown signal", |(_, text)| text)
}

/// The signal with a name, with or without `SIG`, or a number.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (0..=64).contains(&number).then_some(number);
    }
    let text = text.strip_prefix("SIG").unwrap_or(text);
    NAMED.into_iter().find(|&signal| name(signal).eq_ignore_ascii_case(text))
}

/// The tool `kill`: sends a signal (SIGTERM unless said) to every process that the words name. `find` knows words that
/// are no numbers: what `kill` is to be called with for them.
pub fn kill<'a>(words: impl Iterator<Item = &'a str>, find: impl Fn(&str) -> Option<i64>) -> i32 {
    const TERMINATE: i32 = 15;
    const CONTINUE: i32 = 18;
    let mut words = words.peekable();
    let mut which = TERMINATE;
    match words.peek().and_then(|word| word.strip_prefix('-')) {
        Some("l") => {
            for (number, text) in DESCRIPTIONS {
                println!("{number:2}  {:7} {text}", name(number));
            }
            return 0;
        }
        Some(text) => {
            let Some(number) = parse(text) else {
                eprintln!("kill: {text}: no such signal");
                return WRONG_USE;
            };
            which = number;
            words.next();
        }
        None => {}
    }
    if words.peek().is_none() {
        eprintln!("usage: kill [-SIGNAL] PROCESS…, kill -l");
        return WRONG_USE;
    }
    let mut status = 0;
    for word in words {
        let Some(process) = word.parse().ok().or_else(|| find(word)) else {
            eprintln!("kill: {word}: no such process");
            status = FAILED;
            continue;
        };
        match signal::kill(process, which) {
            // Who is stopped ends only when it goes on.
            Ok(()) if which == TERMINATE && word.starts_with('%') => {
                status |= i32::from(signal::kill(process, CONTINUE).is_err());
            }
            Ok(()) => {}
            Err(error) => {
                eprintln!("kill: {word}: {}", error.text());
                status = FAILED;
            }
        }
    }
    status
}
