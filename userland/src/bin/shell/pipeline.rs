//! Pipelines: each command in a process of its own, all of them in a group; a single command that the shell knows itself
//! needs none.

use crate::jobs::Job;
use crate::redirect::{self, Refused};
use crate::state::Shell;
use crate::{builtins, expansion, waiting};
use abi::errno::Errno;
use abi::files::O_CLOEXEC;
use abi::signals::SIG_DFL;
use syntax::{Command, Pipeline, Words};
use userland::job_control::{become_program, fork, set_foreground, set_group};
use userland::paths::Path;
use userland::tool::readable;
use userland::{eprintln, files, signal, system};

/// Signals that a shell with a terminal does not hear: SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU.
pub const DEAF_TO: [i32; 5] = [2, 3, 20, 21, 22];

const FAILED: i32 = 1;
const NOT_A_PROGRAM: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Whether the shell waits for a pipeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It does.
    Foreground,
    /// It does not.
    Background,
}

/// Runs a pipeline.
pub fn run(shell: &mut Shell, pipeline: Pipeline<'_, '_>, line: &[u8], place: Place) {
    let mut commands = pipeline.commands();
    if let (Place::Foreground, Some(command), None) = (place, commands.next(), commands.next())
        && run_here(shell, command)
    {
        return;
    }
    let mut job = Job::new(pipeline.text(line));
    // What the next command reads.
    let mut input = None;
    let mut commands = pipeline.commands().peekable();
    let mut is_complete = true;
    while let Some(command) = commands.next() {
        let pipe = match commands.peek().map(|_| files::pipe(O_CLOEXEC)).transpose() {
            Ok(pipe) => pipe,
            Err(error) => {
                eprintln!("shell: pipe: {}", error.text());
                is_complete = false;
                break;
            }
        };
        is_complete = start(shell, &mut job, place, |shell| {
            let connected = connect(input, pipe.map(|[_, output]| output));
            if let Err(error) = connected {
                eprintln!("shell: pipe: {}", error.text());
                return FAILED;
            }
            in_child(shell, command)
        });
        let output = pipe.map(|[_, output]| output);
        // Only the commands are to have the pipe.
        let _ = [input, output].into_iter().flatten().try_for_each(files::close);
        input = pipe.map(|[input, _]| input);
        if !is_complete {
            break;
        }
    }
    if !is_complete {
        let _ = input.map(files::close);
        shell.set_status(FAILED);
    }
    if job.is_empty() {
        return;
    }
    match place {
        Place::Foreground => waiting::wait_in_foreground(shell, job),
        Place::Background => waiting::put_into_background(shell, job),
    }
}

fn connect(input: Option<i32>, output: Option<i32>) -> Result<(), Errno> {
    if let Some(input) = input {
        files::dup2(input, 0)?;
    }
    output.map_or(Ok(()), |output| files::dup2(output, 1).map(drop))
}

/// Runs a command in the shell itself, if it is one that the shell knows or has no words; says whether it did.
fn run_here(shell: &mut Shell, command: Command<'_, '_>) -> bool {
    let words = match expansion::words(shell, command) {
        Ok(words) => words,
        Err(wrong) => {
            eprintln!("shell: {}", wrong.text());
            shell.set_status(crate::WRONG_USE);
            return true;
        }
    };
    let builtin = match words.get(0) {
        Some(name) => match builtins::find(name) {
            Some(builtin) => Some(builtin),
            None => return false,
        },
        None => None,
    };
    let status = match redirect::make_for_now(shell, command) {
        Err(Refused) => FAILED,
        Ok(saved) => {
            let assigned = expansion::assign(shell, command, false);
            let status = match (assigned, builtin) {
                (Ok(()), Some(builtin)) => (builtin.run)(shell, &words),
                (Ok(()), None) => 0,
                (Err(wrong), _) => {
                    eprintln!("shell: {}", wrong.text());
                    FAILED
                }
            };
            saved.restore();
            status
        }
    };
    shell.set_status(status);
    true
}

/// Starts a process of a job, which does `body`; says whether it could.
pub fn start(
    shell: &mut Shell,
    job: &mut Job,
    place: Place,
    body: impl FnOnce(&mut Shell) -> i32,
) -> bool {
    let terminal = shell.terminal;
    match fork() {
        Ok(0) => {
            if terminal.is_some() {
                // Both this process and the shell say it, because nobody knows who is first.
                let _ = set_group(0, job.group);
                if place == Place::Foreground {
                    let group = if job.group == 0 { system::getpid() } else { job.group };
                    let _ = set_foreground(0, group);
                }
                for signal in DEAF_TO {
                    let _ = signal::set_simple(signal, SIG_DFL);
                }
            }
            shell.terminal = None;
            shell.jobs.forget();
            let status = body(shell);
            system::exit_group(status)
        }
        Ok(child) => {
            if job.group == 0 {
                job.group = child;
            }
            if terminal.is_some() {
                let _ = set_group(child, job.group);
                if place == Place::Foreground {
                    let _ = set_foreground(0, job.group);
                }
            }
            if !job.add(child) {
                eprintln!("shell: too many commands in a pipeline");
            }
            true
        }
        Err(error) => {
            eprintln!("shell: fork: {}", error.text());
            false
        }
    }
}

/// What a process of a pipeline does: it becomes the command. Returns if it cannot, or if the shell knows the command.
fn in_child(shell: &mut Shell, command: Command<'_, '_>) -> i32 {
    let prepared = redirect::make(shell, command).and_then(|()| {
        let words = expansion::words(shell, command);
        words.and_then(|words| expansion::assign(shell, command, true).map(|()| words)).map_err(
            |wrong| {
                eprintln!("shell: {}", wrong.text());
                Refused
            },
        )
    });
    let Ok(words) = prepared else { return FAILED };
    let Some(name) = words.get(0) else { return 0 };
    match builtins::find(name) {
        Some(builtin) => (builtin.run)(shell, &words),
        None => become_command(shell, &words, name),
    }
}

/// Becomes the program that a name means: a path if it has a slash, else something in the folders of `PATH`.
fn become_command(shell: &Shell, words: &Words, name: &[u8]) -> i32 {
    let try_path = |folder: &[u8]| {
        let words = (0..words.count()).filter_map(|place| words.with_null(place));
        match Path::join(folder, name) {
            Ok(path) => become_program(&path, words, shell.variables.exported()),
            Err(error) => error,
        }
    };
    let mut error = Errno::ENOENT;
    if name.contains(&b'/') {
        error = try_path(b"");
    } else {
        let folders = shell.variables.get(b"PATH").unwrap_or(b"/bin");
        for folder in folders.split(|&byte| byte == b':') {
            match try_path(folder) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                other => error = other,
            }
        }
    }
    let words = if error == Errno::ENOENT { "no such command" } else { error.text() };
    eprintln!("shell: {}: {words}", readable(name));
    if error == Errno::ENOENT { NOT_FOUND } else { NOT_A_PROGRAM }
}
