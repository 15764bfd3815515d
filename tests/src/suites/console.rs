//! The console: the boot menu, and Ctrl-C.

use abi::ending::Ending;
use boot::outcome::Outcome;

use crate::scenario::Scenario;

/// What the boot menu shows when it waits for an answer.
const PROMPT: &str = "Program (name or number), or off: ";

/// What `hello` says.
const GREETING: &str = "Hello from user mode";

/// The programs of the image in the order of the menu, which is that of their names.
const MENU: [&str; 5] = ["bench", "fault", "files", "hello", "registers"];

pub fn scenarios() -> Vec<Scenario> {
    let number = MENU.iter().position(|name| *name == "hello").map_or(0, |place| place + 1);
    let choose = |name: &str, answer: &str| {
        Scenario::new(format!("console/{name}"), &[])
            .types(PROMPT, answer)
            .types(GREETING, "")
            .types(PROMPT, "off\r")
            .ends(Ending::PoweredOff)
            .shows(&[GREETING])
    };
    let listed = MENU.iter().fold(
        Scenario::new("console/menu-lists-programs", &[])
            .types(PROMPT, "off\r")
            .ends(Ending::PoweredOff),
        |scenario, program| scenario.shows(&[program]),
    );
    vec![
        listed,
        choose("menu-by-name", "hello\r"),
        choose("menu-by-number", &format!("{number}\r")),
        choose("menu-corrected-answer", "hellp\x7fo\r"),
        // A wrong answer is met with the menu once more.
        choose("menu-wrong-answer", "nonsense\rhello\r"),
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
