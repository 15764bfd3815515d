//! Says what each processor has done: since boot, and then in each interval of so many seconds.

#![no_std]
#![no_main]

use abi::statistics::ProcessorInfo;
use userland::tool::Tool;
use userland::{Arguments, println, processor, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("mpstat", "mpstat [INTERVAL COUNT]   (in seconds)");
    let mut before = [ProcessorInfo::NOTHING; processor::MAX];
    tool.at_intervals(arguments.words(), || {
        println!("cpu switch  preem  steal  calls  timer  pokes  usr  sys  idl  off");
        for (now, before) in processor::all().zip(&mut before) {
            show(&now, before);
            *before = now;
        }
    })
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
