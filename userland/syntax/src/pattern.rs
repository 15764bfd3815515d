//! `*` stands for any bytes, `?` for one character.

/// Whether a name fits a pattern; `active` says of each byte of the pattern whether it can be `*` or `?` (see
/// [`Field::active`](crate::Field::active)).
pub fn matches(pattern: &[u8], active: &[bool], name: &[u8]) -> bool {
    let special = |place: usize| match pattern.get(place) {
        Some(byte @ (b'*' | b'?')) if active.get(place) == Some(&true) => Some(*byte),
        _ => None,
    };
    let (mut at, mut in_name) = (0, 0);
    // Behind the last `*`, and where in the name what follows it has been tried.
    let mut retry = None;
    loop {
        if special(at) == Some(b'*') {
            at += 1;
            retry = Some((at, in_name));
            continue;
        }
        if in_name == name.len() && at == pattern.len() {
            return true;
        }
        let taken = match special(at) {
            Some(_) if in_name < name.len() => character(&name[in_name..]),
            None if in_name < name.len() && pattern.get(at) == Some(&name[in_name]) => 1,
            _ => 0,
        };
        if taken > 0 {
            at += 1;
            in_name += taken;
            continue;
        }
        match retry {
            Some((behind, tried)) if tried < name.len() => {
                retry = Some((behind, tried + 1));
                (at, in_name) = (behind, tried + 1);
            }
            _ => return false,
        }
    }
}

/// How many bytes the first character has.
fn character(text: &[u8]) -> usize {
    1 + text[1..].iter().take(3).take_while(|&&byte| text[0] >= 0xc0 && byte & 0xc0 == 0x80).count()
}
