//! Signals by name, and the tool `kill`, of which the shell has one of its own.

use crate::tool::{FAILED, WRONG_USE};
use crate::{eprintln, println, signal};

/// Number, name, what a job that ended by it is called.
const NAMES: [(i32, &str, &str); 25] = [
    (1, "HUP", "Hangup"),
    (2, "INT", "Interrupted"),
    (3, "QUIT", "Quit"),
    (4, "ILL", "Illegal instruction"),
    (5, "TRAP", "Trap"),
    (6, "ABRT", "Aborted"),
    (7, "BUS", "Bus error"),
    (8, "FPE", "Arithmetic exception"),
    (9, "KILL", "Killed"),
    (10, "USR1", "User signal 1"),
    (11, "SEGV", "Segmentation fault"),
    (12, "USR2", "User signal 2"),
    (13, "PIPE", "Broken pipe"),
    (14, "ALRM", "Alarm"),
    (15, "TERM", "Terminated"),
    (17, "CHLD", "Child"),
    (18, "CONT", "Continued"),
    (19, "STOP", "Stopped"),
    (20, "TSTP", "Stopped"),
    (21, "TTIN", "Stopped, wants to read"),
    (22, "TTOU", "Stopped, wants the terminal"),
    (23, "URG", "Urgent"),
    (26, "VTALRM", "Virtual alarm"),
    (27, "PROF", "Profiling alarm"),
    (28, "WINCH", "Window changed"),
];

/// A signal's name without `SIG`.
pub fn name(signal: i32) -> Option<&'static str> {
    NAMES.iter().find(|(number, ..)| *number == signal).map(|(_, name, _)| *name)
}

/// What has happened to who got it, in words.
pub fn description(signal: i32) -> &'static str {
    NAMES.iter().find(|(number, ..)| *number == signal).map_or("Unknown signal", |(.., text)| text)
}

/// The signal with a name, with or without `SIG`, or a number.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (0..=64).contains(&number).then_some(number);
    }
    let text = text.strip_prefix("SIG").unwrap_or(text);
    NAMES.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(text)).map(|(number, ..)| *number)
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
            for (number, name, text) in NAMES {
                println!("{number:2}  {name:7} {text}");
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
