//! Lists the last traps of each processor, or of one: faults and interrupts, where they came and to whom.

#![no_std]
#![no_main]

use abi::errno::Errno;
use abi::statistics::TrapRecord;
use userland::{Arguments, eprintln, println, processor, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words().map(str::parse::<u32>);
    let shown = match (words.next(), words.next()) {
        (None, _) => processor::all().try_for_each(|info| show(info.number as u32)),
        (Some(Ok(number)), None) => show(number),
        _ => {
            eprintln!("usage: traps [PROCESSOR]");
            return 2;
        }
    };
    if let Err(error) = shown {
        eprintln!("traps: {}", error.text());
        return 1;
    }
    0
}

/// The page fault's vector.
const PAGE_FAULT: u64 = 14;
/// Vectors below are exceptions'.
const EXCEPTIONS: u64 = 32;

fn show(number: u32) -> Result<(), Errno> {
    let frequency = processor::info(number)?.frequency.max(1);
    let mut records = [TrapRecord::default(); processor::TRAPS_MAX];
    let records = processor::last_traps(number, &mut records)?;
    let last = records.last().map_or(0, |record| record.stamp);
    println!("processor {number}: microseconds before the last, vector, mode, LWP, where");
    for record in records {
        let before = last.saturating_sub(record.stamp).saturating_mul(1_000_000) / frequency;
        let mode = if record.from_user == 1 { "user" } else { "kernel" };
        let (vector, lwp, rip) = (record.vector, record.lwp, record.rip);
        match vector {
            PAGE_FAULT => println!(
                "{before:10}  {vector:3}  {mode:6}  {lwp:5}  {rip:#018x}  page fault at {:#x}, error {:#x}",
                record.fault_address, record.error
            ),
            ..EXCEPTIONS => println!(
                "{before:10}  {vector:3}  {mode:6}  {lwp:5}  {rip:#018x}  exception, error {:#x}",
                record.error
            ),
            _ => println!("{before:10}  {vector:3}  {mode:6}  {lwp:5}  {rip:#018x}  interrupt"),
        }
    }
    Ok(())
}
