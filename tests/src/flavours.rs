//! The model checkers' builds of the kernel's libraries, and builds with a historical bug brought back: their
//! tests, run as sub-processes.
//!
//! loom and shuttle replace the atomics and threads that a library is built on, so each is a build of
//! its own with a target folder of its own. They are part of `cargo test` all the same. A bug is a feature of one
//! library: that, and the one file of tests that finds it, are all that is built anew.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use boot::run_folder::RunFolder;
use boot::workspace;
use libtest_mimic::Trial;

use crate::slots::Slots;

/// Longest time for one of them, its build included.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// Lines of output that a failure shows.
const TAIL: usize = 60;

/// Runs a command's words and returns its status; once standard input is closed, it kills the whole
/// process group. That covers what cargo has started, and the case that the tests themselves die.
const KEEPER: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
work=$!
{ read -r _ <&3; kill -KILL 0; } &
keeper=$!
wait $work
status=$?
kill -KILL $keeper
exit $status
"#;

/// A build of a library under a model checker or with a bug in it, and what its tests must come to.
struct Flavour {
    /// The trial's name, after `host/`.
    name: &'static str,
    package: &'static str,
    build: Build,
    /// The bug that is in, if one is.
    bug: Option<Bug>,
}

/// A historical bug, and how a test finds it.
#[derive(Clone, Copy)]
struct Bug {
    /// The `bug-…` feature.
    feature: &'static str,
    /// The file of tests: no other is built.
    file: &'static str,
    test: &'static str,
    /// What the test says when it fails.
    says: &'static str,
}

/// What a library is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// A checker, with a target folder of its own, both of its name.
    Loom,
    /// Likewise.
    Shuttle,
    /// The host.
    Plain,
}

impl Build {
    /// The checker: the feature, and the name of the target folder.
    fn checker(self) -> Option<&'static str> {
        match self {
            Build::Loom => Some("loom"),
            Build::Shuttle => Some("shuttle"),
            Build::Plain => None,
        }
    }
}

/// All tests of a library under a checker.
const fn whole(name: &'static str, package: &'static str, build: Build) -> Flavour {
    Flavour { name, package, build, bug: None }
}

/// Loom's and shuttle's in turn, as many as there are of each: two at a time are at work in different target folders.
const FLAVOURS: [Flavour; 25] = [
    whole("loom/trace", "trace", Build::Loom),
    whole("shuttle/trace", "trace", Build::Shuttle),
    whole("loom/machine", "machine", Build::Loom),
    whole("shuttle/machine", "machine", Build::Shuttle),
    whole("loom/memory", "memory", Build::Loom),
    whole("shuttle/memory", "memory", Build::Shuttle),
    whole("loom/dispatch", "dispatch", Build::Loom),
    whole("shuttle/dispatch", "dispatch", Build::Shuttle),
    whole("loom/vm", "vm", Build::Loom),
    whole("shuttle/vm", "vm", Build::Shuttle),
    whole("loom/scheduler", "scheduler", Build::Loom),
    whole("shuttle/scheduler", "scheduler", Build::Shuttle),
    Flavour {
        name: "loom/finds-bug-trace-no-fence",
        package: "trace",
        build: Build::Loom,
        bug: Some(Bug {
            feature: "bug-trace-no-fence",
            file: "ring",
            test: "a_reader_sees_whole_events_or_none",
            says: "left == right",
        }),
    },
    // History: docs/history tells of each.
    Flavour {
        name: "shuttle/finds-bug-5017148",
        package: "dispatch",
        build: Build::Shuttle,
        bug: Some(Bug {
            feature: "bug-5017148",
            file: "shuttle_hand_over",
            test: "a_bucket_and_ones_own_lock_may_be_taken_in_either_order",
            says: "and its lock is that of processor",
        }),
    },
    Flavour {
        name: "loom/finds-bug-spin-lock-order",
        package: "machine",
        build: Build::Loom,
        bug: Some(Bug {
            feature: "bug-spin-lock-order",
            file: "spin_lock",
            test: "one_holder_at_a_time",
            says: "Causality violation",
        }),
    },
    Flavour {
        name: "shuttle/finds-bug-6294464",
        package: "dispatch",
        build: Build::Shuttle,
        bug: Some(Bug {
            feature: "bug-6294464",
            file: "shuttle_hand_over",
            test: "whoever_locks_a_server_unlocks_what_it_has_locked",
            says: "a processor waits for a thread lock that it holds itself",
        }),
    },
    Flavour {
        name: "loom/finds-bug-4699850",
        package: "dispatch",
        build: Build::Loom,
        bug: Some(Bug {
            feature: "bug-4699850",
            file: "publish",
            test: "whoever_locks_a_thread_that_is_being_published_sees_that_it_runs",
            says: "locked, and its state is old",
        }),
    },
    Flavour {
        name: "plain/finds-bug-cow-2019",
        package: "vm",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-cow-2019",
            file: "copy_on_write",
            test: "a_source_stays_while_a_fault_three_levels_up_is_about_to_replace_it",
            says: "a page is freed while it is mapped",
        }),
    },
    Flavour {
        name: "plain/finds-bug-cow-d23155",
        package: "vm",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-cow-d23155",
            file: "copy_on_write",
            test: "a_source_goes_only_when_those_who_idle_do_not_map_it",
            says: "a page is freed while it is mapped",
        }),
    },
    Flavour {
        name: "plain/finds-bug-cow-restart",
        package: "vm",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-cow-restart",
            file: "copy_on_write",
            test: "a_fault_that_begins_again_hides_nothing",
            says: "a page is freed while it is mapped",
        }),
    },
    Flavour {
        name: "plain/finds-bug-cow-tlb",
        package: "vm",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-cow-tlb",
            file: "stale_translation",
            test: "who_has_heard_of_a_write_to_a_copy_does_not_read_the_source",
            says: "the source is read after the copy was written",
        }),
    },
    Flavour {
        name: "plain/finds-bug-sa-refault",
        package: "activations",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-sa-refault",
            file: "exhaustive",
            test: "upcalls_fault",
            says: "an upcall tells of an upcall that has blocked",
        }),
    },
    Flavour {
        name: "plain/finds-bug-sa-early-unblock",
        package: "activations",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-sa-early-unblock",
            file: "exhaustive",
            test: "two_processors",
            says: "UNBLOCKED without its BLOCKED",
        }),
    },
    Flavour {
        name: "plain/finds-bug-sa-missing-poke",
        package: "activations",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-sa-missing-poke",
            file: "exhaustive",
            test: "one_processor",
            says: "a virtual processor idles, and there is something to tell",
        }),
    },
    Flavour {
        name: "plain/finds-bug-sa-lost-vp",
        package: "activations",
        build: Build::Plain,
        bug: Some(Bug {
            feature: "bug-sa-lost-vp",
            file: "exhaustive",
            test: "one_processor",
            says: "no spare LWP",
        }),
    },
];

/// A trial for each.
pub fn trials() -> Vec<Trial> {
    let trial = |flavour: &'static Flavour| {
        Trial::test(format!("host/{}", flavour.name), || Ok(perform(flavour)?))
    };
    FLAVOURS.iter().map(trial).collect()
}

impl Flavour {
    /// What cargo is told: debug assertions stay on, and the target folder is the checker's own.
    fn arguments(&self) -> Vec<String> {
        let bug = self.bug.map(|bug| bug.feature);
        let features: Vec<_> = self.build.checker().into_iter().chain(bug).collect();
        let mut all = vec!["test".to_owned(), "-p".to_owned(), self.package.to_owned()];
        all.extend(["--features".to_owned(), features.join(",")]);
        if let Some(checker) = self.build.checker() {
            let folder = workspace::target_folder().join(checker).display().to_string();
            all.extend(["--profile", "explored", "--target-dir", &folder].map(str::to_owned));
        }
        if let Some(Bug { file, test, .. }) = self.bug {
            all.extend(["--test", file, "--", test].map(str::to_owned));
        }
        all
    }
}

/// The same command in a process group of its own, which lives until the command has ended or the
/// child's standard input is closed.
fn grouped(command: &Command) -> Command {
    let mut group = Command::new("sh");
    group.args(["-c", KEEPER, "sh"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        group.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => group.env(name, value),
            None => group.env_remove(name),
        };
    }
    group.stdin(Stdio::piped()).process_group(0);
    group
}

fn perform(flavour: &Flavour) -> Result<(), String> {
    static LOOM: Mutex<()> = Mutex::new(());
    static SHUTTLE: Mutex<()> = Mutex::new(());
    static PLAIN: Mutex<()> = Mutex::new(());
    // One at a time for each target folder: cargo would make them wait for the target folder anyway, and
    // that wait would count as time of their own. The slot comes second, so that nobody holds one idle.
    let turn = match flavour.build {
        Build::Loom => &LOOM,
        Build::Shuttle => &SHUTTLE,
        Build::Plain => &PLAIN,
    };
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let _slot = Slots::host().take(1);
    match run(flavour) {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// `None` if the tests came to what they must.
fn run(flavour: &Flavour) -> Result<Option<String>> {
    let folder = workspace::output_folder().join("tests/host").join(flavour.name);
    let log = RunFolder::at(folder)?.path().join("output.log");
    let output = File::create(&log)?;
    let mut command = workspace::cargo();
    command.args(flavour.arguments());
    let mut command = grouped(&command);
    if flavour.bug.is_some() {
        // The first schedule that finds it is the last.
        command.env("MODEL_ROUNDS", "2000");
    }
    command.stdout(output.try_clone()?).stderr(output);
    let started = Instant::now();
    let mut child = command.spawn().context("starting cargo")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if started.elapsed() > TIMEOUT {
            // This closes the child's standard input first, and with that ends the group.
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let ended = match (status, flavour.bug) {
        (None, _) => format!("still running after {} s", TIMEOUT.as_secs()),
        (Some(status), None) if status.success() => return Ok(None),
        (Some(status), None) => status.to_string(),
        // The bug is found if that test failed for that reason; a build that failed is no proof.
        (Some(_), Some(Bug { test, says, .. }))
            if text.contains(&format!("test {test} ... FAILED")) && text.contains(says) =>
        {
            return Ok(None);
        }
        (Some(_), Some(Bug { feature, test, says, .. })) => {
            format!("{feature} was not found: {test} should fail with '{says}'")
        }
    };
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  | ");
    let again = format!("cargo {}", flavour.arguments().join(" "));
    Ok(Some(format!("{ended}\nlog:   {}\nagain: {again}\n  | {tail}", log.display())))
}

#[cfg(test)]
mod tests {
    use super::grouped;
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn a_group_has_the_status_and_output_of_its_command() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"$0 $WORD\"; exit 3", "a  b"]).env("WORD", "c");
        let mut child = grouped(&command).stdout(Stdio::piped()).spawn().unwrap();
        // Kept open: only its closing ends the group early.
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a  b c\n"[..], Some(3)));
    }

    #[test]
    fn what_the_command_has_started_ends_with_the_group() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut child = grouped(&command).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let status = format!("/proc/{}/status", line.trim());
        assert!(Path::new(&status).exists());
        child.wait().unwrap();
        // Whoever adopts it may leave it a zombie for a while.
        let alive = || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            text.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
        };
        let started = Instant::now();
        while alive() {
            assert!(started.elapsed() < Duration::from_secs(10), "it lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
