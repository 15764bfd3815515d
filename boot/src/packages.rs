//! Getting QEMU: which command installs it here, and whether the tool may run that command itself.
//!
//! It does so only as root on Debian and its relatives, where containers and CI machines usually are.
//! Everybody else is told the one command to type.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress;
use crate::qemu;

/// What is known about the machine that the tool runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The text of `/etc/os-release`; empty where there is none.
    pub os_release: String,
    /// The user's number; 0 is root.
    pub user: u32,
    /// Those of `COMMANDS` that are on the path.
    pub commands: BTreeSet<String>,
}

/// The commands that matter for installing something.
const COMMANDS: [&str; 5] = ["apt-get", "dnf", "pacman", "brew", "sudo"];

/// The Debian package.
const DEBIAN_PACKAGE: &str = "qemu-system-x86";

/// A machine that has just started often updates itself, and apt-get would give up at once.
const WAIT_FOR_OTHERS: [&str; 2] = ["-o", "DPkg::Lock::Timeout=300"];

/// How QEMU is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The tool may run this itself.
    Run(Vec<&'static str>),
    /// The person is to type this.
    Type(String),
    /// Nobody knows; this is what to look for.
    Seek(&'static str),
}

impl Host {
    /// This machine.
    pub fn look() -> Host {
        let on_path = |name: &&str| {
            let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output();
            found.is_ok_and(|output| output.status.success())
        };
        let user = Command::new("id").arg("-u").output().ok();
        let user =
            user.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
        Host {
            os_release: std::fs::read_to_string("/etc/os-release").unwrap_or_default(),
            // Somebody whose number is unknown is not root.
            user: user.unwrap_or(u32::MAX),
            commands: COMMANDS.into_iter().filter(on_path).map(str::to_owned).collect(),
        }
    }

    /// Whether this is Debian or made from it.
    fn is_debian(&self) -> bool {
        let value = |line: &str| -> Option<String> {
            let (name, value) = line.split_once('=')?;
            matches!(name.trim(), "ID" | "ID_LIKE")
                .then(|| value.trim().trim_matches('"').to_owned())
        };
        let words: Vec<String> = self.os_release.lines().filter_map(value).collect();
        words.iter().flat_map(|value| value.split(' ')).any(|id| matches!(id, "debian" | "ubuntu"))
    }

    /// How QEMU is to be had here.
    pub fn qemu_remedy(&self) -> Remedy {
        let has = |name: &str| self.commands.contains(name);
        let as_root = |command: &str| match (self.user, has("sudo")) {
            (0, _) => Remedy::Type(command.to_owned()),
            (_, true) => Remedy::Type(format!("sudo {command}")),
            (_, false) => Remedy::Type(format!("su -c '{command}'")),
        };
        if has("apt-get") && self.is_debian() && self.user == 0 {
            let mut words = vec!["apt-get", "install", "-y", "--no-install-recommends"];
            words.extend(WAIT_FOR_OTHERS);
            words.push(DEBIAN_PACKAGE);
            Remedy::Run(words)
        } else if has("apt-get") {
            as_root("apt-get install -y --no-install-recommends qemu-system-x86")
        } else if has("dnf") {
            as_root("dnf install -y qemu-system-x86-core")
        } else if has("pacman") {
            as_root("pacman -S --needed qemu-system-x86")
        } else if has("brew") {
            Remedy::Type("brew install qemu".to_owned())
        } else {
            Remedy::Seek("a package with qemu-system-x86_64: https://www.qemu.org/download/")
        }
    }
}

impl Remedy {
    /// One line for a person.
    pub fn text(&self) -> String {
        match self {
            Remedy::Run(words) => words.join(" "),
            Remedy::Type(command) => command.clone(),
            Remedy::Seek(what) => (*what).to_owned(),
        }
    }
}

/// Makes sure that QEMU is there, installing it where that is ours to do.
pub fn ensure_qemu(host: &Host) -> Result<()> {
    let Err(missing) = qemu::version() else { return Ok(()) };
    let remedy = host.qemu_remedy();
    let Remedy::Run(install) = &remedy else {
        bail!("QEMU is missing ({missing:#}); to get it type: {}", remedy.text());
    };
    progress::step(format_args!("installing QEMU: {}", remedy.text()));
    if apt(install).is_err() {
        // Usually because the lists of packages are old, or were never fetched.
        progress::step("fetching the lists of packages: apt-get update");
        apt(&["apt-get", "update"])?;
        apt(install)?;
    }
    qemu::version().map(drop).context("QEMU has been installed, but does not start")
}

fn apt(words: &[&str]) -> Result<()> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", words[0]))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", words.join(" "), messages.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Host, Remedy};

    fn host(os_release: &str, user: u32, commands: &[&str]) -> Host {
        let commands = commands.iter().map(|name| (*name).to_owned()).collect();
        Host { os_release: os_release.to_owned(), user, commands }
    }

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
    const MINT: &str = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";

    #[test]
    fn root_on_debian_and_its_relatives_needs_to_type_nothing() {
        for os_release in [DEBIAN, MINT, "ID=ubuntu\n"] {
            let remedy = host(os_release, 0, &["apt-get"]).qemu_remedy();
            assert!(matches!(remedy, Remedy::Run(_)), "{os_release}");
            assert_eq!(
                remedy.text(),
                "apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
                 qemu-system-x86"
            );
        }
    }

    #[test]
    fn others_get_one_command_to_type() {
        let typed = |os: &str, user, commands: &[&str]| match host(os, user, commands).qemu_remedy()
        {
            Remedy::Type(text) => text,
            other => panic!("{other:?}"),
        };
        let apt = "apt-get install -y --no-install-recommends qemu-system-x86";
        assert_eq!(typed(DEBIAN, 1000, &["apt-get", "sudo"]), format!("sudo {apt}"));
        assert_eq!(typed(DEBIAN, 1000, &["apt-get"]), format!("su -c '{apt}'"));
        assert_eq!(typed("ID=other\n", 0, &["apt-get"]), apt);
        assert_eq!(typed("ID=fedora\n", 0, &["dnf"]), "dnf install -y qemu-system-x86-core");
        assert_eq!(
            typed("ID=arch\n", 1000, &["pacman", "sudo"]),
            "sudo pacman -S --needed qemu-system-x86"
        );
        assert_eq!(typed("", 501, &["brew", "sudo"]), "brew install qemu");
    }

    #[test]
    fn where_nothing_is_known_the_address_is_given() {
        assert!(host("ID=mystery\n", 0, &[]).qemu_remedy().text().contains("qemu.org/download"));
    }
}
