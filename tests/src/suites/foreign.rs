//! Programs of another system, unchanged: a static C program, and a Rust program with the whole standard library.

use crate::foreign::Foreign;
use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |foreign: Foreign| {
        let name = format!("foreign/{}", foreign.name().replace('_', "-"));
        Scenario::new(name, &[foreign.name(), "one", "two"])
            .foreign(foreign)
            .shows(&["everything is as it should be"])
    };
    [Foreign::C("plain_c"), Foreign::Rust("plain_rust")].map(scenario).to_vec()
}
