//! Programs that know nothing of this system: built by the host's tools for Linux, with the host's libraries, and packed as
//! they are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use boot::image::{self, Entry};
use boot::toolchain::host_compiler;

/// A program that is built from one file in `tests/foreign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// In C, with the host's C library.
    C(&'static str),
    /// In Rust, with the standard library on musl.
    Rust(&'static str),
}

impl Foreign {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Foreign::C(name) | Foreign::Rust(name) => name,
        }
    }

    /// Builds it in a folder, linked statically for fixed addresses. None of this repository's flags reach it.
    pub fn build(self, folder: &Path) -> Result<Entry> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
        let program = folder.join(self.name());
        match self {
            Foreign::C(name) => {
                let mut command = Command::new(host_compiler()?);
                command.args(["-static", "-no-pie", "-O1", "-o"]).arg(&program);
                command.arg(sources.join(name).with_extension("c")).arg("-lm");
                run(command, folder)?;
            }
            Foreign::Rust(name) => {
                let mut command = Command::new("rustc");
                command.args(["--edition", "2024", "-O", "--target", "x86_64-unknown-linux-musl"]);
                command.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]);
                command.arg("-o").arg(&program);
                command.arg(sources.join(name).with_extension("rs"));
                run(command, folder)?;
            }
        }
        image::foreign(&program)
    }
}

fn run(mut command: Command, folder: &Path) -> Result<()> {
    command.current_dir(folder).env_remove("RUSTFLAGS").stdin(Stdio::null());
    let words: PathBuf = command.get_program().into();
    let output = command.output().with_context(|| format!("starting {}", words.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let what = words.file_name().unwrap_or(OsStr::new("it")).display().to_string();
    ensure!(output.status.success(), "{what} failed:\n{said}");
    Ok(())
}
