//! What each key does.

use crate::completion::{self, Complete};
use crate::history::History;
use crate::keys::{Decoder, Key};
use crate::line::Line;
use crate::screen::Screen;
use crate::search::Search;
use crate::width::width_of;
use core::fmt::{self, Write};

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is complete: [`Editor::line`].
    Complete,
    /// It was given up.
    Abandoned,
    /// There will be no more.
    End,
}

/// A line editor.
#[derive(Clone, Debug)]
pub struct Editor {
    decoder: Decoder,
    line: Line,
    /// What stands before it.
    prompt: Line,
    /// What was killed last.
    killed: Line,
    history: History,
    /// The place in the history of what is shown; the number of its lines: a new one.
    place: usize,
    /// The new line, while an old one is shown; the line before the search, while there is one.
    draft: Line,
    search: Option<Search>,
    screen: Screen,
}

impl Default for Editor {
    fn default() -> Editor {
        Editor::new()
    }
}

/// What a key leads to.
enum Next {
    /// Nothing is to be drawn.
    Nothing,
    /// The row is to be drawn anew.
    Draw,
    /// The line has ended.
    End(Outcome),
}

impl Editor {
    /// One without a history.
    pub const fn new() -> Editor {
        Editor {
            decoder: Decoder::new(),
            line: Line::new(),
            prompt: Line::new(),
            killed: Line::new(),
            history: History::new(),
            place: 0,
            draft: Line::new(),
            search: None,
            screen: Screen::new(0),
        }
    }

    /// The lines before.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The lines before, to add to.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// The line.
    pub fn line(&self) -> &str {
        self.line.text()
    }

    /// Where in the line the cursor stands, in bytes.
    pub fn cursor(&self) -> usize {
        self.line.cursor()
    }

    /// Begins a line behind a prompt, on a row of so many columns.
    pub fn begin(&mut self, prompt: &str, columns: usize, out: &mut dyn Write) -> fmt::Result {
        self.prompt.set(prompt);
        self.line.set("");
        self.draft.set("");
        self.search = None;
        self.place = self.history.count();
        self.screen.reset(columns);
        self.draw(out)
    }

    /// A byte has been typed. What is returned ends the line; it is not in the history yet.
    pub fn byte(
        &mut self,
        byte: u8,
        complete: &mut dyn Complete,
        out: &mut dyn Write,
    ) -> Result<Option<Outcome>, fmt::Error> {
        let Some(key) = self.decoder.byte(byte) else { return Ok(None) };
        let next = match self.search.take() {
            Some(search) => self.search_key(search, key, complete, out)?,
            None => self.key(key, complete, out)?,
        };
        match next {
            Next::Nothing => Ok(None),
            Next::Draw => self.draw(out).map(|()| None),
            Next::End(outcome) => {
                self.search = None;
                if !self.line.after().is_empty() {
                    self.line.end();
                    self.draw(out)?;
                }
                out.write_str(if outcome == Outcome::Abandoned { "^C\n" } else { "\n" })?;
                Ok(Some(outcome))
            }
        }
    }

    fn draw(&mut self, out: &mut dyn Write) -> fmt::Result {
        let mut prompt = Prompt(Line::new());
        let prompt = match &self.search {
            Some(search) => {
                search.prompt(&mut prompt)?;
                &prompt.0
            }
            None => &self.prompt,
        };
        self.screen.draw(prompt.text(), self.line.text(), self.line.cursor(), out)
    }

    fn key(
        &mut self,
        key: Key,
        complete: &mut dyn Complete,
        out: &mut dyn Write,
    ) -> Result<Next, fmt::Error> {
        let (line, killed) = (&mut self.line, &mut self.killed);
        match key {
            Key::Character(character) => return self.insert(character, out),
            Key::Enter => return Ok(Next::End(Outcome::Complete)),
            Key::Control('C') => return Ok(Next::End(Outcome::Abandoned)),
            Key::Control('D') if line.is_empty() => return Ok(Next::End(Outcome::End)),
            Key::Tab => return self.complete(complete, out),
            Key::Up | Key::Control('P') => self.show_history(self.place.checked_sub(1)),
            Key::Down | Key::Control('N') => self.show_history(self.place.checked_add(1)),
            Key::Control('R') => {
                self.draft = self.line.clone();
                self.search = Some(Search::new(&self.history));
            }
            Key::Backspace => line.backspace(),
            Key::Delete | Key::Control('D') => line.delete(),
            Key::Left | Key::Control('B') => line.left(),
            Key::Right | Key::Control('F') => line.right(),
            Key::WordLeft | Key::Alt('b' | 'B') => line.word_left(),
            Key::WordRight | Key::Alt('f' | 'F') => line.word_right(),
            Key::Home | Key::Control('A') => line.home(),
            Key::End | Key::Control('E') => line.end(),
            Key::Control('K') => line.kill_to_end(killed),
            Key::Control('U') => line.kill_to_start(killed),
            Key::Control('W') => line.kill_word(killed),
            Key::Control('Y') => line.insert_text(killed.text()),
            Key::Control('L') => out.write_str("\x1b[H\x1b[2J")?,
            Key::Control(_) | Key::Alt(_) => return Ok(Next::Nothing),
        }
        Ok(Next::Draw)
    }

    fn insert(&mut self, character: char, out: &mut dyn Write) -> Result<Next, fmt::Error> {
        if !self.line.insert(character) {
            return Ok(Next::Nothing);
        }
        let (prompt, text) = (self.prompt.text(), self.line.text());
        let is_shown =
            self.line.after().is_empty() && self.screen.append(prompt, text, character, out)?;
        Ok(if is_shown { Next::Nothing } else { Next::Draw })
    }

    /// Shows another line of the history, or the new one behind them.
    fn show_history(&mut self, place: Option<usize>) {
        let newest = self.history.count();
        let Some(place) = place.filter(|&place| place <= newest) else { return };
        if self.place == newest {
            self.draft = self.line.clone();
        }
        self.place = place;
        self.line.set(self.history.get(place).unwrap_or(self.draft.text()));
    }

    fn search_key(
        &mut self,
        mut search: Search,
        key: Key,
        complete: &mut dyn Complete,
        out: &mut dyn Write,
    ) -> Result<Next, fmt::Error> {
        match key {
            Key::Character(character) => search.add(character, &self.history, &mut self.line),
            Key::Backspace => search.take_back(&self.history, &mut self.line),
            Key::Control('R') => search.older(&self.history, &mut self.line),
            Key::Control('G') => {
                self.line = self.draft.clone();
                return Ok(Next::Draw);
            }
            _ => {
                // What was found is the line now; whoever goes up goes on from there.
                self.place = search.place;
                self.draw(out)?;
                return match self.key(key, complete, out)? {
                    Next::Nothing => Ok(Next::Draw),
                    next => Ok(next),
                };
            }
        }
        self.search = Some(search);
        Ok(Next::Draw)
    }

    /// Completes the word before the cursor as far as it is clear, or shows what it could become.
    fn complete(
        &mut self,
        complete: &mut dyn Complete,
        out: &mut dyn Write,
    ) -> Result<Next, fmt::Error> {
        let found = completion::find(complete, self.line.before());
        let typed = &self.line.before()[found.start..];
        if found.count == 0 || (found.count > 1 && found.common.text().len() <= typed.len()) {
            if found.count > 1 {
                self.list(complete, found.widest, out)?;
            }
            return Ok(Next::Draw);
        }
        let typed = typed.chars().count();
        for _ in 0..typed {
            self.line.backspace();
        }
        self.line.insert_text(found.common.text());
        if found.count == 1 && !found.common.text().ends_with('/') {
            self.line.insert(' ');
        }
        Ok(Next::Draw)
    }

    /// Shows everything that the word could become, in columns below the line.
    fn list(
        &mut self,
        complete: &mut dyn Complete,
        widest: usize,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let each = widest + 2;
        let in_row = (self.screen.columns() / each).max(1);
        let mut place = 0;
        let mut result = out.write_str("\n");
        complete.candidates(self.line.before(), &mut |candidate| {
            place += 1;
            let ends_row = place % in_row == 0;
            let padding = if ends_row { 0 } else { each - width_of(candidate).min(each) };
            let end = if ends_row { "\n" } else { "" };
            result = result.and_then(|()| write!(out, "{candidate}{:padding$}{end}", ""));
        });
        result?;
        if place % in_row == 0 { Ok(()) } else { out.write_str("\n") }
    }
}

/// A prompt in the making.
struct Prompt(Line);

impl Write for Prompt {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.insert_text(text);
        Ok(())
    }
}
