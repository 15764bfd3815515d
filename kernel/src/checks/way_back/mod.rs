//! The check of the way back to user mode: a request that comes between any two instructions of a system call is acted
//! on before an instruction of user mode.
//!
//! The program `sweep` makes one call again and again, on the last processor. In each round it is held one instruction
//! later than in the one before ([`sweep`]), and from the first processor comes a request:
//!
//! - *a signal*: the handler adds 1 to a number, and the first instruction of user mode behind the call loads that. It
//!   has to find as many as were sent;
//! - *preemption*: a real-time thread is woken, notes the time, and sleeps again. The first instruction of user mode
//!   reads the clock, and that has to be the later time.
//!
//! So what counts is that the first instruction has not retired. Behind the last look the request's interrupt is what
//! brings the thread back: it is taken where interrupts come on, which is user mode's first instruction.
//!
//! Three calls, for three ways: `getpid`, the shortest, and back by `sysretq`; `rt_sigreturn`, back by `iretq`;
//! `lwp_continue` for oneself, after which there is asynchronous work to be done, so that the request comes between
//! one look and the next.
//!
//! With two processors every instruction is tried. With more, where the path is the same and each round takes longer, one
//! of [`APART`] is, others with each number of processors.

mod sweep;

pub use sweep::Sweep;

use super::processors::wait_until;
use super::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use crate::process::{self, table};
use crate::signal::{Information, send};
use crate::system_call::entry_address;
use crate::threads::run_on;
use crate::{console, lwp};
use core::sync::atomic::Ordering;
use dispatch::binding::{Strength, processor_bind};
use dispatch::cpu_lock::lock_processors;
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Class, CpuDispatch, Priority, sleep};
use machine::x86_64::breakpoint;
use machine::{Atomic, Cpu, MayFault, preempt, time};
use sweep::state;

/// The program's ways, and the fewest instructions that each can have.
const WAYS: [(&str, u64); 3] = [("sysretq", 50), ("iretq", 100), ("again", 100)];

const SIGUSR1: u8 = 10;

/// Between two looks for the program, in ticks of the clock.
const NAP: u64 = 100_000;

/// How far apart the instructions are that are tried on more than two processors.
const APART: usize = 8;

/// What is asked of the LWP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Signal,
    Preemption,
}

/// What a sweep came to, as its thread returns it: how many instructions; or what was wrong at the last one.
mod wrong {
    pub const NO_LWP: usize = usize::MAX;
    pub const NO_ROUNDS: usize = usize::MAX - 1;
    pub const NOT_HELD: usize = usize::MAX - 2;
    pub const NOT_BACK: usize = usize::MAX - 3;
    pub const TOO_LATE: usize = usize::MAX - 4;
    pub const LOWEST: usize = TOO_LATE;
}

pub fn requests_are_seen_at_every_instruction(run: &mut Run<'_>) -> Outcome {
    if run.kernel.system.cpu_count() < 2 {
        console::print(format_args!("        (skipped: a request comes from another processor)\n"));
        return Ok(());
    }
    let last = run.kernel.system.cpu(run.kernel.system.cpu_count() - 1);
    let last = last.expect("there is such a processor");
    for (way, least) in WAYS {
        for request in [Request::Signal, Request::Preemption] {
            sweep_way(run, last, (way, least), request)?;
        }
    }
    Ok(())
}

fn sweep_way(
    run: &mut Run<'_>,
    last: &'static Cpu,
    (way, least): (&str, u64),
    request: Request,
) -> Outcome {
    let command = match (way, request) {
        ("sysretq", Request::Signal) => "sweep sysretq number",
        ("sysretq", Request::Preemption) => "sweep sysretq clock",
        ("iretq", Request::Signal) => "sweep iretq number",
        ("iretq", Request::Preemption) => "sweep iretq clock",
        (_, Request::Signal) => "sweep again number",
        (_, Request::Preemption) => "sweep again clock",
    };
    let sweep = &run.kernel.shared.sweep;
    sweep.lwp.store(0, Ordering::Relaxed);
    sweep.rounds.store(0, Ordering::Relaxed);
    sweep.ran.store(0, Ordering::Relaxed);
    let first = CpuDispatch::of(run.kernel.system.cpu(0).expect("there is a first processor"));
    let attributes = Attributes::system("sweep").bound(first);
    let no_memory = || Wrong::new(format_args!("no memory for a thread"));
    let preempter = Attributes::system("preempts").scheduled(Class::RealTime, Priority::new(110));
    let preempter = preempter.bound(CpuDispatch::of(last));
    let preempter =
        kernel_thread::create(&preempter, preempt_when_woken, 0).map_err(|_| no_memory())?;
    let control = kernel_thread::create(&attributes, control, request as usize);
    let outcome = match control {
        Ok(control) => {
            let outcome = process::run(run.kernel, command, run.may_fault);
            let came_to = control.join(run.may_fault);
            Ok((outcome, came_to))
        }
        Err(_) => Err(no_memory()),
    };
    sweep.lwp.store(OVER, Ordering::Relaxed);
    sweep.wake.v();
    preempter.join(run.may_fault);
    let (outcome, came_to) = outcome?;
    let (place, at) = (sweep.place.load(Ordering::Relaxed), sweep.target.load(Ordering::Relaxed));
    ensure!(
        came_to < wrong::LOWEST,
        "'{command}', instruction {at}, at {place:#x}: {}",
        match came_to {
            wrong::NO_LWP => "the program has no LWP",
            wrong::NO_ROUNDS => "it makes no calls on its processor",
            wrong::NOT_HELD => "it does not come there",
            wrong::NOT_BACK => "it does not come back",
            _ => "user mode went on before it was acted on",
        }
    );
    ensure!(outcome == Ok(process::Outcome::Exited(0)), "'{command}' came to {outcome:?}");
    ensure!(came_to as u64 >= least, "'{command}' has only {came_to} instructions");
    console::print(format_args!("        {command}: {came_to} instructions\n"));
    Ok(())
}

/// In the place of an LWP's number: there will be none any more.
const OVER: u64 = u64::MAX;

/// The thread that is woken: it notes when it runs.
fn preempt_when_woken(_: usize, may_fault: &mut MayFault) -> usize {
    let sweep = &Kernel::current().shared.sweep;
    loop {
        sweep.wake.p(may_fault);
        if sweep.lwp.load(Ordering::Relaxed) == OVER {
            return 0;
        }
        sweep.ran_at.store(time::now(), Ordering::Relaxed);
        sweep.ran.fetch_add(1, Ordering::Release);
    }
}

/// The thread on the first processor: makes the requests, and ends the program.
fn control(argument: usize, may_fault: &mut MayFault) -> usize {
    let request =
        if argument == Request::Signal as usize { Request::Signal } else { Request::Preemption };
    let kernel = Kernel::current();
    let last = kernel.system.cpu(kernel.system.cpu_count() - 1).expect("there is such a processor");
    kernel.shared.sweep.set(state::IDLE);
    let mut came_to = match begin(kernel, last, may_fault) {
        Ok(()) => rounds(kernel, request, may_fault),
        Err(why) => why,
    };
    // First the breakpoint goes, then who lets go on that comes there.
    kernel.shared.sweep.set(state::IDLE);
    let is_taken = run_on(last, || {
        set_breakpoint(None);
        Kernel::current().shared.sweep.set(state::OFF);
    });
    if !is_taken || !wait_until(kernel, || kernel.shared.sweep.state() == state::OFF) {
        came_to = wrong::NOT_BACK;
    }
    table::each(kernel, may_fault, |process| process.end(process::Outcome::Exited(0)));
    came_to
}

fn set_breakpoint(address: Option<u64>) {
    let guard = preempt::disable_anywhere();
    let atomic: &Atomic = guard.atomic();
    // SAFETY: `Sweep::debug_exception` lets go on who comes there.
    unsafe { breakpoint::set(address, atomic) };
}

/// Finds the program's LWP, brings it to its processor and sets the breakpoint there.
fn begin(
    kernel: &'static Kernel,
    last: &'static Cpu,
    may_fault: &mut MayFault,
) -> Result<(), usize> {
    let sweep = &kernel.shared.sweep;
    let mut thread = None;
    let found = wait_until(kernel, || {
        table::each(kernel, may_fault, |process| {
            let lwp = process.lwps.lock_anywhere().iter().next();
            thread = lwp.and_then(lwp::Lwp::thread);
            sweep.lwp.store(lwp.map_or(0, lwp::Lwp::number), Ordering::Relaxed);
        });
        // The boot thread may be on this processor too, and has to make the program first.
        sleep::delay(NAP, may_fault);
        thread.is_some()
    });
    let thread = thread.filter(|_| found).ok_or(wrong::NO_LWP)?;
    let lock = lock_processors(may_fault);
    let bound = processor_bind(thread, Some((CpuDispatch::of(last), Strength::Soft)), &lock);
    drop(lock);
    if bound.is_err() || !run_on(last, || set_breakpoint(Some(entry_address()))) {
        return Err(wrong::NO_LWP);
    }
    let makes_calls = wait_until(kernel, || sweep.rounds.load(Ordering::Relaxed) > 2);
    if makes_calls { Ok(()) } else { Err(wrong::NO_ROUNDS) }
}

/// Round after round, until the path is shorter. Returns how many requests there were, or what was wrong.
fn rounds(kernel: &'static Kernel, request: Request, may_fault: &mut MayFault) -> usize {
    let sweep = &kernel.shared.sweep;
    let (first, apart) = match kernel.system.cpu_count() {
        ..=2 => (1, 1),
        more => (1 + more % APART, APART),
    };
    for (made, target) in (1..).zip((first as u64..).step_by(apart)) {
        sweep.target.store(target, Ordering::Relaxed);
        sweep.set(state::ARMED);
        let is_there = || matches!(sweep.state(), state::HELD | state::PAST);
        if !wait_until(kernel, is_there) {
            return wrong::NOT_HELD;
        }
        if sweep.state() == state::PAST {
            return target as usize - 1;
        }
        match request {
            Request::Signal => send_signal(kernel, may_fault),
            Request::Preemption => sweep.wake.v(),
        }
        if sweep.state() != state::HELD {
            return wrong::NOT_HELD;
        }
        sweep.set(state::GO);
        if !wait_until(kernel, || sweep.state() == state::DONE) {
            return wrong::NOT_BACK;
        }
        let found = sweep.found.load(Ordering::Relaxed);
        let in_time = match request {
            Request::Signal => found == made,
            Request::Preemption => {
                sweep.ran.load(Ordering::Acquire) == made
                    && sweep.ran_at.load(Ordering::Relaxed) < found
            }
        };
        if !in_time {
            return wrong::TOO_LATE;
        }
    }
    unreachable!("a path has an end")
}

fn send_signal(kernel: &'static Kernel, may_fault: &mut MayFault) {
    let number = kernel.shared.sweep.lwp.load(Ordering::Relaxed);
    table::each(kernel, may_fault, |process| {
        let lwps = process.lwps.lock_anywhere();
        if let Some(lwp) = lwps.find(number) {
            send::to_lwp(lwp, &Information::from_kernel(SIGUSR1));
        }
    });
}
