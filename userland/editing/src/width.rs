//! How many columns a character takes on a terminal.

/// Ranges of characters that are drawn over the one before them.
const NONE: [(u32, u32); 5] =
    [(0x300, 0x36f), (0x200b, 0x200f), (0x20d0, 0x20ff), (0xfe00, 0xfe0f), (0xfeff, 0xfeff)];

/// Ranges of characters that are twice as wide as a letter.
const DOUBLE: [(u32, u32); 9] = [
    (0x1100, 0x115f),
    (0x2e80, 0xa4cf),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f300, 0x1faff),
    (0x20000, 0x3fffd),
];

/// The columns that a character takes: 0, 1 or 2.
pub fn width(character: char) -> usize {
    let number = u32::from(character);
    let is_in =
        |ranges: &[(u32, u32)]| ranges.iter().any(|&(low, high)| (low..=high).contains(&number));
    if number < 0x300 {
        1
    } else if is_in(&NONE) {
        0
    } else if is_in(&DOUBLE) {
        2
    } else {
        1
    }
}

/// The columns that a text takes.
pub fn width_of(text: &str) -> usize {
    text.chars().map(width).sum()
}
