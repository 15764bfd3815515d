//! How long a stress program goes on, and its seed: from its words.

use userland::clock::{self, SECOND};

/// How long.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// So many rounds: the same work each time.
    Rounds(u64),
    /// Rounds, until so many seconds are over.
    Seconds(u64),
}

impl Amount {
    /// A word of a program's: `3` is three rounds, `20s` are twenty seconds.
    pub fn parse(word: &str) -> Option<Amount> {
        match word.strip_suffix('s') {
            Some(seconds) => seconds.parse().ok().map(Amount::Seconds),
            None => word.parse().ok().map(Amount::Rounds),
        }
    }

    /// The numbers of the rounds, from now on.
    pub fn rounds(self) -> impl Iterator<Item = u64> {
        let end = match self {
            Amount::Rounds(_) => 0,
            Amount::Seconds(seconds) => clock::nanoseconds() + seconds * SECOND,
        };
        (0..).take_while(move |&round| match self {
            Amount::Rounds(rounds) => round < rounds,
            Amount::Seconds(_) => clock::nanoseconds() < end,
        })
    }
}

/// Amount and seed, from the words of a program that are left; `None` if they are not understood.
pub fn amount_and_seed<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    usual: Amount,
) -> Option<(Amount, u64)> {
    let amount = words.next().map_or(Some(usual), Amount::parse)?;
    let seed = words.next().map_or(Some(1), |word| word.parse().ok())?;
    words.next().is_none().then_some((amount, seed))
}
