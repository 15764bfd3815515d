//! Words and operators become chains, pipelines and commands. All of them borrow from the line and from the list of its
//! pieces, so that nothing has to be allocated.

use crate::token::{Operator, Redirection, Token, Tokens, Wrong};

/// Most pieces of a line.
const TOKENS_MAX: usize = 512;

/// A line that means something.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    tokens: [Token<'a>; TOKENS_MAX],
    count: usize,
}

/// Pipelines of which each runs or not by how the one before ended.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'s, 'a> {
    tokens: &'s [Token<'a>],
    /// Nobody waits for it.
    pub in_background: bool,
}

/// When a pipeline of a chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It is the first.
    Always,
    /// If the one before ended with 0.
    And,
    /// If it did not.
    Or,
}

/// Commands of which each reads what the one before writes.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline<'s, 'a> {
    tokens: &'s [Token<'a>],
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command<'s, 'a> {
    tokens: &'s [Token<'a>],
}

impl<'a> Script<'a> {
    /// Finds out what a line means.
    pub fn parse(line: &'a [u8]) -> Result<Script<'a>, Wrong> {
        let nothing = Token::Operator(Operator::Then);
        let mut script = Script { tokens: [nothing; TOKENS_MAX], count: 0 };
        let mut tokens = Tokens::new(line);
        // What came last, if it was an operator behind which a command has to follow.
        let mut is_open = None;
        let mut is_in_command = false;
        while let Some(token) = tokens.next()? {
            match token {
                // Empty lines, and what ends a line that has ended.
                Token::Operator(Operator::Then) if !is_in_command && is_open.is_none() => continue,
                Token::Operator(operator) if !is_in_command => {
                    return Err(Wrong::NoCommand(operator));
                }
                Token::Operator(operator) => {
                    is_in_command = false;
                    let needs_more =
                        matches!(operator, Operator::Pipe | Operator::And | Operator::Or);
                    is_open = needs_more.then_some(operator);
                }
                Token::Word(_) | Token::Redirection(_) => {
                    is_in_command = true;
                    is_open = None;
                }
            }
            *script.tokens.get_mut(script.count).ok_or(Wrong::TooLong)? = token;
            script.count += 1;
        }
        match is_open {
            Some(operator) => Err(Wrong::NoCommand(operator)),
            None => Ok(script),
        }
    }

    /// Its chains, in the order in which they run.
    pub fn chains(&self) -> impl Iterator<Item = Chain<'_, 'a>> {
        let ends = |token: &Token<'_>| {
            matches!(token, Token::Operator(Operator::Then | Operator::Background))
        };
        let parts = self.tokens[..self.count].split_inclusive(ends);
        parts.map(|part| match part.split_last() {
            Some((Token::Operator(Operator::Background), tokens)) => {
                Chain { tokens, in_background: true }
            }
            Some((Token::Operator(Operator::Then), tokens)) => {
                Chain { tokens, in_background: false }
            }
            _ => Chain { tokens: part, in_background: false },
        })
    }
}

impl<'s, 'a> Chain<'s, 'a> {
    /// Its pipelines, each with when it runs.
    pub fn pipelines(self) -> impl Iterator<Item = (Join, Pipeline<'s, 'a>)> {
        let join = |token: &Token<'_>| match token {
            Token::Operator(Operator::And) => Some(Join::And),
            Token::Operator(Operator::Or) => Some(Join::Or),
            _ => None,
        };
        let mut next = Join::Always;
        let parts = self.tokens.split_inclusive(move |token| join(token).is_some());
        parts.map(move |part| {
            let when = next;
            match part.split_last().and_then(|(last, tokens)| Some((join(last)?, tokens))) {
                Some((join, tokens)) => {
                    next = join;
                    (when, Pipeline { tokens })
                }
                None => (when, Pipeline { tokens: part }),
            }
        })
    }
}

impl<'s, 'a> Pipeline<'s, 'a> {
    /// Its commands; there is at least one.
    pub fn commands(self) -> impl Iterator<Item = Command<'s, 'a>> {
        let parts = self.tokens.split(|token| *token == Token::Operator(Operator::Pipe));
        parts.map(|tokens| Command { tokens })
    }
}

impl<'s, 'a> Command<'s, 'a> {
    /// Its words, with their quotes.
    pub fn words(self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'s, 'a> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Word(word) => Some(*word),
            _ => None,
        })
    }

    /// Its redirections, in the order in which they are made.
    pub fn redirections(self) -> impl Iterator<Item = Redirection<'a>> + use<'s, 'a> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Redirection(redirection) => Some(*redirection),
            _ => None,
        })
    }
}

macro_rules! text {
    ($($type:ident)*) => {
        $(impl<'a> $type<'_, 'a> {
            /// The part of the line that it was made from.
            pub fn text(self, line: &'a [u8]) -> &'a [u8] {
                text(self.tokens, line)
            }
        })*
    };
}
text!(Chain Pipeline);

/// The part of a line from the first word of some pieces to the end of the last.
fn text<'a>(tokens: &[Token<'a>], line: &'a [u8]) -> &'a [u8] {
    let place_of = |word: &[u8]| (word.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    let word_of = |token: &Token<'a>| match token {
        Token::Word(word) => Some(*word),
        Token::Redirection(redirection) => Some(redirection.target),
        Token::Operator(_) => None,
    };
    let words = || tokens.iter().filter_map(word_of);
    let start = words().next().map_or(0, place_of);
    let end = words().next_back().map_or(0, |word| place_of(word) + word.len());
    let part = line.get(start..end).unwrap_or_default();
    // A redirection in the first place has its sign before its target.
    match tokens.first() {
        Some(Token::Redirection(_)) => {
            let before = line.get(..start).unwrap_or_default();
            let start =
                before.iter().rposition(|byte| b";&|\n".contains(byte)).map_or(0, |it| it + 1);
            line.get(start..end).unwrap_or_default().trim_ascii_start()
        }
        _ => part,
    }
}
