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

/// Shows the name and the content of every program.
pub fn for_each_program_file<'a>(ramdisk: &'a [u8], mut show: impl FnMut(&'a str, &'a [u8])) {
    let Ok(archive) = TarArchiveRef::new(ramdisk) else { return };
    for entry in archive.entries() {
        // The name as it lies in the archive, not in the entry's copy of it.
        let content = entry.data();
        let name = entry.filename();
        if let Some(name) = name.as_str().ok().and_then(program_name)
            && let Some(name) = name_in_header(ramdisk, content, name)
        {
            show(name, content);
        }
    }
}

/// A name where it lies in the header before a content.
fn name_in_header<'a>(ramdisk: &'a [u8], content: &[u8], name: &str) -> Option<&'a str> {
    /// A header's size; the name is at its start.
    const HEADER: usize = 512;
    const NAME: usize = 100;
    let start = content.as_ptr().addr() - ramdisk.as_ptr().addr();
    let field = ramdisk.get(start.checked_sub(HEADER)?..)?.get(..NAME)?;
    let place = field.windows(name.len()).position(|window| window == name.as_bytes())?;
    core::str::from_utf8(&field[place..place + name.len()]).ok()
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
