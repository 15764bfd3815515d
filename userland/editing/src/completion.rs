//! What a word could become: the caller knows; here is what all of it has in common.

use crate::line::Line;

/// Who knows what a word could become.
pub trait Complete {
    /// Names everything that the end of `before` could become, as it would stand in the line; returns where in `before`
    /// the word begins that each of them takes the place of. Called more than once, it names the same in the same order.
    fn candidates(&mut self, before: &str, each: &mut dyn FnMut(&str)) -> usize;
}

/// Nobody knows anything.
impl Complete for () {
    fn candidates(&mut self, before: &str, _: &mut dyn FnMut(&str)) -> usize {
        before.len()
    }
}

/// What was found for the word before the cursor.
pub struct Found {
    /// How many candidates there are.
    pub count: usize,
    /// The width of the widest.
    pub widest: usize,
    /// How much of the beginning they have in common.
    pub common: Line,
    /// Where the word begins.
    pub start: usize,
}

/// Looks for what the word before the cursor could become.
pub fn find(complete: &mut dyn Complete, before: &str) -> Found {
    let mut common = Line::new();
    let (mut count, mut widest) = (0, 0);
    let start = complete.candidates(before, &mut |candidate| {
        if count == 0 {
            common.set(candidate);
        } else {
            let pairs = common.text().chars().zip(candidate.chars());
            let length =
                pairs.take_while(|(one, other)| one == other).map(|(it, _)| it.len_utf8()).sum();
            let shorter = common.clone();
            common.set(&shorter.text()[..length]);
        }
        count += 1;
        widest = widest.max(crate::width::width_of(candidate));
    });
    let start = before.floor_char_boundary(start);
    Found { count, widest, common, start }
}
