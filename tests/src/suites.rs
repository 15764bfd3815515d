//! The scenarios, as tables: one file per subject.

mod applications;
mod boot_errors;
mod console;
mod faults;
mod files;
mod foreign;
mod fuzz;
mod history;
mod lwps;
mod memory;
mod names;
mod observing;
mod panics;
mod processors;
mod programs;
mod repeatability;
mod shell;
mod stress;
mod threads;
mod trace;

use libtest_mimic::Trial;

use crate::perform::perform;
use crate::scenario::Scenario;

/// Every scenario that is a boot with one expectation.
pub fn scenarios() -> Vec<Scenario> {
    [
        programs::scenarios(),
        console::scenarios(),
        faults::scenarios(),
        files::scenarios(),
        foreign::scenarios(),
        fuzz::scenarios(),
        panics::scenarios(),
        boot_errors::scenarios(),
        trace::scenarios(),
        memory::scenarios(),
        names::scenarios(),
        observing::scenarios(),
        history::scenarios(),
        shell::scenarios(),
        lwps::scenarios(),
        processors::scenarios(),
        threads::scenarios(),
        stress::scenarios(),
        applications::scenarios(),
    ]
    .concat()
}

/// All of them as tests, and those that are more than one boot.
pub fn trials() -> Vec<Trial> {
    let trial =
        |scenario: Scenario| Trial::test(scenario.name.clone(), move || Ok(perform(&scenario)?));
    let mut trials: Vec<Trial> = scenarios().into_iter().map(trial).collect();
    trials.extend(repeatability::trials());
    trials
}

#[cfg(test)]
mod tests {
    use super::scenarios;

    #[test]
    fn names_occur_once_and_can_be_folders() {
        let mut names: Vec<String> = scenarios().into_iter().map(|it| it.name).collect();
        names.extend(crate::checks::scenarios().into_iter().map(|it| it.name));
        let count = names.len();
        let harmless = |it: char| it.is_ascii_alphanumeric() || "/-".contains(it);
        assert!(names.iter().all(|name| name.chars().all(harmless)), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
