//! `cargo upcall`: see `boot::cli` for the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    boot::cli::main()
}
