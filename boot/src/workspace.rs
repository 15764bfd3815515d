//! Where the workspace keeps things, and building the parts that run inside the machine.
//!
//! Builds go through cargo into the workspace's usual target folder, so that the tool, the tests and
//! a person who types `cargo build` share them. Flags from the environment are taken out first:
//! `RUSTFLAGS` would replace the flags of `.cargo/config.toml`, without which neither kernel nor
//! programs link.

use std::env;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress;
use crate::toolchain;

/// Target of kernel and loader.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";

/// Target of the programs.
pub const PROGRAM_TARGET: &str = "x86_64-unknown-linux-musl";

/// Which build of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Profile {
    /// What users run and benchmarks measure.
    Release,
    /// Assertions and checks on: what the tests boot.
    Checked,
    /// The same with historical bugs, of which a boot option brings one back.
    History,
}

impl Profile {
    /// Its name, the same for cargo and for a person.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Release => "release",
            Profile::Checked => "checked",
            Profile::History => "history",
        }
    }
}

/// The ELF files of one build, with all their debug information.
#[derive(Clone, Debug)]
pub struct Build {
    /// Which build it is.
    pub profile: Profile,
    /// What QEMU starts.
    pub loader: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// The programs, in order of name.
    pub programs: Vec<PathBuf>,
}

/// The folder of the workspace's own `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tool's folder lies in the workspace")
}

/// Cargo's target folder.
pub fn target_folder() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The folder for everything that this tool writes: images, logs, scripts for gdb.
pub fn output_folder() -> PathBuf {
    target_folder().join("upcall")
}

/// Builds loader, kernel and programs.
pub fn build(profile: Profile) -> Result<Build> {
    progress::step(format_args!("building the kernel and its loader ({})", profile.name()));
    let kernel: &[&str] = match profile {
        Profile::History => &["-p", "kernel", "-p", "loader", "--features", "kernel/history"],
        Profile::Checked | Profile::Release => &["-p", "kernel", "-p", "loader"],
    };
    let mut files = executables(KERNEL_TARGET, kernel, profile)?;
    let of_programs = if profile == Profile::History { Profile::Checked } else { profile };
    progress::step(format_args!("building the programs ({})", of_programs.name()));
    let mut programs =
        executables(PROGRAM_TARGET, &["-p", "userland", "-p", "threaded", "--bins"], of_programs)?;
    programs.sort();
    let mut take = |name: &str| -> Result<PathBuf> {
        let place = files.iter().position(|file| file.file_stem().is_some_and(|stem| stem == name));
        Ok(files.swap_remove(place.with_context(|| format!("the build made no `{name}`"))?))
    };
    Ok(Build { profile, loader: take("loader")?, kernel: take("kernel")?, programs })
}

/// A cargo command on this workspace, without flags from the environment.
pub fn cargo() -> Command {
    let mut command = Command::new(toolchain::cargo());
    command.current_dir(root()).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Builds packages and returns the executables that cargo says it made.
fn executables(target: &str, packages: &[&str], profile: Profile) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.arg("build").args(packages).args(["--target", target, "--profile", profile.name()]);
    command.arg("--message-format=json-render-diagnostics");
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(output.status.success(), "the build for {target} failed");
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if message["reason"] == "compiler-artifact"
            && let Some(path) = message["executable"].as_str()
        {
            found.push(PathBuf::from(path));
        }
    }
    if found.is_empty() {
        bail!("the build for {target} made no executable");
    }
    Ok(found)
}

/// Writes a file so that whoever reads it at the same time sees the old one or the new one, whole.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().context("a file without a name")?.to_owned();
    name.push(format!(".{}.{:?}", std::process::id(), std::thread::current().id()));
    let temporary = path.with_file_name(name);
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    fs::write(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("writing {}", path.display()))
}
