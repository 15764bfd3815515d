//! The commands of `cargo upcall`: what they take, and in a few lines what each does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use abi::ending::Ending;
use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::command_line::CommandLine;
use crate::outcome::Outcome;
use crate::packages::Host;
use crate::qemu::{Machine, Memory, PROCESSORS_MAX, Pace};
use crate::run::{Boot, Console, Manner, Run};
use crate::run_folder::RunFolder;
use crate::toolchain::Tools;
use crate::workspace::{Build, Profile};
use crate::{
    bench, check, doctor, gdb, image, progress, reference, repeat, run, symbols, workspace,
};

/// Lines of the console that are shown when the system died unseen.
const CONSOLE_LINES: usize = 40;

/// Builds Upcall, boots it in QEMU, and looks at what it did.
#[derive(Debug, Parser)]
#[command(name = "cargo upcall", bin_name = "cargo upcall", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Boot and run a program; without one, a menu. Ctrl-A X leaves.
    Run(RunOptions),
    /// Boot and run the kernel's own checks, all of them or those named.
    Check(CheckOptions),
    /// Measure, in instructions that repeat to the digit.
    Bench(BenchOptions),
    /// Build the image only.
    Image {
        /// Where to put it.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Which build.
        #[arg(long, value_enum, default_value = "release")]
        profile: Profile,
    },
    /// List what is needed and what is missing.
    Doctor {
        /// Get what is missing.
        #[arg(long)]
        fix: bool,
    },
    /// Write docs/syscalls.md from the table of system calls.
    Docs {
        /// Only fail if the page is not as it would be written.
        #[arg(long)]
        check: bool,
    },
    /// Put source lines under the addresses in a log: the newest run's, unless another is named.
    Decode {
        /// A log in the folder of a run.
        #[arg(value_name = "LOG")]
        log: Option<PathBuf>,
        /// Look up this address only, in the newest run's files.
        #[arg(long, value_name = "ADDRESS", conflicts_with = "log", value_parser = address)]
        address: Vec<u64>,
    },
}

#[derive(Debug, Args)]
struct MachineOptions {
    /// Processors.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESSORS_MAX)))]
    cpus: u32,
    /// Memory, like 64M or 2G.
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    memory: Memory,
}

#[derive(Debug, Args)]
struct RunOptions {
    #[command(flatten)]
    machine: MachineOptions,
    /// One tick of time per instruction: slower, and the same every time.
    #[arg(long, conflicts_with = "kvm")]
    icount: bool,
    /// Use the host's processor. Faster where it works.
    #[arg(long)]
    kvm: bool,
    /// Wait for gdb before the first instruction.
    #[arg(long)]
    gdb: bool,
    /// End the run after this time; the status is then 124.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Which build.
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// A boot option for the kernel; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = boot_option)]
    option: Vec<String>,
    /// The program, and its own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

#[derive(Debug, Args)]
struct CheckOptions {
    #[command(flatten)]
    machine: MachineOptions,
    /// Which build.
    #[arg(long, value_enum, default_value = "checked")]
    profile: Profile,
    /// End the run after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Names of checks.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct BenchOptions {
    /// Measure this group only, like `syscall`.
    group: Option<String>,
    /// Write the values to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with values written earlier; the status is 1 if one is worse by more than 1 %.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// An option has a name and a value; what they may be is the kernel's business.
fn boot_option(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() && !name.contains(' ') => Ok(text.to_owned()),
        _ => Err("an option has the form NAME=VALUE".to_owned()),
    }
}

/// An address in hexadecimal, with or without `0x`.
fn address(text: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
}

/// The whole tool: reads the command line, does as told, returns the status.
pub fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            progress::step(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Commands) -> Result<u8> {
    match command {
        Commands::Run(options) => run_program(options),
        Commands::Check(options) => run_checks(options),
        Commands::Bench(options) => measure(options),
        Commands::Image { output, profile } => make_image(output, profile),
        Commands::Doctor { fix } => examine(fix),
        Commands::Docs { check } => write_reference(check),
        Commands::Decode { log, address } => decode(log, address),
    }
}

/// Gets what is missing and builds; returns the build and its image.
pub fn prepare(profile: Profile) -> Result<(Build, PathBuf)> {
    doctor::ensure_ready()?;
    let build = workspace::build(profile)?;
    let image = image::make(&build)?;
    Ok((build, image))
}

fn run_program(options: RunOptions) -> Result<u8> {
    let pace = match (options.icount, options.kvm) {
        (true, _) => Pace::Counted,
        (false, true) => Pace::Kvm,
        (false, false) => Pace::Free,
    };
    let MachineOptions { cpus, memory } = options.machine;
    let machine = Machine { cpus, memory, pace, acpi: true };
    let line = CommandLine { options: options.option, program: options.program };
    // Said before anything is built, if it is too long.
    line.to_text()?;
    let again = repeat::command(&machine, options.profile, &line);
    let (build, image) = prepare(options.profile)?;

    let program = line.program.first().cloned();
    let folder = RunFolder::next(program.as_deref().unwrap_or("menu"))?;
    let gdb_port = options.gdb.then(|| gdb::free_port(&Host::look())).transpose()?;
    if let Some(port) = gdb_port {
        let script = gdb::write_script(&build, program.as_deref(), port)?;
        progress::step(format_args!("waiting for: gdb -x {}", script.display()));
    }
    let timeout = options.timeout.map(Duration::from_secs);
    let manner = Manner { folder, console: Console::Terminal, timeout, gdb_port };
    progress::step(format_args!("booting with {cpus} processors and {memory}; Ctrl-A X leaves"));
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |_| ())?;
    Ok(conclude(&run, &again))
}

fn run_checks(options: CheckOptions) -> Result<u8> {
    let MachineOptions { cpus, memory } = options.machine;
    let machine = Machine { cpus, memory, ..Machine::default() };
    let line = CommandLine { options: vec![check::option(&options.names)], program: Vec::new() };
    let again = repeat::command(&machine, options.profile, &line);
    let (build, image) = prepare(options.profile)?;
    let manner = Manner {
        folder: RunFolder::next("check")?,
        console: Console::Script(Vec::new()),
        timeout: Some(Duration::from_secs(options.timeout)),
        gdb_port: None,
    };
    progress::step(format_args!("booting with {cpus} processors and {memory}"));
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |line| {
        if let Some(text) = check::progress(line) {
            println!("{text}");
        }
    })?;
    print!("{}", check::summary(&run.report));
    if run.outcome != Outcome::Ended(Ending::ChecksEnded) {
        eprint!("{}", run.console_tail(CONSOLE_LINES));
    }
    Ok(conclude(&run, &again))
}

/// Says how a run ended, if not well, and returns the tool's status.
fn conclude(run: &Run, again: &str) -> u8 {
    let conclusion = run.outcome.conclude(&run.report);
    if let Some(complaint) = conclusion.complaint {
        progress::step(complaint);
        progress::step(format_args!("log: {}", run.folder.serial_log().display()));
        progress::step("source lines for its addresses: cargo upcall decode");
        progress::step(format_args!("once more: {again}"));
    }
    conclusion.status
}

fn measure(options: BenchOptions) -> Result<u8> {
    let (build, image) = prepare(Profile::Release)?;
    progress::step("measuring with counted instructions on one processor");
    let run = bench::measure(&build, &image, options.group.as_deref())?;
    let values = bench::measured(&run.report);
    ensure!(!values.is_empty(), "nothing was measured; see {}", run.folder.path().display());
    print!("{}", bench::table(&values));
    let wall = bench::wall(&build, &image)?;
    println!(
        "wall: hello on 4 processors, from starting QEMU to its end: {:.3} s",
        wall.as_secs_f64()
    );
    if let Some(path) = options.json {
        bench::write_json(&values, &path)?;
    }
    if let Some(path) = options.compare {
        let (differences, worse) = bench::compare(&values, &path)?;
        print!("{differences}");
        return Ok(u8::from(worse));
    }
    Ok(0)
}

fn make_image(output: Option<PathBuf>, profile: Profile) -> Result<u8> {
    doctor::ensure_ready()?;
    let build = workspace::build(profile)?;
    let path = match output {
        Some(path) => {
            workspace::write_whole(&path, &image::pack(&image::entries(&build)?)?)?;
            path
        }
        None => image::make(&build)?,
    };
    println!("{}", path.display());
    Ok(0)
}

fn examine(fix: bool) -> Result<u8> {
    if fix {
        doctor::ensure_ready()?;
    }
    let findings = doctor::findings(&Tools::from_environment(), &Host::look());
    print!("{}", doctor::text(&findings));
    Ok(u8::from(!doctor::complete(&findings)))
}

fn write_reference(check: bool) -> Result<u8> {
    if !check {
        reference::write()?;
    } else if !reference::is_current() {
        progress::step("docs/syscalls.md is out of date; to write it: cargo upcall docs");
        return Ok(1);
    }
    Ok(0)
}

fn decode(log: Option<PathBuf>, addresses: Vec<u64>) -> Result<u8> {
    let (folder, log) = match log {
        Some(log) => (RunFolder::existing(log.parent().unwrap_or(Path::new(""))), log),
        None => {
            let folder = RunFolder::latest()?;
            let log = folder.serial_log();
            (folder, log)
        }
    };
    if addresses.is_empty() {
        print!("{}", symbols::decode_log(&folder, &log)?);
        return Ok(0);
    }
    print!("{}", symbols::decode_addresses(&folder, &addresses)?);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::{Cli, Commands};
    use clap::{CommandFactory, Parser};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_program_is_its_own() {
        let Commands::Run(run) = parse("upcall run --cpus 2 hello --cpus 3 -x").unwrap().command
        else {
            panic!("another command");
        };
        assert_eq!(run.machine.cpus, 2);
        assert_eq!(run.program, ["hello", "--cpus", "3", "-x"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "upcall run --cpus 0 hello",
            "upcall run --cpus 65 hello",
            "upcall run --memory lots hello",
            "upcall run --option nonsense hello",
            "upcall run --option =x hello",
            "upcall run --icount --kvm hello",
            "upcall fly",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
