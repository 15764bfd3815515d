//! What is counted in instructions must be the same every time, to the digit.

use abi::ending::Ending;
use boot::report_log::ReportLog;
use libtest_mimic::Trial;

use crate::perform::{failure, judge, observe};
use crate::scenario::Scenario;

/// What is measured: by the program, and by the kernel itself on one processor and on two.
fn scenarios() -> [Scenario; 3] {
    let scenario = |name: &str, program: &[&str]| {
        Scenario::new(format!("bench/{name}"), program).released().counted().seconds(300)
    };
    let kernel = |name: &str| scenario(name, &[]).ends(Ending::PoweredOff);
    [
        scenario("repeats-to-the-digit", &["bench"]),
        kernel("of-the-kernel-repeats-to-the-digit")
            .option("bench=all")
            .shows(&["smp: skipped, it needs 2 processors, and 1 are there"]),
        kernel("of-two-processors-repeats-to-the-digit").option("bench=smp").cpus(2),
    ]
}

pub fn trials() -> Vec<Trial> {
    let trial =
        |scenario: Scenario| Trial::test(scenario.name.clone(), move || Ok(repeats(&scenario)?));
    scenarios().into_iter().map(trial).collect()
}

fn repeats(scenario: &Scenario) -> Result<(), String> {
    let measure = || {
        let run = observe(scenario)?;
        judge(scenario, &run)?;
        Ok::<_, String>((named(&run.report), run))
    };
    let (first, _) = measure()?;
    let (second, run) = measure()?;
    if first.is_empty() {
        return Err(failure("nothing was measured", scenario, &run));
    }
    let lost = expected(scenario).find(|row| first.iter().all(|(name, _)| name != row));
    if let Some(row) = lost {
        return Err(failure(&format!("{row} was not measured"), scenario, &run));
    }
    let changed: Vec<_> = first.iter().zip(&second).filter(|(one, other)| one != other).collect();
    if first.len() != second.len() || !changed.is_empty() {
        let (one, other) = (first.len(), second.len());
        let what = format!("two runs measured {one} and {other} values; changed: {changed:?}");
        return Err(failure(&what, scenario, &run));
    }
    Ok(())
}

/// The rows of the table that the boot must have measured: those of the group that it was asked for, where
/// `all` on one processor is the dispatcher's.
fn expected(scenario: &Scenario) -> impl Iterator<Item = &'static str> {
    let asked = |option: &str| scenario.line.options.iter().any(|word| word == option);
    let group = match () {
        () if asked("bench=all") => Some("disp."),
        () if asked("bench=smp") => Some("smp."),
        () => None,
    };
    let names = boot::bench_table::ROWS.iter().map(|row| row.name);
    names.filter(move |name| group.is_some_and(|group| name.starts_with(group)))
}

fn named(report: &ReportLog) -> Vec<(String, u64)> {
    let values = report.values(boot::bench_table::INSTRUCTIONS);
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
