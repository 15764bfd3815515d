//! The shell: sessions as a person has them, on one terminal, and scripts.

use crate::scenario::{Scenario, Want};

/// What the shell shows when it waits in the folder in which it begins, and the last command ended well.
const PROMPT: &str = "/ $ ";
/// The same in the folder that can be written to.
const IN_TMP: &str = "/tmp $ ";

/// What `hello` says last before it computes: from then on the keys are for it.
const COMPUTES: &str = "arguments: --loop\n";

/// A session: each pair is what is waited for and what is then typed. It ends with the shell's status 0.
fn session(name: &str, steps: &[(&str, &str)]) -> Scenario {
    let scenario = Scenario::new(format!("shell/{name}"), &["shell"]);
    steps.iter().fold(scenario, |scenario, (after, keys)| scenario.types(after, keys))
}

/// A command that the shell is started with, and the line that it has to show.
fn command(name: &str, text: &str, shown: &str) -> Scenario {
    Scenario::new(format!("shell/{name}"), &["shell", "-c", text])
        .wants(Want::OneLine(shown.to_owned()))
}

pub fn scenarios() -> Vec<Scenario> {
    let mut all = sessions();
    all.extend(jobs());
    all.extend(commands());
    all
}

fn sessions() -> Vec<Scenario> {
    vec![
        // Corrected in the middle, at the beginning and at the end; words taken out and put back.
        session(
            "editing",
            &[
                (PROMPT, "echo oe-\x1b[D\x1b[D\x1b[DX\x05Y\x7fZ\r"),
                ("Xoe-Z\n/ $ ", "cho two three\x17four\x1b[He\r"),
                ("two four\n/ $ ", "echo k1 k2\x1bb\x0b\x19\x19\r"),
                ("k1 k2k2\n/ $ ", "nothing\x03"),
                ("^C", "\x15exit 0\r"),
            ],
        )
        .shows(&["Xoe-Z"])
        .shows(&["two four"])
        .shows(&["k1 k2k2"]),
        session(
            "history",
            &[
                (PROMPT, "echo a-$PWD\r"),
                ("a-/\n/ $ ", "echo b-$PWD\r"),
                ("b-/\n/ $ ", "\x1b[A\x1b[A-again\r"),
                ("a-/-again\n/ $ ", "\x12b-\x05-found\r"),
                ("b-/-found\n/ $ ", "history | wc -l\r"),
                ("      5\n/ $ ", "exit 0\r"),
            ],
        )
        .shows(&["a-/-again"])
        .shows(&["b-/-found"]),
        session(
            "completion",
            &[
                (PROMPT, "cd /tm\t\r"),
                (IN_TMP, "echo some > a-long-name\r"),
                (IN_TMP, "hexd\ta-l\t\r"),
                ("|some.|", "exit 0\r"),
            ],
        )
        .shows(&["73 6f 6d 65 0a"]),
        session("end-of-input", &[(PROMPT, "true\r"), (PROMPT, "\x04")]),
        session("status-in-the-prompt", &[(PROMPT, "false\r"), ("/ [1] $ ", "exit 7\r")]).exits(7),
        session("help", &[(PROMPT, "help\r"), ("leaves QEMU", "exit 0\r")])
            .shows(&["cd", "Changes the working folder"])
            .shows(&["wc", "Counts lines, words and bytes"])
            .shows(&["hello", "Greets, and says where it is"]),
    ]
}

/// Programs in the background, stopped, and ended.
fn jobs() -> Vec<Scenario> {
    vec![
        // The shell lives on, nothing more of the line runs, and the prompt says how it ended.
        session(
            "interrupt",
            &[
                (PROMPT, "hello --loop; echo not-this\r"),
                (COMPUTES, "\x03"),
                ("/ [130] $ ", "echo alive; exit 0\r"),
            ],
        )
        .shows(&["alive"])
        .wants(Want::Console(|shown| match shown.matches("not-this").count() {
            // It is shown while it is typed.
            1 => Ok(()),
            count => Err(format!("`not-this` is shown {count} times")),
        })),
        session(
            "stop-and-go-on",
            &[
                (PROMPT, "hello --loop\r"),
                (COMPUTES, "\x1a"),
                ("/ [148] $ ", "bg\r"),
                ("&\n/ $ ", "jobs\r"),
                ("running   hello --loop\n/ $ ", "fg %1\r"),
                ("hello --loop\n", "\x03"),
                ("/ [130] $ ", "jobs; echo none-left; exit 0\r"),
            ],
        )
        .shows(&["none-left"]),
        session(
            "background",
            &[
                (PROMPT, "sleep 0.3 && echo from-behind &\r"),
                ("[1] ", "wait; echo waited\r"),
                ("waited\n", ""),
                ("done      sleep 0.3 && echo from-behind\n/ $ ", "sleep 1000 &\r"),
                ("[1] ", "kill %1; wait %1; echo status-$?; exit 0\r"),
            ],
        )
        .shows(&["from-behind"])
        .shows(&["status-143"]),
        // A program of the background does not get what is typed.
        session(
            "read-in-the-background",
            &[
                (PROMPT, "cat &\r"),
                ("[1] ", "wait %1\r"),
                ("[149] $ ", "kill -KILL %1; sleep 0.5; exit 0\r"),
            ],
        ),
        session(
            "leave-with-stopped-jobs",
            &[
                (PROMPT, "hello --loop\r"),
                (COMPUTES, "\x1a"),
                ("stopped", "exit 0\r"),
                ("There are stopped jobs.", "exit 0\r"),
            ],
        ),
    ]
}

fn commands() -> Vec<Scenario> {
    vec![
        command("pipeline", "seq 20 | grep 1 | sort -rn | head -n 2 | wc -l", "      2"),
        command("quoting", r#"V='x y'; echo "<$V>" '$V' \$V "a"b'c'"#, "<x y> $V $V abc"),
        command("lists", "false && echo no || echo yes-$?; true || echo never", "yes-1"),
        command("wrong-line", "echo first; echo | | cat", "a command is missing at |").exits(2),
        command("not-found", "no-such 2>/dev/null; echo found-$?", "found-127"),
        command("killed", "shell -c 'kill -TERM $$'; echo killed-$?", "killed-143"),
        command("exit-status", "shell -c 'exit 9'; echo was-$?; exit 4", "was-9").exits(4),
        command(
            "redirection",
            "cd /tmp; echo one >f; echo two >>f; no-such 2>>f; cat <f | tail -n 2 | tee g >/dev/null; wc -l f; cat g",
            "3 f",
        )
        .shows(&["two"])
        .shows(&["no-such: no such command"]),
        command("both-outputs", "no-such >/tmp/o 2>&1; wc -l </tmp/o", "      1"),
        command(
            "patterns",
            "cd /tmp; mkdir d; touch d/b1 d/a1 d/a2 d/.a; echo d/a* d/?1 'd/*' /t*p/d/.*; echo none*",
            "d/a1 d/a2 d/a1 d/b1 d/* /tmp/d/.a",
        )
        .shows(&["none*"]),
        command(
            "variables",
            "A=1; export A; B=2; shell -c 'echo $A-$B-$C'; C=3 shell -c 'echo ${C}c'; unset A; echo $A.",
            "1--",
        )
        .shows(&["3c"]),
        command(
            "files",
            "cd /tmp; mkdir d; echo greeting >d/a; cp d/a d/b; mv d/b c; rm -r d; ls; cat c",
            "greeting",
        ),
        command("script", "cd /tmp; echo 'echo in-a-script # a comment' >s; shell s", "in-a-script"),
        command("script-on-input", "echo 'cat; echo 1' >/tmp/s; echo rest >>/tmp/s; shell </tmp/s", "rest"),
    ]
}
