//! The ramdisk: a tar archive with the programs.

use abi::boot::PROGRAM_FOLDER;
use tar_no_std::TarArchiveRef;

/// A program by its name.
pub fn find_program<'a>(ramdisk: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let archive = TarArchiveRef::new(ramdisk).ok()?;
    archive
        .entries()
        .find(|entry| entry.filename().as_str().is_ok_and(|file| program_name(file) == Some(name)))
        .map(|entry| entry.data())
}

fn program_name(file: &str) -> Option<&str> {
    let file = file.strip_prefix("./").unwrap_or(file);
    file.strip_prefix(PROGRAM_FOLDER).filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Shows the name of every program.
pub fn for_each_program(ramdisk: &[u8], mut show: impl FnMut(&str)) {
    let Ok(archive) = TarArchiveRef::new(ramdisk) else { return };
    for entry in archive.entries() {
        if let Ok(file) = entry.filename().as_str()
            && let Some(name) = program_name(file)
        {
            show(name);
        }
    }
}
