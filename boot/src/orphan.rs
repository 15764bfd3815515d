//! QEMU ends with the tool, even if the tool is killed in a way that lets it do nothing more.
//!
//! A forgotten QEMU keeps the host busy for ever. Linux can tie a process to its parent, and `setpriv`
//! asks for that; where it cannot, QEMU is started as it is.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What makes the kernel of the host kill a process with its parent.
const TIE: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// The same command, tied to this process where that can be had.
pub fn tied(command: Command) -> Command {
    if !can_tie() {
        return command;
    }
    let mut tied = Command::new(TIE[0]);
    tied.args(&TIE[1..]).arg(command.get_program()).args(command.get_args());
    tied
}

fn can_tie() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut trial = Command::new(TIE[0]);
        trial.args(&TIE[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        trial.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::tied;
    use std::process::Command;

    #[test]
    fn the_command_still_does_what_it_did() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"$0\"; exit 3", "a b"]);
        let output = tied(command).output().unwrap();
        assert_eq!(output.stdout, b"a b\n");
        assert_eq!(output.status.code(), Some(3));
    }
}
