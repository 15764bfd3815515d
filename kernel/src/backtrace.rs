//! Backtraces by frame pointers, of the kernel and of programs.
//!
//! The walk never touches what is not there: it looks each address up in the page tables first and
//! reads through the mapping of physical memory. So it works in the panic path, on damaged stacks,
//! and on user stacks without a copy routine.

use crate::symbols;
use core::fmt;
use machine::System;
use machine::x86_64::paging;

/// Deepest backtrace that is shown; a damaged stack may be a ring.
const DEPTH_MAX: usize = 32;

/// Where a walk starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The instruction.
    pub rip: u64,
    /// The frame pointer.
    pub rbp: u64,
}

/// Addresses of the upper half are the kernel's.
const KERNEL_HALF: u64 = 1 << 63;

/// Reads a word if it is there.
fn read(system: &System, address: u64) -> Option<u64> {
    if !address.is_multiple_of(8) {
        return None;
    }
    let word = paging::physical::<u64>(system, paging::translate(system, address)?);
    // SAFETY: behind a mapping there is memory; an aligned word does not cross a page. Whether it
    // still is what it was makes no difference to whoever reads a backtrace.
    Some(unsafe { word.read_volatile() })
}

/// Shows the functions from `start` outwards, one line each. `file` is the ELF file of the kernel or
/// of the program, for names.
pub fn show(system: &System, start: Start, file: &[u8], write: &mut dyn FnMut(fmt::Arguments<'_>)) {
    let is_kernel = start.rip >= KERNEL_HALF;
    let mut next = Some(start);
    let mut depth = 0;
    while let Some(Start { rip, rbp }) = next
        && depth < DEPTH_MAX
    {
        // A return address points behind its call, which may be the next function's first byte.
        let inside = if depth == 0 { rip } else { rip.wrapping_sub(1) };
        match symbols::find(file, inside) {
            Some(symbol) => write(format_args!("  #{depth:<2} {rip:#018x} {symbol}\n")),
            None => write(format_args!("  #{depth:<2} {rip:#018x} ?\n")),
        }
        depth += 1;
        next =
            read(system, rbp).zip(read(system, rbp.wrapping_add(8))).and_then(|(above, back)| {
                // Outwards is upwards, and a walk stays in its half.
                let sane = above > rbp && (back >= KERNEL_HALF) == is_kernel && back != 0;
                (sane || above == 0 && back != 0 && (back >= KERNEL_HALF) == is_kernel)
                    .then_some(Start { rip: back, rbp: above })
            });
    }
}

/// Where the caller is.
#[inline(never)]
pub fn here() -> Start {
    let rbp: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack)) };
    Start { rip: here as *const () as u64, rbp }
}
