//! The call that reads the trap trace.

use super::Result;
use crate::kernel::{Kernel, PerCpu};
use crate::trap_trace::RECORDS;
use crate::user_structure::copy_out;
use abi::errno::Errno;
use abi::statistics::TrapRecord;
use machine::MayFault;
use machine::x86_64::user_copy;

pub fn trap_trace(
    may_fault: &mut MayFault,
    processor: u32,
    buffer: *mut TrapRecord,
    length: usize,
) -> Result {
    const SIZE: usize = size_of::<TrapRecord>();
    let mut cpus = Kernel::current().system.cpus();
    let cpu = cpus.find(|cpu| cpu.index() == processor as usize).ok_or(Errno::ENXIO)?;
    if length < SIZE {
        return Err(Errno::EINVAL);
    }
    user_copy::check(buffer as u64, length).map_err(|_| Errno::EFAULT)?;
    // First a copy: writing it to the program may trap.
    let mut records = [TrapRecord::default(); RECORDS];
    let mut count = 0;
    for record in PerCpu::of(cpu).traps.latest(length / SIZE) {
        records[count] = record;
        count += 1;
    }
    for (index, record) in records[..count].iter().enumerate() {
        copy_out(buffer as u64 + (index * SIZE) as u64, record, may_fault)?;
    }
    Ok((count * SIZE) as u64)
}
