//! What is typed and what comes of it.

use abi::terminals::{
    ECHO, ECHOCTL, ICANON, ICRNL, IGNCR, INLCR, ISIG, ISTRIP, NOFLSH, OPOST, Termios, VEOL, VMIN,
    VTIME,
};
use proptest::prelude::*;
use terminal::{CAPACITY, Signal, Terminal, Typed};

/// A terminal and what it shows.
struct Desk {
    terminal: Terminal,
    screen: Vec<u8>,
}

impl Desk {
    fn new() -> Desk {
        Desk { terminal: Terminal::new(), screen: Vec::new() }
    }

    fn with(change: impl FnOnce(&mut Termios)) -> Desk {
        let mut desk = Desk::new();
        desk.change(change);
        desk
    }

    fn change(&mut self, change: impl FnOnce(&mut Termios)) {
        let mut settings = *self.terminal.settings();
        change(&mut settings);
        self.terminal.set(settings);
    }

    fn types(&mut self, bytes: &[u8]) -> Typed {
        let mut last = Typed::default();
        for &byte in bytes {
            last = self.terminal.input(byte, &mut |part| self.screen.extend(part));
        }
        last
    }

    fn reads(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut to = vec![0; length];
        let count = self.terminal.read(&mut to, false)?;
        to.truncate(count);
        Some(to)
    }

    /// What a person sees: lines on which backspaces go back and later characters cover earlier ones.
    fn looks(&self) -> Vec<String> {
        let mut lines = vec![Vec::new()];
        let mut column = 0;
        for character in String::from_utf8_lossy(&self.screen).chars() {
            let line = lines.last_mut().expect("there is a line");
            match character {
                '\n' => lines.push(vec![' '; column]),
                '\r' => column = 0,
                '\u{8}' => column = column.saturating_sub(1),
                '\t' => column = (column / 8 + 1) * 8,
                _ => {
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = character;
                    column += 1;
                }
            }
        }
        let text = |line: Vec<char>| line.into_iter().collect::<String>().trim_end().to_owned();
        lines.into_iter().map(text).collect()
    }
}

fn line(text: &[u8]) -> Option<Vec<u8>> {
    Some(text.to_vec())
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut desk = Desk::new();
    assert_eq!(desk.types(b"hell"), Typed::default());
    assert!(!desk.terminal.is_readable());
    assert_eq!(desk.reads(10), None);
    assert_eq!(desk.types(b"o\r"), Typed { signal: None, readable: true });
    assert_eq!(desk.screen, b"hello\r\n");
    assert_eq!(desk.terminal.available(), 6);
    assert_eq!(desk.reads(2), line(b"he"));
    assert_eq!(desk.reads(10), line(b"llo\n"));
    assert_eq!(desk.reads(10), None);
}

#[test]
fn a_read_ends_with_its_line() {
    let mut desk = Desk::new();
    desk.types(b"one\ntwo\nthr");
    assert_eq!(desk.reads(100), line(b"one\n"));
    assert_eq!(desk.reads(100), line(b"two\n"));
    assert_eq!(desk.reads(100), None);
}

#[test]
fn the_end_of_the_input_is_read_as_nothing_and_once() {
    let mut desk = Desk::new();
    desk.types(b"\x04");
    assert!(desk.terminal.is_readable());
    assert_eq!(desk.terminal.available(), 0);
    assert_eq!(desk.reads(10), line(b""));
    assert_eq!(desk.reads(10), None);
    // Behind something it only sends that off.
    desk.types(b"ab\x04cd\n");
    assert_eq!(desk.reads(10), line(b"ab"));
    assert_eq!(desk.reads(10), line(b"cd\n"));
    assert_eq!(desk.screen, b"abcd\r\n");
    // Even if the buffer is just as long.
    desk.types(b"ab\x04");
    assert_eq!(desk.reads(2), line(b"ab"));
    assert_eq!(desk.reads(2), None);
}

#[test]
fn characters_words_and_lines_are_taken_back() {
    let mut desk = Desk::new();
    desk.types(b"hellp\x7fo\n");
    assert_eq!(desk.reads(100), line(b"hello\n"));
    desk.types(b"one two  \x17\x17three\n");
    assert_eq!(desk.reads(100), line(b"three\n"));
    desk.types(b"all of it\x15nothing\n");
    assert_eq!(desk.reads(100), line(b"nothing\n"));
    desk.types(b"\x7f\x17\x15\n");
    assert_eq!(desk.reads(100), line(b"\n"));
    assert_eq!(desk.looks(), ["hello", "three", "nothing", "", ""]);
}

#[test]
fn what_is_taken_back_disappears_however_wide_it_was() {
    for typed in ["a\tb", "\t", "1234567\t", "ä", "x\u{1}y", "ab\u{16}\u{16}", "€\t€"] {
        let mut desk = Desk::new();
        desk.terminal.output(b"$ ", &mut |part| desk.screen.extend(part));
        desk.types(b"keep");
        desk.types(typed.as_bytes());
        desk.types(&vec![0x7f; typed.chars().count()]);
        desk.types(b"!\n");
        let kept = if typed.contains('\u{16}') { "kee!" } else { "keep!" };
        assert_eq!(desk.looks()[0], format!("$ {kept}"), "{typed:?}");
        assert_eq!(desk.reads(100), line(format!("{kept}\n").as_bytes()), "{typed:?}");
    }
}

#[test]
fn keys_send_signals_and_drop_what_was_typed() {
    for (byte, signal, shown) in [
        (3, Signal::Interrupt, "ab^C"),
        (0x1c, Signal::Quit, "ab^\\"),
        (0x1a, Signal::Suspend, "ab^Z"),
    ] {
        let mut desk = Desk::new();
        let typed = desk.types(&[b'a', b'b', byte]);
        assert_eq!(typed, Typed { signal: Some(signal), readable: false });
        assert_eq!(desk.screen, shown.as_bytes());
        desk.types(b"c\n");
        assert_eq!(desk.reads(10), line(b"c\n"));
        let mut desk = Desk::with(|settings| settings.local |= NOFLSH);
        desk.types(&[b'a', byte, b'c', b'\n']);
        assert_eq!(desk.reads(10), line(b"ac\n"));
        let mut desk = Desk::with(|settings| settings.local &= !ISIG);
        assert_eq!(desk.types(&[byte]).signal, None);
        desk.types(b"\n");
        assert_eq!(desk.reads(10), line(&[byte, b'\n']));
    }
}

#[test]
fn the_next_character_can_be_taken_as_it_is() {
    let mut desk = Desk::new();
    assert_eq!(desk.types(b"\x16\x03\x16\x7f\x16\x04"), Typed::default());
    desk.types(b"\n");
    assert_eq!(desk.reads(10), line(b"\x03\x7f\x04\n"));
    assert_eq!(desk.looks()[0], "^C^?^D");
}

#[test]
fn carriage_returns_and_line_feeds_are_what_the_settings_say() {
    let lines = |input, typed: &[u8]| {
        let mut desk = Desk::with(|settings| {
            settings.input = input;
            settings.local &= !ICANON;
        });
        desk.types(typed);
        desk.reads(100)
    };
    assert_eq!(lines(0, b"a\r\n"), line(b"a\r\n"));
    assert_eq!(lines(ICRNL, b"a\r\n"), line(b"a\n\n"));
    assert_eq!(lines(INLCR, b"a\r\n"), line(b"a\r\r"));
    assert_eq!(lines(IGNCR | ICRNL, b"a\r\n"), line(b"a\n"));
    assert_eq!(lines(ISTRIP, b"\xe1"), line(b"a"));
}

#[test]
fn output_is_what_the_settings_say() {
    let mut desk = Desk::new();
    desk.terminal.output(b"a\n\nb\r", &mut |part| desk.screen.extend(part));
    assert_eq!(desk.screen, b"a\r\n\r\nb\r");
    let mut desk = Desk::with(|settings| settings.output &= !OPOST);
    desk.terminal.output(b"a\n\nb\r", &mut |part| desk.screen.extend(part));
    assert_eq!(desk.screen, b"a\n\nb\r");
}

#[test]
fn without_echo_nothing_is_shown() {
    let mut desk = Desk::with(|settings| settings.local &= !ECHO);
    desk.types(b"secret\x7f\x15x\x17\x12\x16y\n");
    assert_eq!(desk.screen, b"");
    assert_eq!(desk.reads(10), line(b"y\n"));
    let mut desk = Desk::with(|settings| settings.local &= !ECHOCTL);
    desk.types(b"\x01");
    assert_eq!(desk.screen, b"\x01");
}

#[test]
fn other_characters_may_end_a_line() {
    let mut desk = Desk::with(|settings| settings.characters[VEOL] = b';');
    desk.types(b"a;b;");
    assert_eq!(desk.reads(10), line(b"a;"));
    assert_eq!(desk.reads(10), line(b"b;"));
}

#[test]
fn without_lines_reading_waits_as_long_as_it_is_told() {
    let raw = |minimum, time| {
        Desk::with(|settings| {
            settings.local &= !(ICANON | ECHO);
            settings.characters[VMIN] = minimum;
            settings.characters[VTIME] = time;
        })
    };
    // So many bytes, or as many as are asked for.
    let mut desk = raw(3, 0);
    desk.types(b"ab");
    assert_eq!((desk.reads(10), desk.terminal.timer()), (None, None));
    assert_eq!(desk.reads(2), line(b"ab"));
    desk.types(b"cde\n");
    assert!(desk.terminal.is_readable());
    assert_eq!(desk.reads(10), line(b"cde\n"));
    // Not at all.
    let mut desk = raw(0, 0);
    assert_eq!(desk.reads(10), line(b""));
    // For the first byte, and not for ever.
    let mut desk = raw(0, 5);
    assert_eq!((desk.reads(10), desk.terminal.timer()), (None, Some(5)));
    assert_eq!(desk.terminal.read(&mut [0; 4], true), Some(0));
    desk.types(b"a");
    assert_eq!(desk.reads(10), line(b"a"));
    // For the next byte, not for the first.
    let mut desk = raw(3, 5);
    assert_eq!((desk.reads(10), desk.terminal.timer()), (None, None));
    desk.types(b"a");
    assert_eq!((desk.reads(10), desk.terminal.timer()), (None, Some(5)));
    assert_eq!(desk.terminal.read(&mut [0; 4], true), Some(1));
}

#[test]
fn what_was_typed_outlives_a_change_of_the_settings() {
    let mut desk = Desk::new();
    desk.types(b"half");
    desk.change(|settings| settings.local &= !ICANON);
    assert_eq!(desk.reads(2), line(b"ha"));
    desk.change(|settings| settings.local |= ICANON);
    assert_eq!(desk.reads(10), line(b"lf"));
    desk.types(b"more");
    desk.terminal.forget_input();
    desk.types(b"\n");
    assert_eq!(desk.reads(10), line(b"\n"));
}

#[test]
fn what_does_not_fit_is_lost_but_not_the_end_of_the_line() {
    let mut desk = Desk::new();
    desk.types(&[b'x'; 2 * CAPACITY]);
    assert!(desk.types(b"\n").readable);
    let mut expected = vec![b'x'; CAPACITY];
    expected[CAPACITY - 1] = b'\n';
    assert_eq!(desk.reads(2 * CAPACITY), Some(expected));
}

/// Lines as somebody would make them who has all the paper in the world.
fn lines_of(typed: &[u8]) -> Vec<u8> {
    let (mut all, mut current) = (Vec::new(), Vec::new());
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric();
    for &byte in typed {
        match byte {
            0x7f => drop(current.pop()),
            0x15 => current.clear(),
            0x17 => {
                while current.last().is_some_and(|byte| !is_part(byte)) {
                    current.pop();
                }
                while current.last().is_some_and(is_part) {
                    current.pop();
                }
            }
            b'\n' => {
                current.push(byte);
                all.append(&mut current);
            }
            _ => current.push(byte),
        }
    }
    all
}

proptest! {
    #[test]
    fn corrected_lines_are_those_that_were_meant(
        typed in proptest::collection::vec(
            prop_oneof![
                8 => proptest::sample::select(b"ab1 .\t".as_slice()),
                3 => Just(0x7f_u8),
                1 => proptest::sample::select(b"\x15\x17\n".as_slice()),
            ],
            0..200,
        ),
        lengths in proptest::collection::vec(1_usize..20, 400),
    ) {
        let mut desk = Desk::new();
        desk.types(&typed);
        let mut read = Vec::new();
        for length in lengths {
            match desk.reads(length) {
                Some(part) => read.extend(part),
                None => break,
            }
        }
        let meant = lines_of(&typed);
        prop_assert_eq!(&read, &meant);
        // And that is what is seen: the lines, and behind them what is being typed.
        let seen = desk.looks();
        let text = String::from_utf8(meant).expect("it is ASCII");
        for (place, line) in text.lines().enumerate() {
            let mut plain = String::new();
            for character in line.chars() {
                let width = if character == '\t' { 8 - plain.len() % 8 } else { 1 };
                let shown = if character == '\t' { ' ' } else { character };
                plain.extend(std::iter::repeat_n(shown, width));
            }
            prop_assert_eq!(&seen[place], plain.trim_end());
        }
    }

    /// Whatever is typed, set and read: nothing panics, nothing is read that was not typed, and it ends.
    #[test]
    fn nothing_is_too_odd(
        steps in proptest::collection::vec(
            prop_oneof![
                10 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Step::Types),
                3 => (0_usize..5000, any::<bool>()).prop_map(|(length, over)| Step::Reads(length, over)),
                2 => (any::<u32>(), any::<u32>(), any::<u32>(), any::<[u8; 19]>())
                    .prop_map(|(input, output, local, characters)| Step::Sets(Termios {
                        input, output, local, characters, ..Termios::INITIAL
                    })),
                1 => Just(Step::Forgets),
                1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(Step::Writes),
            ],
            0..60,
        ),
    ) {
        let mut desk = Desk::new();
        let mut left = 0;
        for step in steps {
            match step {
                Step::Types(bytes) => {
                    left += bytes.len();
                    desk.types(&bytes);
                }
                Step::Reads(length, over) => {
                    let was_readable = desk.terminal.is_readable();
                    let count = desk.terminal.read(&mut vec![0; length], over);
                    prop_assert!(count.is_some() || !was_readable || length == 0);
                    let count = count.unwrap_or(0);
                    prop_assert!(count <= length.min(left));
                    left -= count;
                }
                Step::Sets(settings) => desk.terminal.set(settings),
                Step::Forgets => desk.terminal.forget_input(),
                Step::Writes(bytes) => desk.terminal.output(&bytes, &mut |_| ()),
            }
            prop_assert!(desk.terminal.typed() <= CAPACITY);
            prop_assert!(desk.terminal.available() <= desk.terminal.typed());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Types(Vec<u8>),
    Reads(usize, bool),
    Sets(Termios),
    Forgets,
    Writes(Vec<u8>),
}
