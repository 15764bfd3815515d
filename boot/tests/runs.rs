//! Runs from end to end with a stand-in for QEMU: a script that writes the logs which QEMU would
//! write and ends as a machine would. The real machine is for the system tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Plays the part that the program's name asks for. 33, 35, 37 and 65 are the statuses of a program's
/// end, of the checks' end, of switching off and of a kernel panic.
const QEMU: &str = r#"#!/bin/sh
case "$1" in
--version) echo 'QEMU emulator version 7.2 (stand-in)'; exit 0 ;;
-L) exit 0 ;;
esac
for word; do
    case "$word" in
    *logfile=*) log=${word##*logfile=} ;;
    file,id=report,path=*) report=${word##*path=} ;;
    esac
    [ "$before" = -D ] && resets=$word
    before=$word
done
say() { printf '%s\r\n' "$1"; printf '%s\r\n' "$1" >> "$log"; }
case "$*" in
*'-- exits'*) say Hello; echo 'exited exits 42' > "$report"; exit 33 ;;
*'-- dies'*) echo 'killed dies 11' > "$report"; exit 33 ;;
*'-- panics'*) say 'kernel panic: on purpose'; exit 65 ;;
*'-- triple'*) echo 'Triple fault' > "$resets"; exit 0 ;;
*'-- left'*) say 'QEMU: Terminated'; exit 0 ;;
*'-- hangs'*) say Hello; exec sleep 60 ;;
*'-- listens'*) read -r line; say "heard $line"; echo 'exited listens 0' > "$report"; exit 33 ;;
*check=good*) printf 'begin a\npassed a\n' > "$report"; exit 35 ;;
*check=bad*) printf 'begin a\nfailed a 1 is 2\n' > "$report"; exit 35 ;;
*check=refused*) echo 'cannot set up guest memory' >&2; exit 1 ;;
*check=killed*) echo 'no more memory' >&2; kill -KILL $$ ;;
*'-- bench refused'*) echo 'no such device' >&2; exit 1 ;;
*check=fatal*) say 'kernel panic: no frame'; printf 'begin a\n' > "$report"; exit 65 ;;
*'bench_threads parked'*) printf 'value sa.memory_parked bytes 4500\nexited bench_threads 0\n' > "$report"; exit 33 ;;
*bench_threads*) printf 'value sa.create instructions 60\nexited bench_threads 0\n' > "$report"; exit 33 ;;
*'-- bench'*) printf 'value syscall.null instructions 47\nexited bench 0\n' > "$report"; exit 33 ;;
*'-smp 2 '*bench=smp*) echo 'value smp.cross_wake instructions 2700' > "$report"; exit 37 ;;
*'-- hello'*) echo 'exited hello 0' > "$report"; exit 33 ;;
esac
exit 1
"#;

/// A build in no time: any ELF file will do where nothing is loaded.
const CARGO: &str = r#"#!/bin/sh
artifact() { echo "{\"reason\":\"compiler-artifact\",\"executable\":\"FOLDER/$1\"}"; }
case "$*" in
*x86_64-unknown-none*) artifact loader; artifact kernel ;;
*) artifact hello ;;
esac
"#;

/// A folder with the stand-ins and everything that the tool writes; removed at the end.
struct Stage {
    folder: PathBuf,
}

impl Stage {
    fn new(test: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("upcall-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        script("qemu", QEMU);
        script("cargo", &CARGO.replace("FOLDER", &folder.display().to_string()));
        for name in ["loader", "kernel", "hello"] {
            fs::copy("/bin/sh", folder.join(name)).unwrap();
        }
        Stage { folder }
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boot"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO", self.folder.join("cargo"))
            .env("UPCALL_QEMU", self.folder.join("qemu"))
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.tool(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_programs_status_is_the_tools_and_the_log_is_kept() {
    let stage = Stage::new("status");
    let (status, output, said) = stage.run(&["run", "exits"]);
    assert_eq!((status, output.as_str()), (Some(42), "Hello\r\n"), "{said}");
    let latest = stage.folder.join("target/upcall/runs/latest");
    assert_eq!(fs::read_to_string(latest.join("serial.log")).unwrap(), "Hello\r\n");
    assert_eq!(fs::read_to_string(latest.join("report.log")).unwrap(), "exited exits 42\n");
    let command = fs::read_to_string(latest.join("qemu.command")).unwrap();
    assert!(command.contains(" -append '-- exits' "), "{command}");
    assert!(latest.canonicalize().unwrap().ends_with("0001-exits"));
}

#[test]
fn a_mistyped_option_is_no_program() {
    let stage = Stage::new("mistyped");
    let (status, _, said) = stage.run(&["run", "--cpu", "4", "exits"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("'--cpus'"), "{said}");
}

#[test]
fn every_bad_end_has_its_status_and_says_how_to_repeat_it() {
    let stage = Stage::new("ends");
    for (program, expected, text) in [
        ("dies", 139, "`dies` was ended by signal 11"),
        ("panics", 65, "kernel panic"),
        ("triple", 1, "triple fault"),
        ("refuses", 1, "QEMU failed with status 1"),
    ] {
        let (status, _, said) = stage.run(&["run", "--cpus", "2", program]);
        assert_eq!(status, Some(expected), "{program}: {said}");
        assert!(said.contains(&format!("upcall: {text}\n")), "{program}: {said}");
        assert!(said.contains("serial.log\n"), "{program}: {said}");
        let again = format!("once more: cargo upcall run --cpus 2 {program}\n");
        assert!(said.contains(&again), "{program}: {said}");
    }
    assert_eq!(stage.run(&["run", "left"]).0, Some(0));
}

#[test]
fn a_run_that_hangs_is_ended_in_time() {
    let stage = Stage::new("hangs");
    let started = Instant::now();
    let (status, _, said) = stage.run(&["run", "--timeout", "1", "hangs"]);
    assert_eq!(status, Some(124), "{said}");
    assert!(said.contains("time is up"), "{said}");
    assert!(said.contains("once more: cargo upcall run --timeout 1 hangs\n"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_shell_that_nobody_can_type_at_is_refused() {
    let stage = Stage::new("shell");
    for arguments in [&["run"][..], &["run", "--option", "log=debug"]] {
        let (status, _, said) = stage.run(arguments);
        assert_eq!((status, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("the shell needs a terminal"), "{said}");
    }
    for arguments in [&["run", "--timeout", "9"][..], &["run", "--option", "panic=plain"]] {
        let (_, _, said) = stage.run(arguments);
        assert!(said.contains("QEMU failed with status 1"), "{said}");
    }
}

#[test]
fn what_is_typed_reaches_the_machine() {
    let stage = Stage::new("typed");
    let mut tool = stage.tool(&["run", "listens"]);
    let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a word\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "heard a word\r\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn checks_are_shown_one_by_one() {
    let stage = Stage::new("checks");
    let (status, output, _) = stage.run(&["check", "good"]);
    assert_eq!((status, output.as_str()), (Some(0), "passed  a\n1 passed, 0 failed\n"));
    let (status, output, said) = stage.run(&["check", "bad"]);
    assert_eq!((status, output.as_str()), (Some(1), "FAILED  a: 1 is 2\n0 passed, 1 failed\n"));
    assert!(said.contains("once more: cargo upcall check bad\n"), "{said}");
    let (status, output, said) = stage.run(&["check", "fatal"]);
    assert_eq!(status, Some(65));
    assert!(output.contains("FAILED  a: it began and did not end"), "{output}");
    assert!(said.contains("  | kernel panic: no frame\n"), "{said}");
}

#[test]
fn what_qemu_says_is_shown_when_it_fails() {
    let stage = Stage::new("messages");
    for (arguments, expected, text) in [
        (["check", "refused"], 1, "QEMU says: cannot set up guest memory\n"),
        (["check", "killed"], 137, "QEMU says: no more memory\n"),
        (["bench", "refused"], 1, "QEMU says: no such device\n"),
    ] {
        let (status, _, said) = stage.run(&arguments);
        assert_eq!(status, Some(expected), "{said}");
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn measured_values_can_be_kept_and_compared() {
    let stage = Stage::new("bench");
    let (status, output, said) = stage.run(&["bench", "--json", "values.json"]);
    assert_eq!(status, Some(0), "{said}");
    for line in ["\nsyscall.null ", "\nsmp.cross_wake ", "\nsa.create ", "\nwall: "] {
        assert!(output.contains(line), "{output}");
    }
    let (_, output, said) = stage.run(&["bench", "smp"]);
    assert!(output.contains("\nsmp.cross_wake ") && !output.contains("syscall"), "{said}");
    for group in ["threads", "sa"] {
        let (_, output, said) = stage.run(&["bench", group]);
        assert!(
            output.contains("\nsa.create ") && output.contains("\nsa.memory_parked "),
            "{said}"
        );
        assert!(!output.contains("syscall"), "{output}");
    }
    let (status, output, _) = stage.run(&["bench", "--compare", "values.json"]);
    assert_eq!(status, Some(0));
    assert!(output.ends_with("no value has changed\n"), "{output}");
    let values = fs::read_to_string(stage.folder.join("values.json")).unwrap();
    fs::write(stage.folder.join("better.json"), values.replace(": 47", ": 40")).unwrap();
    let (status, output, _) = stage.run(&["bench", "--compare", "better.json"]);
    assert_eq!(status, Some(1));
    assert!(output.contains("syscall.null: 40 -> 47 (+17.50 %)  WORSE\n"), "{output}");
}
