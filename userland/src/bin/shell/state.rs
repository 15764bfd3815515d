//! What the shell knows.

use crate::jobs::Jobs;
use abi::terminals::Termios;
use editing::Editor;
use syntax::{Values, Variables};
use userland::text::Text;
use userland::{Arguments, paths, system};

/// The shell.
pub struct Shell {
    /// Named values.
    pub variables: Variables,
    /// How the last command ended.
    pub status: i32,
    /// The line editor, with the history.
    pub editor: Editor,
    /// Pipelines that have not ended.
    pub jobs: Jobs,
    /// The terminal, if somebody sits at it: then pipelines are jobs.
    pub terminal: Option<Terminal>,
    /// It is to end with this status.
    pub exiting: Option<i32>,
    /// Somebody has ended a command with Ctrl-C: nothing more of its line runs.
    pub is_interrupted: bool,
    /// Somebody has been told that there are jobs and wants to leave all the same.
    pub was_warned: bool,
    number: Text<20>,
    status_text: Text<12>,
}

/// The terminal as the shell found it.
#[derive(Clone, Copy)]
pub struct Terminal {
    /// Its settings while commands run.
    pub settings: Termios,
    /// The shell's own group of processes.
    pub group: u64,
}

impl Shell {
    /// With the variables that it was started with.
    pub fn new(arguments: Arguments) -> Shell {
        let mut variables = Variables::new();
        for entry in arguments.environment() {
            let entry = entry.to_bytes();
            if let Some(end) = entry.iter().position(|&byte| byte == b'=') {
                // What does not fit is not known.
                let _ = variables.set(&entry[..end], &entry[end + 1..], true);
            }
        }
        for (name, value) in [("PATH", "/bin"), ("HOME", "/tmp")] {
            if variables.get(name.as_bytes()).is_none() {
                let _ = variables.set(name.as_bytes(), value.as_bytes(), true);
            }
        }
        if let Ok(folder) = paths::working_folder() {
            let _ = variables.set(b"PWD", folder.bytes(), true);
        }
        Shell {
            variables,
            status: 0,
            editor: Editor::new(),
            jobs: Jobs::new(),
            terminal: None,
            exiting: None,
            is_interrupted: false,
            was_warned: false,
            number: Text::new(format_args!("{}", system::getpid())),
            status_text: Text::new(format_args!("0")),
        }
    }

    /// A command has ended so.
    pub fn set_status(&mut self, status: i32) {
        self.status = status;
        self.status_text = Text::new(format_args!("{status}"));
    }
}

impl Values for Shell {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            b"?" => Some(self.status_text.as_str().as_bytes()),
            b"$" => Some(self.number.as_str().as_bytes()),
            name => self.variables.get(name),
        }
    }
}
