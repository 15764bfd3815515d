//! The command line of `cargo upcall`: the commands and what they take. What they do is in `commands`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use trace::Groups;

use crate::disks::Swap;
use crate::qemu::{Machine, Memory, PROCESSORS_MAX, Pace};
use crate::workspace::Profile;
use crate::{commands, progress};

/// Builds Upcall, boots it in QEMU, and looks at what it did.
#[derive(Debug, Parser)]
#[command(name = "cargo upcall", bin_name = "cargo upcall", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Commands {
    /// Boot and run a program; without one, the shell. Ctrl-A X leaves.
    Run(RunOptions),
    /// Boot and run the kernel's own checks, all of them or those named.
    Check(CheckOptions),
    /// Measure, in instructions that repeat to the digit.
    Bench(BenchOptions),
    /// Boot, run a program or checks, and write down what the kernel did, as pictures.
    Trace(TraceOptions),
    /// Boot, run a demonstration of the program `maps`, and draw what memory is made of.
    Maps(MapsOptions),
    /// Build the image only: the ramdisk with the kernel, and the disk with the programs.
    Image {
        /// The folder to put them in.
        #[arg(long, value_name = "FOLDER")]
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
pub(crate) struct MachineOptions {
    /// Processors.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESSORS_MAX)))]
    pub(crate) cpus: u32,
    /// Memory, like 64M or 2G.
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub(crate) memory: Memory,
    /// Length of the swap disk, like 64M; 0 for none.
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    pub(crate) swap: Swap,
}

impl MachineOptions {
    /// The machine, at a pace.
    pub(crate) fn machine(&self, pace: Pace) -> Machine {
        let MachineOptions { cpus, memory, swap } = *self;
        Machine { cpus, memory, swap, pace, acpi: true }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// One tick of time per instruction: slower, and the same every time.
    #[arg(long, conflicts_with = "kvm")]
    pub(crate) icount: bool,
    /// Use the host's processor. Faster where it works.
    #[arg(long)]
    pub(crate) kvm: bool,
    /// Wait for gdb before the first instruction.
    #[arg(long)]
    pub(crate) gdb: bool,
    /// End the run after this time; the status is then 124.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Which build.
    #[arg(long, value_enum, default_value = "release")]
    pub(crate) profile: Profile,
    /// A boot option for the kernel; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = boot_option)]
    pub(crate) option: Vec<String>,
    /// A further program for the archive, such as a static one that was built for Linux; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) add: Vec<PathBuf>,
    /// The program, and its own arguments.
    #[arg(trailing_var_arg = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// One tick of time per instruction: slower, and the same every time.
    #[arg(long)]
    pub(crate) icount: bool,
    /// A further boot option for the kernel, such as scale=10; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = boot_option)]
    pub(crate) option: Vec<String>,
    /// Which build.
    #[arg(long, value_enum, default_value = "checked")]
    pub(crate) profile: Profile,
    /// End the run after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) timeout: u64,
    /// Names of checks.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Measure this group only, like `syscall`.
    pub(crate) group: Option<String>,
    /// Write the values to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Compare with values written earlier; the status is 1 if one is worse by more than 1 %, or is
    /// missing although no group was asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TraceOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// What is traced: names of groups with commas between them, or all.
    #[arg(long, default_value = "all", value_parser = groups)]
    pub(crate) groups: String,
    /// One tick of time per instruction: slower, and the same every time on one processor.
    #[arg(long)]
    pub(crate) icount: bool,
    /// End the run after this time; there is no trace then.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Which build.
    #[arg(long, value_enum, default_value = "release")]
    pub(crate) profile: Profile,
    /// A folder to put the files into, besides that of the run.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Run these of the kernel's checks, with commas between them, and no program.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "program")]
    pub(crate) check: Vec<String>,
    /// The program, and its own arguments.
    #[arg(trailing_var_arg = true, value_name = "PROGRAM", required_unless_present = "check")]
    pub(crate) program: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MapsOptions {
    /// The demonstration.
    #[arg(value_name = "NAME", required_unless_present = "docs")]
    pub(crate) name: Option<String>,
    /// Make the drawings in docs/ anew.
    #[arg(long, conflicts_with = "name")]
    pub(crate) docs: bool,
    /// Only fail if one of them is not as it would be drawn.
    #[arg(long, requires = "docs")]
    pub(crate) check: bool,
}

/// Groups of events as the kernel's option has them.
fn groups(text: &str) -> Result<String, String> {
    let known: Vec<&str> = Groups::NAMED.iter().map(|(name, _)| *name).collect();
    match Groups::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("the groups are all, {}", known.join(", "))),
    }
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
    match commands::perform(Cli::parse().command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            progress::step(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
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
    fn a_trace_is_of_a_program_or_of_checks() {
        let Commands::Trace(trace) =
            parse("upcall trace --groups poke,idle hello --check x").unwrap().command
        else {
            panic!("another command");
        };
        assert_eq!(trace.program, ["hello", "--check", "x"]);
        assert_eq!(trace.groups, "poke,idle");
        let Commands::Trace(trace) = parse("upcall trace --check a,b").unwrap().command else {
            panic!("another command");
        };
        assert_eq!(trace.check, ["a", "b"]);
        assert_eq!(trace.groups, "all");
    }

    #[test]
    fn checks_take_boot_options() {
        let line = "upcall check --icount --option scale=10 --option counted=1 frames";
        let Commands::Check(check) = parse(line).unwrap().command else {
            panic!("another command");
        };
        assert!(check.icount);
        assert_eq!(check.option, ["scale=10", "counted=1"]);
        assert_eq!(check.names, ["frames"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "upcall run --cpus 0 hello",
            "upcall run --cpus 65 hello",
            "upcall run --memory lots hello",
            "upcall run --swap lots hello",
            "upcall run --option nonsense hello",
            "upcall run --option =x hello",
            "upcall check --option nonsense",
            "upcall run --icount --kvm hello",
            "upcall trace",
            "upcall trace --check a hello",
            "upcall trace --groups nonsense hello",
            "upcall fly",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
