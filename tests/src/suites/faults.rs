//! Every way in which a program can die by its own fault: the right signal, a message that says why and
//! where, and a kernel that lives on.

use crate::scenario::{Scenario, Want};

const SIGILL: (u8, &str) = (4, "SIGILL");
const SIGTRAP: (u8, &str) = (5, "SIGTRAP");
const SIGFPE: (u8, &str) = (8, "SIGFPE");
const SIGSEGV: (u8, &str) = (11, "SIGSEGV");

/// What `fault` is asked to do, the signal that Linux sends for it, and what the kernel says of the
/// cause. Without `alignment`: QEMU's TCG does not raise the alignment check. It takes `sysenter` as
/// AMD's processors do; it has no exceptions of SSE, so `simd` is one of the x87 unit; and what is a
/// stack-segment fault (SIGBUS) on processors is a general-protection fault there.
const FAULTS: [(&str, (u8, &str), &str); 26] = [
    ("null", SIGSEGV, "page fault, read, address 0x0000000000000000,"),
    ("wild-read", SIGSEGV, "page fault, read, address 0x0000555555555000,"),
    ("wild-write", SIGSEGV, "page fault, write, address 0x0000555555555000,"),
    ("kernel-read", SIGSEGV, "page fault, read, address 0xffff800000000000,"),
    ("kernel-write", SIGSEGV, "page fault, write, address 0xffff800000000000,"),
    ("execute-data", SIGSEGV, "page fault, execution, address 0x"),
    ("write-text", SIGSEGV, "page fault, write, address 0x00000000002"),
    ("privileged-hlt", SIGSEGV, "general-protection fault, address 0x"),
    ("privileged-cli", SIGSEGV, "general-protection fault, address 0x"),
    ("privileged-in", SIGSEGV, "general-protection fault, address 0x"),
    ("privileged-wrmsr", SIGSEGV, "general-protection fault, address 0x"),
    ("divide", SIGFPE, "divide error, address 0x"),
    ("undefined", SIGILL, "undefined instruction, address 0x"),
    ("breakpoint", SIGTRAP, "breakpoint, address 0x"),
    ("general-protection", SIGSEGV, "error code 0xfff8"),
    ("stack-segment", SIGSEGV, "general-protection fault, address 0x"),
    ("stack-overflow", SIGSEGV, "page fault, write, address 0x00007ffff"),
    ("stack-guard", SIGSEGV, ": it is the guard of stack 41;"),
    ("noncanonical-jump", SIGSEGV, "general-protection fault, address 0x0000800000000000,"),
    ("int80", SIGSEGV, "general-protection fault, address 0x"),
    ("sysenter", SIGILL, "undefined instruction, address 0x"),
    ("single-step", SIGTRAP, "debug exception, address 0x"),
    ("device-frame-pointer", SIGILL, "undefined instruction, address 0x"),
    ("kernel-frame-pointer", SIGILL, "undefined instruction, address 0x"),
    ("overflow-int4", SIGSEGV, "overflow, address 0x"),
    ("simd", SIGFPE, "x87 floating-point error, address 0x"),
];

/// Where the pc is in no function, there is no name for the innermost line of the backtrace.
const OUTSIDE: [&str; 2] = ["execute-data", "noncanonical-jump"];

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |(fault, (number, signal), cause): (&str, (u8, &str), &str)| {
        let scenario = Scenario::new(format!("faults/{fault}"), &["fault", fault])
            .dies(number)
            .shows(&["fault: killed by", signal, cause, "pc 0x", "sp 0x", "backtrace"]);
        match fault {
            _ if OUTSIDE.contains(&fault) => scenario.shows(&["#1 ", "upcall_program_main"]),
            // Nothing is behind that frame pointer that a program may see.
            "device-frame-pointer" | "kernel-frame-pointer" => {
                scenario.wants(Want::Nowhere("#1 ".to_owned()))
            }
            "stack-overflow" => scenario
                .shows(&["#0 ", "descend"])
                .shows(&["the same"])
                .shows(&[": it is the guard of stack 0;"]),
            _ => scenario.shows(&["#0 ", &format!("fault_{}", fault.replace('-', "_"))]),
        }
    };
    FAULTS.into_iter().map(scenario).collect()
}
