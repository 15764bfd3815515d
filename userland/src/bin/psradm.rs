//! Takes a processor off line, or puts it on line.

#![no_std]
#![no_main]

use userland::{Arguments, eprintln, processor, program};

program!(main);

const USAGE: &str = "\
usage: psradm -f|-n PROCESSOR
  -f  take it off line
  -n  put it on line";

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let on_line = match words.next() {
        Some("-f") => false,
        Some("-n") => true,
        _ => return wrong_use(),
    };
    let Some(number) = words.next().and_then(|word| word.parse().ok()) else { return wrong_use() };
    if words.next().is_some() {
        return wrong_use();
    }
    match processor::set_on_line(number, on_line) {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("psradm: processor {number}: {}", error.text());
            1
        }
    }
}

fn wrong_use() -> i32 {
    eprintln!("{USAGE}");
    2
}
