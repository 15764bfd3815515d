//! From what was seen of a run to what is wrong with it.
//!
//! Only the first of these that holds is said, because the others usually follow from it: the run did
//! not end as it should; the console does not show what it should; a check failed.

use std::fmt::Write;

use abi::ending::Ending;
use boot::outcome::Outcome;
use boot::report_log::{CheckEnd, ProgramEnd, ReportLog};

use crate::scenario::{End, Want};

/// Lines around a difference that are shown with it.
const AROUND: usize = 2;

/// Lines of a panic that are shown.
const PANIC_LINES: usize = 24;

/// What a run left behind.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// How it ended.
    pub outcome: Outcome,
    /// What the console showed.
    pub serial: &'a str,
    /// What came through the report channel.
    pub report: &'a ReportLog,
}

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Passed,
    /// It ended as it should, but did not show what it should; an excerpt says where.
    WrongOutput(String),
    /// Checks of its own failed.
    ChecksFailed(String),
    /// The kernel panicked; the text of the panic.
    KernelPanic(String),
    /// The processor gave up.
    TripleFault,
    /// It took too long.
    TimedOut,
    /// It ended in another way than it should.
    WrongEnd(String),
}

impl Verdict {
    /// The text for a person, without a line feed at its end; empty if nothing is wrong.
    pub fn text(&self) -> String {
        match self {
            Verdict::Passed => String::new(),
            Verdict::WrongOutput(text) => format!("wrong output: {text}"),
            Verdict::ChecksFailed(text) => format!("checks failed: {text}"),
            Verdict::KernelPanic(text) => format!("kernel panic:\n{text}"),
            Verdict::TripleFault => {
                "triple fault: a fault came while no handler could be entered".to_owned()
            }
            Verdict::TimedOut => "time is up: the run did not end by itself".to_owned(),
            Verdict::WrongEnd(text) => format!("wrong end: {text}"),
        }
    }
}

/// Judges a run.
pub fn classify(end: End, wants: &[Want], seen: Seen<'_>) -> Verdict {
    if let Some(verdict) = wrong_end(end, seen) {
        return verdict;
    }
    for want in wants {
        let found = match want {
            Want::ChecksPassed => match failed_checks(seen.report) {
                Some(text) => return Verdict::ChecksFailed(text),
                None => Ok(()),
            },
            Want::Report(judge) => judge(seen.report),
            Want::Console(judge) => judge(seen.serial),
            _ => look_for(want, seen.serial),
        };
        if let Err(text) = found {
            return Verdict::WrongOutput(text);
        }
    }
    Verdict::Passed
}

fn wrong_end(end: End, seen: Seen<'_>) -> Option<Verdict> {
    let wanted = match end {
        End::With(ending) => ending,
        End::Exited(_) | End::Killed(_) => Ending::ProgramEnded,
        End::Outcome(wanted) => {
            let (found, expected) = (seen.outcome.text(), wanted.text());
            let wrong = format!("expected \"{expected}\", found \"{found}\"");
            return (seen.outcome != wanted).then_some(Verdict::WrongEnd(wrong));
        }
    };
    if seen.outcome != Outcome::Ended(wanted) {
        return Some(unexpected(wanted, seen));
    }
    let found = seen.report.last_program().map(|(_, found)| found);
    let expected = match end {
        End::With(_) | End::Outcome(_) => return None,
        End::Exited(status) => ProgramEnd::Exited(status),
        End::Killed(signal) => ProgramEnd::Killed(signal),
    };
    (found != Some(expected)).then(|| {
        let found = found.map_or("nothing was reported".to_owned(), in_words);
        let expected = in_words(expected);
        Verdict::WrongEnd(format!("the program should end with {expected}; {found}"))
    })
}

fn in_words(end: ProgramEnd) -> String {
    match end {
        ProgramEnd::Exited(status) => format!("status {status}"),
        ProgramEnd::Killed(signal) => format!("signal {signal}"),
    }
}

/// What a run that ended in another way than `wanted` died of.
fn unexpected(wanted: Ending, seen: Seen<'_>) -> Verdict {
    match seen.outcome {
        Outcome::Ended(Ending::KernelPanic | Ending::PanicInPanic) => {
            Verdict::KernelPanic(panic_text(seen.serial))
        }
        Outcome::TripleFault => Verdict::TripleFault,
        Outcome::TimedOut => Verdict::TimedOut,
        other => {
            let (wanted, other) = (wanted.text(), other.text());
            Verdict::WrongEnd(format!("expected \"{wanted}\", found \"{other}\""))
        }
    }
}

/// What became of a run in which a check did not end.
pub fn cause_of_death(seen: Seen<'_>) -> String {
    match seen.outcome {
        Outcome::Ended(Ending::ChecksEnded) => "the checks after it were run".to_owned(),
        _ => unexpected(Ending::ChecksEnded, seen).text(),
    }
}

/// The lines of the first panic.
fn panic_text(serial: &str) -> String {
    let lines = serial.lines().skip_while(|line| !line.contains("panic"));
    let text = lines.take(PANIC_LINES).collect::<Vec<_>>().join("\n");
    if text.is_empty() { "(nothing about it on the console)".to_owned() } else { text }
}

/// The checks that did not pass, if any did not, or what is wrong with their number.
fn failed_checks(report: &ReportLog) -> Option<String> {
    let checks = report.checks();
    if checks.is_empty() {
        return Some("none was reported".to_owned());
    }
    if let Some(line) = report.unreadable().next() {
        return Some(format!("the report channel holds a line that cannot be read: {line:?}"));
    }
    let mut text = String::new();
    for check in checks {
        match check.end {
            CheckEnd::Passed => {}
            CheckEnd::Failed(why) => drop(write!(text, "\n  {}: {why}", check.name)),
            CheckEnd::Unfinished => drop(write!(text, "\n  {}: it did not end", check.name)),
        }
    }
    if let Some(wrong) = report.wrong_count() {
        text += &format!("\n  {wrong}");
    }
    (!text.is_empty()).then_some(text)
}

fn look_for(want: &Want, serial: &str) -> Result<(), String> {
    let lines: Vec<&str> = serial.lines().collect();
    let about = |text: &str| -> Vec<usize> {
        (0..lines.len()).filter(|place| lines[*place].contains(text)).collect()
    };
    let shown: Vec<&str> = lines.iter().copied().filter(|line| !line.trim().is_empty()).collect();
    match want {
        Want::Line(texts) => {
            let count = |line: &str| texts.iter().filter(|text| line.contains(&**text)).count();
            let best = (0..lines.len()).max_by_key(|place| count(lines[*place]));
            let found = best.map_or(0, |place| count(lines[place]));
            if found == texts.len() {
                return Ok(());
            }
            let mut text = format!("no line contains {}", texts.join(" and "));
            // A line that has part of it is probably the one that was meant.
            if let Some(place) = best.filter(|_| found > 0) {
                text += &format!("; the nearest is\n{}", excerpt(&lines, place));
            }
            Err(text)
        }
        Want::OneLine(text) => match *about(text) {
            [_] => Ok(()),
            [] => Err(format!("no line contains {text}")),
            [.., last] => {
                Err(format!("more than one line contains {text}\n{}", excerpt(&lines, last)))
            }
        },
        Want::OnlyLine(text) => match *shown {
            [line] if line.contains(&**text) => Ok(()),
            _ => Err(format!(
                "expected exactly one line, with {text}; found {}:\n{}",
                shown.len(),
                shown.join("\n")
            )),
        },
        Want::Nowhere(text) => match *about(text) {
            [] => Ok(()),
            [first, ..] => Err(format!("there is a line with {text}\n{}", excerpt(&lines, first))),
        },
        // Judged as a whole.
        Want::ChecksPassed | Want::Report(_) | Want::Console(_) => Ok(()),
    }
}

/// A line, marked, with its neighbours.
fn excerpt(lines: &[&str], place: usize) -> String {
    let first = place.saturating_sub(AROUND);
    let last = (place + AROUND).min(lines.len() - 1);
    let mark = |number: usize| if number == place { "> " } else { "  " };
    let marked = (first..=last).map(|number| format!("{}{}", mark(number), lines[number]));
    marked.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Seen, Verdict, cause_of_death, classify};
    use crate::scenario::{End, Want};
    use abi::ending::Ending;
    use boot::outcome::Outcome;
    use boot::report_log::ReportLog;

    fn judge(end: End, wants: &[Want], outcome: Outcome, serial: &str, report: &str) -> Verdict {
        let report = ReportLog::new(report.as_bytes());
        classify(end, wants, Seen { outcome, serial, report: &report })
    }

    fn line(texts: &[&str]) -> Want {
        Want::Line(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    const ENDED: Outcome = Outcome::Ended(Ending::ProgramEnded);
    const PANIC: &str = "booting\nkernel panic: no frame\n  0xffffffff80001000 take\n";

    #[test]
    fn what_ends_and_shows_as_it_should_passes() {
        let wants = [line(&["Hello", "mode"]), Want::Nowhere("panic".to_owned())];
        let verdict =
            judge(End::Exited(0), &wants, ENDED, "Hello from user mode\n", "exited hello 0\n");
        assert_eq!(verdict, Verdict::Passed);
    }

    #[test]
    fn a_panic_is_told_with_its_text() {
        let outcome = Outcome::Ended(Ending::KernelPanic);
        let verdict = judge(End::Exited(0), &[], outcome, PANIC, "");
        assert!(verdict.text().contains("\nkernel panic: no frame\n  0xffffffff80001000 take"));
        assert!(!verdict.text().contains("booting"));
        let expected = End::With(Ending::KernelPanic);
        assert_eq!(
            judge(expected, &[line(&["0xffff", "take"])], outcome, PANIC, ""),
            Verdict::Passed
        );
    }

    #[test]
    fn triple_faults_and_hangs_are_named() {
        let judge = |outcome| judge(End::Exited(0), &[], outcome, "Hello\n", "");
        assert_eq!(judge(Outcome::TripleFault), Verdict::TripleFault);
        assert_eq!(judge(Outcome::TimedOut), Verdict::TimedOut);
        assert!(judge(Outcome::QemuFailed(1)).text().contains("QEMU failed with status 1"));
        assert!(judge(Outcome::Reset).text().contains("reset"));
    }

    #[test]
    fn another_status_or_signal_is_the_wrong_end() {
        let text = |end, report| judge(end, &[], ENDED, "", report).text();
        assert!(text(End::Exited(0), "exited hello 1\n").ends_with("status 0; status 1"));
        assert!(text(End::Killed(11), "exited hello 0\n").contains("signal 11"));
        assert!(text(End::Killed(11), "").contains("nothing was reported"));
        assert_eq!(text(End::Killed(8), "killed fault 8\n"), "");
    }

    #[test]
    fn wrong_output_comes_with_the_nearest_line() {
        let serial = "one\ntwo\nfault: killed by SIGBUS\nfour\nfive\nsix\n";
        let wants = [line(&["fault", "SIGSEGV"])];
        let text = judge(
            End::With(Ending::PoweredOff),
            &wants,
            Outcome::Ended(Ending::PoweredOff),
            serial,
            "",
        )
        .text();
        assert!(text.contains("no line contains fault and SIGSEGV"), "{text}");
        assert!(text.contains("\n  two\n> fault: killed by SIGBUS\n  four\n  five"), "{text}");
    }

    #[test]
    fn one_clear_line_is_one_and_not_two() {
        let ending = Ending::NoRamdisk;
        let judge =
            |want, serial| judge(End::With(ending), &[want], Outcome::Ended(ending), serial, "");
        let only = || Want::OnlyLine("no ramdisk".to_owned());
        let one = || Want::OneLine("no ramdisk".to_owned());
        assert_eq!(judge(only(), "\nupcall: no ramdisk\n"), Verdict::Passed);
        assert_eq!(judge(one(), "loading\nupcall: no ramdisk\n"), Verdict::Passed);
        for (want, serial) in [
            (only(), "loading\nupcall: no ramdisk\n"),
            (only(), ""),
            (one(), "loading\n"),
            (one(), "no ramdisk\nno ramdisk\n"),
        ] {
            assert!(matches!(judge(want, serial), Verdict::WrongOutput(_)), "{serial:?}");
        }
    }

    #[test]
    fn checks_must_be_there_and_pass() {
        let ending = Ending::ChecksEnded;
        let judge = |report: &str| {
            judge(End::With(ending), &[Want::ChecksPassed], Outcome::Ended(ending), "", report)
        };
        assert_eq!(judge("begin a\npassed a\n"), Verdict::Passed);
        assert!(judge("").text().contains("none was reported"));
        assert!(judge("begin a\nfailed a 1 is 2\n").text().contains("a: 1 is 2"));
        assert!(judge("begin a\n").text().contains("a: it did not end"));
        let counted =
            |count| judge(&format!("value checks.count checks {count}\nbegin a\npassed a\n"));
        assert_eq!(counted(1), Verdict::Passed);
        assert!(counted(2).text().contains("2 checks were announced, 1 were reported"));
        assert!(judge("begin a\npas?\npassed a\n").text().contains("cannot be read"));
    }

    #[test]
    fn a_judge_of_the_report_has_the_last_word() {
        let wants = [Want::Report(|report| match report.values("bytes").len() {
            0 => Err("there are no bytes".to_owned()),
            _ => Ok(()),
        })];
        let judge = |report| judge(End::Exited(0), &wants, ENDED, "", report).text();
        assert_eq!(judge("value a bytes 1\nexited hello 0\n"), "");
        assert!(judge("exited hello 0\n").contains("there are no bytes"));
        let wants = [Want::Console(|console| match console.contains("bytes") {
            true => Ok(()),
            false => Err("nothing about bytes".to_owned()),
        })];
        let judge = |serial| {
            super::tests::judge(End::Exited(0), &wants, ENDED, serial, "exited hello 0\n").text()
        };
        assert_eq!(judge("bytes\n"), "");
        assert!(judge("nothing\n").contains("nothing about bytes"));
    }

    #[test]
    fn a_check_that_did_not_end_died_of_something() {
        let report = ReportLog::new(b"begin a\n");
        let outcome = Outcome::Ended(Ending::KernelPanic);
        let seen = Seen { outcome, serial: PANIC, report: &report };
        assert!(cause_of_death(seen).contains("no frame"));
        let survived = Seen { outcome: Outcome::Ended(Ending::ChecksEnded), ..seen };
        assert!(cause_of_death(survived).contains("after it"));
    }
}
