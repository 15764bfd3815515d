//! Lines that nobody types: of a file, or of standard input.
//!
//! They are read byte by byte, so that the commands find the rest of standard input where the line ended.

use crate::run;
use crate::state::Shell;
use abi::errno::Errno;
use abi::files::O_RDONLY;
use userland::{eprintln, files, paths};

/// The status if there is no such file.
const NOT_FOUND: i32 = 127;
/// Longest line.
const LINE_MAX: usize = 4096;

/// Runs the lines of a file.
pub fn run_file(shell: &mut Shell, name: &str) {
    match paths::open(name.as_bytes(), O_RDONLY) {
        Ok(fd) => run(shell, fd),
        Err(error) => {
            eprintln!("shell: {name}: {}", error.text());
            shell.set_status(NOT_FOUND);
        }
    }
}

/// Runs the lines of a descriptor.
pub fn run(shell: &mut Shell, fd: i32) {
    let mut line = [0; LINE_MAX];
    while shell.exiting.is_none() {
        match read_line(fd, &mut line) {
            Ok(Some(line)) => run::run(shell, line),
            Ok(None) => return,
            Err(error) => {
                eprintln!("shell: {}", error.text());
                return shell.set_status(crate::WRONG_USE);
            }
        }
    }
}

/// A line; `None` at the end.
fn read_line(fd: i32, to: &mut [u8; LINE_MAX]) -> Result<Option<&[u8]>, Errno> {
    let mut length = 0;
    loop {
        let byte = to.get_mut(length..=length).ok_or(Errno::E2BIG)?;
        match files::read(fd, byte) {
            Ok(0) if length == 0 => return Ok(None),
            Ok(0) => return Ok(Some(&to[..length])),
            Ok(_) if byte == b"\n" => return Ok(Some(&to[..length])),
            Ok(_) => length += 1,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
