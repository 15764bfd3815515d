//! `*` and `?` in paths: the files there are whose paths fit.
//!
//! Names that begin with a dot fit only a pattern that does.

use syntax::{Field, Full, Words, matches};
use userland::folder;
use userland::paths::{self, Path};

/// Most folders that a pattern goes through.
const DEPTH: usize = 8;

/// Adds every path that fits.
pub fn add(field: &Field, words: &mut Words) -> Result<(), Full> {
    descend(&[], field.bytes(), field.active(), words, DEPTH)
}

/// Adds every path below a folder that fits; `pattern` is what is left of it.
fn descend(
    folder: &[u8],
    pattern: &[u8],
    active: &[bool],
    words: &mut Words,
    depth: usize,
) -> Result<(), Full> {
    if let Some(rest) = pattern.strip_prefix(b"/") {
        // A slash goes on as it is.
        let path = if folder.is_empty() { Path::new(b"/") } else { Path::join(folder, b"") };
        let Ok(path) = path else { return Ok(()) };
        return descend(path.bytes(), rest, &active[1..], words, depth);
    }
    let end = pattern.iter().position(|&byte| byte == b'/').unwrap_or(pattern.len());
    let (part, rest) = pattern.split_at(end);
    let (part_active, rest_active) = active.split_at(end);
    let is_pattern =
        part.iter().zip(part_active).any(|(byte, active)| *active && b"*?".contains(byte));
    let mut result = Ok(());
    let found = |name: &[u8], words: &mut Words| {
        let Ok(path) = Path::join(folder, name) else { return Ok(()) };
        if rest.is_empty() {
            return if paths::stat(path.bytes()).is_ok() {
                words.add(path.bytes())
            } else {
                Ok(())
            };
        }
        if depth == 0 || !paths::is_folder(path.bytes()) {
            return Ok(());
        }
        descend(path.bytes(), rest, rest_active, words, depth - 1)
    };
    if !is_pattern {
        return found(part, words);
    }
    // A folder that cannot be read has nothing that fits.
    let _ = folder::each(folder, |entry| {
        let is_meant = !entry.name.starts_with(b".") || part.starts_with(b".");
        if result.is_ok() && is_meant && matches(part, part_active, entry.name) {
            result = found(entry.name, words);
        }
    });
    result
}
