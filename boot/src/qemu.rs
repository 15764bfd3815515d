//! The machine to emulate, as QEMU's arguments.
//!
//! Everything that could make two runs differ by accident is fixed here: the board, the processor
//! model, no devices but those named, no configuration of the user's. Software emulation is the
//! default even where `/dev/kvm` opens, because that does not mean that it works.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::OnceLock;

use abi::ending::{DEBUG_EXIT_PORT, REPORT_PORT};
use anyhow::{Context, Result, ensure};

use crate::disks::{Disk, Swap};
use crate::image::Image;

/// Most processors that the system knows how to start.
pub const PROCESSORS_MAX: u32 = 64;

/// Firmware that starts faster than QEMU's usual one, where QEMU brings it along.
const FAST_FIRMWARE: &str = "qboot.rom";

/// Keeps QEMU from starting a thread for a disk's work now and then. Starting one ends a processor's turn, and
/// when that happens is chance.
const WORKERS: &str = "main-loop,id=workers,thread-pool-min=8";

/// Length of the memory, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory(pub u32);

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            mebibytes if mebibytes % 1024 == 0 => write!(f, "{}G", mebibytes / 1024),
            mebibytes => write!(f, "{mebibytes}M"),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        let scale = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" | "M" | "MB" | "MIB" => 1,
            "G" | "GB" | "GIB" => 1024,
            _ => return Err("a size is a number with M or G after it, like 256M".to_owned()),
        };
        let number: u32 = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
        let size = number.checked_mul(scale).filter(|size| (1..=1 << 20).contains(size));
        size.map(Memory).ok_or_else(|| "a size lies between 1M and 1024G".to_owned())
    }
}

/// How instructions are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// As fast as the host can, one host thread per processor.
    #[default]
    Free,
    /// One tick of virtual time per instruction, on one host thread: a run repeats to the digit.
    Counted,
    /// On the host's own processor. Only when asked for.
    Kvm,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// Processors, 1 to [`PROCESSORS_MAX`].
    pub cpus: u32,
    /// Its memory.
    pub memory: Memory,
    /// Its swap disk.
    pub swap: Swap,
    /// How it is run.
    pub pace: Pace,
    /// Whether the firmware describes the machine through ACPI, as every real one does.
    pub acpi: bool,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine { cpus: 4, memory: Memory(256), swap: Swap(64), pace: Pace::Free, acpi: true }
    }
}

impl Machine {
    /// QEMU's arguments for the machine itself.
    fn arguments(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> = Vec::new();
        let mut add = |words: &str| all.extend(words.split(' ').map(OsString::from));
        add(if self.acpi { "-machine q35" } else { "-machine q35,acpi=off" });
        match self.pace {
            Pace::Free => add("-accel tcg,thread=multi"),
            Pace::Kvm => add("-accel kvm"),
            Pace::Counted => {
                add("-accel tcg,thread=single -icount shift=0,sleep=off -seed 1");
                add("-rtc base=2024-01-01T00:00:00,clock=vm");
            }
        }
        // Without ERMS and FSRM nobody is tempted into `rep movsb`, whose every byte counts as an
        // instruction; without LA57 addresses have 48 bits everywhere.
        add("-cpu max,-la57,-erms,-fsrm");
        add(&format!("-m {} -smp {}", self.memory, self.cpus));
        add("-nodefaults -no-user-config -display none -no-reboot");
        all
    }
}

/// The files of one run.
#[derive(Clone, Debug)]
pub struct Files {
    /// What QEMU starts.
    pub loader: PathBuf,
    /// The ramdisk, and the archive disk's content; either may be missing.
    pub image: Image,
    /// The swap disk's content, if the machine has one.
    pub swap: Option<PathBuf>,
    /// Where everything that the system prints is kept.
    pub serial_log: PathBuf,
    /// Where the report channel goes.
    pub report_log: PathBuf,
    /// Where QEMU notes resets and triple faults.
    pub reset_log: PathBuf,
}

/// The whole command, ready to be started.
///
/// `text` is the kernel's command line; `gdb_port` makes the machine wait for a debugger there.
pub fn command(
    machine: &Machine,
    files: &Files,
    text: &str,
    gdb_port: Option<u16>,
) -> Result<Command> {
    let executable = executable();
    let mut command = Command::new(&executable);
    command.args(machine.arguments());
    if has_fast_firmware(&executable)? {
        command.args(["-bios", FAST_FIRMWARE]);
    }
    command.arg("-kernel").arg(&files.loader);
    if let Some(ramdisk) = &files.image.ramdisk {
        command.arg("-initrd").arg(ramdisk);
    }
    let archive = files.image.archive.iter().map(|path| Disk::archive(path));
    for disk in archive.chain(files.swap.iter().map(|path| Disk::swap(path))) {
        command.args(disk.arguments(machine.pace)?);
    }
    if machine.pace == Pace::Counted && has_main_loop(&executable) {
        command.args(["-object", WORKERS]);
    }
    if !text.is_empty() {
        command.args(["-append", text]);
    }
    let log = escaped(&files.serial_log)?;
    let report = escaped(&files.report_log)?;
    // Keyboard signals go to the guest; Ctrl-A X ends QEMU and Ctrl-A C reaches its monitor.
    let console = format!("stdio,id=console,mux=on,signal=off,logfile={log}");
    command.args(["-chardev", &console, "-serial", "chardev:console", "-mon", "chardev=console"]);
    command.args(["-chardev", &format!("file,id=report,path={report}")]);
    command.args(["-device", &format!("isa-debugcon,iobase={REPORT_PORT:#x},chardev=report")]);
    command.args(["-device", &format!("isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=4")]);
    command.args(["-d", "cpu_reset", "-D"]).arg(&files.reset_log);
    if let Some(port) = gdb_port {
        command.args(["-gdb", &format!("tcp:127.0.0.1:{port}"), "-S"]);
    }
    Ok(command)
}

/// QEMU's executable: `UPCALL_QEMU`, or the usual name on the path.
pub fn executable() -> OsString {
    std::env::var_os("UPCALL_QEMU").unwrap_or_else(|| "qemu-system-x86_64".into())
}

/// QEMU's version line, or why there is none.
pub fn version() -> Result<String> {
    let text = ask(&executable(), &["--version"])?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Whether QEMU brings the fast firmware along.
fn has_fast_firmware(executable: &OsStr) -> Result<bool> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(*found);
    }
    let folders = ask(executable, &["-L", "help"])?;
    let found = folders.lines().any(|folder| Path::new(folder).join(FAST_FIRMWARE).exists());
    Ok(*FOUND.get_or_init(|| found))
}

/// Whether QEMU can be told how many threads to keep: since version 7.1.
fn has_main_loop(executable: &OsStr) -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let objects = ask(executable, &["-object", "help"]).unwrap_or_default();
        objects.lines().any(|line| line.trim() == "main-loop")
    })
}

fn ask(executable: &OsStr, arguments: &[&str]) -> Result<String> {
    let output = Command::new(executable)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting QEMU (`{}`)", executable.display()))?;
    ensure!(output.status.success(), "`{}` {}", executable.display(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A path inside one of QEMU's comma-separated lists.
pub(crate) fn escaped(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::{Machine, Memory, Pace, escaped};
    use std::path::Path;

    fn line(machine: &Machine) -> String {
        let words = machine.arguments();
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn sizes_are_read_and_written() {
        let read = |text: &str| text.parse::<Memory>();
        assert_eq!(read("256M"), Ok(Memory(256)));
        assert_eq!(read("256"), Ok(Memory(256)));
        assert_eq!(read("2g"), Ok(Memory(2048)));
        assert_eq!(Memory(2048).to_string(), "2G");
        assert_eq!(Memory(1536).to_string(), "1536M");
        for text in ["", "M", "0", "12K", "1T", "99999999G", "-1M", "é"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counted_runs_have_one_host_thread_and_a_fixed_clock() {
        let counted = Machine { cpus: 1, pace: Pace::Counted, ..Machine::default() };
        assert!(line(&counted).contains(
            "-accel tcg,thread=single -icount shift=0,sleep=off -seed 1 \
             -rtc base=2024-01-01T00:00:00,clock=vm -cpu max,-la57,-erms,-fsrm -m 256M -smp 1"
        ));
        assert!(line(&Machine::default()).contains("-accel tcg,thread=multi"));
    }

    #[test]
    fn kvm_and_oddities_are_only_had_by_asking() {
        let usual = line(&Machine::default());
        assert!(!usual.contains("kvm") && !usual.contains("acpi"));
        let odd = Machine { acpi: false, pace: Pace::Kvm, ..Machine::default() };
        assert!(line(&odd).starts_with("-machine q35,acpi=off -accel kvm"));
    }

    #[test]
    fn commas_in_paths_survive() {
        assert_eq!(escaped(Path::new("/a,b/c")).unwrap(), "/a,,b/c");
    }
}
