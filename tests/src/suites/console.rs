//! The console: what runs if nobody says what, Ctrl-C, and leaving.

use boot::outcome::Outcome;

use crate::scenario::Scenario;

/// What the shell shows when it waits.
const PROMPT: &str = "/ $ ";

/// What `hello` says.
const GREETING: &str = "Hello from user mode";

pub fn scenarios() -> Vec<Scenario> {
    vec![
        // The machine switches off with the shell's status.
        Scenario::new("console/shell", &[])
            .types(PROMPT, "hello\r")
            .types(GREETING, "")
            .types(PROMPT, "exit 5\r")
            .exits(5)
            .shows(&[GREETING]),
        // Ctrl-A X leaves QEMU.
        Scenario::new("console/leave", &["hello", "--loop"])
            .types(GREETING, "\x01x")
            .comes_to(Outcome::Left)
            .shows(&[GREETING]),
        Scenario::new("console/interrupt", &["hello", "--loop"])
            .types(GREETING, "\x03")
            .dies(2)
            .shows(&[GREETING]),
    ]
}
