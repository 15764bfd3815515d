//! Makes, ends, fills and lists sets of processors, and runs programs in them.

#![no_std]
#![no_main]

use abi::errno::Errno;
use userland::replace::become_program;
use userland::{Arguments, eprintln, print, println, processor, program};

program!(main);

const USAGE: &str = "\
usage: psrset [-c | -d SET | -a SET PROCESSOR | -e SET PROGRAM [WORD ...]]
  -c  make a set, and say its number
  -d  end a set: its processors go back to set 0
  -a  put a processor into a set
  -e  run a program in a set
Without anything: list the processors of each set.";

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let option = words.next();
    let mut number = || words.next().and_then(|word| word.parse().ok());
    let done = match (option, number(), number()) {
        (None, ..) => return list(),
        (Some("-c"), None, _) => processor::create_set().map(|set| println!("set {set}")),
        (Some("-d"), Some(set), None) => processor::destroy_set(set),
        (Some("-a"), Some(set), Some(number)) => processor::assign(set, number).map(drop),
        (Some("-e"), Some(set), _) if arguments.get(3).is_some() => run(arguments, set),
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("psrset: {}", error.text());
            1
        }
    }
}

fn run(arguments: Arguments, set: u32) -> Result<(), Errno> {
    processor::enter_set(set, 0)?;
    Err(become_program(arguments, 3))
}

/// Sets without processors are nowhere to be seen.
fn list() -> i32 {
    let highest = processor::all().map(|info| info.set).max().unwrap_or(0);
    for set in 0..=highest {
        let mut members = processor::all().filter(|info| info.set == set).peekable();
        if members.peek().is_some() {
            print!("set {set}: processors");
            members.for_each(|info| print!(" {}", info.number));
            println!();
        }
    }
    0
}
