//! The part of the line that is shown: prompt, then as much of the line as fits on one row of the terminal.
//!
//! A line that is longer is moved sideways, so that the cursor is always seen. The last column stays empty, because
//! terminals differ in where the cursor goes when it has been written to.

use crate::width::{width, width_of};
use core::fmt::{self, Write};

/// Fewer columns are taken to be a mistake.
const COLUMNS_MIN: usize = 20;

/// What is on the row.
#[derive(Clone, Debug)]
pub struct Screen {
    columns: usize,
    /// The first byte of the line that is shown.
    offset: usize,
}

impl Screen {
    /// A row of so many columns.
    pub const fn new(columns: usize) -> Screen {
        let columns = if columns < COLUMNS_MIN { COLUMNS_MIN } else { columns };
        Screen { columns, offset: 0 }
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// As much of the end of a prompt as may be shown: half a row.
    fn prompt<'a>(&self, prompt: &'a str) -> &'a str {
        let mut rest = prompt;
        while width_of(rest) > self.columns / 2 {
            let mut characters = rest.chars();
            characters.next();
            rest = characters.as_str();
        }
        rest
    }

    /// Draws the row anew.
    pub fn draw(
        &mut self,
        prompt: &str,
        text: &str,
        cursor: usize,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let prompt = self.prompt(prompt);
        let room = self.columns - 1 - width_of(prompt);
        self.offset = text.floor_char_boundary(self.offset.min(cursor));
        while width_of(&text[self.offset..cursor]) > room {
            self.offset += text[self.offset..].chars().next().map_or(1, char::len_utf8);
        }
        let mut left = room;
        let shown = text[self.offset..].char_indices().find_map(|(place, character)| {
            let fits = left.checked_sub(width(character));
            left = fits.unwrap_or(left);
            fits.is_none().then_some(self.offset + place)
        });
        let shown = &text[self.offset..shown.unwrap_or(text.len())];
        write!(out, "\r{prompt}{shown}\x1b[K")?;
        if self.offset + shown.len() > cursor {
            let column = width_of(prompt) + width_of(&text[self.offset..cursor]);
            out.write_str("\r")?;
            if column > 0 {
                write!(out, "\x1b[{column}C")?;
            }
        }
        Ok(())
    }

    /// Shows a character that has been added at the end, if that is all that has to be done; says whether it was.
    pub fn append(
        &self,
        prompt: &str,
        text: &str,
        added: char,
        out: &mut dyn Write,
    ) -> Result<bool, fmt::Error> {
        let used = width_of(self.prompt(prompt)) + width_of(&text[self.offset.min(text.len())..]);
        let fits = used < self.columns && width(added) > 0;
        if fits {
            out.write_char(added)?;
        }
        Ok(fits)
    }

    /// A new line begins: nothing is moved sideways.
    pub fn reset(&mut self, columns: usize) {
        *self = Screen::new(columns);
    }
}
