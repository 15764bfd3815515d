//! How a run ended, and what the tool's own exit status says about it.
//!
//! The system tells QEMU to exit with a status of its own (`abi::ending`), so every other way out is
//! an accident, and is named as one. A program's status travels on the report channel.

use std::process::ExitStatus;

use abi::ending::Ending;

use crate::report_log::{CheckEnd, ProgramEnd, ReportLog};

/// Status of the tool when a run took too long, as with `timeout`.
pub const TIMED_OUT: u8 = 124;

/// What QEMU prints when a person leaves it from the keyboard.
const LEFT: &str = "QEMU: Terminated";

/// What QEMU notes when the processor gives up.
const TRIPLE_FAULT: &str = "Triple fault";

/// How QEMU's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// The tool ended it, because its time was up.
    TimedOut,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(code),
            (None, signal) => Exit::Signal(signal.unwrap_or_default()),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The system said so itself.
    Ended(Ending),
    /// Somebody left QEMU from the keyboard.
    Left,
    /// The processor found no way to deliver a fault.
    TripleFault,
    /// The machine was reset, or something asked QEMU to end.
    Reset,
    /// The run took too long.
    TimedOut,
    /// QEMU died by this signal.
    QemuKilled(i32),
    /// QEMU did not start the machine, or gave up on it.
    QemuFailed(i32),
}

/// What the tool says and returns after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The tool's exit status.
    pub status: u8,
    /// What went wrong, if something did.
    pub complaint: Option<String>,
}

impl Outcome {
    /// From how QEMU ended, what the console showed and what QEMU noted about resets.
    pub fn new(exit: Exit, serial: &str, resets: &str) -> Outcome {
        match exit {
            Exit::TimedOut => Outcome::TimedOut,
            Exit::Signal(signal) => Outcome::QemuKilled(signal),
            Exit::Status(0) if resets.contains(TRIPLE_FAULT) => Outcome::TripleFault,
            Exit::Status(0) if was_left(serial) => Outcome::Left,
            Exit::Status(0) => Outcome::Reset,
            Exit::Status(status) => {
                Ending::from_qemu_status(status).map_or(Outcome::QemuFailed(status), Outcome::Ended)
            }
        }
    }

    /// Whether it is QEMU that failed, and not what runs in it.
    pub fn is_qemus_own(self) -> bool {
        matches!(self, Outcome::QemuFailed(_) | Outcome::QemuKilled(_))
    }

    /// One line for a person.
    pub fn text(self) -> String {
        match self {
            Outcome::Ended(ending) => ending.text().to_owned(),
            Outcome::Left => "left from the keyboard".to_owned(),
            Outcome::TripleFault => "triple fault".to_owned(),
            Outcome::Reset => "the machine was reset, or QEMU was told to end".to_owned(),
            Outcome::TimedOut => "time is up".to_owned(),
            Outcome::QemuKilled(signal) => format!("QEMU died by signal {signal}"),
            Outcome::QemuFailed(status) => format!("QEMU failed with status {status}"),
        }
    }

    /// What the tool makes of it.
    pub fn conclude(self, report: &ReportLog) -> Conclusion {
        let fine = Conclusion { status: 0, complaint: None };
        let bad = |status: u8, complaint: String| Conclusion { status, complaint: Some(complaint) };
        match self {
            Outcome::Left | Outcome::Ended(Ending::PoweredOff) => fine,
            Outcome::Ended(Ending::ProgramEnded) => match report.last_program() {
                Some((_, ProgramEnd::Exited(status))) => Conclusion { status, complaint: None },
                Some((program, ProgramEnd::Killed(signal))) => bad(
                    128_u8.saturating_add(signal),
                    format!("`{program}` was ended by signal {signal}"),
                ),
                None => bad(
                    Ending::ProgramEnded.qemu_status() as u8,
                    "a program ended, but how is not on the report channel".to_owned(),
                ),
            },
            Outcome::Ended(Ending::ChecksEnded) => match what_failed(report) {
                None => fine,
                Some(what) => bad(1, what),
            },
            Outcome::Ended(ending) => bad(ending.qemu_status() as u8, self.text()),
            Outcome::TimedOut => bad(TIMED_OUT, self.text()),
            Outcome::QemuKilled(signal) => bad(128_u8.saturating_add(signal as u8), self.text()),
            Outcome::QemuFailed(status) => bad(status as u8, self.text()),
            Outcome::TripleFault | Outcome::Reset => bad(1, self.text()),
        }
    }
}

/// One line on the checks that did not pass, if any did not.
fn what_failed(report: &ReportLog) -> Option<String> {
    let checks = report.checks();
    if checks.is_empty() {
        return Some("no check has run".to_owned());
    }
    if let Some(line) = report.unreadable().next() {
        return Some(format!("the report channel holds a line that cannot be read: {line:?}"));
    }
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check.end != CheckEnd::Passed)
        .map(|check| check.name.as_str())
        .collect();
    let (count, all) = (failed.len(), checks.len());
    if count == 0 {
        return report.wrong_count();
    }
    let mut text = format!("{count} of {all} checks failed: {}", failed.join(", "));
    if let Some(wrong) = report.wrong_count() {
        text += &format!("; {wrong}");
    }
    Some(text)
}

/// Whether QEMU said that somebody left it. A few characters of the system's may come behind.
fn was_left(serial: &str) -> bool {
    serial.trim_end().lines().rev().take(2).any(|line| line.ends_with(LEFT))
}

#[cfg(test)]
mod tests {
    use super::{Exit, Outcome};
    use crate::report_log::ReportLog;
    use abi::ending::Ending;

    fn concluded(outcome: Outcome, report: &str) -> (u8, String) {
        let conclusion = outcome.conclude(&ReportLog::new(report.as_bytes()));
        (conclusion.status, conclusion.complaint.unwrap_or_default())
    }

    #[test]
    fn every_ending_is_recognised_by_qemus_status() {
        for ending in Ending::ALL {
            let outcome = Outcome::new(Exit::Status(ending.qemu_status()), "", "");
            assert_eq!(outcome, Outcome::Ended(*ending));
        }
        assert_eq!(Outcome::new(Exit::Status(1), "", ""), Outcome::QemuFailed(1));
        assert_eq!(Outcome::new(Exit::Signal(11), "", ""), Outcome::QemuKilled(11));
    }

    #[test]
    fn status_zero_is_explained_by_what_qemu_noted() {
        let zero = |serial, resets| Outcome::new(Exit::Status(0), serial, resets);
        assert_eq!(zero("hello\nQEMU: Terminated\n", "CPU Reset"), Outcome::Left);
        assert_eq!(zero("process QEMU: Terminated\n2", "CPU Reset"), Outcome::Left);
        assert_eq!(zero("hello", "CPU Reset\nTriple fault\n"), Outcome::TripleFault);
        assert_eq!(zero("hello", "CPU Reset\n"), Outcome::Reset);
    }

    #[test]
    fn a_programs_status_becomes_the_tools() {
        let ended = Outcome::Ended(Ending::ProgramEnded);
        assert_eq!(concluded(ended, "exited hello 42\n"), (42, String::new()));
        assert_eq!(concluded(ended, "killed fault 11\n").0, 139);
        assert_eq!(concluded(ended, "").0, 33);
    }

    #[test]
    fn checks_pass_only_if_all_do() {
        let ended = Outcome::Ended(Ending::ChecksEnded);
        assert_eq!(concluded(ended, "begin a\npassed a\n"), (0, String::new()));
        let (status, complaint) = concluded(ended, "begin a\npassed a\nbegin b\nfailed c why\n");
        assert_eq!((status, complaint.as_str()), (1, "2 of 3 checks failed: b, c"));
        assert_eq!(concluded(ended, "").0, 1);
        assert_eq!(concluded(ended, "begin a\n*\npassed a\n").0, 1);
        let announced = |count, rest| {
            concluded(ended, &format!("value checks.count checks {count}\nbegin a\n{rest}"))
        };
        assert_eq!(announced(1, "passed a\n"), (0, String::new()));
        let wrong = "2 checks were announced, 1 were reported";
        assert_eq!(announced(2, "passed a\n"), (1, wrong.to_owned()));
        assert_eq!(announced(2, "failed a b\n"), (1, format!("1 of 1 checks failed: a; {wrong}")));
    }

    #[test]
    fn accidents_are_failures() {
        assert_eq!(concluded(Outcome::TripleFault, ""), (1, "triple fault".to_owned()));
        assert_eq!(concluded(Outcome::TimedOut, "").0, 124);
        assert_eq!(concluded(Outcome::Ended(Ending::KernelPanic), "exited hello 0\n").0, 65);
        assert_eq!(concluded(Outcome::Ended(Ending::PoweredOff), "killed x 9\n").0, 0);
    }
}
