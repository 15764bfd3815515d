//! The Rust side of what a build needs: the compiler, and its two bare-metal targets.
//!
//! A target that is installed is found without rustup, so that a compiler from elsewhere will do. A
//! missing one is fetched with rustup, or, where there is none, named together with the command that
//! gets it. `CARGO`, `RUSTC` and `RUSTUP` name other executables than those on the path.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress;
use crate::workspace::{self, KERNEL_TARGET, PROGRAM_TARGET};

/// The targets besides the host's own.
pub const TARGETS: [&str; 2] = [KERNEL_TARGET, PROGRAM_TARGET];

/// The tools that this module calls.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The compiler.
    pub rustc: OsString,
    /// What fetches targets.
    pub rustup: OsString,
}

impl Tools {
    /// Those that the environment names.
    pub fn from_environment() -> Tools {
        Tools { rustc: named("RUSTC", "rustc"), rustup: named("RUSTUP", "rustup") }
    }

    /// The compiler's version line.
    pub fn version(&self) -> Result<String> {
        self.ask_compiler(&["--version"])
    }

    /// The targets that are not installed.
    pub fn missing_targets(&self) -> Result<Vec<&'static str>> {
        let folder = PathBuf::from(self.ask_compiler(&["--print", "sysroot"])?).join("lib/rustlib");
        // The folder alone is not enough: uninstalling leaves an empty one behind.
        let installed = |target: &&str| {
            let libraries = folder.join(target).join("lib");
            libraries.read_dir().is_ok_and(|mut files| files.next().is_some())
        };
        Ok(TARGETS.into_iter().filter(|target| !installed(target)).collect())
    }

    /// Installs the targets that are missing.
    pub fn ensure_targets(&self) -> Result<()> {
        let missing = self.missing_targets()?;
        if missing.is_empty() {
            return Ok(());
        }
        let advice = target_advice(&missing);
        progress::step(format_args!("fetching Rust targets: {advice}"));
        let status = Command::new(&self.rustup)
            .args(["target", "add"])
            .args(&missing)
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => bail!("`{advice}` failed ({status}); the build needs these targets"),
            Err(_) => bail!(
                "the Rust targets {} are missing, and there is no rustup here that could fetch them; \
                 with rustup from https://rustup.rs type: {advice}",
                missing.join(" and ")
            ),
        }
        let still = self.missing_targets()?;
        ensure!(
            still.is_empty(),
            "rustup added {} to another toolchain than the one of `{}`",
            still.join(" and "),
            self.rustc.display()
        );
        Ok(())
    }

    fn ask_compiler(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.rustc)
            .args(arguments)
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting the Rust compiler `{}`", self.rustc.display()))?;
        ensure!(
            output.status.success(),
            "`{} {}` failed: {}",
            self.rustc.display(),
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// The command that gets missing targets.
pub fn target_advice(missing: &[&str]) -> String {
    format!("rustup target add {}", missing.join(" "))
}

/// The cargo that started this tool, or the one on the path.
pub fn cargo() -> OsString {
    named("CARGO", "cargo")
}

fn named(variable: &str, usual: &str) -> OsString {
    env::var_os(variable).filter(|name| !name.is_empty()).unwrap_or_else(|| usual.into())
}
/// The host's C compiler, for the test of a C program.
pub fn host_compiler() -> Result<&'static str> {
    let found = Command::new("cc").arg("--version").stdin(Stdio::null()).output();
    ensure!(
        found.is_ok_and(|output| output.status.success()),
        "the host has no C compiler `cc`; to get it: your system's package gcc"
    );
    Ok("cc")
}
