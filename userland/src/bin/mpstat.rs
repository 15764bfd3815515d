//! Says what each processor has done: since boot, and then in each interval of so many seconds.

#![no_std]
#![no_main]

use abi::statistics::ProcessorInfo;
use userland::clock::SECOND;
use userland::{Arguments, eprintln, lwp, println, processor, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words().map(str::parse::<u64>);
    let (interval, count) = match (words.next(), words.next(), words.next()) {
        (None, None, None) => (0, 1),
        (Some(Ok(interval @ 1..)), Some(Ok(count @ 1..)), None) => (interval, count),
        _ => {
            eprintln!("usage: mpstat [INTERVAL COUNT]   (in seconds)");
            return 2;
        }
    };
    let mut before = [ProcessorInfo::NOTHING; processor::MAX];
    for round in 0..count {
        if round != 0 && lwp::sleep(interval.saturating_mul(SECOND)).is_err() {
            return 1;
        }
        println!("cpu switch  preem  steal  calls  timer  pokes  usr  sys  idl  off");
        for (now, before) in processor::all().zip(&mut before) {
            show(&now, before);
            *before = now;
        }
    }
    0
}

fn show(now: &ProcessorInfo, before: &ProcessorInfo) {
    let since = |of: fn(&ProcessorInfo) -> u64| of(now).saturating_sub(of(before));
    let total = since(ProcessorInfo::total).max(1);
    let share = |of| since(of).saturating_mul(100) / total;
    println!(
        "{:3} {:6} {:6} {:6} {:6} {:6} {:6} {:4} {:4} {:4} {:4}",
        now.number,
        since(|info| info.switches),
        since(|info| info.preemptions),
        since(|info| info.steals),
        since(|info| info.calls),
        since(|info| info.timer_interrupts),
        since(|info| info.pokes),
        share(|info| info.user),
        share(|info| info.system),
        share(|info| info.idle),
        share(|info| info.off_line),
    );
}
