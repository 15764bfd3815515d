//! What is needed to build and run the system: listing it, and getting it.
//!
//! Every command that boots calls [`ensure_ready`] first, so that a fresh clone needs no preparation.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::packages::{self, Host};
use crate::qemu;
use crate::toolchain::{Tools, host_compiler, target_advice};

/// One thing that is needed, or useful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// Whether nothing works without it.
    pub needed: bool,
    /// What was found, or how to get it.
    pub state: Result<String, String>,
}

/// Gets what is missing, and fails with the command to type where it cannot.
pub fn ensure_ready() -> Result<()> {
    Tools::from_environment().ensure_targets()?;
    packages::ensure_qemu(&Host::look())
}

/// Looks for everything.
pub fn findings(tools: &Tools, host: &Host) -> Vec<Finding> {
    let needed = |what: &str, state| Finding { what: what.to_owned(), needed: true, state };
    let mut all = Vec::new();
    let compiler = tools.version().map_err(|_| "https://rustup.rs".to_owned());
    all.push(needed("Rust compiler", compiler));
    match tools.missing_targets() {
        Ok(missing) => all.extend(crate::toolchain::TARGETS.iter().map(|target| {
            let advice = || Err(target_advice(&[target]));
            let state = if missing.contains(target) { advice() } else { Ok("installed".into()) };
            needed(&format!("Rust target {target}"), state)
        })),
        Err(_) => all.push(needed("Rust targets", Err("a compiler first".to_owned()))),
    }
    all.push(needed("QEMU", qemu::version().map_err(|_| host.qemu_remedy().text())));
    let gdb = Command::new("gdb").arg("--version").stdin(Stdio::null()).output();
    let gdb = gdb.ok().filter(|output| output.status.success());
    let gdb = gdb
        .and_then(|output| Some(String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned()));
    all.push(Finding {
        what: "gdb".to_owned(),
        needed: false,
        state: gdb.ok_or_else(|| "your system's package gdb; only for `run --gdb`".to_owned()),
    });
    let compiler = host_compiler().map(|name| name.to_owned());
    all.push(Finding {
        what: "C compiler".to_owned(),
        needed: false,
        state: compiler.map_err(|_| "your system's package gcc; for one of the tests".to_owned()),
    });
    all
}

/// The list as a person reads it.
pub fn text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| match (&finding.state, finding.needed) {
        (Ok(found), _) => format!("found    {}: {found}\n", finding.what),
        (Err(how), true) => format!("MISSING  {}; to get it: {how}\n", finding.what),
        (Err(how), false) => format!("absent   {}; to get it: {how}\n", finding.what),
    };
    findings.iter().map(line).collect()
}

/// Whether everything needed is there.
pub fn complete(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.state.is_ok() || !finding.needed)
}

#[cfg(test)]
mod tests {
    use super::{Finding, complete, text};

    #[test]
    fn only_what_is_needed_counts_as_missing() {
        let finding = |what: &str, needed, state| Finding { what: what.to_owned(), needed, state };
        let gdb = finding("gdb", false, Err("package gdb".to_owned()));
        let rust = finding("Rust compiler", true, Ok("rustc 1.95.0".to_owned()));
        let qemu = finding("QEMU", true, Err("brew install qemu".to_owned()));
        assert!(complete(&[gdb.clone(), rust.clone()]));
        assert!(!complete(&[rust.clone(), qemu.clone()]));
        assert_eq!(
            text(&[rust, qemu, gdb]),
            "found    Rust compiler: rustc 1.95.0\n\
             MISSING  QEMU; to get it: brew install qemu\n\
             absent   gdb; to get it: package gdb\n"
        );
    }
}
