//! Command lines as text: the one that the kernel reads, and those that a person can paste.
//!
//! The kernel's grammar is in `abi::boot`: options, then `--`, then the program and its arguments;
//! quotes keep spaces, a backslash takes a quote or a backslash as it is.

use std::borrow::Cow;

use abi::boot::COMMAND_LINE_MAX;
use anyhow::{Result, ensure};

/// What the kernel is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `name=value` each.
    pub options: Vec<String>,
    /// The program and its arguments; empty for the shell or for what the options ask.
    pub program: Vec<String>,
}

impl CommandLine {
    /// Whether the system would start the shell: no program, and no option that takes its place.
    pub fn asks_for_shell(&self) -> bool {
        let instead =
            |option: &String| ["check=", "panic="].iter().any(|it| option.starts_with(it));
        self.program.is_empty() && !self.options.iter().any(instead)
    }

    /// The text for the kernel.
    pub fn to_text(&self) -> Result<String> {
        let mut words: Vec<String> = self.options.iter().map(|word| quote(word)).collect();
        if !self.program.is_empty() {
            words.push("--".to_owned());
            words.extend(self.program.iter().map(|word| quote(word)));
        }
        let text = words.join(" ");
        ensure!(
            text.len() <= COMMAND_LINE_MAX,
            "the command line has {} bytes; the loader passes on at most {COMMAND_LINE_MAX}",
            text.len()
        );
        ensure!(!text.contains('\0'), "the command line contains a zero byte");
        Ok(text)
    }
}

/// One word in the kernel's grammar.
pub fn quote(word: &str) -> String {
    let quoted = word.is_empty() || word.contains(' ');
    let mut text = String::with_capacity(word.len() + 2);
    text.extend(quoted.then_some('"'));
    for character in word.chars() {
        text.extend(matches!(character, '"' | '\\').then_some('\\'));
        text.push(character);
    }
    text.extend(quoted.then_some('"'));
    text
}

/// A command that a POSIX shell reads as exactly these words.
pub fn shell(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> =
        words.into_iter().map(|word| shell_word(word.as_ref()).into_owned()).collect();
    words.join(" ")
}

fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+,.:/@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, quote, shell};
    use proptest::prelude::*;

    /// Splits a line by the rules written down in `abi::boot`.
    fn split(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quoted = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                ' ' if !quoted => words.extend(word.take()),
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                '\\' if matches!(characters.peek(), Some('"' | '\\')) => {
                    word.get_or_insert_default().extend(characters.next());
                }
                other => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        words
    }

    proptest! {
        #[test]
        fn every_word_arrives_as_it_was(words in prop::collection::vec("[ -~é]{0,12}", 0..8)) {
            let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
            prop_assert_eq!(split(&line.join(" ")), words);
        }

        #[test]
        fn a_shell_reads_the_words_back(words in prop::collection::vec("[ -~]{0,12}", 1..5)) {
            let script = format!("printf '%s\\n' {}", shell(&words));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let expected: String = words.iter().map(|word| format!("{word}\n")).collect();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        }
    }

    #[test]
    fn options_stand_before_the_program() {
        let line = CommandLine {
            options: vec!["log=debug".into(), r#"motd=a "b""#.into()],
            program: vec!["hello".into(), "--".into(), String::new()],
        };
        assert_eq!(line.to_text().unwrap(), r#"log=debug "motd=a \"b\"" -- hello -- """#);
        assert_eq!(CommandLine::default().to_text().unwrap(), "");
    }

    #[test]
    fn what_the_loader_would_refuse_is_refused_here() {
        let with = |word: String| CommandLine { options: vec![], program: vec![word] }.to_text();
        assert!(with("x".repeat(4093)).is_ok());
        assert!(with("x".repeat(4094)).unwrap_err().to_string().contains("4097 bytes"));
        assert!(with("a\0b".into()).is_err());
    }
}
