//! Greets, and says where it is. The first program to try.
//!
//! What must hold: the greeting is the first line, in these words; the status is 0 unless another is
//! asked for.

#![no_std]
#![no_main]

use abi::calls::Counter;
use core::hint::black_box;
use userland::{Arguments, eprintln, print, println, program, system};

program!(main);

const USAGE: &str = "\
usage: hello [--status N] [--loop] [WORD ...]
  --status N  end with status N (0 to 255)
  --loop      greet, then compute for ever (Ctrl-C ends it)";

/// The status after a wrong option.
const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let mut status = 0;
    let mut endless = false;
    let mut options = arguments.words();
    while let Some(word) = options.next() {
        match word {
            "--loop" => endless = true,
            "--status" => match options.next().and_then(|number| number.parse::<u8>().ok()) {
                Some(number) => status = i32::from(number),
                None => return wrong_use(word, "needs a number from 0 to 255"),
            },
            _ if word.starts_with('-') => return wrong_use(word, "is unknown"),
            _ => {}
        }
    }
    greet(arguments);
    if endless {
        compute_for_ever();
    }
    status
}

fn wrong_use(option: &str, what: &str) -> i32 {
    eprintln!("hello: the option {option} {what}\n{USAGE}");
    WRONG_USE
}

fn greet(arguments: Arguments) {
    println!("Hello from user mode");
    let name = system::uname();
    let processors = system::counter(Counter::Processors);
    println!(
        "{} {} on {}, {processors} processor{}, process {}",
        name.system(),
        name.release(),
        name.machine(),
        if processors == 1 { "" } else { "s" },
        system::getpid(),
    );
    let mut words = arguments.words().peekable();
    if words.peek().is_some() {
        print!("arguments:");
        words.for_each(|word| print!(" {word}"));
        println!();
    }
}

/// Makes no system call: only an interrupt can end it.
#[inline(never)]
fn compute_for_ever() -> ! {
    let mut number: u64 = 1;
    loop {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
