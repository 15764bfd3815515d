//! What a process's memory is made of, printed by the kernel: when a process ends, if the option `maps=text` or
//! `maps=json` asks for it. What a program can ask for is the call `describe`.

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
///
/// The JSON is one line, of the form that the program `maps` prints (the moment is "end").
pub fn show(process: &Process, name: &str, format: Format, may_fault: &mut MayFault) {
    let number = process.id;
    match format {
        Format::Text => print(format_args!("maps of process {number} ({name}):\n")),
        Format::Json => print(format_args!(
            "{{\"moment\":\"end\",\"process\":{number},\"name\":\"{name}\",\"memory\":"
        )),
    }
    let mut description = Description::new(USER_START..u64::MAX);
    while !description.is_over() {
        match description.next(process.space(), may_fault) {
            // Writing to the console does not fail.
            Ok(step) => drop(description.print(&step, format, &mut Console)),
            Err(Changed) => {
                print(format_args!("\na chain has changed meanwhile: this is not all\n"));
                return;
            }
        }
    }
    if format == Format::Json {
        print(format_args!("}}\n"));
    }
}
