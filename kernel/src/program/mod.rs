//! Programs: one at a time, each on a kernel thread of its own.
//!
//! The thread that starts a program switches to the program's and gets the processor back when the
//! program ends. Everything that a program has is given back then: its pages and page tables, its
//! kernel stack, its object.
//!
//! How a program ends, in one place: [`leave`] notes the outcome and switches back, for good. It is
//! called by the exit calls, for an exception that nobody handles, and for asynchronous work that
//! says so; always on the program's own kernel stack, with nothing held.

pub mod address_space;
pub mod arguments;
pub mod image;

use crate::console::print;
use crate::kernel::Kernel;
use crate::kernel_space::NoSpace;
use crate::panic::{access, exception_name};
use crate::processors::refill_reserve;
use crate::traps::signal;
use crate::{backtrace, options, ramdisk, report_channel, system_call};
use abi::errno::Errno;
use address_space::AddressSpace;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use machine::pil::{self, Pil, PilGuard};
use machine::preempt::PreemptGuard;
use machine::tracing::emit;
use machine::x86_64::descriptors::USER_CODE;
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::Stack;
use machine::x86_64::{paging, user_state};
use machine::{Context, Cpu, MayFault, switch};
use memory::SlabBox;
use report::Line;
use trace::{EventId, Kind};

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 32;

/// A program that has been started.
pub struct Program {
    name: [u8; NAME_MAX],
    /// Its ELF file, for the names in a backtrace.
    file: &'static [u8],
    space: AddressSpace,
    kernel_stack: Stack,
    context: Context,
    /// The thread that started it and waits.
    starter: Context,
    /// Asynchronous work: [`INTERRUPTED`].
    asynchronous: AtomicU32,
    /// How it ended; [`RUNNING`] while it has not.
    outcome: AtomicU32,
    start: Start,
    stack_pointer: u64,
}

/// Asynchronous work: Ctrl-C was typed.
const INTERRUPTED: u32 = 1 << 0;

/// [`Program::outcome`] of a program that runs.
const RUNNING: u32 = u32::MAX;
/// In [`Program::outcome`]: the low bits are a signal, not a status.
const BY_SIGNAL: u32 = 1 << 8;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl Outcome {
    fn to_bits(self) -> u32 {
        match self {
            Outcome::Exited(status) => u32::from(status),
            Outcome::Killed(signal) => BY_SIGNAL | u32::from(signal),
        }
    }

    fn from_bits(bits: u32) -> Outcome {
        assert_ne!(bits, RUNNING, "a program is over before it ended");
        if bits & BY_SIGNAL == 0 {
            Outcome::Exited(bits as u8)
        } else {
            Outcome::Killed(bits as u8)
        }
    }
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotRun {
    /// There is no such program.
    NotFound,
    /// Its file is not one that this kernel can run: why.
    Unsuitable(&'static str),
    /// There is not enough memory.
    OutOfMemory,
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotRun::NotFound => write!(f, "{}", Errno::ENOENT.text()),
            CannotRun::Unsuitable(why) => write!(f, "{}: {why}", Errno::ENOEXEC.text()),
            CannotRun::OutOfMemory => write!(f, "{}", Errno::ENOMEM.text()),
        }
    }
}

impl From<NoSpace> for CannotRun {
    fn from(_: NoSpace) -> CannotRun {
        CannotRun::OutOfMemory
    }
}

/// Runs the program that a command names, with its arguments, to its end.
pub fn run(
    kernel: &'static Kernel,
    command: &str,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    refill_reserve();
    let words = split(command)?;
    let name = words.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = core::str::from_utf8(name).map_err(|_| CannotRun::NotFound)?;
    let file = ramdisk::find_program(kernel.ramdisk, name).ok_or(CannotRun::NotFound)?;

    let mut space = AddressSpace::new(kernel)?;
    let image = image::load(file, &mut space)?;
    let start = Start::at(image.entry);
    let program = prepare(kernel, name, file, space, &words, &image, start)?;
    let begin = emit(Kind::ProgramBegin, image.entry, EventId::NONE);
    let outcome = run_prepared(kernel, &program, may_fault);
    emit(Kind::ProgramEnd, u64::from(outcome.to_bits()), begin);
    // SAFETY: taken by `prepare`; the program has left it for good.
    unsafe { kernel.give_thread_stack(program.kernel_stack) };
    report_channel::send(match outcome {
        Outcome::Exited(status) => Line::Exited { program: name, status },
        Outcome::Killed(signal) => Line::Killed { program: name, signal },
    });
    Ok(outcome)
}

/// Where and how a program starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The first instruction.
    pub rip: u64,
    /// The selector of the code segment.
    pub code_segment: u16,
}

impl Start {
    /// At an instruction, as user mode.
    pub fn at(rip: u64) -> Start {
        Start { rip, code_segment: USER_CODE }
    }
}

/// Runs a program's file from another start than its own; for the checks.
pub fn run_from(
    kernel: &'static Kernel,
    file: &'static [u8],
    start: Start,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    let mut space = AddressSpace::new(kernel)?;
    let image = image::load(file, &mut space)?;
    let program = prepare(kernel, "misplaced", file, space, b"misplaced\0", &image, start)?;
    let outcome = run_prepared(kernel, &program, may_fault);
    // SAFETY: taken by `prepare`; the program has left it for good.
    unsafe { kernel.give_thread_stack(program.kernel_stack) };
    Ok(outcome)
}

/// The words of a command, each with a null byte behind it.
fn split(command: &str) -> Result<Vec<u8>, CannotRun> {
    let mut bytes = Vec::new();
    // A word is no longer than what it was written as, and its null byte takes the place of a space.
    bytes.try_reserve_exact(command.len() + 1).map_err(|_| CannotRun::OutOfMemory)?;
    options::words(command, |word| bytes.extend(word.chain([0])));
    Ok(bytes)
}

fn prepare(
    kernel: &'static Kernel,
    name: &str,
    file: &'static [u8],
    mut space: AddressSpace,
    words: &[u8],
    image: &image::Image,
    start: Start,
) -> Result<SlabBox<Program>, CannotRun> {
    let stack_pointer = arguments::make_stack(&mut space, words, image)?;
    let kernel_stack = kernel.take_thread_stack()?;
    // No frame of an earlier program's is to be taken for this one's.
    // SAFETY: the place of the frame, on a stack that nobody uses.
    unsafe { user_frame(kernel_stack).write(TrapFrame::default()) };
    let mut kept_name = [0; NAME_MAX];
    for (place, byte) in kept_name.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    let program = Program {
        name: kept_name,
        file,
        space,
        kernel_stack,
        // SAFETY: a stack of its own, populated; `run_prepared` gives it back when this is over.
        context: unsafe { Context::new(kernel_stack, begin, 0) },
        starter: Context::of_running(),
        asynchronous: AtomicU32::new(0),
        outcome: AtomicU32::new(RUNNING),
        start,
        stack_pointer,
    };
    kernel.programs.allocate(program).map_err(|_| {
        // SAFETY: taken above; nothing has run on it.
        unsafe { kernel.give_thread_stack(kernel_stack) };
        CannotRun::OutOfMemory
    })
}

/// Gives the processor to the program until it is over.
fn run_prepared(kernel: &Kernel, program: &Program, may_fault: &mut MayFault) -> Outcome {
    let pointer = core::ptr::from_ref(program).cast_mut();
    let guard = pil::raise(Pil::DISP, may_fault);
    let atomic = guard.atomic();
    let state = &Cpu::current(atomic).backend;
    let word = core::ptr::from_ref(&program.asynchronous).cast_mut();
    // SAFETY: at the dispatcher's level; the program lives until both are taken back below.
    unsafe { state.set_thread(pointer.cast(), word) };
    kernel.foreground.store(pointer, Ordering::Release);
    // SAFETY: its upper half is the kernel's.
    unsafe { paging::activate(program.space.root()) };
    // SAFETY: `starter` is this thread; the program's context is fresh and runs nowhere else.
    unsafe { switch(atomic, &program.starter, &program.context) };
    // SAFETY: the kernel's own.
    unsafe { paging::activate(kernel.root) };
    kernel.foreground.store(core::ptr::null_mut(), Ordering::Release);
    let state = &Cpu::current(atomic).backend;
    // SAFETY: at the dispatcher's level.
    unsafe { state.set_thread(core::ptr::null_mut(), core::ptr::null_mut()) };
    drop(guard);
    Outcome::from_bits(program.outcome.load(Ordering::Relaxed))
}

/// Where a program's thread begins: at the dispatcher's level, preemption off once.
extern "C-unwind" fn begin(_: usize) -> &'static Context {
    // SAFETY: the switch that came here raised the level, and nobody else restores it.
    drop(unsafe { PilGuard::adopt(Pil::NONE) });
    // SAFETY: a new context starts with preemption off once, and nobody else turns it on.
    drop(unsafe { PreemptGuard::adopt() });
    // SAFETY: the start of a thread, with interrupts on and nothing held.
    let mut may_fault = unsafe { MayFault::assume() };
    let program = current();
    user_state::reset();
    system_call::enter_user(program.start, program.stack_pointer, &mut may_fault)
}

/// The program that a processor runs.
fn on(cpu: &Cpu) -> Option<&Program> {
    let program = cpu.backend.thread().cast::<Program>();
    // SAFETY: null, or set by `run_prepared` to a program that lives until it is null again.
    unsafe { program.as_ref() }
}

/// The program on whose thread the caller runs.
fn current() -> &'static Program {
    let guard = machine::preempt::disable_anywhere();
    let program =
        core::ptr::from_ref(on(Cpu::current(guard.atomic())).expect("a program's thread"));
    // SAFETY: the program lives until its own thread, which this is, has left.
    unsafe { &*program }
}

impl Program {
    fn name(&self) -> &str {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
        core::str::from_utf8(&self.name[..end]).unwrap_or("?")
    }
}

/// The name of the program that a processor runs.
pub fn name_on(cpu: &Cpu) -> Option<&str> {
    on(cpu).map(Program::name)
}

/// Ends the current program.
pub fn exit(status: u8) -> ! {
    leave(Outcome::Exited(status))
}

/// What ends a program by a signal.
pub struct Killed {
    /// The signal.
    pub signal: u8,
    /// It comes from the exception in the frame.
    pub exception: bool,
}

/// Ends the current program by a signal, and says so.
pub fn kill(frame: &TrapFrame, killed: Killed, may_fault: &mut MayFault) -> ! {
    let _ = may_fault;
    let program = current();
    let name = signal::name(killed.signal);
    print(format_args!("{}: killed by {name}: ", program.name()));
    if !killed.exception {
        print(format_args!("Ctrl-C"));
    } else if frame.vector == 14 {
        let what = access(frame.error);
        print(format_args!("page fault, {what}, address {:#018x}", frame.fault_address));
    } else {
        print(format_args!("{}, address {:#018x}", exception_name(frame.vector), frame.rip));
        if frame.error != 0 {
            print(format_args!(", error code {:#x}", frame.error));
        }
    }
    print(format_args!(", pc {:#018x}, sp {:#018x}; backtrace:\n", frame.rip, frame.rsp));
    let start = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    show_backtrace(program, start, &mut |text| print(text));
    leave(Outcome::Killed(killed.signal))
}

/// The backtrace of a program.
fn show_backtrace(
    program: &Program,
    start: backtrace::Start,
    write: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    backtrace::show(Kernel::current().system, start, program.file, write);
}

/// Where entries from user mode leave their frame on a kernel stack.
fn user_frame(stack: Stack) -> *mut TrapFrame {
    (stack.top - frame::SIZE as u64) as *mut TrapFrame
}

/// The backtrace of the program that a processor runs, if it runs one: from `start`, or from where it
/// entered the kernel. For the panic path.
pub fn show_own_backtrace(
    cpu: &Cpu,
    start: Option<backtrace::Start>,
    write: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    let Some(program) = on(cpu) else { return };
    // SAFETY: every entry from user mode leaves its frame there, and the stack is populated.
    let frame = unsafe { user_frame(program.kernel_stack).read() };
    let entered = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    if let Some(start) = start.or(frame.is_user().then_some(entered)) {
        write(format_args!("backtrace of {}:\n", program.name()));
        show_backtrace(program, start, write);
    }
}

fn leave(outcome: Outcome) -> ! {
    let program = current();
    program.outcome.store(outcome.to_bits(), Ordering::Relaxed);
    let guard = pil::raise_anywhere(Pil::DISP);
    // SAFETY: this is the program's context; its starter waits for exactly this switch.
    unsafe { switch(guard.atomic(), &program.context, &program.starter) };
    unreachable!("a program that is over was resumed")
}

/// The current program's asynchronous work, before it returns to user mode.
pub fn asynchronous(frame: &TrapFrame, may_fault: &mut MayFault) {
    let work = current().asynchronous.swap(0, Ordering::AcqRel);
    if work & INTERRUPTED != 0 {
        kill(frame, Killed { signal: signal::SIGINT, exception: false }, may_fault);
    }
}

/// Ctrl-C: asks the running program to end. Says whether there is one.
pub fn interrupt_foreground(kernel: &Kernel) -> bool {
    let program: *const Program = AtomicPtr::load(&kernel.foreground, Ordering::Acquire);
    // SAFETY: null, or a program that lives: it runs on this processor, which takes the console's
    // interrupts, and is given back by this processor's own thread only after the pointer is null.
    let Some(program) = (unsafe { program.as_ref() }) else { return false };
    program.asynchronous.fetch_or(INTERRUPTED, Ordering::AcqRel);
    true
}
