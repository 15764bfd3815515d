//! The shell's language: no input panics, what is quoted says what it was, lines mean what they should.

use proptest::prelude::*;
use syntax::{
    Direction, Expression, Field, Join, Script, Values, Variables, Words, Wrong, expand, matches,
    quote,
};

/// Two variables.
struct Known;

impl Values for Known {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            b"?" => Some(b"7"),
            b"$" => Some(b"42"),
            b"HOME" => Some(b"/a b*"),
            _ => None,
        }
    }
}

fn says(word: &str) -> String {
    let field = expand(word.as_bytes(), &Known).expect("a word");
    String::from_utf8_lossy(field.bytes()).into_owned()
}

fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut word = Vec::new();
    quote(bytes, &mut |part| word.extend(part));
    word
}

/// A line, written in another way: chains in brackets, with everything spelled out.
fn meaning(line: &str) -> Result<String, Wrong> {
    let script = Script::parse(line.as_bytes())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut chains = Vec::new();
    for chain in script.chains() {
        let mut pipelines = String::new();
        for (join, pipeline) in chain.pipelines() {
            pipelines += match join {
                Join::Always => "",
                Join::And => " and ",
                Join::Or => " or ",
            };
            let commands = pipeline.commands().map(|command| {
                let mut words: Vec<String> = command.words().map(text).collect();
                words.extend(command.redirections().map(|it| {
                    let sign = match it.direction {
                        Direction::From => "from",
                        Direction::To => "to",
                        Direction::Append => "append",
                        Direction::Same => "same",
                    };
                    format!("{}-{sign}-{}", it.fd, text(it.target))
                }));
                words.join(" ")
            });
            pipelines += &commands.collect::<Vec<_>>().join(" into ");
        }
        chains.push(format!("[{pipelines}]{}", if chain.in_background { "&" } else { "" }));
    }
    Ok(chains.join(" "))
}

#[test]
fn lines_mean_what_they_should() {
    let cases = [
        ("", ""),
        ("  # nothing", ""),
        ("echo a#b # c", "[echo a#b]"),
        ("a;b;", "[a] [b]"),
        ("a\n\nb\n", "[a] [b]"),
        ("a&b", "[a]& [b]"),
        ("a | b|c", "[a into b into c]"),
        ("a && b || c; d", "[a and b or c] [d]"),
        ("a && b &", "[a and b]&"),
        ("a <in >out 2>>log x", "[a x 0-from-in 1-to-out 2-append-log]"),
        ("a 2>&1 >&2", "[a 2-same-1 1-same-2]"),
        ("a2>b", "[a2 1-to-b]"),
        ("a '|;&' \"x y\"z\\ w", "[a '|;&' \"x y\"z\\ w]"),
        (">f", "[1-to-f]"),
    ];
    for (line, expected) in cases {
        assert_eq!(meaning(line).as_deref(), Ok(expected), "{line}");
    }
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for line in
        ["|", "a |", "a && && b", "a ||", "& a", "; ; |", "a > ", "a >&x", "'", "\"", "a \\", "a;&"]
    {
        assert!(meaning(line).is_err(), "{line}");
    }
    assert!(Script::parse("a ".repeat(600).as_bytes()).is_err());
}

#[test]
fn words_say_what_they_should() {
    let cases = [
        ("a'b c'd", "ab cd"),
        ("\"$HOME\"", "/a b*"),
        ("$HOME/x", "/a b*/x"),
        ("'$HOME'", "$HOME"),
        ("\\$HOME", "$HOME"),
        ("\"\\$HOME \\a\"", "$HOME \\a"),
        ("$?.$$.$", "7.42.$"),
        ("${HOME}x$UNKNOWN${", "/a b*x${"),
        ("$1", "$1"),
    ];
    for (word, expected) in cases {
        assert_eq!(says(word), expected, "{word}");
    }
    let is_word = |word: &str| expand(word.as_bytes(), &Known).as_ref().is_ok_and(Field::is_word);
    assert!(!is_word("$UNKNOWN") && is_word("''") && is_word("\"$UNKNOWN\""));
    let is_pattern =
        |word: &str| expand(word.as_bytes(), &Known).as_ref().is_ok_and(Field::is_pattern);
    assert!(
        is_pattern("a*")
            && is_pattern("'a'?")
            && !is_pattern("'*'\\?\"*\"")
            && !is_pattern("$HOME")
    );
}

#[test]
fn a_chain_knows_its_text() {
    let line = b"a; >x b | c 'd e' && f & g";
    let script = Script::parse(line).expect("it means something");
    let texts: Vec<_> = script.chains().map(|chain| chain.text(line)).collect();
    assert_eq!(texts, [&b"a"[..], b">x b | c 'd e' && f", b"g"]);
}

/// As the pattern is defined.
fn fits(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
        Some(('?', rest)) => !name.is_empty() && fits(rest, &name[1..]),
        Some((one, rest)) => name.first() == Some(one) && fits(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(script) = Script::parse(&line) {
            for chain in script.chains() {
                chain.text(&line);
                for (_, pipeline) in chain.pipelines() {
                    pipeline.text(&line);
                    for command in pipeline.commands() {
                        prop_assert!(command.words().count() + command.redirections().count() > 0);
                        for word in command.words() {
                            let _ = expand(word, &Known);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_line_of_the_languages_own_signs_panics(line in "[ab '\"\\\\|&;<>$#*?{}0-2\n]{0,60}") {
        let _ = meaning(&line);
        let _ = expand(line.as_bytes(), &Known);
    }

    #[test]
    fn what_is_quoted_is_one_word_that_says_what_it_was(bytes in proptest::collection::vec(1u8.., 0..60)) {
        let word = quoted(&bytes);
        let mut line = b"echo ".to_vec();
        line.extend(&word);
        line.extend(b" end");
        let script = Script::parse(&line).expect("it means something");
        let chain = script.chains().next().expect("a chain");
        let (_, pipeline) = chain.pipelines().next().expect("a pipeline");
        let words: Vec<_> = pipeline.commands().next().expect("a command").words().collect();
        prop_assert_eq!(&words, &[&b"echo"[..], &word, b"end"]);
        let field = expand(words[1], &Known).expect("a word");
        prop_assert_eq!(field.bytes(), &bytes);
        prop_assert!(field.is_word() && !field.is_pattern());
    }

    #[test]
    fn patterns_fit_what_they_should(pattern in "[ab*?ä]{0,8}", name in "[abä]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let active = vec![true; pattern.len()];
        let expected = fits(&chars(&pattern), &chars(&name));
        prop_assert_eq!(matches(pattern.as_bytes(), &active, name.as_bytes()), expected);
        let quoted = vec![false; pattern.len()];
        prop_assert_eq!(matches(pattern.as_bytes(), &quoted, name.as_bytes()), pattern == name);
    }

    #[test]
    fn variables_are_a_map(changes in proptest::collection::vec(("[A-C][a-b_]?", proptest::option::of("[ -~]{0,9}"), any::<bool>()), 0..40)) {
        let mut variables = Variables::new();
        let mut model = std::collections::BTreeMap::new();
        for (name, value, export) in changes {
            match value {
                Some(value) => {
                    variables.set(name.as_bytes(), value.as_bytes(), export).expect("there is room");
                    let was = model.get(&name).is_some_and(|(_, exported)| *exported);
                    model.insert(name, (value, export || was));
                }
                None => {
                    variables.unset(name.as_bytes());
                    model.remove(&name);
                }
            }
        }
        prop_assert_eq!(variables.all().count(), model.len());
        for (name, (value, exported)) in &model {
            prop_assert_eq!(variables.get(name.as_bytes()), Some(value.as_bytes()));
            let entry = format!("{name}={value}\0");
            prop_assert_eq!(variables.exported().any(|it| it == entry.as_bytes()), *exported);
        }
    }

    #[test]
    fn words_are_a_list(list in proptest::collection::vec("[a-c]{0,4}", 0..30), from in 0usize..40) {
        let mut words = Words::new();
        let mut model = list.clone();
        for word in &list {
            words.add(word.as_bytes()).expect("there is room");
        }
        words.sort_from(from);
        if let Some(part) = model.get_mut(from..) {
            part.sort();
        }
        let found: Vec<_> = words.from(0).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(found, model.into_iter().map(String::into_bytes).collect::<Vec<_>>());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut words = Words::new();
    assert!((0..2000).any(|_| words.add(b"0123456789").is_err()));
    let mut variables = Variables::new();
    assert!(variables.set(b"A", &[b'x'; 9000], false).is_err() && variables.get(b"A").is_none());
    assert!(variables.set(b"1", b"", false).is_err());
    assert_eq!(expand(&[b'x'; 5000], &Known).err(), Some(Wrong::TooLong));
}

#[test]
fn expressions_fit_what_they_should() {
    let cases = [
        ("b", "abc", true),
        ("^b", "abc", false),
        ("^a.c$", "abc", true),
        ("a.c$", "abcd", false),
        ("ab*c", "ac", true),
        ("ab*c", "abbbc", true),
        ("^.*$", "", true),
        ("x*y", "zy", true),
        ("a\\.b", "axb", false),
        ("a\\.b", "a.b", true),
        ("$", "a", true),
    ];
    for (pattern, line, expected) in cases {
        let fits = Expression::new(pattern.as_bytes(), false, false).fits(line.as_bytes());
        assert_eq!(fits, expected, "{pattern} {line}");
    }
    assert!(Expression::new(b"a.*", true, true).fits(b"xA.*"));
    assert!(!Expression::new(b"a.*", true, false).fits(b"abc"));
}
