//! A line editor as a state machine: bytes of the keyboard in, text for the terminal out.
//!
//! [`Editor`] is given one byte after the other and writes what the terminal has to show; it neither reads nor waits,
//! and it has no heap. Who uses it puts the terminal into a state in which it hands over every byte and shows nothing
//! by itself; line feeds that the editor writes are to begin a new line (`OPOST | ONLCR` stay on).
//!
//! | file | concept |
//! |---|---|
//! | `keys.rs` | bytes become keys: UTF-8, escape sequences |
//! | `line.rs` | the line and the place in it |
//! | `width.rs` | how many columns a character takes |
//! | `screen.rs` | the part of the line that is shown, and where the cursor stands |
//! | `history.rs` | the lines before, each once |
//! | `completion.rs` | what a word could become |
//! | `editor.rs`, `search.rs` | what each key does |

#![no_std]
#![forbid(unsafe_code)]

mod completion;
mod editor;
mod history;
mod keys;
mod line;
mod screen;
mod search;
mod width;

pub use completion::Complete;
pub use editor::{Editor, Outcome};
pub use history::History;
pub use keys::{Decoder, Key};
pub use line::{LINE_MAX, Line};
pub use width::{width, width_of};
