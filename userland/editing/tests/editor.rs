//! The editor, typed at as people do, and with anything; what it writes is shown on a small terminal.

use editing::{Complete, Decoder, Editor, History, Key, LINE_MAX, Line, Outcome, width};
use proptest::prelude::*;

/// The last row of a terminal.
#[derive(Default)]
struct Row {
    cells: Vec<char>,
    column: usize,
    /// The furthest column that was written to.
    furthest: usize,
    /// An escape sequence that has not ended.
    sequence: Option<String>,
}

impl Row {
    fn text(&self) -> String {
        self.cells.iter().filter(|cell| **cell != '\0').collect::<String>().trim_end().to_owned()
    }

    fn put(&mut self, character: char) {
        let width = width(character);
        self.cells.resize(self.cells.len().max(self.column + width), ' ');
        if width > 0 {
            self.cells[self.column] = character;
        }
        if width == 2 {
            self.cells[self.column + 1] = '\0';
        }
        self.column += width;
        self.furthest = self.furthest.max(self.column);
    }
}

impl std::fmt::Write for Row {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match (self.sequence.take(), character) {
                (None, '\x1b') => self.sequence = Some(String::new()),
                (Some(mut sequence), '[' | '0'..='9') => {
                    sequence.push(character);
                    self.sequence = Some(sequence);
                }
                (Some(_), 'K') => self.cells.truncate(self.column),
                (Some(sequence), 'C') => {
                    self.column += sequence[1..].parse::<usize>().expect("a number")
                }
                (Some(_), 'H') => self.column = 0,
                (Some(_), 'J') => self.cells.clear(),
                (Some(sequence), other) => panic!("escape {sequence}{other}"),
                (None, '\r') => self.column = 0,
                (None, '\n') => {
                    self.column = 0;
                    self.cells.clear();
                }
                (None, character) => self.put(character),
            }
        }
        Ok(())
    }
}

struct Names(&'static [&'static str]);

impl Complete for Names {
    fn candidates(&mut self, before: &str, each: &mut dyn FnMut(&str)) -> usize {
        let start = before.rfind(' ').map_or(0, |place| place + 1);
        self.0.iter().filter(|name| name.starts_with(&before[start..])).for_each(|name| each(name));
        start
    }
}

const NAMES: Names = Names(&["hello", "help", "history", "tmp/"]);

/// Types into a fresh line; returns how it ended.
fn type_into(editor: &mut Editor, keys: &str, row: &mut Row) -> Option<Outcome> {
    editor.begin("$ ", 80, row).expect("it can be shown");
    keys.bytes().find_map(|byte| editor.byte(byte, &mut { NAMES }, row).expect("it can be shown"))
}

/// The line that some keys make.
fn typed(keys: &str) -> String {
    let mut editor = Editor::new();
    for line in ["make one", "cat two", "make three"] {
        editor.history_mut().add(line);
    }
    let mut row = Row::default();
    assert_eq!(type_into(&mut editor, keys, &mut row), None, "{keys:?}");
    assert_eq!(row.text(), format!("$ {}", editor.line()).trim_end(), "{keys:?}");
    editor.line().to_owned()
}

#[test]
fn keys_do_what_they_should() {
    let cases = [
        ("abc\x02\x02X", "aXbc"),
        ("abc\x1b[D\x1b[DX", "aXbc"),
        ("abc\x01X\x05Y", "XabcY"),
        ("abc\x1b[HX\x1b[FY", "XabcY"),
        ("abc\x1b[1~X\x1b[4~Y", "XabcY"),
        ("ä€\u{1f600}\x7f\x7f", "ä"),
        ("abc\x01\x04\x1b[3~", "c"),
        ("abc\x01\x06\x1b[CX", "abXc"),
        ("one two-three\x1bb\x1bbX", "one Xtwo-three"),
        ("one two\x01\x1bfX\x1bfY", "oneX twoY"),
        ("one two\x1b[1;5DX", "one Xtwo"),
        ("one two\x01\x06\x0b", "o"),
        ("one two\x1bb\x15", "two"),
        ("one two  \x17", "one"),
        ("one two\x17\x19\x19", "one twotwo"),
        ("x\x0cy", "xy"),
        ("\x1b[A", "make three"),
        ("\x10\x10", "cat two"),
        ("new\x10\x10\x0e\x0e", "new"),
        ("\x0e", ""),
        ("\x12ma\x12\x05", "make one"),
        ("\x12cat\x05!", "cat two!"),
        ("new\x12cat\x07", "new"),
        ("\x12max\x7f\x05", "make three"),
        ("he\t", "hel"),
        ("help\t", "help "),
        ("x hi\t", "x history "),
        ("t\tx", "tmp/x"),
        ("zz\t", "zz"),
        ("\x1b[99~\x1b[5;5Za", "a"),
    ];
    for (keys, expected) in cases {
        assert_eq!(typed(keys).trim_end(), expected.trim_end(), "{keys:?}");
    }
}

#[test]
fn a_search_is_shown_and_ends_with_enter() {
    let mut editor = Editor::new();
    editor.history_mut().add("make one");
    let mut row = Row::default();
    assert_eq!(type_into(&mut editor, "\x12ak", &mut row), None);
    assert_eq!(row.text(), "(search) ak: make one");
    assert_eq!(editor.byte(b'z', &mut (), &mut row), Ok(None));
    assert_eq!(row.text(), "(not found) akz: make one");
    assert_eq!(editor.byte(b'\r', &mut (), &mut row), Ok(Some(Outcome::Complete)));
    assert_eq!(editor.line(), "make one");
}

#[test]
fn a_line_ends_as_it_should() {
    let mut editor = Editor::new();
    let mut row = Row::default();
    assert_eq!(type_into(&mut editor, "ab\r", &mut row), Some(Outcome::Complete));
    assert_eq!(editor.line(), "ab");
    assert_eq!(type_into(&mut editor, "ab\x03", &mut row), Some(Outcome::Abandoned));
    assert_eq!(type_into(&mut editor, "\x04", &mut row), Some(Outcome::End));
    assert_eq!(type_into(&mut editor, "a\x02\x04\x04", &mut row), Some(Outcome::End));
    assert_eq!(type_into(&mut editor, "ab\x12\x03", &mut row), Some(Outcome::Abandoned));
}

#[test]
fn a_second_tab_shows_what_could_be_meant() {
    let mut editor = Editor::new();
    let mut shown = String::new();
    editor.begin("$ ", 80, &mut shown).expect("it can be shown");
    for byte in "h\t".bytes() {
        assert_eq!(editor.byte(byte, &mut { NAMES }, &mut shown), Ok(None));
    }
    assert!(shown.contains("hello    help     history"), "{shown:?}");
    assert_eq!(editor.line(), "h");
}

#[test]
fn the_history_has_no_duplicates_and_forgets_the_oldest() {
    let mut history = History::new();
    for line in ["a", "b", "a", " ", "c"] {
        history.add(line);
    }
    assert_eq!(history.lines().collect::<Vec<_>>(), ["b", "a", "c"]);
    for number in 0..2000 {
        history.add(&format!("line {number}"));
    }
    assert_eq!(history.get(history.count() - 1), Some("line 1999"));
    assert_eq!(history.lines().count(), history.count());
}

#[test]
fn a_full_line_takes_no_more() {
    let mut line = Line::new();
    line.set(&"€".repeat(LINE_MAX));
    assert_eq!(line.text().len(), LINE_MAX / 3 * 3);
    let mut killed = Line::new();
    line.kill_to_start(&mut killed);
    assert!(line.is_empty() && killed.text().len() == LINE_MAX / 3 * 3);
}

fn keys() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        4 => "[a-c ä€\u{1f600}\u{301}/.]",
        4 => proptest::sample::select(vec![
            "\x01", "\x02", "\x05", "\x06", "\x04", "\x0b", "\x15", "\x17", "\x19", "\x0c", "\x10", "\x0e", "\x12",
            "\x07", "\t", "\x7f", "\x1bb", "\x1bf", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1b[1;5C",
            "abcdefghijklmnopqrstuvwxyz", "\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
        ]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(one, 0..60).prop_map(|keys| keys.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut editor = Editor::new();
        let mut shown = String::new();
        editor.begin("$ ", 80, &mut shown).expect("it can be shown");
        for byte in bytes {
            if let Some(Outcome::Complete) = editor.byte(byte, &mut { NAMES }, &mut shown).expect("it can be shown") {
                let line = editor.line().to_owned();
                editor.history_mut().add(&line);
                editor.begin("$ ", 80, &mut shown).expect("it can be shown");
            }
            prop_assert!(editor.line().is_char_boundary(editor.cursor()));
        }
    }

    #[test]
    fn every_character_is_decoded(character in any::<char>().prop_filter("can be typed", |it| !it.is_control())) {
        let mut decoder = Decoder::new();
        let text = character.to_string();
        let keys: Vec<_> = text.bytes().filter_map(|byte| decoder.byte(byte)).collect();
        prop_assert_eq!(keys, [Key::Character(character)]);
    }

    #[test]
    fn what_is_shown_is_the_line_around_the_cursor(keys in keys(), columns in 20usize..60) {
        let mut editor = Editor::new();
        editor.history_mut().add("a line of the history that is longer than a narrow row of a terminal is wide");
        editor.history_mut().add("b");
        let mut row = Row::default();
        editor.begin("> ", columns, &mut row).expect("it can be shown");
        for byte in keys.bytes() {
            editor.byte(byte, &mut (), &mut row).expect("it can be shown");
            prop_assert!(row.furthest < columns, "column {} of {columns}", row.furthest);
        }
        let shown = row.text();
        let Some(shown) = shown.strip_prefix('>') else { return Ok(()) };
        let plain = |text: &str| text.chars().filter(|it| width(*it) > 0).collect::<String>();
        prop_assert!(plain(editor.line()).contains(shown.trim()), "{shown:?} of {:?}", editor.line());
        // What stands before the cursor on the row ends what stands before it in the line.
        let before: String = row.cells.iter().take(row.column).skip(2).filter(|it| **it != '\0').collect();
        prop_assert!(plain(&editor.line()[..editor.cursor()]).ends_with(&before), "{before:?} of {:?}", editor.line());
        prop_assert!(before.is_empty() <= (editor.cursor() == 0 || plain(&editor.line()[..editor.cursor()]).is_empty() || row.column == 2));
    }

    #[test]
    fn a_line_is_a_list_of_characters(changes in proptest::collection::vec((0u8..10, any::<char>()), 0..80)) {
        let mut line = Line::new();
        let (mut model, mut cursor) = (Vec::<char>::new(), 0);
        let mut killed = Line::new();
        for (change, character) in changes {
            match change {
                0..4 if line.insert(character) => {
                    model.insert(cursor, character);
                    cursor += 1;
                }
                4 => {
                    line.backspace();
                    if cursor > 0 {
                        cursor -= 1;
                        model.remove(cursor);
                    }
                }
                5 => {
                    line.delete();
                    if cursor < model.len() {
                        model.remove(cursor);
                    }
                }
                6 => {
                    line.left();
                    cursor = cursor.saturating_sub(1);
                }
                7 => {
                    line.right();
                    cursor = (cursor + 1).min(model.len());
                }
                8 => {
                    line.kill_to_end(&mut killed);
                    model.truncate(cursor);
                }
                9 => {
                    line.home();
                    cursor = 0;
                }
                _ => {}
            }
            prop_assert_eq!(line.text(), model.iter().collect::<String>());
            prop_assert_eq!(line.before().chars().count(), cursor);
        }
    }
}
