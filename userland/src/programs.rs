//! What each program does, in a line: the first line of its documentation (`build.rs` collects them).

/// Name and line of each program, in the order of the names.
pub const PROGRAMS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));
