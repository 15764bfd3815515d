//! Programs: one at a time, each on a kernel thread of its own.
//!
//! The thread that starts a program waits for the program's. Everything that a program has is given
//! back then: its pages and page tables, its object, its thread.
//!
//! The program is its thread's owner ([`dispatch::ThreadOwner`]): wherever the thread gets a processor,
//! the program's address space and word of asynchronous work come with it. The thread stays on one
//! processor, since what a program leaves in the registers for floating point is not saved.
//!
//! How a program ends, in one place: [`leave`] notes the outcome and ends the thread. It is called by
//! the exit calls, for an exception that nobody handles, and for asynchronous work that says so; always
//! on the program's own kernel stack, with nothing held.

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
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::resources::StackKind;
use dispatch::thread::asynchronous;
use dispatch::{CpuDispatch, Thread, ThreadOwner};
use machine::tracing::emit;
use machine::x86_64::descriptors::USER_CODE;
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::Stack;
use machine::x86_64::{paging, user_state};
use machine::{Atomic, Cpu, MayFault};
use memory::SlabBox;
use report::Line;
use spin::Once;
use trace::{EventId, Kind};

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 32;

/// A program that has been started.
pub struct Program {
    name: [u8; NAME_MAX],
    /// Its ELF file, for the names in a backtrace.
    file: &'static [u8],
    space: AddressSpace,
    /// Ctrl-C was typed.
    interrupted: AtomicBool,
    /// Its thread, once it has one.
    thread: Once<&'static Thread>,
    /// How it ended; [`RUNNING`] while it has not.
    outcome: AtomicU32,
    start: Start,
    stack_pointer: u64,
}

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
    let outcome = run_prepared(kernel, &program, may_fault)?;
    emit(Kind::ProgramEnd, u64::from(outcome.to_bits()), begin);
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
    run_prepared(kernel, &program, may_fault)
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
    let mut kept_name = [0; NAME_MAX];
    for (place, byte) in kept_name.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    let program = Program {
        name: kept_name,
        file,
        space,
        interrupted: AtomicBool::new(false),
        thread: Once::new(),
        outcome: AtomicU32::new(RUNNING),
        start,
        stack_pointer,
    };
    kernel.programs.allocate(program).map_err(|_| CannotRun::OutOfMemory)
}

/// Runs the program on a thread of its own, and waits until it is over.
fn run_prepared(
    kernel: &Kernel,
    program: &Program,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    // SAFETY: this function, which borrows the program, waits until the thread is over, and takes the
    // pointer for Ctrl-C back.
    let program: &'static Program = unsafe { &*core::ptr::from_ref(program) };
    let first = CpuDispatch::of(kernel.system.cpu(0).expect("the first processor is there"));
    let attributes = Attributes {
        owner: Some(program),
        stack: StackKind::Eager,
        ..Attributes::system("program").bound(first)
    };
    let argument = core::ptr::from_ref(program).expose_provenance();
    let handle =
        kernel_thread::create(&attributes, begin, argument).map_err(|_| CannotRun::OutOfMemory)?;
    *kernel.foreground.lock(may_fault) = Some(program);
    handle.join(may_fault);
    *kernel.foreground.lock(may_fault) = None;
    Ok(Outcome::from_bits(program.outcome.load(Ordering::Relaxed)))
}

/// Where a program's thread begins.
fn begin(argument: usize, may_fault: &mut MayFault) -> usize {
    // SAFETY: `run_prepared` passed the address of a program, which lives until this thread is over.
    let program = unsafe { &*core::ptr::with_exposed_provenance::<Program>(argument) };
    program.thread.call_once(Thread::running);
    let stack = {
        let guard = machine::preempt::disable(may_fault);
        machine::x86_64::stack::current(Cpu::current(guard.atomic()))
    };
    // No frame of an earlier program's is to be taken for this one's.
    // SAFETY: the place of the frame, at the top of this thread's own stack, kept free for it.
    unsafe { user_frame(stack).write(TrapFrame::default()) };
    user_state::reset();
    if program.interrupted.load(Ordering::Acquire) {
        // It was typed before there was a thread to ask.
        Thread::running().ask(asynchronous::OWNER);
    }
    system_call::enter_user(program.start, program.stack_pointer, may_fault)
}

impl ThreadOwner for Program {
    fn enters_processor(&self, thread: &'static Thread, atomic: &Atomic) {
        let state = &Cpu::current(atomic).backend;
        let word = core::ptr::from_ref(&thread.asynchronous).cast_mut();
        let program = core::ptr::from_ref(self).cast_mut();
        // SAFETY: at the dispatcher's level; both live until the thread has left the processor for good.
        unsafe { state.set_thread(program.cast(), word) };
        // SAFETY: its upper half is the kernel's.
        unsafe { paging::activate(self.space.root()) };
    }

    fn leaves_processor(&self, _: &'static Thread, atomic: &Atomic) {
        // SAFETY: the kernel's own.
        unsafe { paging::activate(Kernel::current().root) };
        // SAFETY: at the dispatcher's level.
        unsafe {
            Cpu::current(atomic).backend.set_thread(core::ptr::null_mut(), core::ptr::null_mut());
        }
    }

    fn asynchronous(&self, _: &'static Thread, may_fault: &mut MayFault) {
        if self.interrupted.swap(false, Ordering::AcqRel) {
            let stack = {
                let guard = machine::preempt::disable(may_fault);
                machine::x86_64::stack::current(Cpu::current(guard.atomic()))
            };
            // SAFETY: the thread has come from user mode, and its stack is populated.
            let frame = unsafe { user_frame(stack).read() };
            kill(&frame, Killed { signal: signal::SIGINT, exception: false }, may_fault);
        }
    }
}

/// The program that a processor runs.
fn on(cpu: &Cpu) -> Option<&Program> {
    let program = cpu.backend.thread().cast::<Program>();
    // SAFETY: null, or set by `enters_processor` to a program that lives until it is null again.
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
    let stack = machine::x86_64::stack::current(cpu);
    // SAFETY: every entry from user mode leaves its frame there, and the stack is populated.
    let frame = unsafe { user_frame(stack).read() };
    let entered = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    if let Some(start) = start.or(frame.is_user().then_some(entered)) {
        write(format_args!("backtrace of {}:\n", program.name()));
        show_backtrace(program, start, write);
    }
}

fn leave(outcome: Outcome) -> ! {
    current().outcome.store(outcome.to_bits(), Ordering::Relaxed);
    // SAFETY: the way here from user mode keeps nothing on the stack that anybody else knows, or that
    // has to be dropped: whoever ends a program has let go of everything.
    unsafe { kernel_thread::exit_here(0) }
}

/// Ctrl-C: asks the running program to end. Says whether there is one.
pub fn interrupt_foreground(kernel: &Kernel) -> bool {
    let foreground = kernel.foreground.lock_anywhere();
    let Some(program) = *foreground else { return false };
    program.interrupted.store(true, Ordering::Release);
    if let Some(thread) = program.thread.get() {
        thread.ask(asynchronous::OWNER);
    }
    true
}
