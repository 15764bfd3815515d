//! Somebody types: the prompt, the line editor, and the terminal in the state that each of them wants.

use crate::builtin_jobs::{hang_up, may_leave};
use crate::completing::Candidates;
use crate::pipeline::DEAF_TO;
use crate::state::{Shell, Terminal};
use crate::{run, waiting};
use abi::errno::Errno;
use abi::signals::SIG_IGN;
use abi::terminals::{ECHO, ICANON, ICRNL, IEXTEN, ISIG, Termios, VMIN, VTIME};
use core::fmt::Write;
use editing::{LINE_MAX, Outcome};
use userland::files::{self, When};
use userland::stream::Writer;
use userland::text::Text;
use userland::tool::readable;
use userland::{eprintln, job_control, paths, signal};

/// If the terminal does not say how wide it is.
const COLUMNS: usize = 80;
/// The status of a command that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Runs what is typed until the end.
pub fn run(shell: &mut Shell, settings: Termios) {
    for signal in DEAF_TO {
        // These can be ignored: it does not fail.
        let _ = signal::set_simple(signal, SIG_IGN);
    }
    // A shell that leads its session has a group already.
    let _ = job_control::set_group(0, 0);
    let group = job_control::group();
    if let Err(error) = job_control::set_foreground(0, group) {
        eprintln!("shell: the terminal is somebody else's: {}", error.text());
    }
    shell.terminal = Some(Terminal { settings, group });
    while shell.exiting.is_none() {
        waiting::report(shell);
        let mut line = [0; LINE_MAX];
        match read_line(shell, &mut line, &settings) {
            Ok(Some(length)) => {
                let warned = shell.was_warned;
                run::run(shell, &line[..length]);
                // Whoever does something else has to be told again.
                shell.was_warned &= !warned;
            }
            Ok(None) if may_leave(shell) => {
                shell.exiting = Some(shell.status);
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    hang_up(shell);
}

/// Folder, and how the last command ended if it did not end well.
fn prompt(shell: &Shell) -> Text<256> {
    let folder = paths::working_folder();
    let folder = folder.as_ref().map_or("?", |folder| readable(folder.bytes()));
    match shell.status {
        0 => Text::new(format_args!("{folder} $ ")),
        status => Text::new(format_args!("{folder} [{status}] $ ")),
    }
}

/// Reads a line; its length, `None` at the end.
fn read_line(
    shell: &mut Shell,
    to: &mut [u8; LINE_MAX],
    settings: &Termios,
) -> Result<Option<usize>, Errno> {
    files::set(0, &by_bytes(settings), When::Written)?;
    let line = edit(shell, to);
    files::set(0, settings, When::Written)?;
    line
}

/// The terminal hands over every byte and shows none.
fn by_bytes(settings: &Termios) -> Termios {
    let mut changed = *settings;
    changed.local &= !(ICANON | ECHO | ISIG | IEXTEN);
    changed.input &= !ICRNL;
    changed.characters[VMIN] = 1;
    changed.characters[VTIME] = 0;
    changed
}

fn edit(shell: &mut Shell, to: &mut [u8; LINE_MAX]) -> Result<Option<usize>, Errno> {
    let mut out = Writer::new(1);
    let size = files::window_size(0).unwrap_or_default();
    let columns = if size.columns == 0 { COLUMNS } else { usize::from(size.columns) };
    // Writing to a writer does not fail at once; what could not be shown was not seen.
    let _ = shell.editor.begin(prompt(shell).as_str(), columns, &mut out);
    loop {
        out.flush()?;
        let mut byte = [0];
        match files::read(0, &mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        }
        let mut candidates = Candidates { variables: &shell.variables };
        let ended = shell.editor.byte(byte[0], &mut candidates, &mut out).unwrap_or_default();
        match ended {
            None => {}
            Some(Outcome::Complete) => {
                out.flush()?;
                let line = shell.editor.line();
                to[..line.len()].copy_from_slice(line.as_bytes());
                let length = line.len();
                // The text is UTF-8 because the line was.
                shell.editor.history_mut().add(readable(&to[..length]));
                return Ok(Some(length));
            }
            Some(Outcome::Abandoned) => {
                shell.set_status(INTERRUPTED);
                let _ = shell.editor.begin(prompt(shell).as_str(), columns, &mut out);
            }
            Some(Outcome::End) => {
                let _ = out.write_str("exit\n");
                out.flush()?;
                return Ok(None);
            }
        }
    }
}
