//! What the tool does where something is missing, played with stand-ins for rustc, rustup and QEMU:
//! scripts in a folder of the test's own, which the tool is pointed to through the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder with stand-ins, removed at the end.
struct StandIns {
    folder: PathBuf,
}

impl StandIns {
    /// A compiler that finds its targets in the folder, and a rustup that puts them there.
    fn new(test: &str) -> StandIns {
        let name = format!("upcall-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("lib/rustlib")).unwrap();
        let stand_ins = StandIns { folder };
        let root = stand_ins.folder.display().to_string();
        stand_ins.script(
            "rustc",
            &format!(
                "case \"$1\" in --print) echo {root};; *) echo 'rustc 1.95.0 (stand-in)';; esac"
            ),
        );
        stand_ins.script(
            "rustup",
            &format!(
                "echo \"$@\" >> {root}/asked; shift 2\n\
                 for target; do mkdir -p {root}/lib/rustlib/$target/lib; \
                 touch {root}/lib/rustlib/$target/lib/libcore.rlib; done"
            ),
        );
        stand_ins.script("qemu", "echo 'QEMU emulator version 7.2 (stand-in)'");
        stand_ins
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.join(name)).unwrap();
    }

    /// Runs the tool with nothing but these stand-ins; the path is empty but for them.
    fn tool(&self, arguments: &[&str]) -> Output {
        let place = |name: &str| self.folder.join(name);
        Command::new(env!("CARGO_BIN_EXE_boot"))
            .args(arguments)
            .env("RUSTC", place("rustc"))
            .env("RUSTUP", place("rustup"))
            .env("UPCALL_QEMU", place("qemu"))
            .env("PATH", &self.folder)
            .output()
            .unwrap()
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.folder.join("asked")).unwrap_or_default()
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const ADD_BOTH: &str = "rustup target add x86_64-unknown-none x86_64-unknown-linux-musl";

#[test]
fn doctor_lists_missing_targets_and_changes_nothing() {
    let stand_ins = StandIns::new("list");
    let output = stand_ins.tool(&["doctor"]);
    let listed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{listed}");
    let missing = "MISSING  Rust target x86_64-unknown-none; to get it: \
                   rustup target add x86_64-unknown-none\n";
    assert!(listed.contains(missing), "{listed}");
    assert!(listed.contains("found    Rust compiler: rustc 1.95.0 (stand-in)"), "{listed}");
    assert_eq!(stand_ins.asked(), "");
}

#[test]
fn missing_targets_are_fetched_once() {
    let stand_ins = StandIns::new("fetch");
    let output = stand_ins.tool(&["doctor", "--fix"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains(ADD_BOTH));
    assert!(!text(&output.stdout).contains("MISSING"));
    assert!(stand_ins.tool(&["doctor", "--fix"]).status.success());
    assert_eq!(stand_ins.asked(), "target add x86_64-unknown-none x86_64-unknown-linux-musl\n");
}

#[test]
fn without_rustup_the_command_is_told() {
    let stand_ins = StandIns::new("none");
    stand_ins.remove("rustup");
    let output = stand_ins.tool(&["run", "hello"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(ADD_BOTH) && said.contains("no rustup here"), "{said}");
}

#[test]
fn a_rustup_that_fails_or_serves_another_toolchain_is_told() {
    let stand_ins = StandIns::new("other");
    stand_ins.script("rustup", "exit 0");
    let said = text(&stand_ins.tool(&["image"]).stderr);
    assert!(said.contains("to another toolchain"), "{said}");
    stand_ins.script("rustup", "exit 7");
    let said = text(&stand_ins.tool(&["image"]).stderr);
    assert!(said.contains("failed") && said.contains(ADD_BOTH), "{said}");
}

#[test]
fn targets_that_are_there_need_no_rustup() {
    let stand_ins = StandIns::new("there");
    assert!(stand_ins.tool(&["doctor", "--fix"]).status.success());
    stand_ins.remove("rustup");
    let output = stand_ins.tool(&["doctor"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn a_missing_qemu_is_told_before_anything_is_built() {
    let stand_ins = StandIns::new("qemu");
    assert!(stand_ins.tool(&["doctor", "--fix"]).status.success());
    // No package manager is on this path, so there is nothing that the tool could do.
    stand_ins.remove("qemu");
    let output = stand_ins.tool(&["check"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("QEMU is missing") && said.contains("qemu.org/download"), "{said}");
    assert!(!said.contains("building"), "{said}");
    let listed = text(&stand_ins.tool(&["doctor"]).stdout);
    assert!(listed.contains("MISSING  QEMU; to get it: a package with"), "{listed}");
}

const INSTALL: &str =
    "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 qemu-system-x86";

/// Stand-ins for a person with this number and for an apt-get that does `install`; QEMU is missing.
/// None where the host is not Debian or its like: the tool reads that from the host's own file.
fn with_apt(test: &str, user: u32, install: &str) -> Option<StandIns> {
    let host = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !["ID=debian", "ID=ubuntu"].iter().any(|id| host.lines().any(|line| line == *id)) {
        return None;
    }
    let stand_ins = StandIns::new(test);
    assert!(stand_ins.tool(&["doctor", "--fix"]).status.success());
    fs::remove_file(stand_ins.folder.join("asked")).unwrap();
    stand_ins.remove("qemu");
    // The tool looks for commands with a shell, which sees this folder as the whole path.
    std::os::unix::fs::symlink("/bin/sh", stand_ins.folder.join("sh")).unwrap();
    stand_ins.script("id", &format!("echo {user}"));
    let root = stand_ins.folder.display();
    stand_ins.script("apt-get", &format!("cd {root}; echo \"apt-get $*\" >> asked\n{install}"));
    Some(stand_ins)
}

/// What the stand-in for apt-get does to install QEMU.
const PUT_QEMU: &str =
    "printf '#!/bin/sh\\necho QEMU emulator version 7.2\\n' > qemu; chmod +x qemu";

#[test]
fn root_on_debian_gets_qemu_once() {
    let Some(stand_ins) = with_apt("apt", 0, PUT_QEMU) else { return };
    let listed = text(&stand_ins.tool(&["doctor"]).stdout);
    assert!(listed.contains(&format!("MISSING  QEMU; to get it: {INSTALL}\n")), "{listed}");
    assert_eq!(stand_ins.asked(), "");
    let output = stand_ins.tool(&["doctor", "--fix"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains(INSTALL), "{said}");
    assert!(stand_ins.tool(&["doctor", "--fix"]).status.success());
    assert_eq!(stand_ins.asked(), format!("{INSTALL}\n"));
}

#[test]
fn old_lists_of_packages_are_fetched_anew() {
    let install = format!(
        "case \"$1\" in update) touch lists;; *) [ -e lists ] || exit 100; {PUT_QEMU};; esac"
    );
    let Some(stand_ins) = with_apt("lists", 0, &install) else { return };
    let output = stand_ins.tool(&["doctor", "--fix"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(stand_ins.asked(), format!("{INSTALL}\napt-get update\n{INSTALL}\n"));
}

#[test]
fn an_apt_that_fails_is_told() {
    let Some(stand_ins) = with_apt("fails", 0, "echo 'no network' >&2; exit 100") else { return };
    let output = stand_ins.tool(&["image"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("`apt-get update` failed: no network"), "{said}");
}

#[test]
fn who_is_not_root_is_told_what_to_type() {
    let Some(stand_ins) = with_apt("person", 1000, PUT_QEMU) else { return };
    let said = text(&stand_ins.tool(&["image"]).stderr);
    let typed =
        "to get it type: su -c 'apt-get install -y --no-install-recommends qemu-system-x86'";
    assert!(said.contains(typed), "{said}");
    assert_eq!(stand_ins.asked(), "");
}

#[test]
fn a_compiler_that_is_missing_is_told() {
    let stand_ins = StandIns::new("rustc");
    stand_ins.remove("rustc");
    let output = stand_ins.tool(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let listed = text(&output.stdout);
    assert!(listed.contains("MISSING  Rust compiler; to get it: https://rustup.rs"), "{listed}");
    assert!(text(&stand_ins.tool(&["image"]).stderr).contains("starting the Rust compiler"));
}
