//! Measures the thread library: each operation under the name that it has in the table of results.
//!
//! ```text
//! bench_threads            in instructions, where those are counted
//! bench_threads parked     the memory of threads that are parked
//! ```
//!
//! In the mode `sa` the names are `sa.create` and so on; in the others `sa.lwp.create`, `sa.mux.block_roundtrip`. What a name means
//! is the same in each: `boot/src/bench_table.rs`.

#![no_std]
#![no_main]

extern crate alloc;

mod alone;
mod blocking;
mod pairs;
mod parked;

use libsa::runtime::{self, Mode};
use userland::bench::Bench;
use userland::text::Text;
use userland::{Arguments, eprintln};

libsa::program!(main);

/// The table of what is measured.
pub struct Table(Bench);

impl Table {
    /// Reports a value of the mode that the program runs in.
    fn value(&self, name: &str, value: u64) {
        let mode = match runtime::mode() {
            Mode::Sa => "",
            Mode::Lwp => "lwp.",
            Mode::Mux => "mux.",
        };
        self.0.value(Text::<64>::new(format_args!("sa.{mode}{name}")).as_str(), value);
    }
}

fn main(arguments: Arguments) -> i32 {
    let table = Table(Bench::new());
    let mut words = arguments.words();
    match (words.next(), words.next()) {
        (None, _) => {
            // Without upcalls all but this is as with them.
            if runtime::mode() != Mode::Mux {
                alone::measure(&table);
                pairs::measure(&table);
            }
            blocking::measure(&table);
            0
        }
        (Some("parked"), None) => parked::measure(&table.0),
        _ => {
            eprintln!("usage: bench_threads [parked]");
            2
        }
    }
}
