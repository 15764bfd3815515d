//! Runs commands: those that are typed, those of a file (`shell FILE`) or of a word (`shell -c COMMAND`).
//!
//! The language is in the crate `syntax`, the line editor in `editing`; what the shell does with them is here. It has no
//! heap: everything has a fixed size.
//!
//! | file | concept |
//! |---|---|
//! | `state.rs` | what the shell knows |
//! | `interactive.rs`, `completing.rs` | the terminal, the prompt; what a word could become |
//! | `script.rs` | lines that nobody types |
//! | `expansion.rs`, `paths_that_fit.rs` | what a command's words say; `*` and `?` |
//! | `run.rs`, `pipeline.rs`, `redirect.rs` | chains; pipelines and their processes; descriptors |
//! | `jobs.rs`, `waiting.rs` | pipelines that have not ended; how they end |
//! | `builtins.rs`, `builtin_jobs.rs` | what the shell does itself |

#![no_std]
#![no_main]

mod builtin_jobs;
mod builtins;
mod completing;
mod expansion;
mod interactive;
mod jobs;
mod paths_that_fit;
mod pipeline;
mod redirect;
mod run;
mod script;
mod state;
mod waiting;

use state::Shell;
use userland::{Arguments, eprintln, files, program};

program!(main);

/// The status after wrong use, and after a line that means nothing.
const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let mut shell = Shell::new(arguments);
    let mut words = arguments.words();
    match (words.next(), words.next()) {
        (Some("-c"), Some(command)) => run::run(&mut shell, command.as_bytes()),
        (Some(option), _) if option.starts_with('-') => {
            eprintln!("usage: shell [FILE], shell -c COMMAND");
            return WRONG_USE;
        }
        (Some(file), _) => script::run_file(&mut shell, file),
        (None, _) => match files::settings(0) {
            Ok(settings) => interactive::run(&mut shell, settings),
            Err(_) => script::run(&mut shell, 0),
        },
    }
    shell.exiting.unwrap_or(shell.status)
}
