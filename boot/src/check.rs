//! Running the kernel's own checks and showing each as it ends.

use report::Line;

use crate::report_log::{CheckEnd, ReportLog};

/// The boot option that runs these checks; none means all.
pub fn option(names: &[String]) -> String {
    let names = if names.is_empty() { "all".to_owned() } else { names.join(",") };
    format!("check={names}")
}

/// What to show when this line comes.
pub fn progress(line: Line<'_>) -> Option<String> {
    match line {
        Line::Passed { check } => Some(format!("passed  {check}")),
        Line::Failed { check, why } => Some(format!("FAILED  {check}: {why}")),
        _ => None,
    }
}

/// What to show at the end: the checks that the system died in, and the sum.
pub fn summary(report: &ReportLog) -> String {
    let checks = report.checks();
    let mut text = String::new();
    for check in checks.iter().filter(|check| check.end == CheckEnd::Unfinished) {
        text += &format!("FAILED  {}: it began and did not end\n", check.name);
    }
    let passed = checks.iter().filter(|check| check.end == CheckEnd::Passed).count();
    text += &format!("{passed} passed, {} failed", checks.len() - passed);
    if let Some(wrong) = report.wrong_count() {
        text += &format!("; {wrong}");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::{option, progress, summary};
    use crate::report_log::ReportLog;

    #[test]
    fn names_are_joined_and_none_means_all() {
        assert_eq!(option(&[]), "check=all");
        assert_eq!(option(&["poke".to_owned(), "frames".to_owned()]), "check=poke,frames");
    }

    #[test]
    fn a_check_without_an_end_is_shown_as_failed() {
        let log = ReportLog::new(b"begin a\npassed a\nbegin b\n");
        let shown: Vec<String> = log.lines().filter_map(progress).collect();
        assert_eq!(shown, ["passed  a"]);
        assert_eq!(summary(&log), "FAILED  b: it began and did not end\n1 passed, 1 failed\n");
        let log = ReportLog::new(b"value checks.count checks 2\nbegin a\npassed a\n");
        let wrong = "2 checks were announced, 1 were reported";
        assert_eq!(summary(&log), format!("1 passed, 0 failed; {wrong}\n"));
    }
}
