//! Says what the system's memory and processors do: since boot, and then in each interval of so many seconds.

#![no_std]
#![no_main]

use abi::calls::Counter;
use abi::statistics::ProcessorInfo;
use userland::system::counter;
use userland::tool::Tool;
use userland::{Arguments, println, processor, program};

program!(main);

/// What is counted from boot, over all processors.
#[derive(Clone, Copy, Default)]
struct Counted {
    page_ins: u64,
    page_outs: u64,
    calls: u64,
    switches: u64,
    user: u64,
    system: u64,
    idle: u64,
}

impl Counted {
    fn now() -> Counted {
        let sum = |of: fn(&ProcessorInfo) -> u64| processor::all().map(|info| of(&info)).sum();
        Counted {
            page_ins: counter(Counter::PageIns),
            page_outs: counter(Counter::PageOuts),
            calls: counter(Counter::SystemCalls),
            switches: sum(|info| info.switches),
            user: sum(|info| info.user),
            system: sum(|info| info.system),
            idle: sum(|info| info.idle),
        }
    }
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("vmstat", "vmstat [INTERVAL COUNT]   (in seconds)");
    let mut before = None;
    tool.at_intervals(arguments.words(), || {
        let now = Counted::now();
        if before.is_none() {
            println!("free-frames free-swap page-ins page-outs  calls switches  usr  sys  idl");
        }
        show(&now, &before.unwrap_or_default());
        before = Some(now);
    })
}

fn show(now: &Counted, before: &Counted) {
    let since = |of: fn(&Counted) -> u64| of(now).saturating_sub(of(before));
    let total = since(|it| it.user + it.system + it.idle).max(1);
    let share = |of| since(of).saturating_mul(100) / total;
    println!(
        "{:11} {:9} {:8} {:9} {:6} {:8} {:4} {:4} {:4}",
        counter(Counter::FreeFrames),
        counter(Counter::FreeSwapSlots),
        since(|it| it.page_ins),
        since(|it| it.page_outs),
        since(|it| it.calls),
        since(|it| it.switches),
        share(|it| it.user),
        share(|it| it.system),
        share(|it| it.idle),
    );
}
