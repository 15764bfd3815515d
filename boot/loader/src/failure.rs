//! Why the loader stops: the ending that the outside sees, and the line for a person.
//!
//! Everything that can fail returns a [`Failure`]; the program prints it and ends the machine.

use abi::ending::Ending;
use core::fmt;

/// A reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the run's exit status says.
    pub ending: Ending,
    /// What exactly is wrong, to follow the ending's own text.
    pub detail: &'static str,
}

impl Failure {
    /// A failure that ends the run with `ending`.
    pub const fn new(ending: Ending, detail: &'static str) -> Self {
        Failure { ending, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "loader: {}: {}", self.ending.text(), self.detail)
    }
}
