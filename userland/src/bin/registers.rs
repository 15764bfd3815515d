//! Proves that a program's registers are its own: what it has put there stays there over system
//! calls and interrupts, and what it finds at its start is nobody else's.
//!
//! What must hold: over a system call every register keeps its value but `rax` (the result), `rcx`
//! (the return address) and `r11` (the flags); over an interrupt every register does. A fresh
//! program finds zeros, and floating-point units as Linux sets them up.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm, x86_64::__cpuid_count};
use core::cell::UnsafeCell;
use core::mem::offset_of;
use userland::arguments::ENTRY;
use userland::report::{Checks, Why};
use userland::{Arguments, fail, program, start};

program!(main);

/// Registers that a call must not change, and those that it may, in no special order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct General {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    rsp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    flags: u64,
}

impl General {
    /// With their names; for messages.
    fn named(&self) -> [(&'static str, u64); 17] {
        [
            ("rax", self.rax),
            ("rbx", self.rbx),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("rbp", self.rbp),
            ("rsp", self.rsp),
            ("r8", self.r8),
            ("r9", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
            ("flags", self.flags),
        ]
    }
}

/// What `fxsave64` writes and `fxrstor64` reads.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Floating {
    x87_control: u16,
    x87_status: u16,
    x87_tags: u8,
    reserved: u8,
    x87_last: [u8; 18],
    sse_control: u32,
    sse_control_mask: u32,
    /// Ten bytes each, the rest reserved.
    x87: [[u8; 16]; 8],
    sse: [[u8; 16]; 16],
    rest: [u8; 96],
}

/// As Linux has them in a fresh program.
const X87_CONTROL: u16 = 0x37f;
const SSE_CONTROL: u32 = 0x1f80;

impl Floating {
    const FRESH: Floating = Floating {
        x87_control: X87_CONTROL,
        x87_status: 0,
        x87_tags: 0,
        reserved: 0,
        x87_last: [0; 18],
        sse_control: SSE_CONTROL,
        sse_control_mask: 0,
        x87: [[0; 16]; 8],
        sse: [[0; 16]; 16],
        rest: [0; 96],
    };
}

/// Registers of both kinds.
#[derive(Clone, Copy)]
#[repr(C)]
struct Registers {
    floating: Floating,
    general: General,
}

const GENERAL: usize = offset_of!(Registers, general);

macro_rules! general {
    ($register:ident) => {
        GENERAL + offset_of!(General, $register)
    };
}

/// What the program found at its first instruction.
struct Found(UnsafeCell<Registers>);

// SAFETY: written once, before any Rust code of the program runs, and only read from then on.
unsafe impl Sync for Found {}

static FOUND: Found = Found(UnsafeCell::new(Registers {
    floating: Floating::FRESH,
    general: General {
        rax: 0,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        rbp: 0,
        rsp: 0,
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
        flags: 0,
    },
}));

/// This program's first instruction (see `build.rs`): notes the registers before anything else, then
/// goes to the usual start with the stack as it was.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn registers_start() {
    naked_asm!(
        "mov [rip + {found} + {rax}], rax",
        "lea rax, [rip + {found}]",
        "fxsave64 [rax]",
        "mov [rax + {rbx}], rbx",
        "mov [rax + {rcx}], rcx",
        "mov [rax + {rdx}], rdx",
        "mov [rax + {rsi}], rsi",
        "mov [rax + {rdi}], rdi",
        "mov [rax + {rbp}], rbp",
        "mov [rax + {rsp}], rsp",
        "mov [rax + {r8}], r8",
        "mov [rax + {r9}], r9",
        "mov [rax + {r10}], r10",
        "mov [rax + {r11}], r11",
        "mov [rax + {r12}], r12",
        "mov [rax + {r13}], r13",
        "mov [rax + {r14}], r14",
        "mov [rax + {r15}], r15",
        "pushfq",
        "pop [rax + {flags}]",
        "jmp {start}",
        found = sym FOUND,
        start = sym start::_start,
        rax = const general!(rax),
        rbx = const general!(rbx),
        rcx = const general!(rcx),
        rdx = const general!(rdx),
        rsi = const general!(rsi),
        rdi = const general!(rdi),
        rbp = const general!(rbp),
        rsp = const general!(rsp),
        r8 = const general!(r8),
        r9 = const general!(r9),
        r10 = const general!(r10),
        r11 = const general!(r11),
        r12 = const general!(r12),
        r13 = const general!(r13),
        r14 = const general!(r14),
        r15 = const general!(r15),
        flags = const general!(flags),
    )
}

/// Loads all registers from `before`, does something, and saves all registers to `after`.
///
/// What it does: if `before`'s `rcx` is 0, the system call in `rax`; otherwise it spins for that
/// many turns, with instructions that change no flags. Returns the address after the `syscall`.
///
/// # Safety
///
/// The call, if it is one, must change no memory; the floating-point state must be valid.
#[unsafe(naked)]
unsafe extern "C" fn exchange(before: &Registers, after: &mut Registers) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        // Own floating-point settings, which a function must not change.
        "sub rsp, 16",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "push rsi",
        "fxrstor64 [rdi]",
        "mov rax, [rdi + {rax}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rsi, [rdi + {rsi}]",
        "mov rbp, [rdi + {rbp}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r11, [rdi + {r11}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "push [rdi + {flags}]",
        "mov rdi, [rdi + {rdi}]",
        "popfq",
        "jrcxz 3f",
        "2: lea rcx, [rcx - 1]",
        "jrcxz 4f",
        "jmp 2b",
        "3: syscall",
        "4:",
        // The block's address against the register's value, without changing the flags.
        "xchg rdi, [rsp]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rcx}], rcx",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rsi}], rsi",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9",
        "mov [rdi + {r10}], r10",
        "mov [rdi + {r11}], r11",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "pop [rdi + {rdi}]",
        "pushfq",
        "pop [rdi + {flags}]",
        "cld",
        "fxsave64 [rdi]",
        "fninit",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 16",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "lea rax, [rip + 4b]",
        "ret",
        rax = const general!(rax),
        rbx = const general!(rbx),
        rcx = const general!(rcx),
        rdx = const general!(rdx),
        rsi = const general!(rsi),
        rdi = const general!(rdi),
        rbp = const general!(rbp),
        r8 = const general!(r8),
        r9 = const general!(r9),
        r10 = const general!(r10),
        r11 = const general!(r11),
        r12 = const general!(r12),
        r13 = const general!(r13),
        r14 = const general!(r14),
        r15 = const general!(r15),
        flags = const general!(flags),
    )
}

/// Calls that are made.
const CALLS: u64 = 10_000;
/// Times that it spins, and turns of each.
const SPINS: u64 = 20;
const TURNS: u64 = 1_000_000;

fn main(arguments: Arguments) -> i32 {
    let mut checks = Checks::new("registers");
    // SAFETY: written before `main`, and by nobody any more.
    let found = unsafe { &*FOUND.0.get() };
    let entry = arguments.auxiliary(ENTRY).unwrap_or_default();
    checks.check(format_args!("fresh-general"), || fresh_general(&found.general, entry));
    checks.check(format_args!("fresh-x87"), || fresh_x87(&found.floating));
    checks.check(format_args!("fresh-sse"), || fresh_sse(&found.floating));
    // Before the bases are changed.
    if has_base_instructions() {
        checks.check(format_args!("fresh-bases"), || same_bases(Bases::default()));
    }
    checks.check(format_args!("survive-calls"), || {
        (0..CALLS).try_for_each(|round| survive(round, Doing::Call))
    });
    checks.check(format_args!("survive-spinning"), || {
        (0..SPINS).try_for_each(|round| survive(round, Doing::Spinning))
    });
    checks.finish()
}

/// A fresh program's registers are 0: nothing of the kernel or of another program is in them.
fn fresh_general(found: &General, entry: u64) -> Result<(), Why> {
    for (name, value) in found.named() {
        let good = match name {
            "rsp" => value.is_multiple_of(16) && value != 0,
            "flags" => value == FLAGS_FRESH,
            // What `sysretq` leaves there.
            "rcx" => value == 0 || value == entry,
            "r11" => value == 0 || value == FLAGS_FRESH,
            _ => value == 0,
        };
        if !good {
            fail!("{name} is {value:#x}");
        }
    }
    Ok(())
}

fn fresh_x87(found: &Floating) -> Result<(), Why> {
    let Floating { x87_control, x87_status, x87_tags, .. } = *found;
    if (x87_control, x87_status, x87_tags) != (X87_CONTROL, 0, 0) {
        fail!("control {x87_control:#x}, status {x87_status:#x}, tags {x87_tags:#x}");
    }
    if found.x87_last != [0; 18] {
        fail!("the last instruction is {:x?}", found.x87_last);
    }
    match found.x87.iter().position(|register| register[..10] != [0; 10]) {
        Some(place) => fail!("st{place} is {:x?}", found.x87[place]),
        None => Ok(()),
    }
}

fn fresh_sse(found: &Floating) -> Result<(), Why> {
    if found.sse_control != SSE_CONTROL {
        fail!("mxcsr is {:#x}", found.sse_control);
    }
    match found.sse.iter().position(|register| *register != [0; 16]) {
        Some(place) => fail!("xmm{place} is {:x?}", found.sse[place]),
        None => Ok(()),
    }
}

const CARRY: u64 = 1 << 0;
const ALWAYS_1: u64 = 1 << 1;
const INTERRUPTS_ON: u64 = 1 << 9;
const DIRECTION: u64 = 1 << 10;
/// A fresh program's flags.
const FLAGS_FRESH: u64 = ALWAYS_1 | INTERRUPTS_ON;
/// Parity, adjust, zero, sign, overflow.
const ARITHMETIC: u64 = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 11;

/// The bases of `fs` and `gs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bases {
    fs: u64,
    gs: u64,
}

/// Whether the bases are the program's to read and write.
fn has_base_instructions() -> bool {
    const LEAF: u32 = 7;
    const FSGSBASE: u32 = 1 << 0;
    __cpuid_count(LEAF, 0).ebx & FSGSBASE != 0
}

fn set_bases(bases: Bases) {
    // SAFETY: the processor has the instructions, and this program does not use these segments.
    unsafe {
        asm!("wrfsbase {}", "wrgsbase {}", in(reg) bases.fs, in(reg) bases.gs,
            options(nomem, nostack, preserves_flags))
    };
}

fn same_bases(expected: Bases) -> Result<(), Why> {
    let mut found = Bases::default();
    // SAFETY: the processor has the instructions.
    unsafe {
        asm!("rdfsbase {}", "rdgsbase {}", out(reg) found.fs, out(reg) found.gs,
            options(nomem, nostack, preserves_flags))
    };
    if found != expected {
        fail!("the bases are {found:x?}, not {expected:x?}");
    }
    Ok(())
}

/// What registers have to survive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Call,
    Spinning,
}

/// Numbers without a pattern, the same every time.
struct Mixer(u64);

impl Mixer {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn fill<const N: usize>(&mut self, bytes: &mut [u8; N]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes()[..part.len()]);
        }
    }
}

const GETPID: u64 = 39;
/// User addresses: any below 2^47 will do as a base.
const USER: u64 = (1 << 47) - 1;

/// Registers full of what depends on `round`.
fn patterns(round: u64, doing: Doing) -> Registers {
    let mut mixer = Mixer(round);
    let flags = FLAGS_FRESH | (mixer.next() & (CARRY | DIRECTION | ARITHMETIC));
    let general = General {
        rax: if doing == Doing::Call { GETPID } else { mixer.next() },
        rbx: mixer.next(),
        rcx: if doing == Doing::Call { 0 } else { TURNS },
        rdx: mixer.next(),
        rsi: mixer.next(),
        rdi: mixer.next(),
        rbp: mixer.next(),
        rsp: 0,
        r8: mixer.next(),
        r9: mixer.next(),
        r10: mixer.next(),
        r11: mixer.next(),
        r12: mixer.next(),
        r13: mixer.next(),
        r14: mixer.next(),
        r15: mixer.next(),
        flags,
    };
    let mut floating = Floating {
        // All exceptions masked; precision and rounding vary. Precision 1 does not exist.
        x87_control: 0x7f | [0, 2, 3][round as usize % 3] << 8 | (round as u16 % 4) << 10,
        // The top of the stack and the four condition bits.
        x87_status: mixer.next() as u16 & 0x7f00,
        x87_tags: mixer.next() as u8,
        // Rounding, flush to zero, and the sticky marks of exceptions that are masked.
        sse_control: SSE_CONTROL | mixer.next() as u32 & (3 << 13 | 1 << 15 | 0x3f),
        ..Floating::FRESH
    };
    for register in &mut floating.x87 {
        let mut value = [0; 10];
        mixer.fill(&mut value);
        // A number as it is usually held: with its leading bit.
        value[7] |= 0x80;
        register[..10].copy_from_slice(&value);
    }
    floating.sse.iter_mut().for_each(|register| mixer.fill(register));
    Registers { floating, general }
}

fn survive(round: u64, doing: Doing) -> Result<(), Why> {
    let before = patterns(round, doing);
    let mut after = Registers { floating: Floating::FRESH, general: General::default() };
    let mut mixer = Mixer(!round);
    let bases = Bases { fs: mixer.next() & USER, gs: mixer.next() & USER };
    let has_bases = has_base_instructions();
    if has_bases {
        set_bases(bases);
    }
    // SAFETY: the call is `getpid`; all floating-point exceptions are masked.
    let return_address = unsafe { exchange(&before, &mut after) };
    if has_bases {
        same_bases(bases)?;
    }
    let expected = match doing {
        Doing::Call => General {
            rax: userland::system::getpid(),
            rcx: return_address,
            r11: before.general.flags,
            ..before.general
        },
        Doing::Spinning => General { rcx: 0, ..before.general },
    };
    for ((name, expected), (_, found)) in expected.named().iter().zip(after.general.named()) {
        if *expected != found {
            fail!("round {round}: {name} is {found:#x}, not {expected:#x}");
        }
    }
    same_floating(round, &before.floating, &after.floating)
}

fn same_floating(round: u64, before: &Floating, after: &Floating) -> Result<(), Why> {
    let x87 = |it: &Floating| (it.x87_control, it.x87_status, it.x87_tags);
    if x87(before) != x87(after) {
        fail!("round {round}: x87 control, status, tags {:x?}, not {:x?}", x87(after), x87(before));
    }
    if before.sse_control != after.sse_control {
        fail!("round {round}: mxcsr {:#x}, not {:#x}", after.sse_control, before.sse_control);
    }
    for (place, (one, other)) in before.x87.iter().zip(&after.x87).enumerate() {
        if one[..10] != other[..10] {
            fail!("round {round}: st{place} is {:x?}, not {:x?}", &other[..10], &one[..10]);
        }
    }
    for (place, (one, other)) in before.sse.iter().zip(&after.sse).enumerate() {
        if one != other {
            fail!("round {round}: xmm{place} is {other:x?}, not {one:x?}");
        }
    }
    Ok(())
}
