//! Backtraces by frame pointers, of the kernel and of programs.
//!
//! The walk never touches what is not there, nor what is not memory: it looks each address up in the
//! page tables first and reads through the mapping of physical memory, if that maps the frame. So it
//! works in the panic path, on damaged stacks, and on user stacks without a copy routine. A walk stays
//! in the half of the address space that it began in: a program may put anything into its frame
//! pointer, and must not be shown the kernel's memory.

use crate::symbols::{self, Source};
use core::fmt;
use machine::System;
use machine::x86_64::paging;

/// Most lines that are shown.
const LINES_MAX: usize = 32;
/// Deepest walk; a damaged stack may go on for ever.
const DEPTH_MAX: usize = 100_000;

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

/// Which half an address belongs to: whether the kernel's.
fn half(address: u64) -> bool {
    address >= KERNEL_HALF
}

/// Whether a walk begins in the kernel.
pub fn is_kernel(start: Start) -> bool {
    half(start.rip)
}

/// Reads a word if it is there.
fn read(system: &System, address: u64) -> Option<u64> {
    if !address.is_multiple_of(8) {
        return None;
    }
    let word = paging::physical::<u64>(system, paging::translate(system, address)?);
    // Device registers are mapped, but are not in the mapping of physical memory.
    paging::is_present(system, word as u64).then(|| {
        // SAFETY: what is in that mapping is memory; an aligned word does not cross a page. Whether
        // it still is what it was makes no difference to whoever reads a backtrace.
        unsafe { word.read_volatile() }
    })
}

/// Shows the functions from `start` outwards, one line each; a recursion is one line with a count.
/// `file` is the ELF file of the kernel or of the program, for names.
pub fn show(
    system: &System,
    start: Start,
    file: &mut dyn Source,
    write: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    let mut here = start;
    let mut lines = 0;
    let mut repeated = 0;
    for depth in 0..DEPTH_MAX {
        if repeated == 0 {
            // A return address points behind its call, which may be the next function's first byte.
            let inside = if depth == 0 { here.rip } else { here.rip.wrapping_sub(1) };
            let mut room = symbols::Room::new();
            match symbols::find(file, inside, &mut room) {
                Some(symbol) => write(format_args!("  #{depth:<2} {:#018x} {symbol}\n", here.rip)),
                None => write(format_args!("  #{depth:<2} {:#018x} ?\n", here.rip)),
            }
            lines += 1;
        }
        let next = (half(here.rbp) == half(start.rip)).then(|| outwards(system, here)).flatten();
        let next = next.filter(|next| half(next.rip) == half(start.rip));
        let again = next.is_some_and(|next| next.rip == here.rip);
        if repeated > 0 && !again {
            write(format_args!("      ... the same {repeated} times more\n"));
        }
        repeated = if again { repeated + 1 } else { 0 };
        match next {
            Some(next) if lines < LINES_MAX => here = next,
            _ => return,
        }
    }
}

/// The caller of a function, from its frame pointer.
fn outwards(system: &System, here: Start) -> Option<Start> {
    let rbp = read(system, here.rbp)?;
    let rip = read(system, here.rbp.checked_add(8)?).filter(|&rip| rip != 0)?;
    // Outwards is upwards; the outermost function has a null frame pointer.
    (rbp > here.rbp || rbp == 0).then_some(Start { rip, rbp })
}

/// Where the caller of this is. Walks nothing yet.
#[inline(always)]
pub fn here() -> Start {
    let (rip, rbp): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        core::arch::asm!("lea {}, [rip]", "mov {}, rbp", out(reg) rip, out(reg) rbp,
            options(nomem, nostack, preserves_flags));
    }
    Start { rip, rbp }
}
