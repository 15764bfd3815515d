//! From addresses in a log to functions and source lines.
//!
//! The kernel names functions in its own backtraces; lines come from the debug information that stays
//! on the host. An address is `0x` and 16 hexadecimal digits. Addresses of a backtrace are return
//! addresses, one past the call, so the byte before is looked up, except where the line calls the
//! address a `pc` or `rip`, which is exact.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use object::{Object, ObjectSegment};

use crate::report_log::{ReportLog, console_text};
use crate::run_folder::RunFolder;

/// An ELF file whose addresses can be looked up.
pub struct Symbols {
    name: String,
    loaded: Vec<Range<u64>>,
    loader: Loader,
}

impl Symbols {
    /// Of this file.
    pub fn open(path: &Path) -> Result<Symbols> {
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let file = object::File::parse(&*content)?;
        let loaded = file.segments().map(|it| it.address()..it.address() + it.size()).collect();
        let loader = Loader::new(path)
            .map_err(|error| anyhow!("debug information of {}: {error}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Symbols { name, loaded, loader })
    }

    /// Function, file and line of an address, innermost inlined function first; empty if the address
    /// is none of this file's.
    pub fn look_up(&self, address: u64) -> Vec<String> {
        if !self.loaded.iter().any(|range| range.contains(&address)) {
            return Vec::new();
        }
        // Debug information may lack functions; the symbol table has the outermost at least.
        let symbol = || self.loader.find_symbol(address).map(source_name);
        let mut found = Vec::new();
        if let Ok(mut frames) = self.loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.and_then(|it| Some(it.demangle().ok()?.into_owned()));
                let function = function.or_else(symbol).unwrap_or_else(|| "?".to_owned());
                let place =
                    frame.location.and_then(|it| Some(format!("{}:{}", it.file?, it.line?)));
                let place = place.unwrap_or_else(|| "?".to_owned());
                found.push(format!("{}: {function} at {place}", self.name));
            }
        }
        if found.is_empty() {
            found.extend(symbol().map(|function| format!("{}: {function}", self.name)));
        }
        found
    }
}

/// A symbol as the source has it.
fn source_name(symbol: &str) -> String {
    addr2line::demangle_auto(symbol.into(), None).into_owned()
}

/// A log with the source lines under every line that has addresses.
pub fn decode(text: &str, files: &[Symbols]) -> String {
    let mut decoded = String::new();
    for line in text.lines() {
        decoded += line;
        decoded.push('\n');
        let exact = line.split(|it: char| !it.is_alphabetic()).any(|it| matches!(it, "pc" | "rip"));
        for address in addresses(line) {
            let place = if exact { address } else { address.saturating_sub(1) };
            for found in files.iter().flat_map(|file| file.look_up(place)) {
                decoded += &format!("        {address:#x} = {found}\n");
            }
        }
    }
    decoded
}

/// The files that the addresses of a run belong to, and a remark for each that is newer than the run.
pub fn of_run(folder: &RunFolder) -> Result<(Vec<Symbols>, String)> {
    let list = fs::read_to_string(folder.elf_list())
        .with_context(|| format!("{} is not the folder of a run", folder.path().display()))?;
    let report = ReportLog::new(&fs::read(folder.report_log()).unwrap_or_default());
    let command = fs::read_to_string(folder.qemu_command()).unwrap_or_default();
    let started = fs::metadata(folder.qemu_command()).and_then(|it| it.modified()).ok();
    let mut files = Vec::new();
    let mut remarks = String::new();
    for path in list.lines().map(PathBuf::from).filter(|it| is_concerned(it, &command, &report)) {
        let built = fs::metadata(&path).and_then(|it| it.modified()).ok();
        if built > started {
            remarks += &format!("note: {} has been built again since this run\n", path.display());
        }
        files.push(Symbols::open(&path)?);
    }
    Ok((files, remarks))
}

/// A log from the folder of a run, decoded.
pub fn decode_log(folder: &RunFolder, log: &Path) -> Result<String> {
    let text = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    let (files, remarks) = of_run(folder)?;
    Ok(remarks + &decode(&console_text(&text), &files))
}

/// What exactly these addresses are.
pub fn decode_addresses(folder: &RunFolder, addresses: &[u64]) -> Result<String> {
    let (files, remarks) = of_run(folder)?;
    let text: String = addresses.iter().map(|address| format!("pc {address:#018x}\n")).collect();
    Ok(remarks + &decode(&text, &files))
}

/// Programs are all linked at the same addresses: only those that this run was about are looked at.
fn is_concerned(path: &Path, qemu_command: &str, report: &ReportLog) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let asked = format!("-- {name}");
    let after = qemu_command.split_once(&asked).map(|(_, rest)| rest);
    matches!(&*name, "kernel" | "loader")
        || after.is_some_and(|rest| !rest.starts_with(|it: char| it.is_alphanumeric()))
        || report.last_program().is_some_and(|(program, _)| program == name)
}

/// Every `0x` with 16 hexadecimal digits after it.
fn addresses(line: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for (place, _) in line.match_indices("0x") {
        let digits: &[u8] = &line.as_bytes()[place + 2..];
        let count = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if count == 16 {
            found.extend(u64::from_str_radix(&line[place + 2..place + 18], 16));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Symbols, addresses, decode, is_concerned};
    use crate::report_log::ReportLog;
    use object::{Object, ObjectSymbol};
    use std::path::Path;

    /// A function that the test below looks for in its own executable.
    #[inline(never)]
    fn somewhere(number: u64) -> u64 {
        std::hint::black_box(number) + 1
    }

    #[test]
    fn only_full_addresses_count() {
        let line = "0x12 at 0xffffffff80001234, 0xffffffff800012345 (0x0000000000401000)";
        assert_eq!(addresses(line), [0xffff_ffff_8000_1234, 0x40_1000]);
    }

    #[test]
    fn an_address_is_found_with_its_line() {
        assert_eq!(somewhere(1), 2);
        let path = std::env::current_exe().unwrap();
        let content = std::fs::read(&path).unwrap();
        let file = object::File::parse(&*content).unwrap();
        let symbol = file.symbols().find(|it| it.name().is_ok_and(|it| it.contains("9somewhere")));
        let address = symbol.unwrap().address();
        let symbols = [Symbols::open(&path).unwrap()];
        let pc = decode(&format!("pc {address:#018x}"), &symbols);
        assert!(pc.contains("somewhere at ") && pc.contains("symbols.rs:"), "{pc}");
        let past = decode(&format!("called from {:#018x}", address + 1), &symbols);
        assert!(past.contains("somewhere at "), "{past}");
        assert_eq!(decode("0xffffffffffff0000", &symbols), "0xffffffffffff0000\n");
    }

    #[test]
    fn only_the_runs_own_program_is_looked_at() {
        let empty = ReportLog::default();
        let command = "qemu -append '-- fault null'";
        assert!(is_concerned(Path::new("/t/fault"), command, &empty));
        assert!(is_concerned(Path::new("/t/kernel"), command, &empty));
        assert!(!is_concerned(Path::new("/t/hello"), command, &empty));
        assert!(!is_concerned(Path::new("/t/fau"), command, &empty));
        let ended = ReportLog::new(b"exited hello 0\n");
        assert!(is_concerned(Path::new("/t/hello"), "qemu", &ended));
    }
}
