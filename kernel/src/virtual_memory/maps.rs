//! What a process's memory is made of, printed by the kernel: when a process ends, if the option `maps=1` asks for it.
//! What a program can ask for is the call `describe`.

use crate::console::{self, print};
use crate::process::Process;
use core::fmt::{self, Write};
use machine::MayFault;
use vm::describe::print::Format;
use vm::describe::{Changed, Description};
use vm::space::USER_START;

/// Each step goes to the console by itself, with nothing held.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::write(text.as_bytes());
        Ok(())
    }
}

/// Prints all of a process's memory; nobody changes its map meanwhile. A chain that changes ends it with a word.
pub fn show(process: &Process, name: &str, may_fault: &mut MayFault) {
    print(format_args!("maps of process {} ({name}):\n", process.id));
    let mut description = Description::new(USER_START..u64::MAX);
    while !description.is_over() {
        match description.next(process.space(), may_fault) {
            // Writing to the console does not fail.
            Ok(step) => drop(description.print(&step, Format::Text, &mut Console)),
            Err(Changed) => {
                print(format_args!("a chain has changed meanwhile: this is not all\n"));
                return;
            }
        }
    }
}
