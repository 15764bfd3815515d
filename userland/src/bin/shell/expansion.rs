//! What the words of a command say.

use crate::paths_that_fit;
use crate::state::Shell;
use syntax::{Command, Field, Words, Wrong, expand, is_name};

/// The name that a word sets, and the word for its value: `NAME=value`.
pub fn assignment(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = word.iter().position(|&byte| byte == b'=')?;
    is_name(&word[..end]).then_some((&word[..end], &word[end + 1..]))
}

/// The words of a command, without the assignments before it.
pub fn words(shell: &Shell, command: Command<'_, '_>) -> Result<Words, Wrong> {
    let mut words = Words::new();
    for word in command.words().skip_while(|word| assignment(word).is_some()) {
        let field = expand(word, shell)?;
        if !field.is_word() {
            continue;
        }
        let before = words.count();
        if field.is_pattern() {
            paths_that_fit::add(&field, &mut words)?;
        }
        if words.count() == before {
            words.add(field.bytes())?;
        }
        words.sort_from(before);
    }
    Ok(words)
}

/// Makes the assignments before a command.
pub fn assign(shell: &mut Shell, command: Command<'_, '_>, export: bool) -> Result<(), Wrong> {
    for (name, value) in command.words().map_while(assignment) {
        let value = expand(value, shell)?;
        shell.variables.set(name, value.bytes(), export)?;
    }
    Ok(())
}

/// What the target of a redirection says.
pub fn target(shell: &Shell, word: &[u8]) -> Result<Field, Wrong> {
    expand(word, shell)
}
