//! What each program does, in a sentence: the first of its documentation (`build.rs` collects them).

/// Name and sentence of each program, in the order of the names.
pub const PROGRAMS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));
