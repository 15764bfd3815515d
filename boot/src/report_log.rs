//! The report channel as it is read back: the lines of crate `report`, and the checks they are about.

use std::borrow::Cow;

use report::Line;

/// The value by which the kernel says how many checks it is going to run.
const CHECKS_COUNT: &str = "checks.count";

/// Everything that came through the channel in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportLog {
    text: String,
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckEnd {
    /// It passed.
    Passed,
    /// It failed, and why.
    Failed(String),
    /// It began, and nothing was heard of it again: the system died in it.
    Unfinished,
}

/// A check and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub end: CheckEnd,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramEnd {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl ReportLog {
    /// From the bytes of the log file. A machine that dies may leave anything in it.
    pub fn new(bytes: &[u8]) -> ReportLog {
        ReportLog { text: String::from_utf8_lossy(bytes).into_owned() }
    }

    /// Its lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.text.lines().filter_map(Line::parse)
    }

    /// Lines that are not of the channel's grammar. A last one without a line feed does not count:
    /// the machine ended in the middle of it.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        let whole = &self.text[..self.text.rfind('\n').map_or(0, |end| end + 1)];
        whole.lines().filter(|line| Line::parse(line).is_none())
    }

    /// The checks, in the order in which they began.
    pub fn checks(&self) -> Vec<Check> {
        let mut all: Vec<Check> = Vec::new();
        for line in self.lines() {
            let (name, end) = match line {
                Line::Begin { check } => (check, None),
                Line::Passed { check } => (check, Some(CheckEnd::Passed)),
                Line::Failed { check, why } => (check, Some(CheckEnd::Failed(why.to_owned()))),
                _ => continue,
            };
            let known = all.iter().position(|check| check.name == name);
            let place = known.unwrap_or_else(|| {
                all.push(Check { name: name.to_owned(), end: CheckEnd::Unfinished });
                all.len() - 1
            });
            // A check that fails stays failed, whatever else it says.
            if let Some(end) = end
                && !matches!(all[place].end, CheckEnd::Failed(_))
            {
                all[place].end = end;
            }
        }
        all
    }

    /// How many checks the kernel said that it would run, if it said so.
    pub fn checks_announced(&self) -> Option<u64> {
        let values = self.values("checks");
        values.into_iter().find(|(name, _)| *name == CHECKS_COUNT).map(|(_, count)| count)
    }

    /// What is wrong with the number of checks that were heard of, if something is. A check that
    /// was never begun has no line of its own, so only the number can betray it.
    pub fn wrong_count(&self) -> Option<String> {
        let (announced, heard_of) = (self.checks_announced()?, self.checks().len());
        let wrong = u64::try_from(heard_of) != Ok(announced);
        wrong.then(|| format!("{announced} checks were announced, {heard_of} were reported"))
    }

    /// How the program that ended last did so, and its name.
    pub fn last_program(&self) -> Option<(&str, ProgramEnd)> {
        self.lines()
            .filter_map(|line| match line {
                Line::Exited { program, status } => Some((program, ProgramEnd::Exited(status))),
                Line::Killed { program, signal } => Some((program, ProgramEnd::Killed(signal))),
                _ => None,
            })
            .last()
    }

    /// The measured values with this unit, by name.
    pub fn values(&self, unit: &str) -> Vec<(&str, u64)> {
        self.lines()
            .filter_map(|line| match line {
                Line::Value { name, unit: own, value } if own == unit => Some((name, value)),
                _ => None,
            })
            .collect()
    }
}

/// What QEMU's monitor writes when it has done a command and the console becomes the guest's again: into the middle of
/// what the guest is writing by then.
const MONITOR_LEAVES: &str = "(qemu) \r\n";

/// Text from the console as a person would see it: no carriage returns, nothing undecodable, and no line broken by the
/// monitor.
pub fn console_text(bytes: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    text.replace(MONITOR_LEAVES, "").replace('\r', "")
}

#[cfg(test)]
mod tests {
    use super::{CheckEnd, ProgramEnd, ReportLog, console_text};

    #[test]
    fn the_monitor_breaks_no_line() {
        let shown =
            b"(qemu) mce 0\r\nkernel panic on cpu 0, running he(qemu) \r\nllo: machine check\r\n";
        assert_eq!(
            console_text(shown),
            "(qemu) mce 0\nkernel panic on cpu 0, running hello: machine check\n"
        );
    }

    #[test]
    fn checks_end_as_they_say_or_not_at_all() {
        let log = ReportLog::new(
            b"begin a\npassed a\nbegin b\nfailed b expected 1, found 2\npassed b\nbegin c\n",
        );
        let ends: Vec<_> = log.checks().into_iter().map(|check| (check.name, check.end)).collect();
        assert_eq!(
            ends,
            [
                ("a".to_owned(), CheckEnd::Passed),
                ("b".to_owned(), CheckEnd::Failed("expected 1, found 2".to_owned())),
                ("c".to_owned(), CheckEnd::Unfinished),
            ]
        );
    }

    #[test]
    fn checks_that_were_announced_must_all_be_heard_of() {
        let wrong = |text: &str| ReportLog::new(text.as_bytes()).wrong_count();
        assert_eq!(wrong("begin a\npassed a\n"), None);
        assert_eq!(wrong("value checks.count checks 1\nbegin a\npassed a\n"), None);
        assert_eq!(wrong("value other.count checks 2\nbegin a\npassed a\n"), None);
        for count in [0, 2, u64::MAX] {
            let text = format!("value checks.count checks {count}\nbegin a\npassed a\n");
            let expected = format!("{count} checks were announced, 1 were reported");
            assert_eq!(wrong(&text), Some(expected));
        }
    }

    #[test]
    fn programs_and_values_are_found() {
        let log = ReportLog::new(
            b"exited init 0\nvalue syscall.null instructions 47\nvalue wall us 9\nkilled fault 11\n",
        );
        assert_eq!(log.last_program(), Some(("fault", ProgramEnd::Killed(11))));
        assert_eq!(log.values("instructions"), [("syscall.null", 47)]);
    }

    #[test]
    fn garbage_is_told_from_an_unfinished_line() {
        let log = ReportLog::new(b"begin a\n\xff\xfe\npassed a\npass");
        assert_eq!(log.unreadable().count(), 1);
        assert_eq!(log.checks()[0].end, CheckEnd::Passed);
        assert_eq!(ReportLog::new(b"beg").unreadable().count(), 0);
    }
}
