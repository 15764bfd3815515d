//! The boot menu: lists the programs and starts the one that is chosen, until somebody switches off.

use crate::console::print;
use crate::kernel::Kernel;
use crate::process::{self, Outcome};
use crate::signal;
use crate::virtual_memory::archive::Archive;
use core::fmt::{self, Write};
use machine::MayFault;

/// Longest line that can be typed.
const LINE_MAX: usize = 128;

/// Asks and starts, again and again. Returns when asked to switch off.
pub fn run(kernel: &'static Kernel, archive: &Archive, may_fault: &mut MayFault) {
    print(format_args!("\nPrograms:\n"));
    for (number, program) in (1..).zip(archive.programs()) {
        print(format_args!("  {number:2}  {}\n", program.name));
    }
    print(format_args!("Arguments may follow. Ctrl-C ends a program, Ctrl-A X leaves QEMU.\n"));
    loop {
        print(format_args!("Program (name or number), or off: "));
        // However the last program has left it.
        kernel.terminal.reset(may_fault);
        let mut line = [0; LINE_MAX];
        let length = read_line(kernel, &mut line, may_fault);
        let command = core::str::from_utf8(&line[..length]).unwrap_or("").trim();
        match command {
            "" => continue,
            "off" => return,
            _ => {}
        }
        start(kernel, archive, command, may_fault);
    }
}

/// Starts what was typed; a number in the first place stands for the name in the list.
fn start(kernel: &'static Kernel, archive: &Archive, typed: &str, may_fault: &mut MayFault) {
    let (first, arguments) = typed.split_once(' ').unwrap_or((typed, ""));
    let mut command = Command { bytes: [0; 2 * LINE_MAX], length: 0 };
    if let Some(place) = first.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
        && let Some(program) = archive.programs().nth(place)
    {
        // One that does not fit is not found under its cut name.
        let _ = write!(command, "{} {arguments}", program.name);
    }
    let command = if command.length > 0 { command.text() } else { typed };
    match process::run(kernel, command, may_fault) {
        Ok(Outcome::Exited(0)) => {}
        Ok(Outcome::Exited(status)) => print(format_args!("exit status {status}\n")),
        Ok(Outcome::Killed(signal)) => print(format_args!("{}\n", signal::name(signal))),
        Err(error) => print(format_args!("{first}: {error}\n")),
    }
}

/// A command in the making.
struct Command {
    bytes: [u8; 2 * LINE_MAX],
    length: usize,
}

impl Command {
    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
}

impl Write for Command {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes[self.length..].get_mut(..text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// Reads a line; the end of the input is a wish to switch off. Returns its length.
fn read_line(kernel: &Kernel, line: &mut [u8; LINE_MAX], may_fault: &mut MayFault) -> usize {
    match kernel.terminal.read(line, true, may_fault) {
        Ok(0) => {
            print(format_args!("off\n"));
            line[..3].copy_from_slice(b"off");
            3
        }
        Ok(length) => length,
        Err(_) => 0,
    }
}
