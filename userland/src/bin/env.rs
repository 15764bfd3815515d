//! Prints the variables of its environment, or runs a program with others.

#![no_std]
#![no_main]

use syntax::{Variables, Words};
use userland::job_control::become_program;
use userland::paths::Path;
use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

/// Name and value.
fn parts(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = word.iter().position(|&byte| byte == b'=')?;
    Some((&word[..end], &word[end + 1..]))
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("env", "env [NAME=VALUE…] [PROGRAM WORD…]");
    let mut variables = Variables::new();
    let entries = arguments.environment().map(core::ffi::CStr::to_bytes);
    let mut words =
        (1..).map_while(|place| arguments.get(place)).map(core::ffi::CStr::to_bytes).peekable();
    let mut fits =
        entries.filter_map(parts).all(|(name, value)| variables.set(name, value, true).is_ok());
    while let Some((name, value)) = words.peek().copied().and_then(parts) {
        fits &= variables.set(name, value, true).is_ok();
        words.next();
    }
    if !fits {
        tool.complain_words("environment", "too large");
    }
    let Some(name) = words.peek().copied() else {
        let mut out = Writer::new(1);
        for entry in variables.exported() {
            out.put(entry.strip_suffix(b"\0").unwrap_or(entry));
            out.put(b"\n");
        }
        return tool.status();
    };
    let mut list = Words::new();
    if words.any(|word| list.add(word).is_err()) {
        return tool.wrong_use();
    }
    let folder: &[u8] = if name.contains(&b'/') { b"" } else { b"/bin" };
    let error = match Path::join(folder, name) {
        Ok(path) => {
            let words = (0..list.count()).filter_map(|place| list.with_null(place));
            become_program(&path, words, variables.exported())
        }
        Err(error) => error,
    };
    tool.complain(userland::tool::readable(name), error);
    127
}
