//! The trap trace: what a program does shows up in it.

use super::{NO_PROCESSOR, expect, works};
use abi::errno::Errno;
use abi::statistics::TrapRecord;
use core::arch::asm;
use userland::processor::{self, TRAPS_MAX};
use userland::report::{Checks, Why};
use userland::system::raw;
use userland::{child, fail, lwp};

const PAGE: u64 = 4096;
/// User mode wrote to a page that is not there.
const WRITE_NOT_PRESENT: u64 = 6;
const BREAKPOINT: u64 = 3;
const PAGE_FAULT: u64 = 14;
/// In a register while the trap comes.
const MARK: u64 = 0x0123_4567_89ab_cdef;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-page-fault-is-in-the-trap-trace"), || {
        on_each_processor(|number| {
            // SAFETY: fresh memory.
            let page = works("mmap", unsafe { raw::mmap(0, PAGE, 3, 0x22, -1, 0) })?;
            // SAFETY: in the page; the mark is in the register that the trace shows.
            unsafe { asm!("mov byte ptr [rdi], 1", in("rdi") page, in("rax") MARK) };
            // SAFETY: mapped above.
            let there = found(number, |record| {
                let what = (record.vector, record.fault_address, record.error);
                what == (PAGE_FAULT, page, WRITE_NOT_PRESENT)
                    && (record.rax, record.rdi) == (MARK, page)
                    && (record.from_user, record.lwp) == (1, lwp::own())
            })?;
            // SAFETY: as above; nobody uses it any longer.
            works("munmap", unsafe { raw::munmap(page, PAGE) })?;
            Ok(there)
        })
    });
    checks.check(format_args!("another-process's-exception-is-in-the-trap-trace"), || {
        on_each_processor(|number| {
            // Bound where its parent is.
            let child = child::start(|| {
                let _ = processor::bind(0, number);
                // SAFETY: it ends by that.
                unsafe { asm!("int3", in("rax") MARK) };
                0
            })?;
            works("wait", child::wait_for(child as i64, 0))?;
            found(number, |record| {
                let is_it = record.vector == BREAKPOINT && record.from_user == 1;
                is_it && record.rax == MARK && record.lwp == child
            })
        })
    });
    checks.check(format_args!("the-trap-trace-is-in-order"), || {
        for info in processor::all() {
            let mut records = [TrapRecord::default(); TRAPS_MAX];
            let records =
                works("trap_trace", processor::last_traps(info.number as u32, &mut records))?;
            if !records.is_sorted_by_key(|record| record.stamp) {
                fail!("the stamps of processor {} do not rise: {records:?}", info.number);
            }
        }
        Ok(())
    });
    checks.check(format_args!("the-trap-trace-refuses"), errors);
}

/// Whether a processor's trace has such a record.
fn found(number: u32, is_it: impl Fn(&TrapRecord) -> bool) -> Result<bool, Why> {
    let mut records = [TrapRecord::default(); TRAPS_MAX];
    let records = works("trap_trace", processor::last_traps(number, &mut records))?;
    Ok(records.iter().any(is_it))
}

/// On each processor, bound to it, something has to be true; on a slow host others may have pushed the record out.
fn on_each_processor(mut act: impl FnMut(u32) -> Result<bool, Why>) -> Result<(), Why> {
    const TRIES: u32 = 20;
    for info in processor::all() {
        let number = info.number as u32;
        works("bind", processor::bind(0, number))?;
        let mut is_there = false;
        for _ in 0..TRIES {
            is_there = is_there || act(number)?;
        }
        works("unbind", processor::unbind(0))?;
        if !is_there {
            fail!("the trace of processor {number} does not have it");
        }
    }
    Ok(())
}

fn errors() -> Result<(), Why> {
    const SIZE: usize = size_of::<TrapRecord>();
    let mut records = [TrapRecord::default(); 2];
    let mut read = |number, length| {
        // SAFETY: the call fills no more than these.
        unsafe { raw::trap_trace(number, records.as_mut_ptr(), length) }
    };
    expect("no such processor", read(NO_PROCESSOR, SIZE), Err(Errno::ENXIO))?;
    expect("a short buffer", read(0, SIZE - 1), Err(Errno::EINVAL))?;
    expect("no buffer", read(0, 0), Err(Errno::EINVAL))?;
    expect("room for one", read(0, 2 * SIZE - 1), Ok(SIZE as u64))?;
    expect("room for two", read(0, 2 * SIZE), Ok(2 * SIZE as u64))
}
