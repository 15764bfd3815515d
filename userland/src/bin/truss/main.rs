//! Shows the calls and signals of a program, or of a process: `truss [-f] [-c] PROGRAM ARGUMENTS`, `truss [-f] [-c] -p
//! PROCESS`. `-f`: of its children too; `-c`: how often each call is made, how long it takes, how often it fails.
//!
//! A line is a call: `process: name(argument=value, ...) = result`, with strings and errors in words. Of a call that
//! does not come back there is no result.

#![no_std]
#![no_main]

mod counts;
mod decode;

use abi::errno::Errno;
use abi::observe::{
    AFTER_CALL, AT_END, AT_SIGNAL, BEFORE_CALL, GO_ON, OBSERVE_AFTER, OBSERVE_BEFORE,
    OBSERVE_CHILDREN, OBSERVE_END, OBSERVE_SIGNALS, ObserveEvent,
};
use abi::signature::write_result;
use core::ffi::CStr;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use counts::Counts;
use decode::{Line, write_call};
use userland::system::{self, raw};
use userland::{Arguments, eprintln, println, program};

program!(main);

const USAGE: &str = "usage: truss [-f] [-c] PROGRAM ARGUMENTS..., or truss [-f] [-c] -p PROCESS";

/// What is asked for.
struct Options {
    what: u32,
    counts: bool,
    process: Option<u64>,
    /// Where the program's name is among the arguments.
    program: usize,
}

fn parse(arguments: Arguments) -> Option<Options> {
    let mut options = Options {
        what: OBSERVE_BEFORE | OBSERVE_AFTER | OBSERVE_SIGNALS | OBSERVE_END,
        counts: false,
        process: None,
        program: 1,
    };
    for word in arguments.words() {
        options.program += 1;
        match word {
            "-f" => options.what |= OBSERVE_CHILDREN,
            "-c" => options.counts = true,
            "-p" => {
                let process = arguments.words().nth(options.program - 1)?;
                options.process = Some(process.parse().ok()?);
                return Some(options);
            }
            _ if word.starts_with('-') => return None,
            _ => {
                options.program -= 1;
                return Some(options);
            }
        }
    }
    None
}

fn main(arguments: Arguments) -> i32 {
    let Some(options) = parse(arguments) else {
        eprintln!("{USAGE}");
        return 2;
    };
    let begun = match options.process {
        Some(process) => observe(process, options.what).map(|()| process),
        None => start(arguments, &options),
    };
    match begun {
        Ok(process) => follow(process, &options),
        Err(error) => {
            eprintln!("truss: {} ({})", error.name(), error.text());
            1
        }
    }
}

fn observe(process: u64, what: u32) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::observe(process, what) }.map(drop)
}

/// Begins the program in a child that is observed from its first call on.
fn start(arguments: Arguments, options: &Options) -> Result<u64, Errno> {
    const READ_AND_WRITE: i32 = 3;
    const SHARED_ANONYMOUS: i32 = 0x21;
    // SAFETY: new memory.
    let gate = unsafe { raw::mmap(0, 4096, READ_AND_WRITE, SHARED_ANONYMOUS, -1, 0) }?;
    // SAFETY: a page of zeros that nobody unmaps.
    let gate: &AtomicU32 = unsafe { &*ptr::with_exposed_provenance(gate as usize) };
    // SAFETY: the child becomes another program, or ends.
    let child = match unsafe { raw::fork() }? {
        0 => become_program(arguments, options.program, gate),
        child => child,
    };
    let observed = observe(child, options.what);
    gate.store(1, Ordering::Release);
    observed.map(|()| child)
}

/// In the child: waits until it is observed, and becomes the program.
fn become_program(arguments: Arguments, place: usize, gate: &AtomicU32) -> ! {
    const PATH_MAX: usize = 256;
    while gate.load(Ordering::Acquire) == 0 {
        core::hint::spin_loop();
    }
    let name = arguments.get(place).map_or(&[][..], CStr::to_bytes);
    let mut path = [0_u8; PATH_MAX];
    let prefix: &[u8] = if name.contains(&b'/') { b"" } else { b"/bin/" };
    if prefix.len() + name.len() < PATH_MAX {
        path[..prefix.len()].copy_from_slice(prefix);
        path[prefix.len()..][..name.len()].copy_from_slice(name);
    }
    let words = arguments.addresses(place);
    let environment = arguments.environment_addresses();
    // SAFETY: strings and arrays that end as they should.
    let _ = unsafe { raw::execve(path.as_ptr(), words, environment) };
    // The call and its error have been shown.
    system::exit_group(127)
}

/// Hears of everything until nobody is left; returns how the first process ended.
fn follow(first: u64, options: &Options) -> i32 {
    let mut counts = Counts::new();
    let mut status = 0;
    loop {
        let mut event = ObserveEvent::default();
        let length = size_of::<ObserveEvent>();
        // SAFETY: the call fills the structure.
        match unsafe { raw::observe_wait(&raw mut event, length, ptr::null()) } {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => break,
        }
        if options.counts {
            counts.note(&event);
        } else {
            show(&event);
        }
        if event.kind == AT_END {
            if event.process == first {
                status = if event.signal != 0 {
                    128 + event.signal as i32
                } else {
                    (event.result >> 8) as i32
                };
            }
            continue;
        }
        // SAFETY: the call writes to no memory. Who is gone does not go on.
        let _ = unsafe { raw::observe_continue(event.lwp, GO_ON, ptr::null()) };
    }
    if options.counts {
        counts.show();
    }
    status
}

fn show(event: &ObserveEvent) {
    let mut line = Line::new();
    line.begin(event);
    match event.kind {
        // The call's line is written after it, so that it is one line; unless there is no after.
        BEFORE_CALL if decode::comes_back(event.number) => return,
        BEFORE_CALL => {
            write_call(&mut line, event);
            line.add(format_args!(" ..."));
        }
        // Its strings were those of the program before.
        AFTER_CALL if event.number == decode::EXECVE => {
            line.add(format_args!("execve"));
            let _ = write_result(&mut line, event.number, event.result);
        }
        AFTER_CALL => {
            write_call(&mut line, event);
            // A line takes what fits.
            let _ = write_result(&mut line, event.number, event.result);
        }
        AT_SIGNAL => line.add(format_args!("signal {}", abi::signals::name(event.signal))),
        AT_END if event.signal != 0 => {
            line.add(format_args!("killed by {}", abi::signals::name(event.signal)));
        }
        _ => line.add(format_args!("exited with {}", event.result >> 8)),
    }
    println!("{}", line.as_str());
}
