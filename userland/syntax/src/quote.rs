//! The way back: a word that says exactly this.

/// Whether some bytes say themselves, without quotes.
pub fn is_plain(bytes: &[u8]) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=./,:@%^~!".contains(&byte) || byte >= 0x80;
    !bytes.is_empty() && bytes.iter().all(|&byte| plain(byte))
}

/// Gives the word that says these bytes, piece by piece.
pub fn quote(bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
    if is_plain(bytes) {
        return each(bytes);
    }
    each(b"'");
    for (place, part) in bytes.split(|&byte| byte == b'\'').enumerate() {
        if place > 0 {
            // The quote ends, a quotation mark follows, it begins again.
            each(b"'\\''");
        }
        each(part);
    }
    each(b"'");
}
