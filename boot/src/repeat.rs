//! The command that repeats a run.

use std::time::Duration;

use crate::command_line::{CommandLine, shell};
use crate::qemu::{Machine, Pace};
use crate::workspace::Profile;

/// As a person can paste it.
pub fn command(machine: &Machine, profile: Profile, line: &CommandLine) -> String {
    limited(machine, profile, line, None)
}

/// The same, with a limit to its time.
pub fn limited(
    machine: &Machine,
    profile: Profile,
    line: &CommandLine,
    timeout: Option<Duration>,
) -> String {
    let checks = names_of_checks(machine, profile, line);
    let name = if checks.is_some() { "check" } else { "run" };
    let mut words: Vec<String> = ["cargo", "upcall", name].map(str::to_owned).into();
    let mut add = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    let usual = Machine::default();
    if profile != Profile::Release && checks.is_none() {
        add("--profile", profile.name());
    }
    if machine.cpus != usual.cpus {
        add("--cpus", &machine.cpus.to_string());
    }
    if machine.memory != usual.memory {
        add("--memory", &machine.memory.to_string());
    }
    if machine.swap != usual.swap {
        add("--swap", &machine.swap.to_string());
    }
    if let Some(names) = checks {
        words.extend(names.split(',').filter(|name| *name != "all").map(str::to_owned));
        return shell(words);
    }
    if let Some(timeout) = timeout {
        add("--timeout", &timeout.as_secs().to_string());
    }
    for option in &line.options {
        add("--option", option);
    }
    match machine.pace {
        Pace::Free => {}
        Pace::Counted => words.push("--icount".to_owned()),
        Pace::Kvm => words.push("--kvm".to_owned()),
    }
    words.extend(line.program.iter().cloned());
    shell(words)
}

/// The checks, if running checks is all that is asked for, as `cargo upcall check` does it.
fn names_of_checks<'a>(
    machine: &Machine,
    profile: Profile,
    line: &'a CommandLine,
) -> Option<&'a str> {
    let usual = machine.pace == Pace::Free && profile == Profile::Checked;
    match &line.options[..] {
        [option] if usual && line.program.is_empty() => option.strip_prefix("check="),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{command, limited};
    use crate::command_line::CommandLine;
    use crate::disks::Swap;
    use crate::qemu::{Machine, Memory, Pace};
    use crate::workspace::Profile;
    use std::time::Duration;

    #[test]
    fn only_what_is_unusual_is_said() {
        let hello = CommandLine { options: vec![], program: vec!["hello".into()] };
        assert_eq!(
            command(&Machine::default(), Profile::Release, &hello),
            "cargo upcall run hello"
        );
        assert_eq!(
            limited(&Machine::default(), Profile::Release, &hello, Some(Duration::from_secs(9))),
            "cargo upcall run --timeout 9 hello"
        );
        let pace = Pace::Counted;
        let machine =
            Machine { cpus: 1, memory: Memory(64), swap: Swap(0), pace, ..Machine::default() };
        let line = CommandLine {
            options: vec!["log=debug".into()],
            program: vec!["fault".into(), "a b".into()],
        };
        assert_eq!(
            command(&machine, Profile::Checked, &line),
            "cargo upcall run --profile checked --cpus 1 --memory 64M --swap 0 --option log=debug --icount \
             fault 'a b'"
        );
    }

    #[test]
    fn checks_have_a_command_of_their_own() {
        let machine = Machine { cpus: 2, ..Machine::default() };
        let again = |option: &str, profile| {
            let line = CommandLine { options: vec![option.into()], program: vec![] };
            command(&machine, profile, &line)
        };
        assert_eq!(again("check=a,b", Profile::Checked), "cargo upcall check --cpus 2 a b");
        assert_eq!(again("check=all", Profile::Checked), "cargo upcall check --cpus 2");
        assert_eq!(
            again("check=a", Profile::Release),
            "cargo upcall run --cpus 2 --option check=a"
        );
    }
}
