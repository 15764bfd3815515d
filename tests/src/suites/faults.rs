//! Every way in which a program can die by its own fault: the right signal, a message that helps, and
//! a kernel that lives on.

use crate::scenario::Scenario;

const SIGILL: (u8, &str) = (4, "SIGILL");
const SIGTRAP: (u8, &str) = (5, "SIGTRAP");
const SIGFPE: (u8, &str) = (8, "SIGFPE");
const SIGSEGV: (u8, &str) = (11, "SIGSEGV");

/// What `fault` is asked to do, and the signal that Linux sends for it. Without `alignment`: QEMU's TCG
/// does not raise the alignment check. It takes `sysenter` as AMD's processors do.
const FAULTS: [(&str, (u8, &str)); 24] = [
    ("null", SIGSEGV),
    ("wild-read", SIGSEGV),
    ("wild-write", SIGSEGV),
    ("kernel-read", SIGSEGV),
    ("kernel-write", SIGSEGV),
    ("execute-data", SIGSEGV),
    ("write-text", SIGSEGV),
    ("privileged-hlt", SIGSEGV),
    ("privileged-cli", SIGSEGV),
    ("privileged-in", SIGSEGV),
    ("privileged-wrmsr", SIGSEGV),
    ("divide", SIGFPE),
    ("undefined", SIGILL),
    ("breakpoint", SIGTRAP),
    ("general-protection", SIGSEGV),
    ("stack-overflow", SIGSEGV),
    ("noncanonical-jump", SIGSEGV),
    ("int80", SIGSEGV),
    ("sysenter", SIGILL),
    ("single-step", SIGTRAP),
    ("device-frame-pointer", SIGILL),
    ("kernel-frame-pointer", SIGILL),
    ("overflow-int4", SIGSEGV),
    ("simd", SIGFPE),
];

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |(fault, (number, signal)): (&str, (u8, &str))| {
        Scenario::new(format!("faults/{fault}"), &["fault", fault])
            .dies(number)
            .shows(&["fault", signal])
            .shows(&["address 0x"])
            .shows(&["pc 0x"])
            .shows(&["backtrace"])
    };
    FAULTS.into_iter().map(scenario).collect()
}
