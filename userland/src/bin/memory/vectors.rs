//! What is in the vector registers while pages are copied and cleared: the kernel borrows them for that, and nobody may
//! notice.

use super::maps::{PAGE, PRIVATE, pages, put, unmap};
use super::processes::{exited, in_child};
use core::arch::asm;
use core::arch::x86_64::__cpuid;
use userland::fail;
use userland::report::{Checks, Why};

const COUNT: usize = 200;

/// The first eight registers, 32 bytes each. Without AVX the upper halves stay as they are.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(32))]
struct Vectors([u64; 32]);

impl Vectors {
    fn pattern() -> Vectors {
        Vectors(core::array::from_fn(|word| (word as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Whether programs may use AVX.
fn has_avx() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    __cpuid(1).ecx & OSXSAVE_AND_AVX == OSXSAVE_AND_AVX
}

/// Loads the registers, writes a word to each of so many pages, and stores what the registers hold then: `$register` and
/// a number names one, `$width` is its bytes, `$move` moves it, and `$last` is done when all is stored.
macro_rules! write_with {
    ($move:literal, $register:literal, $width:literal, $last:literal,
     $before:expr, $after:expr, $memory:expr, $count:expr, [$($n:literal)*]) => {
        asm!(
            $(concat!($move, " ", $register, $n, ", [{before} + ", $n, "*{width}]"),)*
            "2:",
            "mov [{memory}], {count}",
            "add {memory}, 4096",
            "dec {count}",
            "jne 2b",
            $(concat!($move, " [{after} + ", $n, "*{width}], ", $register, $n),)*
            $last,
            width = const $width,
            before = in(reg) $before,
            after = in(reg) $after,
            memory = inout(reg) $memory => _,
            count = inout(reg) $count => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            options(nostack),
        )
    };
}

/// Loads the registers, writes a word to each of so many pages, and returns what the registers hold then.
fn write_with_registers_full(memory: *mut u8, count: usize, before: &Vectors) -> Vectors {
    let mut after = *before;
    let place = &raw mut after;
    if has_avx() {
        // SAFETY: the pages are the caller's, the vectors have room for eight registers, and those are named as written.
        unsafe {
            write_with!("vmovdqa", "ymm", 32, "vzeroupper", before, place, memory, count, [0 1 2 3 4 5 6 7]);
        }
    } else {
        // SAFETY: as above.
        unsafe {
            write_with!("movdqa", "xmm", 16, "", before, place, memory, count, [0 1 2 3 4 5 6 7]);
        }
    }
    after
}

/// Writes every page with the registers full, and looks at both.
fn check(memory: *mut u8) -> Result<(), Why> {
    let before = Vectors::pattern();
    if write_with_registers_full(memory, COUNT, &before) != before {
        fail!("a vector register has lost its value");
    }
    for page in 0..COUNT {
        for word in 0..PAGE / 8 {
            let expected = match word {
                0 => COUNT - page,
                1 | 511 => page * word,
                _ => 0,
            };
            // SAFETY: within the memory.
            let place = unsafe { memory.add(page * PAGE + 8 * word) };
            // SAFETY: as above.
            let found = unsafe { place.cast::<u64>().read_volatile() };
            if found != expected as u64 {
                fail!("word {word} of page {page} is {found:#x}");
            }
        }
    }
    Ok(())
}

/// Writes the second and the last word of every page.
fn fill(memory: *mut u8) {
    for page in 0..COUNT {
        put(memory, page, 1);
        for word in [1, 511] {
            // SAFETY: within the memory.
            let place = unsafe { memory.add(page * PAGE + 8 * word) };
            // SAFETY: as above.
            unsafe { place.cast::<u64>().write_volatile((page * word) as u64) };
        }
    }
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("vector-registers-survive-copies"), || {
        let memory = pages(COUNT, PRIVATE)?;
        fill(memory);
        for _ in 0..3 {
            let status = in_child(|| i32::from(check(memory).is_err()))?;
            if status != exited(0) {
                fail!("the child, which copies, came to {status:#x}");
            }
        }
        unmap(memory, COUNT)
    });
    checks.check(format_args!("vector-registers-survive-new-pages"), || {
        let memory = pages(COUNT, PRIVATE)?;
        let before = Vectors::pattern();
        if write_with_registers_full(memory, COUNT, &before) != before {
            fail!("a vector register has lost its value");
        }
        let is_clear = |page: usize| {
            (1..PAGE / 8).all(|word| {
                // SAFETY: within the memory.
                let place = unsafe { memory.add(page * PAGE + 8 * word) };
                // SAFETY: as above.
                unsafe { place.cast::<u64>().read_volatile() == 0 }
            })
        };
        if let Some(page) = (0..COUNT).find(|&page| !is_clear(page)) {
            fail!("page {page} is not clear");
        }
        unmap(memory, COUNT)
    });
}
