//! What is counted in instructions must be the same every time, to the digit. So must everything that happens
//! while disks are at work, whose transfers the host carries out whenever it gets to it.

use abi::ending::Ending;
use boot::report_log::ReportLog;
use boot::run::Run;
use libtest_mimic::Trial;

use crate::perform::{failure, judge, observe};
use crate::scenario::{Scenario, Want};

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
    let disks = |scenario: Scenario| {
        Trial::test(scenario.name.clone(), move || Ok(disks_repeat(&scenario)?))
    };
    scenarios().into_iter().map(trial).chain(DISK_USERS.map(with_disks).map(disks)).collect()
}

/// Processors of the machines that use their disks.
const DISK_USERS: [u32; 2] = [1, 4];

/// Threads that use the disks together, with everything that they do on the report channel.
fn with_disks(cpus: u32) -> Scenario {
    Scenario::new(format!("disks/cpus-{cpus}-repeat-to-the-digit"), &[])
        .counted()
        .cpus(cpus)
        .seconds(300)
        .option("check=many-threads-use-the-disks,disk-errors-reach-who-asked")
        .option("trace=all")
        .option("trace-dump=1")
        .ends(Ending::ChecksEnded)
        .wants(Want::ChecksPassed)
}

fn disks_repeat(scenario: &Scenario) -> Result<(), String> {
    let run = || {
        let run = observe(scenario)?;
        judge(scenario, &run)?;
        Ok::<_, String>(run)
    };
    let first = run()?;
    let second = run()?;
    let lines = |run: &Run| run.report.lines().map(|line| line.to_string()).collect::<Vec<_>>();
    let (one, other) = (lines(&first), lines(&second));
    if one.len() < 100 {
        return Err(failure("there is no trace", scenario, &second));
    }
    match one.iter().zip(&other).position(|(one, other)| one != other) {
        None if one.len() == other.len() => Ok(()),
        place => {
            let place = place.unwrap_or(one.len().min(other.len()));
            let (one, other) = (one.get(place), other.get(place));
            let what = format!("line {place} of the report: {one:?}, then {other:?}");
            Err(failure(&what, scenario, &second))
        }
    }
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
