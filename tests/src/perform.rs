//! Carrying a scenario out: building once, booting, judging, and saying what a person needs to know.

use std::sync::OnceLock;

use boot::image::{Entry, Image};
use boot::qemu::Pace;
use boot::run::{Boot, Console, Manner, Run};
use boot::run_folder::RunFolder;
use boot::workspace::{Build, Profile};
use boot::{image, repeat, run, workspace};

use crate::classify::{Seen, Verdict, classify};
use crate::damage::Damage;
use crate::scenario::Scenario;
use crate::slots::Slots;

/// Lines of the console that a failure shows.
const TAIL: usize = 40;

/// What there is to boot.
#[derive(Debug)]
struct System {
    build: Build,
    image: Image,
    entries: Vec<Entry>,
}

/// Builds what there is to boot, once; or says why there is nothing.
fn system(profile: Profile) -> Result<&'static System, String> {
    static CHECKED: OnceLock<Result<System, String>> = OnceLock::new();
    static HISTORY: OnceLock<Result<System, String>> = OnceLock::new();
    static RELEASE: OnceLock<Result<System, String>> = OnceLock::new();
    let make = || {
        let (build, image) = image::prepare(profile)?;
        let entries = image::entries(&build)?;
        Ok(System { build, image, entries })
    };
    let place = match profile {
        Profile::Checked => &CHECKED,
        Profile::History => &HISTORY,
        Profile::Release => &RELEASE,
    };
    let made = place.get_or_init(|| make().map_err(|error: anyhow::Error| format!("{error:#}")));
    made.as_ref().map_err(|error| format!("there is nothing to boot: {error}"))
}

/// Boots a scenario and waits for its end.
pub fn observe(scenario: &Scenario) -> Result<Run, String> {
    let system = system(scenario.profile)?;
    let slots = Slots::host();
    let _slot = slots.take(slots.weight(&scenario.machine));
    let boot = || {
        let folder = workspace::output_folder().join("tests").join(&scenario.name);
        let folder = RunFolder::at(folder)?;
        let mut image = scenario.damage.image(&system.image, &system.entries, folder.path())?;
        if let Some(foreign) = scenario.foreign {
            let mut entries = system.entries.clone();
            entries.push(foreign.build(folder.path())?);
            image = image.with_archive(&entries, folder.path())?;
        }
        let mut boot = Boot::new(
            &system.build,
            &system.image,
            scenario.machine.clone(),
            scenario.line.clone(),
        );
        boot.image = image;
        let manner = Manner {
            folder,
            console: Console::Script(scenario.script.clone()),
            timeout: Some(scenario.timeout),
            gdb_port: None,
        };
        run::run(&boot, &manner, |_| ())
    };
    boot().map_err(|error| format!("{error:#}"))
}

/// Boots a scenario and judges it.
pub fn perform(scenario: &Scenario) -> Result<(), String> {
    judge(scenario, &observe(scenario)?)
}

/// Judges a run of a scenario.
pub fn judge(scenario: &Scenario, run: &Run) -> Result<(), String> {
    match classify(scenario.end, &scenario.wants, seen(run)) {
        Verdict::Passed => Ok(()),
        verdict => Err(failure(&verdict.text(), scenario, run)),
    }
}

/// What there is to judge of a run.
pub fn seen(run: &Run) -> Seen<'_> {
    Seen { outcome: run.outcome, serial: &run.serial, report: &run.report }
}

/// Everything that a person needs who has to find out why a scenario failed.
pub fn failure(what: &str, scenario: &Scenario, run: &Run) -> String {
    let machine = &scenario.machine;
    let counted = machine.pace == Pace::Counted;
    let pace = if counted { "counted instructions, seed 1" } else { "free-running" };
    let mut text = format!("{what}\n\n");
    text += &format!("machine: {} processors, {}, {pace}", machine.cpus, machine.memory);
    text += if machine.acpi { "\n" } else { ", without ACPI\n" };
    text += &format!("ended:   {} after {:.1} s\n", run.outcome.text(), run.wall.as_secs_f64());
    text += &format!("log:     {}\n", run.folder.serial_log().display());
    text += &format!("again:   cargo test --test system -- --exact {}\n", scenario.name);
    // What a person cannot say on the tool's command line can only be had through the test.
    if scenario.damage == Damage::None && machine.acpi && scenario.foreign.is_none() {
        text +=
            &format!("         {}\n", repeat::command(machine, scenario.profile, &scenario.line));
    }
    if let Some(messages) = run.qemu_messages() {
        text += &format!("{messages}\n");
    }
    text + &run.console_tail(TAIL)
}
