//! Lists folders; -l: with kind and length, -a: with names that begin with a dot.

#![no_std]
#![no_main]

use abi::errno::Errno;
use abi::files::{S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT};
use core::fmt::Write;
use syntax::Words;
use userland::paths::Path;
use userland::stream::Writer;
use userland::tool::{Options, Tool, readable};
use userland::{Arguments, folder, paths, program};

program!(main);

/// Lists a folder.
fn list(out: &mut Writer, path: &[u8], options: Options) -> Result<(), Errno> {
    let mut names = Words::new();
    let mut fits = true;
    folder::each(path, |entry| {
        if options.has('a') || !entry.name.starts_with(b".") {
            fits &= names.add(entry.name).is_ok();
        }
    })?;
    names.sort_from(0);
    for name in names.from(0) {
        show(out, path, name, options)?;
    }
    if fits { Ok(()) } else { Err(Errno::EOVERFLOW) }
}

/// Shows a file of a folder.
fn show(out: &mut Writer, folder: &[u8], name: &[u8], options: Options) -> Result<(), Errno> {
    let found = paths::stat(Path::join(folder, name)?.bytes())?;
    let (sign, behind) = match found.mode & S_IFMT {
        S_IFDIR => ('d', "/"),
        S_IFCHR => ('c', ""),
        S_IFIFO => ('p', ""),
        _ => ('-', ""),
    };
    if options.has('l') {
        let _ =
            write!(out, "{sign}{:04o} {:2} {:9} ", found.mode & 0o7777, found.links, found.length);
    }
    let _ = writeln!(out, "{}{behind}", readable(name));
    Ok(())
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("ls", "ls [-la] [FILE…]");
    let Some((options, names)) = tool.options(arguments.words(), "la") else {
        return tool.wrong_use();
    };
    let count = names.clone().count();
    let mut out = Writer::new(1);
    if count == 0 {
        tool.check(".", list(&mut out, b"", options));
    }
    for name in names {
        let path = name.as_bytes();
        if !paths::is_folder(path) {
            tool.check(name, show(&mut out, b"", path, options));
            continue;
        }
        if count > 1 {
            let _ = writeln!(out, "{name}:");
        }
        tool.check(name, list(&mut out, path, options));
    }
    tool.check("output", out.flush());
    tool.status()
}
