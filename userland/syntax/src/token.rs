//! A line becomes words and operators. Words keep their quotes.

/// Why a line means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A quote begins and does not end.
    Quote,
    /// The operator stands where a command should begin.
    NoCommand(Operator),
    /// Nothing behind a redirection says where to.
    NoTarget,
    /// There are more words than fit.
    TooLong,
}

impl Wrong {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Wrong::Quote => "a quote does not end",
            Wrong::NoCommand(Operator::Pipe) => "a command is missing at |",
            Wrong::NoCommand(Operator::And) => "a command is missing at &&",
            Wrong::NoCommand(Operator::Or) => "a command is missing at ||",
            Wrong::NoCommand(Operator::Then) => "a command is missing at ;",
            Wrong::NoCommand(Operator::Background) => "a command is missing at &",
            Wrong::NoTarget => "a redirection does not say where to",
            Wrong::TooLong => "too many words",
        }
    }
}

/// What stands between commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `|`
    Pipe,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`, or the end of a line.
    Then,
    /// `&`
    Background,
}

/// How a redirection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: read from a file.
    From,
    /// `>`: write to a file, which loses what was in it.
    To,
    /// `>>`: write at the end of a file.
    Append,
    /// `>&`: whatever another descriptor is.
    Same,
}

/// A descriptor is to be something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirection<'a> {
    /// Which.
    pub fd: i32,
    /// How.
    pub direction: Direction,
    /// The file, a word with its quotes; of [`Direction::Same`] a digit.
    pub target: &'a [u8],
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A word, with its quotes.
    Word(&'a [u8]),
    /// An operator.
    Operator(Operator),
    /// A redirection with its target.
    Redirection(Redirection<'a>),
}

/// Takes one piece after the other from a line.
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn ends_word(byte: u8) -> bool {
    is_space(byte) || b"\n|&;<>".contains(&byte)
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Tokens<'a> {
        Tokens { rest: line }
    }

    fn skip_spaces(&mut self) {
        let spaces = self.rest.iter().take_while(|&&byte| is_space(byte)).count();
        self.rest = &self.rest[spaces..];
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Wrong> {
        self.skip_spaces();
        if self.rest.first() == Some(&b'#') {
            let length = self.rest.iter().take_while(|&&byte| byte != b'\n').count();
            self.rest = &self.rest[length..];
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        const OPERATORS: [(&[u8], Operator); 6] = [
            (b"&&", Operator::And),
            (b"||", Operator::Or),
            (b"|", Operator::Pipe),
            (b"&", Operator::Background),
            (b";", Operator::Then),
            (b"\n", Operator::Then),
        ];
        if let Some((_, operator)) = OPERATORS.iter().find(|(text, _)| self.take(text)) {
            return Ok(Some(Token::Operator(*operator)));
        }
        if let [digit @ b'0'..=b'9', b'<' | b'>', ..] = *self.rest {
            self.rest = &self.rest[1..];
            return self.redirection(Some(i32::from(digit - b'0'))).map(Some);
        }
        if matches!(self.rest.first(), Some(b'<' | b'>')) {
            return self.redirection(None).map(Some);
        }
        self.word().map(|word| Some(Token::Word(word)))
    }

    fn redirection(&mut self, fd: Option<i32>) -> Result<Token<'a>, Wrong> {
        const DIRECTIONS: [(&[u8], i32, Direction); 4] = [
            (b">>", 1, Direction::Append),
            (b">&", 1, Direction::Same),
            (b">", 1, Direction::To),
            (b"<", 0, Direction::From),
        ];
        let Some((_, usual, direction)) = DIRECTIONS.iter().find(|(text, ..)| self.take(text))
        else {
            return Err(Wrong::NoTarget);
        };
        self.skip_spaces();
        let target = self.word()?;
        let is_digit = matches!(target, [b'0'..=b'9']);
        if target.is_empty() || (*direction == Direction::Same && !is_digit) {
            return Err(Wrong::NoTarget);
        }
        let fd = fd.unwrap_or(*usual);
        Ok(Token::Redirection(Redirection { fd, direction: *direction, target }))
    }

    /// Everything up to a byte that ends a word outside of quotes.
    fn word(&mut self) -> Result<&'a [u8], Wrong> {
        let mut bytes = self.rest.iter().enumerate();
        let mut quote = None;
        let mut end = self.rest.len();
        while let Some((place, &byte)) = bytes.next() {
            match (quote, byte) {
                (None, b'\'' | b'"') => quote = Some(byte),
                (None | Some(b'"'), b'\\') => {
                    bytes.next().ok_or(Wrong::Quote)?;
                }
                (None, byte) if ends_word(byte) => {
                    end = place;
                    break;
                }
                (Some(open), byte) if open == byte => quote = None,
                _ => {}
            }
        }
        if quote.is_some() {
            return Err(Wrong::Quote);
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }
}
