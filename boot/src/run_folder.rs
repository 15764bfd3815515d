//! The folder of one run: what the system printed, what it reported, and how it was started.
//!
//! `target/upcall/runs/0042-hello/` and so on, numbered upwards, with `latest` pointing at the newest;
//! old ones are removed. Tests name their folders themselves.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disks::Swap;
use crate::workspace;

/// How many runs are kept.
const KEPT: usize = 100;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder for a run of `what`; `latest` points to it from now on.
    pub fn next(what: &str) -> Result<RunFolder> {
        Self::next_in(&workspace::output_folder().join("runs"), what)
    }

    fn next_in(parent: &Path, what: &str) -> Result<RunFolder> {
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        let runs = numbered(parent)?;
        let mut number = runs.last().map_or(1, |(number, _)| number + 1);
        for (_, old) in &runs[..(runs.len() + 1).saturating_sub(KEPT)] {
            // Somebody may look at it right now; it will go another time.
            let _ = fs::remove_dir_all(old);
        }
        loop {
            let name = format!("{number:04}-{}", tame(what));
            let path = parent.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => {
                    point_latest(parent, &name)?;
                    return Ok(RunFolder { path });
                }
                // Another run has started at the same time and was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    return Err(error).with_context(|| format!("creating {}", path.display()));
                }
            }
        }
    }

    /// Exactly this folder, emptied.
    pub fn at(path: PathBuf) -> Result<RunFolder> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("emptying {}", path.display()));
            }
            _ => {}
        }
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(RunFolder { path })
    }

    /// The folder of the newest run.
    pub fn latest() -> Result<RunFolder> {
        let link = workspace::output_folder().join("runs/latest");
        let path = link.canonicalize().context("there is no run yet: try `cargo upcall run`")?;
        Ok(RunFolder { path })
    }

    /// A folder that an earlier run has left.
    pub fn existing(path: &Path) -> RunFolder {
        RunFolder { path: path.to_owned() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system printed.
    pub fn serial_log(&self) -> PathBuf {
        self.path.join("serial.log")
    }

    /// What came through the report channel.
    pub fn report_log(&self) -> PathBuf {
        self.path.join("report.log")
    }

    /// What QEMU noted about resets.
    pub fn reset_log(&self) -> PathBuf {
        self.path.join("resets.log")
    }

    /// QEMU's own complaints, where they do not go to the terminal.
    pub fn qemu_messages(&self) -> PathBuf {
        self.path.join("qemu.messages")
    }

    /// The whole command that started QEMU.
    pub fn qemu_command(&self) -> PathBuf {
        self.path.join("qemu.command")
    }

    /// The swap disk's content.
    fn swap(&self) -> PathBuf {
        self.path.join("swap.disk")
    }

    /// Makes the swap disk, if there is to be one: a file that takes no room until it is written.
    pub fn make_swap(&self, size: Swap) -> Result<Option<PathBuf>> {
        let path = self.swap();
        if size.bytes() == 0 {
            return Ok(None);
        }
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        file.set_len(size.bytes()).with_context(|| format!("growing {}", path.display()))?;
        Ok(Some(path))
    }

    /// Gives the room back that a run's swap disk has taken. The file stays, so that the command in the
    /// folder can be started again.
    pub fn empty_swap(&self, size: Swap) -> Result<()> {
        self.make_swap(size).map(|_| ())
    }

    /// The trace, for ui.perfetto.dev.
    pub fn trace_json(&self) -> PathBuf {
        self.path.join("trace.json")
    }

    /// The trace, for any browser.
    pub fn trace_page(&self) -> PathBuf {
        self.path.join("trace.html")
    }

    /// The ELF files that the addresses in the log belong to, one per line.
    pub fn elf_list(&self) -> PathBuf {
        self.path.join("elf.files")
    }
}

/// The folders of runs, in order of their numbers.
fn numbered(parent: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
        found.extend(number.map(|number| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Only what is harmless in the name of a folder.
fn tame(what: &str) -> String {
    let tame = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    what.chars().take(40).map(tame).collect()
}

fn point_latest(parent: &Path, name: &str) -> Result<()> {
    let temporary = parent.join(format!(".latest-{name}"));
    std::os::unix::fs::symlink(name, &temporary)
        .and_then(|()| fs::rename(&temporary, parent.join("latest")))
        .context("pointing `latest` to the run")
}

#[cfg(test)]
mod tests {
    use super::{KEPT, RunFolder, numbered};
    use std::fs;

    #[test]
    fn runs_are_numbered_and_old_ones_go() {
        let parent = std::env::temp_dir().join(format!("upcall-runs-{}", std::process::id()));
        for _ in 0..KEPT + 3 {
            RunFolder::next_in(&parent, "a/b c").unwrap();
        }
        let runs = numbered(&parent).unwrap();
        assert_eq!(runs.len(), KEPT);
        assert_eq!(runs[0].0, 4);
        let latest = parent.join("latest").canonicalize().unwrap();
        assert!(latest.ends_with("0103-a_b_c"), "{}", latest.display());
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn runs_that_start_together_do_not_share_a_folder() {
        let parent = std::env::temp_dir().join(format!("upcall-together-{}", std::process::id()));
        let mut paths: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..8).map(|_| scope.spawn(|| RunFolder::next_in(&parent, "x").unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap().path().to_owned()).collect()
        });
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 8);
        fs::remove_dir_all(&parent).unwrap();
    }
}
