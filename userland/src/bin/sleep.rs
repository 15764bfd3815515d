//! Waits for a number of seconds (0.5 is half of one).

#![no_std]
#![no_main]

use userland::clock::span;
use userland::system::raw;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

/// Nanoseconds.
fn parse(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = part.get(..part.len().min(9))?;
    let scale = 10u64.pow(9 - digits.len() as u32);
    let part = digits.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(part)
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("sleep", "sleep SECONDS");
    let Some(nanoseconds) = arguments.words().next().and_then(parse) else {
        return tool.wrong_use();
    };
    let mut time = span(nanoseconds);
    let left = &raw mut time;
    loop {
        // SAFETY: the call reads the time and writes what is left of it to the same place.
        match unsafe { raw::nanosleep(left.cast_const(), left) } {
            Ok(_) => return 0,
            Err(abi::errno::Errno::EINTR) => {}
            Err(error) => {
                tool.complain("time", error);
                return tool.status();
            }
        }
    }
}
