//! Measuring: boots the benchmark program with counted instructions and shows what it reports.
//!
//! The values repeat to the digit, so a difference between two runs is a difference between two
//! systems. The one wall-clock time shown is not repeatable, and stays out of the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench_table::{self, BYTES, INSTRUCTIONS};
use crate::command_line::CommandLine;
use crate::image::Image;
use crate::outcome::Conclusion;
use crate::qemu::{Machine, Memory, Pace};
use crate::report_log::ReportLog;
use crate::run::{self, Boot, Console, Manner, Run};
use crate::run_folder::RunFolder;
use crate::workspace::{self, Build};

/// By how much a value may grow before a comparison fails, in percent.
const TOLERANCE: u64 = 1;

/// Longest time for the benchmark program.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A value that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The smallest value reported under the name.
    pub value: u64,
}

/// The groups that the kernel measures itself, and how many processors each takes. A second processor would
/// change the values of the others, so a group that takes more than one has a machine of its own.
const KERNEL_GROUPS: [(&str, u32); 2] = [("disp", 1), ("smp", 2)];

/// What measures the thread library, under either name: the words of each program, and the machine's memory. The last one
/// has a hundred thousand threads.
const THREAD_GROUPS: [&str; 2] = ["sa", "threads"];
const THREAD_PROGRAMS: [(&[&str], u32); 4] = [
    (&["bench_threads"], 256),
    (&["env", "LIBSA=lwp", "bench_threads"], 256),
    (&["env", "LIBSA=mux,2", "bench_threads"], 256),
    (&["bench_threads", "parked"], 1024),
];

/// Boots what measures, all of it or one group: one machine after the other.
pub fn measure(build: &Build, image: &Image, group: Option<&str>) -> Result<Vec<Run>> {
    let boot_with = |cpus, memory, kernel: Option<&str>, program: &[&str]| {
        let memory = Memory(memory);
        let machine = Machine { cpus, memory, pace: Pace::Counted, ..Machine::default() };
        let options = kernel.map(|group| format!("bench={group}"));
        let program = program.iter().map(|word| (*word).to_owned());
        boot(build, image, machine, options.into_iter().collect(), program.collect())
    };
    let boot = |cpus, kernel, program: &[&str]| boot_with(cpus, 256, kernel, program);
    let threads = || {
        let programs = THREAD_PROGRAMS.into_iter();
        programs.map(|(program, memory)| boot_with(1, memory, None, program)).collect()
    };
    let Some(group) = group else {
        let mut runs = vec![boot(1, Some("all"), &["bench"])?];
        for (group, cpus) in KERNEL_GROUPS.into_iter().filter(|(_, cpus)| *cpus > 1) {
            runs.push(boot(cpus, Some(group), &[])?);
        }
        let of_threads: Result<Vec<Run>> = threads();
        runs.extend(of_threads?);
        return Ok(runs);
    };
    if THREAD_GROUPS.contains(&group) {
        return threads();
    }
    let run = match KERNEL_GROUPS.into_iter().find(|(name, _)| *name == group) {
        // The kernel's own groups need no program.
        Some((_, cpus)) => boot(cpus, Some(group), &[]),
        None => boot(1, None, &["bench", group]),
    };
    Ok(vec![run?])
}

/// Boots `hello` on four processors at full speed; the answer is how long it took.
pub fn wall(build: &Build, image: &Image) -> Result<Duration> {
    let run = boot(build, image, Machine::default(), Vec::new(), vec!["hello".to_owned()])?;
    Ok(run.wall)
}

fn boot(
    build: &Build,
    image: &Image,
    machine: Machine,
    options: Vec<String>,
    program: Vec<String>,
) -> Result<Run> {
    let folder = RunFolder::next(program.first().map_or("bench", String::as_str))?;
    let line = CommandLine { options, program };
    let console = Console::Script(Vec::new());
    let manner = Manner { folder, console, timeout: Some(TIMEOUT), gdb_port: None };
    let run = run::run(&Boot::new(build, image, machine, line), &manner, |_| ())?;
    match run.outcome.conclude(&run.report) {
        Conclusion { status: 0, complaint: None } => Ok(run),
        Conclusion { status, complaint } => {
            let own = run.outcome.is_qemus_own();
            let messages = own.then(|| run.qemu_messages()).flatten();
            bail!(
                "{} (log: {}){}",
                complaint.unwrap_or_else(|| format!("the program's status is {status}")),
                run.folder.serial_log().display(),
                messages.map_or_else(String::new, |messages| format!("\n{messages}"))
            )
        }
    }
}

/// The measured values in the table's order, those that it does not know at the end.
pub fn measured<'a>(reports: impl IntoIterator<Item = &'a ReportLog>) -> Vec<Measured> {
    let mut smallest: BTreeMap<(usize, String), (&str, u64)> = BTreeMap::new();
    for report in reports {
        for unit in [INSTRUCTIONS, BYTES] {
            for (name, value) in report.values(unit) {
                let known = bench_table::ROWS.iter().position(|row| row.name == name);
                let place = (known.unwrap_or(usize::MAX), name.to_owned());
                let entry = smallest.entry(place).or_insert((unit, value));
                entry.1 = entry.1.min(value);
            }
        }
    }
    let measured = |((_, name), (unit, value)): ((usize, String), (&str, u64))| Measured {
        name,
        unit: unit.to_owned(),
        value,
    };
    smallest.into_iter().map(measured).collect()
}

/// The table for a person.
pub fn table(values: &[Measured]) -> String {
    let heading = ["name", "one operation", "measured", "goal", "Linux", "Go", "Linux/ours"];
    let mut lines = vec![heading.map(str::to_owned)];
    for value in values {
        let row = bench_table::find(&value.name);
        let figure = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), grouped);
        let linux = row.and_then(|row| row.linux);
        let suffix = if value.unit == INSTRUCTIONS { "" } else { " B" };
        lines.push([
            value.name.clone(),
            row.map_or("", |row| row.operation).to_owned(),
            grouped(value.value) + suffix,
            figure(row.and_then(|row| row.goal)),
            figure(linux),
            figure(row.and_then(|row| row.go)),
            match linux {
                Some(linux) if value.value > 0 => {
                    format!("{:.1}", linux as f64 / value.value as f64)
                }
                _ => "-".to_owned(),
            },
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The values for a program to read.
pub fn to_json(values: &[Measured]) -> String {
    let object = |value: &Measured| {
        let row = bench_table::find(&value.name);
        json!({
            "name": value.name,
            "unit": value.unit,
            "value": value.value,
            "goal": row.and_then(|row| row.goal),
            "linux": row.and_then(|row| row.linux),
            "go": row.and_then(|row| row.go),
        })
    };
    let list: Vec<Value> = values.iter().map(object).collect();
    format!("{:#}\n", Value::Array(list))
}

/// Values that were written earlier, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier(BTreeMap<String, u64>);

impl Earlier {
    /// From a file that [`write_json`] made.
    pub fn read(path: &Path) -> Result<Earlier> {
        let text = fs::read_to_string(path).map_err(anyhow::Error::from);
        let earlier = text.and_then(|text| Earlier::parse(&text));
        earlier.with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Result<Earlier> {
        let list: Vec<Value> = serde_json::from_str(text)?;
        let mut values = BTreeMap::new();
        for object in &list {
            let name = object["name"].as_str().context("a value without a name")?;
            let value =
                object["value"].as_u64().with_context(|| format!("the value of `{name}`"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Earlier(values))
    }
}

/// The differences to earlier values, and whether one of them got worse.
///
/// After a `whole` run, and not one of a single group, a value that is no longer there counts as
/// worse: a benchmark that vanishes must not hide what became of it.
pub fn compare(values: &[Measured], earlier: &Earlier, whole: bool) -> (String, bool) {
    let mut text = String::new();
    let mut worse = false;
    for value in values {
        let (name, new) = (&value.name, value.value);
        match earlier.0.get(name) {
            None => text += &format!("{name}: new, {}\n", grouped(new)),
            Some(&was) if was == new => {}
            Some(&was) => {
                let too_much =
                    u128::from(new) * 100 > u128::from(was) * u128::from(100 + TOLERANCE);
                worse |= too_much;
                let change = (new as f64 / was as f64 - 1.0) * 100.0;
                let verdict = if too_much { "  WORSE" } else { "" };
                text += &format!(
                    "{name}: {} -> {} ({change:+.2} %){verdict}\n",
                    grouped(was),
                    grouped(new)
                );
            }
        }
    }
    let vanished = |name: &str| whole && values.iter().all(|value| value.name != name);
    for (name, was) in earlier.0.iter().filter(|(name, _)| vanished(name)) {
        worse = true;
        text += &format!("{name}: {} -> not measured  WORSE\n", grouped(*was));
    }
    if text.is_empty() {
        text += "no value has changed\n";
    }
    (text, worse)
}

/// Writes the values to a file.
pub fn write_json(values: &[Measured], path: &Path) -> Result<()> {
    workspace::write_whole(path, to_json(values).as_bytes())
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Earlier, compare, grouped, measured, table, to_json};
    use crate::report_log::ReportLog;
    use std::collections::BTreeMap;

    fn log() -> ReportLog {
        ReportLog::new(
            b"value own.thing instructions 7\n\
              value smp.cross_wake instructions 2700\n\
              value syscall.null instructions 48\n\
              value syscall.null instructions 47\n\
              value boot.kernel_to_user instructions 1234567\n\
              value sa.memory_parked bytes 4500\n\
              value wall microseconds 9\n",
        )
    }

    #[test]
    fn the_smallest_value_counts_and_the_tables_order_holds() {
        let values: Vec<_> = measured([&log()]).into_iter().map(|it| (it.name, it.value)).collect();
        let expected = [
            ("boot.kernel_to_user", 1_234_567),
            ("syscall.null", 47),
            ("smp.cross_wake", 2_700),
            ("sa.memory_parked", 4_500),
            ("own.thing", 7),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn the_table_shows_goal_and_peers() {
        let text = table(&measured([&log()]));
        let line = text.lines().find(|line| line.starts_with("syscall.null")).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert!(cells.ends_with(&["47", "50", "212", "-", "4.5"]), "{line}");
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn a_value_without_a_goal_is_shown_without_one() {
        let text = table(&measured([&log()]));
        let line = text.lines().find(|line| line.starts_with("smp.cross_wake")).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert!(cells.ends_with(&["2,700", "-", "-", "-", "-"]), "{line}");
    }

    #[test]
    fn several_machines_make_one_table() {
        let other = ReportLog::new(b"value disp.lock instructions 17\n");
        let values = measured([&log(), &other]);
        let names: Vec<_> = values.iter().map(|value| value.name.as_str()).collect();
        assert!(names.starts_with(&["boot.kernel_to_user", "syscall.null", "disp.lock"]));
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn what_is_written_compares_as_unchanged() {
        let values = measured([&log()]);
        let earlier = Earlier::parse(&to_json(&values)).unwrap();
        let (text, worse) = compare(&values, &earlier, true);
        assert_eq!((text.as_str(), worse), ("no value has changed\n", false));
        let first = &serde_json::from_str::<serde_json::Value>(&to_json(&values)).unwrap()[1];
        let expected = serde_json::json!({"name": "syscall.null", "unit": "instructions",
            "value": 47, "goal": 50, "linux": 212, "go": null});
        assert_eq!(*first, expected);
    }

    #[test]
    fn only_more_than_the_tolerance_is_worse() {
        let earlier = |was| Earlier(BTreeMap::from([("boot.kernel_to_user".to_owned(), was)]));
        let values = measured([&log()]);
        let worse = |was| compare(&values, &earlier(was), true).1;
        assert!(!worse(1_234_567) && !worse(1_230_000) && !worse(9_999_999));
        assert!(worse(1_200_000) && worse(0));
        assert!(Earlier::parse("{}").is_err());
        assert!(Earlier::parse("[{\"name\":\"x\"}]").is_err());
    }

    #[test]
    fn what_a_whole_run_no_longer_measures_is_worse() {
        let earlier = BTreeMap::from([("own.thing".to_owned(), 7), ("own.gone".to_owned(), 1_200)]);
        let (earlier, values) = (Earlier(earlier), measured([&log()]));
        let (text, worse) = compare(&values, &earlier, true);
        assert!(worse && text.ends_with("own.gone: 1,200 -> not measured  WORSE\n"), "{text}");
        let (text, worse) = compare(&values, &earlier, false);
        assert!(!worse && !text.contains("own.gone"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
