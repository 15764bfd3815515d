//! Debugging a run: a free port, and a script that makes gdb know the kernel's and programs' symbols.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::packages::Host;
use crate::workspace::{self, Build};

/// First port that is tried, plus the user's number: people who share a machine do not meet.
const FIRST_PORT: u16 = 25_000;

/// A port on this machine that nobody listens on.
pub fn free_port(host: &Host) -> Result<u16> {
    let first = FIRST_PORT + (host.user % 5_000) as u16;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..first + 100).find(free).context("no free port for gdb")
}

/// Writes gdb's script and returns its path.
pub fn write_script(build: &Build, program: Option<&str>, port: u16) -> Result<PathBuf> {
    let path = workspace::output_folder().join("upcall.gdb");
    workspace::write_whole(&path, script(build, program, port).as_bytes())?;
    Ok(path)
}

fn script(build: &Build, program: Option<&str>, port: u16) -> String {
    let mut text = String::from(
        "# Made by `cargo upcall run --gdb`. The machine stands before its first instruction.\n\
         # Until the loader has switched paging on, only `hbreak` reaches the kernel's addresses.\n\
         set confirm off\n\
         set pagination off\n\
         set architecture i386:x86-64\n",
    );
    text += &format!("file {}\n", quoted(&build.kernel));
    let same = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| Some(name) == program.map(AsRef::as_ref))
    };
    if let Some(path) = build.programs.iter().find(same) {
        text += &format!("add-symbol-file {}\n", quoted(path));
    }
    text += &format!("target remote 127.0.0.1:{port}\n");
    text
}

/// A path as one word: gdb splits what it is given at spaces.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{quoted, script};
    use crate::workspace::{Build, Profile};

    #[test]
    fn the_script_names_the_kernel_the_program_and_the_port() {
        let build = Build {
            profile: Profile::Release,
            loader: "/t/loader".into(),
            kernel: "/t/kernel".into(),
            programs: vec!["/t/fault".into(), "/t/hello".into()],
        };
        let text = script(&build, Some("hello"), 25_001);
        assert!(text.contains(
            "\nfile \"/t/kernel\"\nadd-symbol-file \"/t/hello\"\ntarget remote 127.0.0.1:25001\n"
        ));
        assert!(!script(&build, None, 1).contains("add-symbol-file"));
    }

    #[test]
    fn a_path_is_one_word_to_gdb() {
        assert_eq!(quoted("/a b/kernel".as_ref()), r#""/a b/kernel""#);
        assert_eq!(quoted(r#"/a"b\c"#.as_ref()), r#""/a\"b\\c""#);
    }
}
