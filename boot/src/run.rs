//! One run of the machine, from starting QEMU to knowing how it ended.
//!
//! The console is either the person's terminal, or a script that waits for texts and types answers.
//! Either way the whole of it is in the log. QEMU never outlives the call, however that ends.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use report::Line;

use crate::command_line::{CommandLine, shell};
use crate::image::Image;
use crate::orphan;
use crate::outcome::{Exit, Outcome};
use crate::qemu::{self, Machine};
use crate::report_log::{ReportLog, console_text};
use crate::run_folder::RunFolder;
use crate::terminal::SavedTerminal;
use crate::workspace::{self, Build};

/// How often QEMU, the report channel and the script are looked after.
const PACE: Duration = Duration::from_millis(4);

/// What to boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The machine.
    pub machine: Machine,
    /// What QEMU starts.
    pub loader: PathBuf,
    /// The kernel and the programs.
    pub image: Image,
    /// What the kernel is told.
    pub line: CommandLine,
    /// The files that addresses in the log belong to.
    pub elf_files: Vec<PathBuf>,
}

impl Boot {
    /// A build, with its image, on a machine.
    pub fn new(build: &Build, image: &Image, machine: Machine, line: CommandLine) -> Boot {
        let mut elf_files = vec![build.kernel.clone(), build.loader.clone()];
        elf_files.extend(build.programs.iter().cloned());
        Boot { machine, loader: build.loader.clone(), image: image.clone(), line, elf_files }
    }
}

/// Types something once the console has shown something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to wait for, after what the previous step waited for.
    pub after: String,
    /// What to type then.
    pub keys: String,
}

/// Who sits at the console.
#[derive(Clone, Debug)]
pub enum Console {
    /// The person who started the tool.
    Terminal,
    /// This script; the log alone shows the output.
    Script(Vec<Step>),
}

/// How to run it.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where the logs go.
    pub folder: RunFolder,
    /// Who sits at the console.
    pub console: Console,
    /// After which time QEMU is ended.
    pub timeout: Option<Duration>,
    /// Port at which the machine waits for a debugger before its first instruction.
    pub gdb_port: Option<u16>,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where its logs are.
    pub folder: RunFolder,
    /// How it ended.
    pub outcome: Outcome,
    /// What the console showed.
    pub serial: String,
    /// What came through the report channel.
    pub report: ReportLog,
    /// From starting QEMU to its end.
    pub wall: Duration,
}

impl Run {
    /// The last lines of the console, marked as such.
    pub fn console_tail(&self, count: usize) -> String {
        let lines: Vec<&str> = self.serial.lines().collect();
        let tail = &lines[lines.len().saturating_sub(count)..];
        let marked: String = tail.iter().map(|line| format!("  | {line}\n")).collect();
        format!("last {} lines of the console:\n{marked}", tail.len())
    }

    /// What QEMU itself had to say, if anything; at a person's terminal they have seen it already.
    pub fn qemu_messages(&self) -> Option<String> {
        let bytes = fs::read(self.folder.qemu_messages()).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then(|| format!("QEMU says: {text}"))
    }
}

/// Boots and waits for the end; `heard` gets each line of the report channel as it comes.
pub fn run(boot: &Boot, manner: &Manner, mut heard: impl FnMut(Line<'_>)) -> Result<Run> {
    let folder = &manner.folder;
    let files = qemu::Files {
        loader: boot.loader.clone(),
        image: boot.image.clone(),
        swap: folder.make_swap(boot.machine.swap)?,
        serial_log: folder.serial_log(),
        report_log: folder.report_log(),
        reset_log: folder.reset_log(),
    };
    let text = boot.line.to_text()?;
    let command = qemu::command(&boot.machine, &files, &text, manner.gdb_port)?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let written = shell(words.map(|word| word.to_string_lossy())) + "\n";
    workspace::write_whole(&folder.qemu_command(), written.as_bytes())?;
    let list: String = boot.elf_files.iter().map(|path| format!("{}\n", path.display())).collect();
    workspace::write_whole(&folder.elf_list(), list.as_bytes())?;

    let mut command = orphan::tied(command);
    let script = match &manner.console {
        Console::Terminal => None,
        Console::Script(steps) => {
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            command.stderr(File::create(folder.qemu_messages())?);
            Some(steps)
        }
    };
    let saved = script.is_none().then(SavedTerminal::save);
    let started = Instant::now();
    let mut qemu = Qemu(command.spawn().context("starting QEMU")?);
    let mut typist = script.map(|steps| Typist::new(steps, &mut qemu, folder));
    let mut report = Follower::new(folder.report_log());
    let mut listen = |report: &mut Follower| -> Result<()> {
        report.for_each_line(|line| line.map_or((), &mut heard))
    };
    let exit = loop {
        if let Some(status) = qemu.0.try_wait()? {
            break Exit::from(status);
        }
        if manner.timeout.is_some_and(|limit| started.elapsed() > limit) {
            break Exit::TimedOut;
        }
        listen(&mut report)?;
        if let Some(typist) = &mut typist {
            typist.look()?;
        }
        std::thread::sleep(PACE);
    };
    let wall = started.elapsed();
    drop(qemu);
    drop(saved);
    folder.empty_swap(boot.machine.swap)?;
    listen(&mut report)?;

    let serial = console_text(&read_or_empty(&folder.serial_log())?);
    let resets = console_text(&read_or_empty(&folder.reset_log())?);
    let report = ReportLog::new(&read_or_empty(&folder.report_log())?);
    let outcome = Outcome::new(exit, &serial, &resets);
    Ok(Run { folder: folder.clone(), outcome, serial, report, wall })
}

/// QEMU's process, which does not outlive this value.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays a script at the console.
struct Typist<'a> {
    steps: std::slice::Iter<'a, Step>,
    next: Option<&'a Step>,
    console: Follower,
    shown: String,
    keyboard: Option<ChildStdin>,
}

impl<'a> Typist<'a> {
    fn new(steps: &'a [Step], qemu: &mut Qemu, folder: &RunFolder) -> Typist<'a> {
        let mut steps = steps.iter();
        let console = Follower::new(folder.serial_log());
        let keyboard = qemu.0.stdin.take();
        Typist { next: steps.next(), steps, console, shown: String::new(), keyboard }
    }

    fn look(&mut self) -> Result<()> {
        self.shown.push_str(&console_text(&self.console.news()?));
        while let Some(step) = self.next
            && let Some(place) = self.shown.find(&step.after)
        {
            self.shown.drain(..place + step.after.len());
            if let Some(keyboard) = &mut self.keyboard {
                match keyboard.write_all(step.keys.as_bytes()).and_then(|()| keyboard.flush()) {
                    // QEMU has just ended; the loop around this will notice.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => self.keyboard = None,
                    result => result.context("typing at the console")?,
                }
            }
            self.next = self.steps.next();
        }
        Ok(())
    }
}

/// Reads a file that somebody else is still writing.
struct Follower {
    path: PathBuf,
    read: u64,
    rest: Vec<u8>,
}

impl Follower {
    fn new(path: PathBuf) -> Follower {
        Follower { path, read: 0, rest: Vec::new() }
    }

    /// What has been added since the last time. A file that does not exist yet is empty.
    fn news(&mut self) -> Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut news = Vec::new();
        self.read += file.read_to_end(&mut news)? as u64;
        Ok(news)
    }

    fn for_each_line(&mut self, mut each: impl FnMut(Option<Line<'_>>)) -> Result<()> {
        let news = self.news()?;
        self.rest.extend(news);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            each(Line::parse(&String::from_utf8_lossy(&line[..end])));
        }
        Ok(())
    }
}

fn read_or_empty(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        content => content.with_context(|| format!("reading {}", path.display())),
    }
}
