//! What a scenario is: a machine, what to boot on it, and what should come of it.

use std::time::Duration;

use abi::ending::Ending;
use boot::command_line::CommandLine;
use boot::disks::Swap;
use boot::outcome::Outcome;
use boot::qemu::{Machine, Memory, Pace};
use boot::report_log::ReportLog;
use boot::run::Step;
use boot::workspace::Profile;

use crate::damage::Damage;
use crate::foreign::Foreign;

/// One boot and what is expected of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The test's name, with slashes between its groups.
    pub name: String,
    /// Which build is booted.
    pub profile: Profile,
    /// The machine.
    pub machine: Machine,
    /// What is wrong with the image.
    pub damage: Damage,
    /// A program of another system that the archive has besides.
    pub foreign: Option<Foreign>,
    /// What the kernel is told.
    pub line: CommandLine,
    /// What is typed.
    pub script: Vec<Step>,
    /// The host's time for it. Generous: it must hold on a busy machine.
    pub timeout: Duration,
    /// How the run must end.
    pub end: End,
    /// What must be seen besides.
    pub wants: Vec<Want>,
}

/// How a run must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In this way.
    With(Ending),
    /// The program ends by itself with this status.
    Exited(u8),
    /// The program is ended by this signal, and the kernel lives on.
    Killed(u8),
    /// Not through the kernel at all.
    Outcome(Outcome),
}

/// What must be seen.
#[derive(Clone, Debug)]
pub enum Want {
    /// A line of the console that contains all of these.
    Line(Vec<String>),
    /// Exactly one line of the console contains this.
    OneLine(String),
    /// The console shows one line and nothing else, and the line contains this.
    OnlyLine(String),
    /// No line of the console contains this.
    Nowhere(String),
    /// Checks have been reported, and all of them passed.
    ChecksPassed,
    /// This finds nothing wrong with the lines of the report channel.
    Report(fn(&ReportLog) -> Result<(), String>),
    /// This finds nothing wrong with what the console has shown.
    Console(fn(&str) -> Result<(), String>),
}

impl Scenario {
    /// A scenario on a usual machine, in which a program is to exit with status 0.
    pub fn new(name: impl Into<String>, program: &[&str]) -> Scenario {
        Scenario {
            name: name.into(),
            profile: Profile::Checked,
            machine: Machine { cpus: 2, ..Machine::default() },
            damage: Damage::None,
            foreign: None,
            line: CommandLine {
                options: Vec::new(),
                program: program.iter().map(|word| (*word).to_owned()).collect(),
            },
            script: Vec::new(),
            timeout: Duration::from_secs(60),
            end: End::Exited(0),
            wants: Vec::new(),
        }
    }

    /// In the build that users run, not in the one with checks.
    pub fn released(mut self) -> Scenario {
        self.profile = Profile::Release;
        self
    }

    /// In the build with historical bugs.
    pub fn with_history(mut self) -> Scenario {
        self.profile = Profile::History;
        self
    }

    /// On so many processors.
    pub fn cpus(mut self, cpus: u32) -> Scenario {
        self.machine.cpus = cpus;
        self
    }

    /// With so many MiB of memory.
    pub fn memory(mut self, mebibytes: u32) -> Scenario {
        self.machine.memory = Memory(mebibytes);
        self
    }

    /// With a swap disk of so many MiB; 0: none.
    pub fn swap(mut self, mebibytes: u32) -> Scenario {
        self.machine.swap = Swap(mebibytes);
        self
    }

    /// On one processor with counted instructions.
    pub fn counted(mut self) -> Scenario {
        self.machine.pace = Pace::Counted;
        self.cpus(1)
    }

    /// On a machine whose firmware brings no ACPI tables.
    pub fn without_acpi(mut self) -> Scenario {
        self.machine.acpi = false;
        self
    }

    /// With a boot option.
    pub fn option(mut self, option: &str) -> Scenario {
        self.line.options.push(option.to_owned());
        self
    }

    /// With a damaged image.
    pub fn damage(mut self, damage: Damage) -> Scenario {
        self.damage = damage;
        self
    }

    /// With a program of another system in the archive.
    pub fn foreign(mut self, foreign: Foreign) -> Scenario {
        self.foreign = Some(foreign);
        self
    }

    /// When the console has shown `after`, `keys` are typed.
    pub fn types(mut self, after: &str, keys: &str) -> Scenario {
        self.script.push(Step { after: after.to_owned(), keys: keys.to_owned() });
        self
    }

    /// Within this time.
    pub fn seconds(mut self, seconds: u64) -> Scenario {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// The system ends the run in this way.
    pub fn ends(mut self, ending: Ending) -> Scenario {
        self.end = End::With(ending);
        self
    }

    /// The program exits with this status.
    pub fn exits(mut self, status: u8) -> Scenario {
        self.end = End::Exited(status);
        self
    }

    /// The program dies by this signal.
    pub fn dies(mut self, signal: u8) -> Scenario {
        self.end = End::Killed(signal);
        self
    }

    /// The run ends in this way, and not through the kernel.
    pub fn comes_to(mut self, outcome: Outcome) -> Scenario {
        self.end = End::Outcome(outcome);
        self
    }

    /// A line of the console contains all of these.
    pub fn shows(mut self, texts: &[&str]) -> Scenario {
        self.wants.push(Want::Line(texts.iter().map(|text| (*text).to_owned()).collect()));
        self
    }

    /// And this.
    pub fn wants(mut self, want: Want) -> Scenario {
        self.wants.push(want);
        self
    }
}
