//! What is counted in instructions must be the same every time, to the digit.

use boot::report_log::ReportLog;
use libtest_mimic::Trial;

use crate::perform::{failure, judge, observe};
use crate::scenario::Scenario;

/// The test's name.
const NAME: &str = "bench/repeats-to-the-digit";

pub fn trials() -> Vec<Trial> {
    vec![Trial::test(NAME, || Ok(repeats()?))]
}

fn repeats() -> Result<(), String> {
    let scenario = Scenario::new(NAME, &["bench"]).released().counted().seconds(300);
    let measure = || {
        let run = observe(&scenario)?;
        judge(&scenario, &run)?;
        Ok::<_, String>((named(&run.report), run))
    };
    let (first, _) = measure()?;
    let (second, run) = measure()?;
    if first.is_empty() {
        return Err(failure("nothing was measured", &scenario, &run));
    }
    let changed: Vec<_> = first.iter().zip(&second).filter(|(one, other)| one != other).collect();
    if first.len() != second.len() || !changed.is_empty() {
        let (one, other) = (first.len(), second.len());
        let what = format!("two runs measured {one} and {other} values; changed: {changed:?}");
        return Err(failure(&what, &scenario, &run));
    }
    Ok(())
}

fn named(report: &ReportLog) -> Vec<(String, u64)> {
    let values = report.values(boot::bench_table::INSTRUCTIONS);
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
