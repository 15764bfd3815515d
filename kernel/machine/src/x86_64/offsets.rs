//! Where entry stubs find what, from `gs`.

use super::state::CpuState;
use crate::Cpu;
use crate::pil::Pending;
use crate::tracing::Tracing;
use core::mem::offset_of;

/// `CpuState::kernel_stack_top`.
pub const KERNEL_STACK_TOP: usize =
    offset_of!(Cpu, backend) + offset_of!(CpuState, kernel_stack_top);

/// `CpuState::thread`: whom the processor runs, as the layer above has it.
pub const THREAD: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, thread);

/// `CpuState::asynchronous`: the address of the running thread's word of asynchronous work.
pub const ASYNCHRONOUS: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, asynchronous);

/// `CpuState::system_calls`.
pub const SYSTEM_CALLS: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, system_calls);

/// The levels of interrupts that are held back, preemption included: a word.
pub const PENDING: usize = offset_of!(Cpu, pending) + offset_of!(Pending, levels);

/// The groups of events that are noted: a word.
pub const TRACE_GROUPS: usize = offset_of!(Cpu, tracing) + offset_of!(Tracing, groups);

/// `CpuState::user_rsp`.
pub const USER_RSP: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, user_rsp);
