//! Looking for a line of the history while its words are typed.

use crate::history::History;
use crate::line::Line;
use core::fmt::{self, Write};

/// A search.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is looked for.
    pub wanted: Line,
    /// The place in the history of what was found last.
    pub place: usize,
    /// Whether what is wanted was not found.
    pub failed: bool,
}

impl Search {
    /// Nothing is looked for yet.
    pub fn new(history: &History) -> Search {
        Search { wanted: Line::new(), place: history.count(), failed: false }
    }

    /// Looks for the newest line at or before a place; `line` becomes it.
    fn look(&mut self, history: &History, before: usize, line: &mut Line) {
        let found = history.find(self.wanted.text(), before);
        self.failed = found.is_none();
        if let Some((place, text)) = found.and_then(|place| Some((place, history.get(place)?))) {
            self.place = place;
            line.set(text);
        }
    }

    /// A character more is wanted.
    pub fn add(&mut self, character: char, history: &History, line: &mut Line) {
        self.wanted.insert(character);
        self.look(history, self.place.saturating_add(1), line);
    }

    /// A character less.
    pub fn take_back(&mut self, history: &History, line: &mut Line) {
        self.wanted.backspace();
        if !self.wanted.is_empty() {
            self.look(history, history.count(), line);
        }
    }

    /// An older one.
    pub fn older(&mut self, history: &History, line: &mut Line) {
        if !self.wanted.is_empty() {
            self.look(history, self.place, line);
        }
    }

    /// What stands before the line meanwhile.
    pub fn prompt(&self, out: &mut dyn Write) -> fmt::Result {
        let found = if self.failed { "not found" } else { "search" };
        write!(out, "({found}) {}: ", self.wanted.text())
    }
}
