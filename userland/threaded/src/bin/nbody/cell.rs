//! A cell of the table: the program starts itself, once or twice at a time, and hears what came of it.

use crate::once::{Outcome, Run, simulate};
use userland::eprintln;

/// The first word of a run for the table.
pub const WORD: &str = "--cell";

/// How threads are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    Row,
    /// In this mode of the thread library.
    Mode(&'static str),
}

/// Copies at a time.
pub const COPIES: usize = 2;

/// In the child: does a run and tells its parent of it.
pub fn be(run: &Run, is_threaded: bool) -> i32 {
    let outcome = simulate(run, is_threaded);
    let Outcome { begin, end, misses, most, digest, .. } = outcome;
    if !outcome.has_kept_energy(run) {
        eprintln!("nbody: energy has changed by {} millionths", outcome.energy as i64);
        return 1;
    }
    i32::from(!threaded::again::tell(&[begin, end, misses, most, digest]))
}

/// So many copies at a time, on so many virtual processors (0: as many as there are processors).
pub fn start(run: &Run, way: Way, copies: usize, processors: usize) -> Option<[Outcome; COPIES]> {
    let Run { bodies, steps, percent, miss } = run;
    let (mode, is_threaded) = match way {
        Way::Row => ("lwp", 0),
        Way::Mode(mode) => (mode, 1),
    };
    let start = || {
        let words = format_args!("{WORD}\0{bodies}\0{steps}\0{percent}\0{miss}\0{is_threaded}\0");
        match processors {
            0 => threaded::again::start("nbody", words, format_args!("{mode}")),
            _ => threaded::again::start("nbody", words, format_args!("{mode},{processors}")),
        }
    };
    let mut started = [const { None }; COPIES];
    for copy in started.iter_mut().take(copies) {
        *copy = start().map_err(|error| eprintln!("nbody: a child: {}", error.text())).ok();
    }
    let mut outcomes = [Outcome::default(); COPIES];
    let mut are_right = true;
    for (copy, outcome) in started.into_iter().zip(&mut outcomes).take(copies) {
        let copy = copy?;
        let numbers = copy.hear();
        match (copy.finish(), numbers) {
            (0, Some([begin, end, misses, most, digest])) => {
                *outcome = Outcome { begin, end, misses, most, digest, energy: 0.0 };
            }
            (status, _) => {
                eprintln!(
                    "nbody: WRONG: a run has ended with status {status:#x}: {mode}, {percent} %"
                );
                are_right = false;
            }
        }
    }
    are_right.then_some(outcomes)
}
