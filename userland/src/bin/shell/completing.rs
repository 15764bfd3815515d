//! What a word could become: a command in the first place, a variable behind `$`, else a path.

use crate::builtins;
use editing::Complete;
use syntax::{Variables, Words, is_plain, quote};
use userland::folder;
use userland::paths::Path;
use userland::text::Text;
use userland::tool::readable;

/// Who knows it.
pub struct Candidates<'a> {
    /// The shell's variables.
    pub variables: &'a Variables,
}

impl Complete for Candidates<'_> {
    fn candidates(&mut self, before: &str, each: &mut dyn FnMut(&str)) -> usize {
        let start =
            before.rfind([' ', '\t', '|', '&', ';', '<', '>', '=']).map_or(0, |place| place + 1);
        let word = &before[start..];
        let mut found = Words::new();
        let earlier = before[..start].trim_end();
        let is_first = earlier.is_empty() || earlier.ends_with(['|', '&', ';']);
        if let Some(name) = word.strip_prefix('$') {
            for (variable, ..) in
                self.variables.all().filter(|(it, ..)| it.starts_with(name.as_bytes()))
            {
                let text = Text::<128>::new(format_args!("${}", readable(variable)));
                // What does not fit cannot be offered.
                let _ = found.add(text.as_str().as_bytes());
            }
        } else if is_first && !word.contains('/') {
            add_names(b"/bin", b"", word.as_bytes(), true, &mut found);
            for name in builtins::names().filter(|name| name.starts_with(word)) {
                let _ = found.add(name.as_bytes());
            }
        } else {
            let end = word.rfind('/').map_or(0, |place| place + 1);
            let (folder, name) = word.split_at(end);
            add_names(folder.as_bytes(), folder.as_bytes(), name.as_bytes(), false, &mut found);
        }
        found.sort_from(0);
        let mut last: &[u8] = b"";
        for word in found.from(0) {
            // The shell and a folder may both know a name.
            if word != last
                && let Ok(word) = core::str::from_utf8(word)
            {
                each(word);
            }
            last = word;
        }
        start
    }
}

/// Adds everything in a folder that begins so; folders with a slash behind their names.
fn add_names(folder: &[u8], shown: &[u8], begins: &[u8], programs: bool, found: &mut Words) {
    // Of a folder that cannot be read nothing is offered.
    let _ = folder::each(folder, |entry| {
        let is_hidden = entry.name.starts_with(b".") && begins.is_empty();
        if is_hidden || !entry.name.starts_with(begins) || (programs && entry.is_folder) {
            return;
        }
        let Ok(path) = Path::join(shown, entry.name) else { return };
        let mut text = Quoted { bytes: [0; 256], length: 0 };
        if is_plain(path.bytes()) {
            text.add(path.bytes());
        } else {
            quote(path.bytes(), &mut |part| text.add(part));
        }
        if entry.is_folder {
            text.add(b"/");
        }
        let _ = found.add(&text.bytes[..text.length]);
    });
}

/// A word in the making; what does not fit is cut off.
struct Quoted {
    bytes: [u8; 256],
    length: usize,
}

impl Quoted {
    fn add(&mut self, part: &[u8]) {
        let count = part.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..][..count].copy_from_slice(&part[..count]);
        self.length += count;
    }
}
