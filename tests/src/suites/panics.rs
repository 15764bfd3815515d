//! Kernel panics on purpose: each must say what happened and where, and end the machine.

use abi::ending::Ending;
use boot::outcome::Outcome;

use crate::scenario::{Scenario, Want};

/// The panic (`kernel/src/panic_kinds.rs`), what its report says of the cause, and the function that
/// its backtrace names.
const PANICS: [(&str, &str, &str); 19] = [
    ("plain", "asked for", "provoke_plain"),
    ("assertion", "arithmetic", "provoke_assertion"),
    ("stack-overflow", "guard page", "provoke_stack_overflow"),
    ("other-cpu", "kernel panic on cpu 3", "provoke_plain"),
    ("every-cpu", "asked for", "provoke_plain"),
    (
        "null",
        "page fault (vector 14, error code 0x0): read of 0x0000000000000010",
        "provoke_access",
    ),
    ("write-text", "error code 0x3): write of 0xffffffff8", "provoke_write_text"),
    ("execute-data", "error code 0x11): execution of 0xffff", "panic_kinds::provoke"),
    ("read-user", "read of 0x0000000000400000", "provoke_access"),
    ("undefined-instruction", "(vector 6, error code 0x0)", "provoke_undefined_instruction"),
    ("divide", "divide error (vector 0,", "provoke_divide"),
    ("breakpoint", "breakpoint (vector 3,", "provoke_breakpoint"),
    ("general-protection", "general-protection fault (vector 13,", "provoke_access"),
    ("nmi", "non-maskable interrupt (vector 2,", "provoke_non_maskable"),
    ("double-fault", "double fault (vector 8,", "provoke_access"),
    ("deaf", "watchdog: processor 3 has had no clock tick for", "watchdog::Heartbeat"),
    ("lock-cycle", "a cycle of locks: ", "panic_kinds::take_both"),
    ("lock-twice", "already holds", "provoke_lock_twice"),
    ("system-call", "in a system call, as asked for", "kernel::system_call::entry"),
];

pub fn scenarios() -> Vec<Scenario> {
    let panic = |name: &str, program: &[&str]| {
        Scenario::new(format!("panics/{name}"), program)
            .cpus(4)
            .option(&format!("panic={name}"))
            // However many processors panic, one speaks.
            .wants(Want::OneLine("kernel panic".to_owned()))
    };
    let mut all: Vec<_> = PANICS
        .into_iter()
        .map(|(name, cause, function)| {
            let program: &[&str] = if name == "system-call" { &["hello"] } else { &[] };
            let scenario = panic(name, program)
                .ends(Ending::KernelPanic)
                .shows(&[cause])
                .shows(&["0xffff", function])
                .shows(&["end of panic report"]);
            match name {
                // The walk from lock to holder, and what everybody does.
                "lock-cycle" => scenario
                    .shows(&["waits for ever for a lock of class Test", "held by processor"])
                    .shows(&["processor 0, on line", "thread", "boot, OnProcessor"])
                    .shows(&["  holds a lock of class Test"]),
                // The program that made the call is named, and so is the place in it.
                "system-call" => scenario.shows(&["running hello"]).shows(&["#", "_start+0x"]),
                _ => scenario,
            }
        })
        .collect();
    all.push(
        Scenario::new("panics/double", &[])
            .cpus(4)
            .option("panic=double")
            .ends(Ending::PanicInPanic)
            .shows(&["kernel panic on cpu 0: asked for"])
            .shows(&["kernel panic inside the report of the first"]),
    );
    // No report can be had; the tool tells it from a reset all the same.
    all.push(
        Scenario::new("panics/triple-fault", &[])
            .option("panic=triple-fault")
            .comes_to(Outcome::TripleFault)
            .wants(Want::Nowhere("kernel panic".to_owned())),
    );
    // The trace in the report leads from the processor that panicked to the one that poked it.
    all.push(
        Scenario::new("panics/shows-the-last-events", &[])
            .cpus(4)
            .option("panic=other-cpu")
            .ends(Ending::KernelPanic)
            .shows(&["poke-received", "by event", "of cpu 0"])
            .shows(&["poke-sent 0x3"]),
    );
    // A machine check, from the emulator's monitor: Ctrl-A C goes there and back.
    all.push(
        Scenario::new("panics/machine-check", &["hello", "--loop"])
            // The processor that is struck is the one that runs it.
            .cpus(1)
            .types("Hello from user mode", "\x01cmce 0 1 0xb200000000000000 5 0 0\r\x01c")
            .ends(Ending::KernelPanic)
            .shows(&["running hello", "machine check (vector 18,"])
            .shows(&["last traps of cpu 0"])
            .shows(&["page fault (vector 14) in user, lwp 1", "pc 0x00000000002"])
            .shows(&["machine check (vector 18) in"])
            .shows(&["#", "_start+0x"])
            .shows(&["end of panic report"]),
    );
    all
}
