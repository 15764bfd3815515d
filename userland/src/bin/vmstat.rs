//! Says what the system's memory and processors do: since boot, and then in each interval of so many seconds.

#![no_std]
#![no_main]

use abi::calls::Counter;
use abi::statistics::ProcessorInfo;
use userland::clock::SECOND;
use userland::system::counter;
use userland::{Arguments, eprintln, lwp, println, processor, program};

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
    let mut words = arguments.words().map(str::parse::<u64>);
    let (interval, count) = match (words.next(), words.next(), words.next()) {
        (None, None, None) => (0, 1),
        (Some(Ok(interval @ 1..)), Some(Ok(count @ 1..)), None) => (interval, count),
        _ => {
            eprintln!("usage: vmstat [INTERVAL COUNT]   (in seconds)");
            return 2;
        }
    };
    println!("free-frames free-swap page-ins page-outs  calls switches  usr  sys  idl");
    let mut before = Counted::default();
    for round in 0..count {
        if round != 0 && lwp::sleep(interval.saturating_mul(SECOND)).is_err() {
            return 1;
        }
        let now = Counted::now();
        show(&now, &before);
        before = now;
    }
    0
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
