//! Redirections: descriptors become other files, for a child for good, for the shell itself for the time of a command.

use crate::expansion;
use crate::state::Shell;
use abi::errno::Errno;
use abi::files::{F_DUPFD_CLOEXEC, O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
use syntax::{Command, Direction, Redirection};
use userland::tool::readable;
use userland::{eprintln, files, paths};

/// A redirection could not be made; it has been said why.
pub struct Refused;

/// The shell's own descriptors are not below this.
const OWN: u64 = 10;
/// Most redirections of a command that the shell does itself.
const SAVED_MAX: usize = 8;

/// Makes a command's redirections.
pub fn make(shell: &Shell, command: Command<'_, '_>) -> Result<(), Refused> {
    command.redirections().try_for_each(|redirection| one(shell, redirection))
}

fn one(shell: &Shell, redirection: Redirection<'_>) -> Result<(), Refused> {
    let flags = match redirection.direction {
        Direction::Same => {
            let from = i32::from(redirection.target[0] - b'0');
            return say(redirection.target, files::dup2(from, redirection.fd).map(drop));
        }
        Direction::From => O_RDONLY,
        Direction::To => O_WRONLY | O_CREAT | O_TRUNC,
        Direction::Append => O_WRONLY | O_CREAT | O_APPEND,
    };
    let target = expansion::target(shell, redirection.target).map_err(|wrong| {
        eprintln!("shell: {}", wrong.text());
        Refused
    })?;
    let opened = paths::open(target.bytes(), flags).and_then(|file| {
        if file == redirection.fd {
            // It lies where it is to be; only no program would get it.
            return files::fcntl(file, abi::files::F_SETFD, 0).map(drop);
        }
        files::dup2(file, redirection.fd)?;
        files::close(file)
    });
    say(target.bytes(), opened)
}

fn say(about: &[u8], result: Result<(), Errno>) -> Result<(), Refused> {
    result.map_err(|error| {
        eprintln!("shell: {}: {}", readable(about), error.text());
        Refused
    })
}

/// What descriptors were before a command's redirections.
pub struct Saved {
    /// Which, and a copy of what it was, if it was anything.
    descriptors: [Option<(i32, Option<i32>)>; SAVED_MAX],
}

/// Makes a command's redirections, to be taken back.
pub fn make_for_now(shell: &Shell, command: Command<'_, '_>) -> Result<Saved, Refused> {
    let mut saved = Saved { descriptors: [None; SAVED_MAX] };
    for (place, redirection) in command.redirections().enumerate() {
        let Some(room) = saved.descriptors.get_mut(place) else {
            eprintln!("shell: too many redirections");
            saved.restore();
            return Err(Refused);
        };
        let copy = files::fcntl(redirection.fd, F_DUPFD_CLOEXEC, OWN);
        *room = Some((redirection.fd, copy.ok().map(|copy| copy as i32)));
        if one(shell, redirection).is_err() {
            saved.restore();
            return Err(Refused);
        }
    }
    Ok(saved)
}

impl Saved {
    /// Takes them back, the last one first.
    pub fn restore(self) {
        for (fd, copy) in self.descriptors.into_iter().rev().flatten() {
            // What was there is there again; nothing that can fail is left to lose.
            let _ = match copy {
                Some(copy) => files::dup2(copy, fd).and_then(|_| files::close(copy)),
                None => files::close(fd),
            };
        }
    }
}
