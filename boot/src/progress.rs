//! What the tool tells the person who waits: one line per step, on standard error, so that standard
//! output carries only what was asked for.

/// Says what happens now.
pub fn step(text: impl std::fmt::Display) {
    eprintln!("upcall: {text}");
}
