//! How programs are linked: what is executable, what is constant and what is writable lie in pages of
//! their own. And what each program does, in a sentence: `help` shows it.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in [
        // Not even the rest of a page carries the bytes of its neighbour with other rights.
        "-zseparate-loadable-segments",
        "-zmax-page-size=4096",
        // Nothing is relocated at run time, so there is nothing to protect after it.
        "-znorelro",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    // It has to see the registers before the usual start uses them.
    println!("cargo:rustc-link-arg-bin=registers=--entry=registers_start");
    describe_programs();
}

/// Writes a table of the programs' names and of what each one does.
fn describe_programs() {
    let mut programs: Vec<(String, String)> = Vec::new();
    for folder in ["src/bin", "threaded/src/bin"] {
        println!("cargo:rerun-if-changed={folder}");
        let entries = fs::read_dir(folder).expect("there are programs");
        programs.extend(entries.filter_map(|entry| describe(&entry.expect("a program").path())));
    }
    programs.sort();
    let table = format!("&{programs:#?}").replace("(\n", "(").replace(",\n    ),", "),");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to"));
    fs::write(folder.join("programs.rs"), table).expect("the table can be written");
}

/// A program's name, and the first sentence of its documentation.
fn describe(path: &Path) -> Option<(String, String)> {
    let source = if path.is_dir() { path.join("main.rs") } else { path.to_owned() };
    let text = fs::read_to_string(source).ok()?;
    let lines = text.lines().map_while(|line| line.strip_prefix("//! "));
    let paragraph = lines.collect::<Vec<_>>().join(" ") + " ";
    // What follows a colon or a semicolon says more than `help` has room for.
    let end = [". ", ": ", "; "].iter().filter_map(|sign| paragraph.find(sign)).min();
    let text = paragraph[..end.unwrap_or(paragraph.len())].trim();
    Some((path.file_stem()?.to_str()?.to_owned(), text.to_owned()))
}
