//! The terminal, put back as it was: QEMU switches it to raw mode, and one that is killed leaves it so.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// Remembers the terminal's settings; dropping it brings them back.
#[derive(Debug)]
pub struct SavedTerminal {
    settings: Option<String>,
}

impl SavedTerminal {
    /// Of standard input, if that is a terminal.
    pub fn save() -> SavedTerminal {
        let settings = std::io::stdin().is_terminal().then(|| stty("-g")).flatten();
        SavedTerminal { settings }
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.settings {
            // Nothing better can be done if this fails.
            let _ = stty(settings);
        }
    }
}

fn stty(argument: &str) -> Option<String> {
    let output = Command::new("stty").arg(argument).stdin(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
