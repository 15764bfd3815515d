//! The kernel's own checks: one boot runs them all, and each becomes a test of its own.
//!
//! Which checks there are is known only to the kernel, so the boots come first, side by side, and the
//! tests are made from what they report. The boot as a whole is a test too (`checks/cpus-4` beside
//! `checks/cpus-4/poke`), so that a list of the tests needs no boot.

use std::sync::Mutex;

use abi::ending::Ending;
use boot::progress;
use boot::report_log::{Check, CheckEnd};
use boot::run::Run;
use libtest_mimic::{Arguments, Trial};

use crate::classify::cause_of_death;
use crate::perform::{failure, judge, observe, perform, seen};
use crate::scenario::{Scenario, Want};
use crate::selection;
use crate::slots::parallelism;

/// The group of all these tests.
const GROUP: &str = "checks";

/// All checks.
const ALL: &str = "check=all";

/// The checks to which it may matter how much memory there is.
const OF_MEMORY: &str = "check=frames-are-all-known,frames-run-out-and-come-back,slabs-run-out-and-come-back,\
     heap-runs-out-and-comes-back,pmaps-give-their-tables-back,shoot-downs-reach-every-processor,\
     thread-stacks-run-out-and-come-back,threads-come-and-go,swap-keeps-what-is-written,many-threads-use-the-disks,\
     faults-go-side-by-side,program-gives-everything-back,processes-give-everything-back,\
     whoever-makes-a-child-may-have-to-go,page-in-errors-reach-who-asked,page-out-errors-lose-nothing,\
     a-frozen-swap-disk-stops-nobody,programs-outlast-a-frozen-swap-disk,frames-in-caches-are-found,\
     programs-start-from-frames-in-caches,swap-space-runs-out-and-comes-back,victims-go-one-at-a-time,\
     program-start-fails-without-memory";

/// Those of them that matter where there is more than enough.
const OF_MUCH_MEMORY: &str = "check=frames-are-all-known,frames-run-out-and-come-back,slabs-run-out-and-come-back,\
     heap-runs-out-and-comes-back,pmaps-give-their-tables-back,thread-stacks-run-out-and-come-back,\
     swap-keeps-what-is-written,many-threads-use-the-disks,faults-go-side-by-side,program-gives-everything-back,\
     processes-give-everything-back,frames-in-caches-are-found,programs-start-from-frames-in-caches,\
     program-start-fails-without-memory";

/// Those to which it may matter how many processors there are, but for three that take half a minute each with 64 of them
/// on a small host.
const OF_PROCESSORS: &str = "check=frames-are-all-known,every-processor-works,every-processor-answers-a-poke,\
     pokes-are-never-lost,spin-lock-excludes,levels-replay-in-order,shoot-down-passes-spinners,preemption-waits,\
     processors-follow-a-pmap,shoot-downs-reach-every-processor,shoot-downs-cross,handlers-over-user-mode-may-switch,\
     interrupt-threads-may-block,clock-agrees-across-processors,threads-come-and-go,\
     condvar-ping-pong,semaphore-ping-pong,mutex-ping-pong,sleeps-end-on-time,time-slices,real-time-preempts-the-kernel,\
     preemption-is-deferred,priority-inversion-is-bounded,\
     bound-threads-keep-a-processor,off-line-waits-for-weak-bindings,many-threads-use-the-disks,\
     every-processor-uses-the-disks,faults-go-side-by-side,context-switch,program-gives-everything-back,\
     whoever-makes-a-child-may-have-to-go,a-frozen-swap-disk-stops-nobody,frames-in-caches-are-found,\
     requests-are-seen-at-every-instruction";

/// The machines on which checks run: processors, MiB of memory, seconds, a name, which. They take 15 to 40 s, on
/// 64 processors two minutes; several times that beside other tests on a small host.
const MACHINES: [(u32, u32, u64, &str, &str); 7] = [
    (1, 256, 300, "cpus-1", ALL),
    (2, 256, 300, "cpus-2", ALL),
    (4, 256, 300, "cpus-4", ALL),
    (8, 256, 300, "cpus-8", ALL),
    (64, 512, 600, "cpus-64", OF_PROCESSORS),
    (4, 64, 300, "memory-64M", OF_MEMORY),
    (4, 8192, 300, "memory-8G", OF_MUCH_MEMORY),
];

/// The checks of the dispatcher that are about chance or about time, and how much longer than usual they
/// go on where instructions are counted: sixteen thousand rounds of each kind of hand-over (half of them between
/// threads that are bound apart), processors off and on line forty times in all. `.ci/nightly` goes on for longer, and with
/// 8 processors, which QEMU runs in turn there. Such a run repeats to the digit; with another number of processors
/// it is another run.
const LONG: &str = "check=condvar-ping-pong,semaphore-ping-pong,mutex-ping-pong,sleeps-end-on-time,\
     time-slices,interrupt-threads-may-block,real-time-preempts-the-kernel,preemption-is-deferred,\
     priority-inversion-is-bounded,work-spreads,processors-go-off-and-on-line,off-line-waits-for-weak-bindings,\
     off-line-gives-up-on-weak-bindings";

/// The numbers of processors of the long runs, and how long they are.
const LONG_CPUS: [(u32, &str); 3] = [(1, "scale=4"), (2, "scale=4"), (4, "scale=4")];

/// The hand-overs, each in a boot of its own, where nothing is counted: QEMU's processors run side by side, those
/// that idle halt, and no tick comes to wake them. A round of the mutex is one hand-over, of the others it is
/// two: fifty thousand on two processors (of the mutex twenty thousand), and twenty-five thousand on four, which a small
/// host runs in turn. `.ci/nightly` does a million.
const FREE: [(u32, &str, &str); 6] = [
    (2, "condvar-ping-pong", "scale=7"),
    (2, "semaphore-ping-pong", "scale=7"),
    (2, "mutex-ping-pong", "scale=5"),
    (4, "condvar-ping-pong", "scale=3"),
    (4, "semaphore-ping-pong", "scale=3"),
    (4, "mutex-ping-pong", "scale=6"),
];

/// The boots.
pub fn scenarios() -> Vec<Scenario> {
    let long = |(cpus, scale): (u32, &str)| {
        Scenario::new(format!("{GROUP}/counted-{cpus}"), &[])
            .counted()
            .cpus(cpus)
            .seconds(300)
            .option(LONG)
            .option(scale)
            .option("counted=1")
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed)
    };
    let scenario = |(cpus, memory, seconds, name, checks): (u32, u32, u64, &str, &str)| {
        Scenario::new(format!("{GROUP}/{name}"), &[])
            .cpus(cpus)
            .memory(memory)
            .seconds(seconds)
            .option(checks)
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed)
    };
    let free = |(cpus, check, scale): (u32, &str, &str)| {
        Scenario::new(format!("{GROUP}/free-{cpus}-{check}"), &[])
            .cpus(cpus)
            .seconds(600)
            .option(&format!("check={check}"))
            .option(scale)
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed)
    };
    let frees = FREE.into_iter().map(free);
    let longs = LONG_CPUS.into_iter().map(long);
    MACHINES.into_iter().map(scenario).chain(longs).chain(frees).collect()
}

/// Boots what the command line asks for and makes a test of each check; `known` are the names of all
/// other tests.
pub fn trials(arguments: &Arguments, known: &[String]) -> Vec<Trial> {
    let boots = scenarios();
    let mut all_known: Vec<String> = boots.iter().map(|boot| boot.name.clone()).collect();
    all_known.extend_from_slice(known);
    let (wanted, others): (Vec<Scenario>, Vec<Scenario>) =
        boots.into_iter().partition(|boot| selection::wants(arguments, &boot.name, &all_known));
    let mut trials = Vec::new();
    for (scenario, run) in boot_all(wanted) {
        trials.extend(trials_of(scenario, run));
    }
    trials.extend(
        others
            .into_iter()
            .map(|scenario| Trial::test(scenario.name.clone(), move || Ok(perform(&scenario)?))),
    );
    trials
}

/// Boots them, as many side by side as the host carries.
fn boot_all(scenarios: Vec<Scenario>) -> Vec<(Scenario, Result<Run, String>)> {
    let waiting = Mutex::new(scenarios.into_iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..parallelism() {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no thread panics with it").next();
                    let Some(scenario) = next else { break };
                    let run = observe(&scenario);
                    progress::step(format_args!("{}: {}", scenario.name, in_short(&run)));
                    done.lock().expect("no thread panics with it").push((scenario, run));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics with it");
    done.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    done
}

fn in_short(run: &Result<Run, String>) -> String {
    match run {
        Ok(run) => {
            let checks = run.report.checks();
            let passed = checks.iter().filter(|check| check.end == CheckEnd::Passed).count();
            // The announced number stays right when the system dies before the last check.
            let reported = u64::try_from(checks.len()).expect("a log holds fewer lines");
            let all = run.report.checks_announced().unwrap_or(reported);
            let seconds = run.wall.as_secs_f64();
            format!("{passed} of {all} checks passed in {seconds:.1} s; {}", run.outcome.text())
        }
        Err(_) => "not booted".to_owned(),
    }
}

/// The tests that come of one boot: one for each check, and one for the boot as a whole.
fn trials_of(scenario: Scenario, run: Result<Run, String>) -> Vec<Trial> {
    let mut trials = Vec::new();
    if let Ok(run) = &run {
        for check in run.report.checks() {
            let verdict = judge_check(&check, &scenario, run);
            let name = format!("{}/{}", scenario.name, check.name);
            trials.push(Trial::test(name, move || Ok(verdict?)));
        }
    }
    let verdict = run.and_then(|run| judge(&scenario, &run));
    trials.push(Trial::test(scenario.name, move || Ok(verdict?)));
    trials
}

/// What became of one check.
fn judge_check(check: &Check, scenario: &Scenario, run: &Run) -> Result<(), String> {
    let what = match &check.end {
        CheckEnd::Passed => return Ok(()),
        CheckEnd::Failed(why) => why.clone(),
        CheckEnd::Unfinished => {
            format!("it began and did not end; {}", cause_of_death(seen(run)))
        }
    };
    let mut alone = scenario.clone();
    alone.line.options = vec![format!("check={}", check.name)];
    alone.name = format!("{}/{}", scenario.name, check.name);
    Err(failure(&what, &alone, run))
}
