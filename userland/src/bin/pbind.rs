//! Binds itself to a processor, or to none, or says to which it is bound; then becomes the program that is named.

#![no_std]
#![no_main]

use userland::replace::become_program;
use userland::{Arguments, eprintln, println, processor, program};

program!(main);

const USAGE: &str = "\
usage: pbind -b PROCESSOR | -u | -q  [PROGRAM [WORD ...]]
  -b  bind to a processor
  -u  bind to none
  -q  ask
A program that is named then runs with this binding.";

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let (done, place) = match words.next() {
        Some("-b") => {
            let number = words.next().and_then(|word| word.parse().ok());
            let Some(number) = number else { return wrong_use() };
            (processor::bind(0, number), 3)
        }
        Some("-u") => (processor::unbind(0), 2),
        Some("-q") => (processor::binding(0), 2),
        _ => return wrong_use(),
    };
    let now = match done.and_then(|_| processor::binding(0)) {
        Ok(now) => now,
        Err(error) => {
            eprintln!("pbind: {}", error.text());
            return 1;
        }
    };
    if arguments.get(place).is_some() {
        let error = become_program(arguments, place);
        eprintln!("pbind: the program cannot run: {}", error.text());
        return 1;
    }
    match now {
        Some(number) => println!("bound to processor {number}"),
        None => println!("not bound"),
    }
    0
}

fn wrong_use() -> i32 {
    eprintln!("{USAGE}");
    2
}
