//! What the shell does itself, because a process of its own could not do it to the shell.

use crate::builtin_jobs;
use crate::state::Shell;
use syntax::{Words, is_name, quote};
use userland::programs::PROGRAMS;
use userland::stream::Writer;
use userland::tool::readable;
use userland::{eprintln, paths, println};

const FAILED: i32 = 1;

/// Something that the shell does itself.
pub struct Builtin {
    name: &'static str,
    /// How it is called, and what it does, in a line.
    usage: &'static str,
    text: &'static str,
    /// Does it.
    pub run: fn(&mut Shell, &Words) -> i32,
}

const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "bg",
        usage: "bg [%N]",
        text: "Lets a stopped job go on in the background",
        run: builtin_jobs::background,
    },
    Builtin {
        name: "cd",
        usage: "cd [FOLDER | -]",
        text: "Changes the working folder; - goes back",
        run: change_folder,
    },
    Builtin { name: "exit", usage: "exit [STATUS]", text: "Ends the shell", run: exit },
    Builtin {
        name: "export",
        usage: "export [NAME[=VALUE]…]",
        text: "Gives variables to the programs that are started",
        run: export,
    },
    Builtin {
        name: "fg",
        usage: "fg [%N]",
        text: "Puts a job into the foreground",
        run: builtin_jobs::foreground,
    },
    Builtin {
        name: "help", usage: "help [WORD…]", text: "Says what each command does", run: help
    },
    Builtin {
        name: "history",
        usage: "history",
        text: "Shows the lines that were typed",
        run: history,
    },
    Builtin {
        name: "jobs",
        usage: "jobs",
        text: "Lists the jobs in the background",
        run: builtin_jobs::list,
    },
    Builtin {
        name: "kill",
        usage: "kill [-SIGNAL] %N…",
        text: "Sends a signal to jobs or processes",
        run: builtin_jobs::kill,
    },
    Builtin { name: "pwd", usage: "pwd", text: "Shows the working folder", run: print_folder },
    Builtin { name: "set", usage: "set", text: "Shows all variables", run: set },
    Builtin { name: "unset", usage: "unset NAME…", text: "Forgets variables", run: unset },
    Builtin {
        name: "wait",
        usage: "wait [%N…]",
        text: "Waits for jobs in the background",
        run: builtin_jobs::wait,
    },
];

/// The builtin with a name.
pub fn find(name: &[u8]) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name.as_bytes() == name)
}

/// The names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|builtin| builtin.name)
}

fn change_folder(shell: &mut Shell, words: &Words) -> i32 {
    let back = words.get(1) == Some(b"-");
    let to = match words.get(1) {
        Some(b"-") => shell.variables.get(b"OLDPWD"),
        Some(folder) => Some(folder),
        None => Some(shell.variables.get(b"HOME").unwrap_or(b"/")),
    };
    let Some(to) = to else {
        eprintln!("cd: there is no folder to go back to");
        return FAILED;
    };
    let old = paths::working_folder();
    let changed = paths::change_folder(to).and_then(|_| paths::working_folder());
    match changed {
        Ok(new) => {
            if back {
                println!("{}", readable(new.bytes()));
            }
            if let Ok(old) = old {
                // Where they do not fit, `cd -` does not work; the folder has changed all the same.
                let _ = shell.variables.set(b"OLDPWD", old.bytes(), true);
            }
            let _ = shell.variables.set(b"PWD", new.bytes(), true);
            0
        }
        Err(error) => {
            eprintln!("cd: {}: {}", readable(to), error.text());
            FAILED
        }
    }
}

fn print_folder(_: &mut Shell, _: &Words) -> i32 {
    match paths::working_folder() {
        Ok(folder) => {
            println!("{}", readable(folder.bytes()));
            0
        }
        Err(error) => {
            eprintln!("pwd: {}", error.text());
            FAILED
        }
    }
}

fn exit(shell: &mut Shell, words: &Words) -> i32 {
    let status = match words.get(1) {
        None => shell.status,
        Some(word) => match readable(word).parse::<i32>() {
            Ok(status) => status & 0xff,
            Err(_) => {
                eprintln!("exit: {}: not a number", readable(word));
                return crate::WRONG_USE;
            }
        },
    };
    if builtin_jobs::may_leave(shell) {
        shell.exiting = Some(status);
        status
    } else {
        FAILED
    }
}

fn set(shell: &mut Shell, _: &Words) -> i32 {
    list(shell, |_| true)
}

/// Shows variables as they could be typed.
fn list(shell: &Shell, wants: impl Fn(bool) -> bool) -> i32 {
    let mut out = Writer::new(1);
    for (name, value, _) in shell.variables.all().filter(|(.., exported)| wants(*exported)) {
        out.put(name);
        out.put(b"=");
        if !value.is_empty() {
            quote(value, &mut |part| out.put(part));
        }
        out.put(b"\n");
    }
    i32::from(out.flush().is_err())
}

fn export(shell: &mut Shell, words: &Words) -> i32 {
    if words.count() == 1 {
        return list(shell, |is_exported| is_exported);
    }
    let mut status = 0;
    for word in words.from(1) {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default();
        if !is_name(name) {
            eprintln!("export: {}: not a name", readable(name));
            status = FAILED;
            continue;
        }
        let old = shell.variables.clone();
        let value = parts.next().or_else(|| old.get(name)).unwrap_or_default();
        if shell.variables.set(name, value, true).is_err() {
            eprintln!("export: no room for {}", readable(name));
            status = FAILED;
        }
    }
    status
}

fn unset(shell: &mut Shell, words: &Words) -> i32 {
    words.from(1).for_each(|name| shell.variables.unset(name));
    0
}

fn history(shell: &mut Shell, _: &Words) -> i32 {
    for (number, line) in (1..).zip(shell.editor.history().lines()) {
        println!("{number:4}  {line}");
    }
    0
}

fn help(_: &mut Shell, words: &Words) -> i32 {
    let is_wanted =
        |name: &str| words.count() == 1 || words.from(1).any(|word| word == name.as_bytes());
    let mut found = 0;
    for builtin in BUILTINS.iter().filter(|builtin| is_wanted(builtin.name)) {
        found += 1;
        if words.count() == 1 {
            println!("  {:14} {}", builtin.name, builtin.text);
        } else {
            println!("  {:14} {}", builtin.usage, builtin.text);
        }
    }
    let is_builtin = |name: &str| find(name.as_bytes()).is_some();
    for (name, text) in PROGRAMS.iter().filter(|(name, _)| is_wanted(name) && !is_builtin(name)) {
        found += 1;
        println!("  {name:14} {text}");
    }
    if found == 0 {
        eprintln!("help: there is no such command");
        return FAILED;
    }
    if words.count() == 1 {
        println!(
            "Commands: a | b, a && b, a || b, a; b, a &. Files: < > >> 2> 2>&1. Patterns: * ?."
        );
        println!(
            "Keys: Tab completes, Up and Ctrl-R recall, Ctrl-C ends a command, Ctrl-Z stops it, Ctrl-A X leaves QEMU."
        );
    }
    0
}
