//! What the commands of `cargo upcall` do, in a few lines each.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use abi::ending::Ending;
use anyhow::{Result, ensure};

use crate::bench::Earlier;
use crate::cli::{
    BenchOptions, CheckOptions, Commands, MachineOptions, MapsOptions, RunOptions, TraceOptions,
};
use crate::command_line::{CommandLine, shell};
use crate::outcome::Outcome;
use crate::packages::Host;
use crate::qemu::{Machine, Pace};
use crate::run::{Boot, Console, Manner, Run};
use crate::run_folder::RunFolder;
use crate::toolchain::Tools;
use crate::trace_log::Trace;
use crate::workspace::Profile;
use crate::{
    bench, check, doctor, gdb, image, maps, progress, reference, repeat, run, symbols,
    trace_chrome, trace_page, trace_summary, workspace,
};

/// The time for a demonstration.
const MAPS_LIMIT: Duration = Duration::from_secs(120);

/// Lines of the console that are shown when the system died unseen.
const CONSOLE_LINES: usize = 40;

/// Does what a command asks for and returns the tool's status.
pub(crate) fn perform(command: Commands) -> Result<u8> {
    match command {
        Commands::Run(options) => run_program(options),
        Commands::Check(options) => run_checks(options),
        Commands::Bench(options) => measure(options),
        Commands::Trace(options) => trace_run(options),
        Commands::Maps(options) => draw_maps(options),
        Commands::Image { output, profile } => make_image(output, profile),
        Commands::Doctor { fix } => examine(fix),
        Commands::Docs { check } => write_reference(check),
        Commands::Decode { log, address } => decode(log, address),
    }
}

fn run_program(options: RunOptions) -> Result<u8> {
    let pace = match (options.icount, options.kvm) {
        (true, _) => Pace::Counted,
        (false, true) => Pace::Kvm,
        (false, false) => Pace::Free,
    };
    let machine = options.machine.machine(pace);
    let MachineOptions { cpus, memory, .. } = options.machine;
    let line = CommandLine { options: options.option, program: options.program };
    // Said before anything is built, if it is too long.
    line.to_text()?;
    // Nobody could type, and the shell waits for ever.
    ensure!(
        !line.asks_for_shell() || options.timeout.is_some() || std::io::stdin().is_terminal(),
        "the shell needs a terminal on standard input; name a program, or limit the run: --timeout"
    );
    let timeout = options.timeout.map(Duration::from_secs);
    let again = repeat::limited(&machine, options.profile, &line, timeout);
    let (build, mut image) = image::prepare(options.profile)?;

    let program = line.program.first().cloned();
    let folder = RunFolder::next(program.as_deref().unwrap_or("shell"))?;
    if !options.add.is_empty() {
        let mut entries = image::entries(&build)?;
        for path in &options.add {
            entries.push(image::foreign(path)?);
        }
        image = image.with_archive(&entries, folder.path())?;
    }
    let gdb_port = options.gdb.then(|| gdb::free_port(&Host::look())).transpose()?;
    if let Some(port) = gdb_port {
        let script = gdb::write_script(&build, program.as_deref(), port)?;
        let attach = shell(["gdb", "-x", &script.to_string_lossy()]);
        progress::step(format_args!("waiting for: {attach}"));
    }
    let manner = Manner { folder, console: Console::Terminal, timeout, gdb_port };
    progress::step(format_args!("booting with {cpus} processors and {memory}; Ctrl-A X leaves"));
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |_| ())?;
    if !run.serial.is_empty() && !run.serial.ends_with('\n') {
        // What follows is no part of what the system has written.
        println!();
    }
    Ok(conclude(&run, &again))
}

fn run_checks(options: CheckOptions) -> Result<u8> {
    let MachineOptions { cpus, memory, .. } = options.machine;
    let pace = if options.icount { Pace::Counted } else { Pace::Free };
    let machine = options.machine.machine(pace);
    let mut line =
        CommandLine { options: vec![check::option(&options.names)], program: Vec::new() };
    line.options.extend(options.option);
    let again = repeat::command(&machine, options.profile, &line);
    let (build, image) = image::prepare(options.profile)?;
    let manner = Manner {
        folder: RunFolder::next("check")?,
        console: Console::Script(Vec::new()),
        timeout: Some(Duration::from_secs(options.timeout)),
        gdb_port: None,
    };
    progress::step(format_args!("booting with {cpus} processors and {memory}"));
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |line| {
        if let Some(text) = check::progress(line) {
            println!("{text}");
        }
    })?;
    print!("{}", check::summary(&run.report));
    if run.outcome != Outcome::Ended(Ending::ChecksEnded) {
        eprint!("{}", run.console_tail(CONSOLE_LINES));
    }
    Ok(conclude(&run, &again))
}

/// Says how a run ended, if not well, and returns the tool's status.
fn conclude(run: &Run, again: &str) -> u8 {
    let conclusion = run.outcome.conclude(&run.report);
    if let Some(complaint) = conclusion.complaint {
        progress::step(complaint);
        if run.outcome.is_qemus_own()
            && let Some(messages) = run.qemu_messages()
        {
            progress::step(messages);
        }
        progress::step(format_args!("log: {}", run.folder.serial_log().display()));
        progress::step("source lines for its addresses: cargo upcall decode");
        progress::step(format_args!("once more: {again}"));
    }
    conclusion.status
}

fn measure(options: BenchOptions) -> Result<u8> {
    let earlier = options.compare.as_deref().map(Earlier::read).transpose()?;
    let (build, image) = image::prepare(Profile::Release)?;
    progress::step("measuring with counted instructions");
    let runs = bench::measure(&build, &image, options.group.as_deref())?;
    for run in &runs {
        let nothing = bench::measured([&run.report]).is_empty();
        ensure!(!nothing, "nothing was measured; see {}", run.folder.path().display());
    }
    let values = bench::measured(runs.iter().map(|run| &run.report));
    print!("{}", bench::table(&values));
    let wall = bench::wall(&build, &image)?;
    println!(
        "wall: hello on 4 processors, from starting QEMU to its end: {:.3} s",
        wall.as_secs_f64()
    );
    if let Some(path) = options.json {
        bench::write_json(&values, &path)?;
    }
    if let Some(earlier) = earlier {
        let (differences, worse) = bench::compare(&values, &earlier, options.group.is_none());
        print!("{differences}");
        return Ok(u8::from(worse));
    }
    Ok(0)
}

fn trace_run(options: TraceOptions) -> Result<u8> {
    let MachineOptions { cpus, memory, .. } = options.machine;
    let pace = if options.icount { Pace::Counted } else { Pace::Free };
    let machine = options.machine.machine(pace);
    let mut line = CommandLine {
        options: vec![format!("trace={}", options.groups), "trace-dump=1".to_owned()],
        program: options.program,
    };
    let checks = !options.check.is_empty();
    line.options.extend(checks.then(|| check::option(&options.check)));
    // Said before anything is built, if it is too long.
    line.to_text()?;
    let timeout = options.timeout.map(Duration::from_secs);
    let again = repeat::limited(&machine, options.profile, &line, timeout);
    let (build, image) = image::prepare(options.profile)?;

    let what = line.program.first().map_or("check", String::as_str).to_owned();
    let manner = Manner {
        folder: RunFolder::next(&format!("trace-{what}"))?,
        console: if checks { Console::Script(Vec::new()) } else { Console::Terminal },
        timeout,
        gdb_port: None,
    };
    progress::step(format_args!("booting with {cpus} processors and {memory}, tracing"));
    let name = line.to_text()?;
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |line| {
        if let Some(text) = check::progress(line) {
            println!("{text}");
        }
    })?;
    let status = conclude(&run, &again);
    // After an accident there may be nothing; how the run ended says more than that.
    match Trace::read(&run.report, cpus) {
        Err(error) if status == 0 => Err(error),
        Err(error) => {
            progress::step(error);
            Ok(status)
        }
        Ok(trace) => {
            show_trace(&trace, &name, &run.folder, options.output.as_deref())?;
            Ok(status)
        }
    }
}

/// Writes a trace's files and says what is in them.
fn show_trace(trace: &Trace, name: &str, folder: &RunFolder, output: Option<&Path>) -> Result<()> {
    let own = RunFolder::existing(folder.path());
    let asked = output.map(RunFolder::existing);
    let (json, page) = (trace_chrome::to_json(trace), trace_page::to_html(trace, name));
    for folder in [Some(&own), asked.as_ref()].into_iter().flatten() {
        workspace::write_whole(&folder.trace_json(), json.as_bytes())?;
        workspace::write_whole(&folder.trace_page(), page.as_bytes())?;
    }
    let shown = asked.unwrap_or(own);
    print!("\n{}", trace_summary::table(trace));
    println!("\n{}: open it in any browser", shown.trace_page().display());
    println!("{}: for ui.perfetto.dev, \"Open trace file\"", shown.trace_json().display());
    Ok(())
}

fn draw_maps(options: MapsOptions) -> Result<u8> {
    if let Some(name) = options.name {
        for (moment, drawing) in demonstrate(&name)? {
            println!("{moment}:\n\n{drawing}");
        }
        return Ok(0);
    }
    let mut drawings = BTreeMap::new();
    let mut status = 0;
    for (path, page) in maps::pages()? {
        for name in maps::wanted(&page) {
            if !drawings.contains_key(name) {
                drawings.insert(name.to_owned(), demonstrate(name)?);
            }
        }
        let new = maps::redraw(&page, &drawings, &path)?;
        if new == page {
            continue;
        }
        if options.check {
            let path = path.display();
            progress::step(format_args!(
                "{path} is out of date; to draw: cargo upcall maps --docs"
            ));
            status = 1;
        } else {
            workspace::write_whole(&path, new.as_bytes())?;
        }
    }
    Ok(status)
}

/// The drawings of a demonstration, on a machine where each run is like the other.
fn demonstrate(name: &str) -> Result<Vec<(String, String)>> {
    let line = CommandLine {
        options: vec!["log=off".to_owned()],
        program: ["maps", "json", name].map(str::to_owned).to_vec(),
    };
    let machine = Machine { cpus: 1, pace: Pace::Counted, ..Machine::default() };
    let (build, image) = image::prepare(Profile::Release)?;
    let manner = Manner {
        folder: RunFolder::next(&format!("maps-{name}"))?,
        console: Console::Script(Vec::new()),
        timeout: Some(MAPS_LIMIT),
        gdb_port: None,
    };
    let run = run::run(&Boot::new(&build, &image, machine, line), &manner, |_| ())?;
    let conclusion = run.outcome.conclude(&run.report);
    ensure!(conclusion.status == 0, "maps {name} failed\n{}", run.console_tail(CONSOLE_LINES));
    maps::draw(&maps::descriptions(&run.serial)?)
}

fn make_image(output: Option<PathBuf>, profile: Profile) -> Result<u8> {
    doctor::ensure_ready()?;
    let build = workspace::build(profile)?;
    let folder = output.unwrap_or_else(|| workspace::output_folder().join(build.profile.name()));
    let image = image::make(&build, &folder)?;
    for path in image.ramdisk.iter().chain(&image.archive) {
        println!("{}", path.display());
    }
    Ok(0)
}

fn examine(fix: bool) -> Result<u8> {
    if fix {
        doctor::ensure_ready()?;
    }
    let findings = doctor::findings(&Tools::from_environment(), &Host::look());
    print!("{}", doctor::text(&findings));
    Ok(u8::from(!doctor::complete(&findings)))
}

fn write_reference(check: bool) -> Result<u8> {
    if !check {
        reference::write()?;
    } else if !reference::is_current() {
        progress::step("docs/syscalls.md is out of date; to write it: cargo upcall docs");
        return Ok(1);
    }
    Ok(0)
}

fn decode(log: Option<PathBuf>, addresses: Vec<u64>) -> Result<u8> {
    let (folder, log) = match log {
        Some(log) => (RunFolder::existing(log.parent().unwrap_or(Path::new(""))), log),
        None => {
            let folder = RunFolder::latest()?;
            let log = folder.serial_log();
            (folder, log)
        }
    };
    if addresses.is_empty() {
        print!("{}", symbols::decode_log(&folder, &log)?);
        return Ok(0);
    }
    print!("{}", symbols::decode_addresses(&folder, &addresses)?);
    Ok(0)
}
