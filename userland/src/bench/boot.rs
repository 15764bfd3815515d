//! From power-on to user mode.

use super::Bench;
use crate::{start, system};
use abi::calls::Counter;

pub(super) fn measure(bench: &Bench) {
    let kernel_start = system::counter(Counter::KernelStart);
    bench.value("boot.kernel_to_user", start::first_instruction().saturating_sub(kernel_start));
}
