//! The tables of Anderson's section on performance: time by memory, two copies at a time, speed-up by processors.
//!
//! This part has one LWP and no library of threads: all that is measured happens in children.

use crate::cell::{COPIES, Way, start};
use crate::once::{Outcome, Run};
use userland::{eprintln, print, println, processor};

/// The modes, and what the paper calls them.
const MODES: [(&str, &str); 3] =
    [("sa", "new FastThreads"), ("lwp", "Topaz threads"), ("mux", "original FastThreads")];

/// The paper's speed-ups of two copies at a time, of at most 3: on six processors.
const PAPER: [&str; 3] = ["2.45", "1.29", "1.26"];

/// What is measured.
pub struct Plan {
    pub run: Run,
    /// Parts of the memory.
    pub percents: &'static [usize],
}

/// What everything is measured against.
struct Table {
    run: Run,
    row: Outcome,
    wrong: u32,
    processors: usize,
}

/// Hundredths as a number.
fn print_hundredths(value: u64) {
    print!("{:>5}.{:02}", value / 100, value % 100);
}

impl Table {
    /// Measures a cell, and looks whether it has come to the same bits as the run in a row.
    fn cell(
        &mut self,
        percent: usize,
        mode: &'static str,
        copies: usize,
        processors: usize,
    ) -> [Outcome; COPIES] {
        let run = Run { percent, ..self.run };
        let Some(outcomes) = start(&run, Way::Mode(mode), copies, processors) else {
            self.wrong += 1;
            return [Outcome::default(); COPIES];
        };
        for outcome in &outcomes[..copies] {
            if outcome.digest != self.row.digest {
                eprintln!("WRONG: {mode} with {percent} % has come to other bits than in a row");
                self.wrong += 1;
            }
            // A virtual processor that sleeps with its thread reads one block; who is told of blocks reads more.
            let limit = self.processors as u64;
            let overlaps = outcome.most > limit;
            if mode == "mux" && overlaps || mode == "sa" && outcome.misses > 50 * limit && !overlaps
            {
                eprintln!("WRONG: {mode} with {percent} %: {} misses at a time", outcome.most);
                self.wrong += 1;
            }
        }
        outcomes
    }

    /// By memory; says what two copies take with all of it.
    fn by_memory(&mut self, percents: &[usize], copies: usize) -> [u64; 3] {
        let what =
            if copies == 1 { "one copy" } else { "two copies at a time, until both are over" };
        println!();
        println!("milliseconds by memory (blocks missed, reads at a time at most): {what}");
        print!("        ");
        MODES.iter().for_each(|(mode, _)| print!("{mode:>23}"));
        println!();
        let mut with_all = [0; 3];
        for &percent in percents {
            print!("  {percent:>4} %");
            for (which, (mode, _)) in MODES.iter().enumerate() {
                let outcomes = self.cell(percent, mode, copies, 0);
                let outcomes = &outcomes[..copies];
                let begin = outcomes.iter().map(|one| one.begin).min().unwrap_or(0);
                let end = outcomes.iter().map(|one| one.end).max().unwrap_or(0);
                let misses: u64 = outcomes.iter().map(|one| one.misses).sum();
                let most = outcomes.iter().map(|one| one.most).max().unwrap_or(0);
                print!("{:>8} ({misses:>6}, {most:>4})", (end - begin) / 1_000_000);
                if percent == 100 {
                    with_all[which] = end - begin;
                }
            }
            println!();
        }
        with_all
    }

    /// What a time comes to, against that in a row.
    fn speed_up(&self, time: u64) -> u64 {
        (self.row.end - self.row.begin) * 100 / time.max(1)
    }

    fn two_copies(&self, times: [u64; 3]) {
        println!();
        println!("speed-up of each of two copies at a time against one in a row, all in memory:");
        println!("  mode                            here    the paper, six processors");
        for (which, (mode, name)) in MODES.iter().enumerate() {
            print!("  {mode:<4} {name:<20} ");
            print_hundredths(self.speed_up(times[which]));
            println!("    {}", PAPER[which]);
        }
        println!(
            "  at most                     {:>5}.{}0    3",
            self.processors / 2,
            self.processors % 2 * 5
        );
    }

    /// Where virtual processors are the library's.
    fn by_processors(&mut self) {
        println!();
        println!("speed-up of one copy against a run in a row, by virtual processors:");
        print!("      ");
        (1..=self.processors).for_each(|count| print!("{count:>8}"));
        println!();
        for mode in ["sa", "mux"] {
            print!("  {mode:<4}");
            for count in 1..=self.processors {
                let [outcome, _] = self.cell(100, mode, 1, count);
                print_hundredths(self.speed_up(outcome.end - outcome.begin));
            }
            println!();
        }
    }
}

/// Measures everything.
pub fn run(plan: &Plan) -> i32 {
    let run = Run { percent: 100, ..plan.run };
    let Some([row, _]) = start(&run, Way::Row, 1, 0) else { return 1 };
    let processors = processor::all().filter(|info| info.on_line != 0).count();
    let Run { bodies, steps, miss, .. } = run;
    println!(
        "{bodies} bodies, {steps} steps, {miss} us for a block that is missed; {processors} processors"
    );
    println!("in a row: {} ms", row.time());
    let mut table = Table { run, row, wrong: 0, processors };
    table.by_memory(plan.percents, 1);
    let times = table.by_memory(plan.percents, COPIES);
    table.two_copies(times);
    table.by_processors();
    println!();
    match table.wrong {
        0 => println!("right: every run has come to the same bits, and has kept its energy"),
        wrong => println!("{wrong} runs were WRONG"),
    }
    i32::from(table.wrong != 0)
}
