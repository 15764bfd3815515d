//! Where entry stubs find what, from `gs`.

use super::state::CpuState;
use crate::Cpu;
use core::mem::offset_of;

/// `CpuState::kernel_stack_top`.
pub const KERNEL_STACK_TOP: usize =
    offset_of!(Cpu, backend) + offset_of!(CpuState, kernel_stack_top);

/// `CpuState::user_rsp`.
pub const USER_RSP: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, user_rsp);
