//! Lists processes: `ps [-l] [-t]`. `-l`: with their LWPs, and what these spend their time on; `-t`: those that have used
//! most processor time first.

#![no_std]
#![no_main]

use abi::errno::Errno;
use abi::statistics::{
    LwpInfo, MICROSTATE_NAMES, MICROSTATES, NO_PROCESSOR, ProcessInfo, STATE_NAMES, name,
};
use userland::system::raw;
use userland::{Arguments, eprintln, print, println, program};

program!(main);

/// Most processes that are sorted.
const PROCESSES: usize = 256;

/// Of [`LwpInfo::times`]: what counts as work.
const WORK: core::ops::Range<usize> = 0..6;

fn main(arguments: Arguments) -> i32 {
    let (mut with_lwps, mut sorts) = (false, false);
    for word in arguments.words() {
        match word {
            "-l" => with_lwps = true,
            "-t" => sorts = true,
            "-lt" | "-tl" => (with_lwps, sorts) = (true, true),
            _ => {
                eprintln!("usage: ps [-l] [-t]");
                return 2;
            }
        }
    }
    let mut all = [(0, 0); PROCESSES];
    let mut count = 0;
    let mut from = 0;
    while count < PROCESSES
        && let Ok(info) = process(from)
    {
        all[count] = (milliseconds(worked(&info.times), info.ticks_per_second), info.id);
        count += 1;
        from = info.id + 1;
    }
    let all = &mut all[..count];
    if sorts {
        all.sort_unstable_by(|one, other| other.cmp(one));
    }
    println!("process  parent   group state   LWPs  resident  swapped     calls  time/ms name");
    for (_, id) in all {
        // One that has ended meanwhile is none.
        if let Ok(info) = process(*id)
            && info.id == *id
        {
            show(&info);
            if with_lwps {
                show_lwps(info.id);
            }
        }
    }
    0
}

fn worked(times: &[u64; MICROSTATES]) -> u64 {
    times[WORK].iter().sum()
}

fn milliseconds(ticks: u64, ticks_per_second: u64) -> u64 {
    (u128::from(ticks) * 1000 / u128::from(ticks_per_second.max(1))) as u64
}

/// The first process whose number is not lower.
fn process(from: u64) -> Result<ProcessInfo, Errno> {
    let mut info = ProcessInfo::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::process_info(from, &raw mut info, size_of::<ProcessInfo>()) }?;
    Ok(info)
}

/// The first LWP of a process whose number is not lower.
fn lwp(process: u64, from: u64) -> Result<LwpInfo, Errno> {
    let mut info = LwpInfo::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::lwp_info(process, from, &raw mut info, size_of::<LwpInfo>()) }?;
    Ok(info)
}

fn show(info: &ProcessInfo) {
    const STATES: [&str; 3] = ["runs", "stopped", "ends"];
    let time = milliseconds(worked(&info.times), info.ticks_per_second);
    println!(
        "{:>7} {:>7} {:>7} {:<7} {:>4} {:>9} {:>8} {:>9} {time:>8} {}",
        info.id,
        info.parent,
        info.group,
        STATES.get(info.state as usize).unwrap_or(&"?"),
        info.lwps,
        info.resident,
        info.swapped,
        info.counts[0],
        name(&info.name),
    );
}

fn show_lwps(process: u64) {
    let mut from = 0;
    while let Ok(info) = lwp(process, from) {
        from = info.number + 1;
        let state = STATE_NAMES.get(info.state as usize).unwrap_or(&"?");
        print!("        LWP {} {state}, priority {}", info.number, info.priority);
        if info.processor != NO_PROCESSOR {
            print!(", processor {}", info.processor);
        }
        print!(
            ", {} calls; of {} ms",
            info.calls,
            milliseconds(info.lifetime, info.ticks_per_second)
        );
        for (time, name) in info.times.iter().zip(MICROSTATE_NAMES) {
            // In tenths of a percent, where there is anything to say.
            let share = u128::from(*time) * 1000 / u128::from(info.lifetime.max(1));
            if share > 0 {
                print!(", {name} {}.{} %", share / 10, share % 10);
            }
        }
        println!(" {}", name(&info.name));
    }
}
