//! The trap trace: the last traps of each processor, always on. System calls are not among them.
//!
//! A ring per processor; only the processor itself writes, at the entry of a trap, with interrupts off. Once a panic has
//! begun nothing is noted any more: the report shows what led there. Others read while it is written, and leave out what
//! was overwritten meanwhile: the count goes up when a record is whole, and who has read one looks at it again.
//!
//! Solaris: TRAPTRACE, `trap_trace_rec`.

use crate::kernel::PerCpu;
use crate::lwp;
use crate::panic::exception_name;
use abi::statistics::TrapRecord;
use core::fmt;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU64, fence};
use machine::x86_64::frame::TrapFrame;
use machine::{Cpu, time};

/// Records of a ring.
pub const RECORDS: usize = 32;
const WORDS: usize = size_of::<TrapRecord>() / 8;
/// How many a panic shows.
const SHOWN: usize = 12;

/// A processor's last traps.
pub struct TrapTrace {
    /// How many there have been.
    count: AtomicU64,
    records: [[AtomicU64; WORDS]; RECORDS],
}

impl TrapTrace {
    /// None.
    pub const fn new() -> TrapTrace {
        TrapTrace {
            count: AtomicU64::new(0),
            records: [const { [const { AtomicU64::new(0) }; WORDS] }; RECORDS],
        }
    }

    fn note(&self, record: [u64; WORDS]) {
        let count = self.count.load(Relaxed);
        let place = &self.records[count as usize % RECORDS];
        // Who sees a new word sees the count that says so.
        fence(Release);
        place.iter().zip(record).for_each(|(place, word)| place.store(word, Relaxed));
        self.count.store(count + 1, Release);
    }

    /// The last records, the oldest first, `most` at most.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = TrapRecord> + '_ {
        let count = self.count.load(Acquire);
        let kept = (RECORDS.min(most) as u64).min(count);
        (count - kept..count).filter_map(|number| {
            let words = &self.records[number as usize % RECORDS];
            let [stamp, vector, error, rip, rsp, fault_address, rax, rdi, lwp, from_user] =
                words.each_ref().map(|word| word.load(Relaxed));
            fence(Acquire);
            // It is overwritten once there are so many.
            let is_whole = self.count.load(Relaxed) < number + RECORDS as u64;
            let record = TrapRecord {
                stamp,
                vector,
                error,
                rip,
                rsp,
                fault_address,
                rax,
                rdi,
                lwp,
                from_user,
            };
            is_whole.then_some(record)
        })
    }
}

/// A trap has come. On its entry stack, interrupts off.
pub fn note(cpu: &Cpu, frame: &TrapFrame) {
    if cpu.system().backend.panicking.load(Relaxed) != 0 {
        return;
    }
    let Some(per_cpu) = PerCpu::find(cpu) else { return };
    per_cpu.traps.note([
        time::now(),
        frame.vector,
        frame.error,
        frame.rip,
        frame.rsp,
        frame.fault_address,
        frame.rax,
        frame.rdi,
        lwp::on(cpu).map_or(0, lwp::Lwp::number),
        u64::from(frame.is_user()),
    ]);
}

/// Shows a processor's last traps; for the panic path.
pub fn show(cpu: &Cpu, write: &mut dyn FnMut(fmt::Arguments<'_>)) {
    let Some(per_cpu) = PerCpu::find(cpu) else { return };
    write(format_args!("last traps of cpu {}:\n", cpu.index()));
    for record in per_cpu.traps.latest(SHOWN) {
        let what = if record.vector < 32 { exception_name(record.vector) } else { "interrupt" };
        let mode = if record.from_user != 0 { "user" } else { "kernel" };
        write(format_args!(
            "  {:>14}  {what} (vector {}) in {mode}, lwp {}, pc {:#018x}, sp {:#018x}, error {:#x}, address {:#x}\n",
            record.stamp,
            record.vector,
            record.lwp,
            record.rip,
            record.rsp,
            record.error,
            record.fault_address,
        ));
    }
}
