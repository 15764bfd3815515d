//! The language of the shell, without the shell: what a line means, not what is done about it.
//!
//! ```text
//! line      = chain { (";" | "&") chain }          "&": in the background
//! chain     = pipeline { ("&&" | "||") pipeline }
//! pipeline  = command { "|" command }
//! command   = { word | redirection }
//! redirection = [digit] ("<" | ">" | ">>") word  |  [digit] ">&" digit
//! ```
//!
//! A word has parts in `'…'` (taken as they are), in `"…"` (`$NAME` counts, `\` before `$`, `"` and `\`), and others
//! (`\` takes the next character as it is). Values are not split into words. `#` at the beginning of a word makes the
//! rest of the line a comment.
//!
//! | file | concept |
//! |---|---|
//! | `token.rs` | a line becomes words and operators |
//! | `script.rs` | these become chains, pipelines, commands |
//! | `expand.rs` | what a word says when quotes are taken away and variables put in |
//! | `pattern.rs`, `expression.rs` | `*` and `?` of paths; the patterns of `grep` |
//! | `quote.rs` | the way back: a word that says exactly this |
//! | `variables.rs`, `words.rs` | named values; a list of words; both in a room of fixed size |

#![no_std]
#![forbid(unsafe_code)]

mod expand;
mod expression;
mod pattern;
mod quote;
mod script;
mod token;
mod variables;
mod words;

pub use expand::{FIELD_MAX, Field, Values, expand};
pub use expression::Expression;
pub use pattern::matches;
pub use quote::{is_plain, quote};
pub use script::{Chain, Command, Join, Pipeline, Script};
pub use token::{Direction, Operator, Redirection, Token, Wrong};
pub use variables::{Variables, is_name};
pub use words::Words;

/// There is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;
