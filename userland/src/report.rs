//! The report channel: a program's checks and measured values, for the harness (crate `report`).
//!
//! A check is announced before it runs, so that a system that dies in it is found out. A line that
//! the kernel refuses is a mistake of the program's, and it panics.

use crate::system;
use crate::text::Text;
use crate::{eprintln, println};
use core::fmt;
use report::{LINE_MAX, Line};

fn send(line: Line<'_>) {
    let text = Text::<LINE_MAX>::new(format_args!("{line}"));
    if let Err(error) = system::report(text.as_str()) {
        panic!("the report channel refuses `{line}`: {}", error.text());
    }
}

/// Reports a measured value; name and unit are one word each.
pub fn value(name: &str, unit: &str, value: u64) {
    send(Line::Value { name, unit, value });
}

/// Why a check failed: what was expected and what was found. Short, because it is passed by value.
pub struct Why(Text<112>);

impl Why {
    /// For [`fail!`](crate::fail).
    pub fn new(text: fmt::Arguments<'_>) -> Why {
        Why(Text::new(text))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Ends a check as failed: `return` with the reason, in the words of `format!`.
#[macro_export]
macro_rules! fail {
    ($($text:tt)*) => {
        return Err($crate::report::Why::new(format_args!($($text)*)))
    };
}

/// A row of checks with a common first part of their names, and how they came out.
pub struct Checks {
    group: &'static str,
    passed: u32,
    failed: u32,
}

impl Checks {
    /// None has run yet. Group and names have no spaces.
    pub fn new(group: &'static str) -> Checks {
        Checks { group, passed: 0, failed: 0 }
    }

    /// Runs a check and reports it as `group/name`.
    pub fn check(&mut self, name: fmt::Arguments<'_>, run: impl FnOnce() -> Result<(), Why>) {
        let name = Text::<64>::new(format_args!("{}/{name}", self.group));
        let check = name.as_str();
        send(Line::Begin { check });
        match run() {
            Ok(()) => {
                self.passed += 1;
                send(Line::Passed { check });
            }
            Err(Why(why)) => {
                self.failed += 1;
                eprintln!("{check}: {}", why.as_str());
                send(Line::Failed { check, why: why.as_str() });
            }
        }
    }

    /// Prints how many passed and failed, and gives the status that the program should end with.
    pub fn finish(self) -> i32 {
        println!("{}: {} checks passed, {} failed", self.group, self.passed, self.failed);
        i32::from(self.failed > 0)
    }
}
