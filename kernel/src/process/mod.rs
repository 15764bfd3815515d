//! Processes: an address space, and one thread that runs in it.
//!
//! | file | concept |
//! |---|---|
//! | this one | a process; what the dispatcher and traps ask of it; how it ends |
//! | [`table`] | which processes there are, parents and children, waiting for an end |
//! | [`execute`] | becoming a program: its image, its first stack |
//! | [`image`], [`arguments`] | an ELF file, checked and mapped; arguments as Linux lays them out |
//! | [`fork`](mod@fork) | a child |
//!
//! A process is its thread's owner ([`dispatch::ThreadOwner`]): wherever the thread gets a processor, the address
//! space, the floating-point registers and the word of asynchronous work come with it.
//!
//! How a process ends, in one place: [`leave`] notes the outcome, empties the address space, tells the parent and ends
//! the thread. It is called by the exit calls, for an exception that nobody handles, and for asynchronous work that
//! says so; always on the process's own kernel stack, with nothing held.
//!
//! A process that is to die by a signal has it noted and its sleep interrupted ([`signal`](signal())); it leaves on its
//! way back to user mode. So one that waits for a page or for memory goes at once.

pub mod arguments;
pub mod execute;
pub mod fork;
pub mod image;
pub mod table;

use crate::console::print;
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use crate::panic::{access, exception_name};
use crate::processors::refill_reserve;
use crate::traps::signal as signals;
use crate::virtual_memory::archive::{ArchiveFile, NoArchive, Peeker, Reader};
use crate::{backtrace, options, report_channel, system_call, virtual_memory};
use abi::errno::Errno;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use dispatch::kernel_thread::{self, Attributes, JoinHandle};
use dispatch::resources::StackKind;
use dispatch::thread::asynchronous;
use dispatch::{Class, Priority, Thread, ThreadOwner, sleep_queue};
use machine::tracing::emit;
use machine::x86_64::descriptors::USER_CODE;
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::Stack;
use machine::x86_64::state::CpuState;
use machine::x86_64::user_state::{FpuState, SegmentBases};
use machine::{Atomic, Cpu, MayFault, SpinLock};
use memory::OutOfMemory;
use report::Line;
use spin::Once;
use trace::{EventId, Kind};
use vm::read::Reach;
use vm::{FaultError, Space};

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 32;

/// The priority that processes begin with.
const PRIORITY: Priority = Priority::new(30);

/// A process.
pub struct Process {
    /// Its number.
    pub id: u64,
    space: Space,
    program: SpinLock<ProgramName, 13>,
    /// Its thread, once it runs.
    thread: Once<&'static Thread>,
    /// To wait for the thread.
    handle: SpinLock<Option<JoinHandle>, 13>,
    /// The signal by which it is to die; 0 for none.
    killed: AtomicU32,
    /// How it ended; [`RUNNING`] while it has not.
    outcome: AtomicU32,
    /// It could not become the program that it was to begin with.
    refusal: SpinLock<Option<CannotRun>, 13>,
    /// How it begins.
    beginning: SpinLock<Beginning, 13>,
    registers: SpinLock<Registers, 13>,
    /// Where its heap begins and ends (`brk`).
    heap: SpinLock<(u64, u64), 13>,
    /// The files that it has open: their numbers in the archive.
    files: SpinLock<Files, 13>,
    /// Why the last page fault could not be helped, and where.
    last_fault: SpinLock<Option<(u64, FaultError)>, 13>,
    /// It has ended, and its parent has not asked.
    is_zombie: AtomicBool,
    parent: AtomicU64,
}

/// What a process runs.
#[derive(Clone, Copy)]
struct ProgramName {
    name: [u8; NAME_MAX],
    /// Its ELF file, for the names in a backtrace.
    file: Option<&'static ArchiveFile>,
}

/// Open files, by descriptor less [`FIRST_FILE`].
type Files = [Option<u16>; 16];

/// The first descriptor that is not the console.
const FIRST_FILE: i32 = 3;

/// How a process's thread begins.
enum Beginning {
    /// With a program: words, each with a null byte behind it; and where to start, if not at the program's own entry.
    Program(Vec<u8>, Option<Start>),
    /// As its parent was.
    Fork(TrapFrame),
    /// It has begun.
    Begun,
}

/// What the thread leaves in its processor when it loses it.
struct Registers {
    fpu: FpuState,
    bases: SegmentBases,
}

/// [`Process::outcome`] of one that runs.
const RUNNING: u32 = u32::MAX;
/// In [`Process::outcome`]: the low bits are a signal, not a status.
const BY_SIGNAL: u32 = 1 << 8;

/// How a process ended.
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
        assert_ne!(bits, RUNNING, "a process is over before it ended");
        if bits & BY_SIGNAL == 0 {
            Outcome::Exited(bits as u8)
        } else {
            Outcome::Killed(bits as u8)
        }
    }

    /// As `wait4` says it.
    pub fn to_status(self) -> i32 {
        match self {
            Outcome::Exited(status) => i32::from(status) << 8,
            Outcome::Killed(signal) => i32::from(signal),
        }
    }
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotRun {
    /// There are no programs at all.
    NoArchive(NoArchive),
    /// There is no such program.
    NotFound,
    /// Its file is not one that this kernel can run: why.
    Unsuitable(&'static str),
    /// The device that has its file failed.
    Device,
    /// The thread has been interrupted while it waited for the file.
    Interrupted,
    /// There is not enough memory.
    OutOfMemory,
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotRun::NoArchive(why) => write!(f, "{why}"),
            CannotRun::NotFound => write!(f, "{}", Errno::ENOENT.text()),
            CannotRun::Unsuitable(why) => write!(f, "{}: {why}", Errno::ENOEXEC.text()),
            CannotRun::Device => write!(f, "{}", Errno::EIO.text()),
            CannotRun::Interrupted => write!(f, "{}", Errno::EINTR.text()),
            CannotRun::OutOfMemory => write!(f, "{}", Errno::ENOMEM.text()),
        }
    }
}

impl From<NoArchive> for CannotRun {
    fn from(why: NoArchive) -> CannotRun {
        CannotRun::NoArchive(why)
    }
}

impl From<OutOfMemory> for CannotRun {
    fn from(_: OutOfMemory) -> CannotRun {
        CannotRun::OutOfMemory
    }
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

/// Runs the program that a command names, with its arguments, to its end; what it has started ends with it.
pub fn run(
    kernel: &'static Kernel,
    command: &str,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    let words = split(command)?;
    let name = words.split(|&byte| byte == 0).next().unwrap_or_default();
    let Ok(name) = core::str::from_utf8(name) else { return Err(CannotRun::NotFound) };
    let mut kept = [0; NAME_MAX];
    let name = keep_name(name, &mut kept);
    let outcome = run_beginning(kernel, Beginning::Program(words, None), may_fault)?;
    report_channel::send(match outcome {
        Outcome::Exited(status) => Line::Exited { program: name, status },
        Outcome::Killed(signal) => Line::Killed { program: name, signal },
    });
    Ok(outcome)
}

fn keep_name<'a>(name: &str, kept: &'a mut [u8; NAME_MAX]) -> &'a str {
    let length = name.len().min(NAME_MAX);
    kept[..length].copy_from_slice(&name.as_bytes()[..length]);
    core::str::from_utf8(&kept[..length]).unwrap_or("?")
}

/// Runs a program from another start than its own; for the checks.
pub fn run_from(
    kernel: &'static Kernel,
    program: &str,
    start: Start,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    run_beginning(kernel, Beginning::Program(split(program)?, Some(start)), may_fault)
}

fn run_beginning(
    kernel: &'static Kernel,
    beginning: Beginning,
    may_fault: &mut MayFault,
) -> Result<Outcome, CannotRun> {
    refill_reserve();
    let space = Space::new(&TableFrames)?;
    let begin = emit(Kind::ProgramBegin, 0, EventId::NONE);
    let process = match table::add(kernel, 0, space, beginning, may_fault) {
        Ok(process) => process,
        // Programs run one after the other, so there is never a process too many.
        Err(_) => return Err(CannotRun::OutOfMemory),
    };
    *kernel.foreground.lock(may_fault) = Some(process);
    let started = start_thread(kernel, process, may_fault);
    if started.is_ok() {
        table::wait_for_end(kernel, process, may_fault);
    }
    *kernel.foreground.lock(may_fault) = None;
    let outcome = process.outcome.load(Ordering::Relaxed);
    let refusal = match started {
        Ok(()) => process.refusal.lock(may_fault).take(),
        Err(error) => {
            table::remove(kernel, process, may_fault);
            Some(error.into())
        }
    };
    table::end_all(kernel, may_fault);
    emit(Kind::ProgramEnd, u64::from(outcome), begin);
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Outcome::from_bits(outcome)),
    }
}

/// The words of a command, each with a null byte behind it.
fn split(command: &str) -> Result<Vec<u8>, CannotRun> {
    let mut bytes = Vec::new();
    // A word is no longer than what it was written as, and its null byte takes the place of a space.
    bytes.try_reserve_exact(command.len() + 1).map_err(|_| CannotRun::OutOfMemory)?;
    options::words(command, |word| bytes.extend(word.chain([0])));
    Ok(bytes)
}

/// Makes a process's thread. On an error the process has never run, and is the caller's to take out of the table; else
/// see [`table::note_begin`].
fn start_thread(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    let attributes = Attributes {
        owner: Some(process),
        stack: StackKind::Eager,
        ..Attributes::system("process").scheduled(Class::TimeSharing, PRIORITY)
    };
    let argument = core::ptr::from_ref(process).expose_provenance();
    let handle = kernel_thread::create(&attributes, begin, argument).map_err(|_| OutOfMemory)?;
    table::note_begin(kernel, process, handle, may_fault);
    Ok(())
}

/// Where a process's thread begins.
fn begin(argument: usize, may_fault: &mut MayFault) -> usize {
    // SAFETY: `start_thread` passed the address of a process, which stays until this thread is over.
    let process = unsafe { &*core::ptr::with_exposed_provenance::<Process>(argument) };
    process.thread.call_once(Thread::running);
    // First the thread, then the look; who asks does it the other way round. So one of the two sees the other.
    fence(Ordering::SeqCst);
    // No frame of an earlier program's is to be taken for this one's.
    // SAFETY: the place of the frame, at the top of this thread's own stack, kept free for it.
    unsafe { own_frame(may_fault).write(TrapFrame::default()) };
    if process.killed.load(Ordering::Acquire) != 0 {
        // It was said before there was a thread to ask.
        Thread::running().ask(asynchronous::OWNER);
    }
    let beginning = core::mem::replace(&mut *process.beginning.lock(may_fault), Beginning::Begun);
    let loaded = match beginning {
        Beginning::Fork(frame) => system_call::enter_user_with(frame, may_fault),
        Beginning::Program(words, start) => {
            execute::load_command(process, &words, start, may_fault)
        }
        Beginning::Begun => unreachable!("a process begins twice"),
    };
    match loaded {
        Ok(ready) => system_call::enter_user(ready.start, ready.stack_pointer, may_fault),
        Err(_) if process.is_killed() => {
            let signal = process.killed.load(Ordering::Acquire) as u8;
            leave(Outcome::Killed(signal), may_fault)
        }
        Err(error) => {
            *process.refusal.lock(may_fault) = Some(error);
            leave(Outcome::Exited(127), may_fault)
        }
    }
}

impl ThreadOwner for Process {
    fn enters_processor(&self, thread: &'static Thread, atomic: &Atomic) {
        let state = &Cpu::current(atomic).backend;
        let word = core::ptr::from_ref(&thread.asynchronous).cast_mut();
        let process = core::ptr::from_ref(self).cast_mut();
        // SAFETY: at the dispatcher's level; both live until the thread has left the processor for good.
        unsafe { state.set_thread(process.cast(), word) };
        self.space.pmap().activate(atomic);
        let registers = self.registers.lock_within(atomic);
        registers.fpu.restore(atomic);
        registers.bases.restore(atomic);
    }

    fn leaves_processor(&self, _: &'static Thread, atomic: &Atomic) {
        let mut registers = self.registers.lock_within(atomic);
        registers.fpu.save(atomic);
        registers.bases = SegmentBases::current(atomic);
        drop(registers);
        self.space.pmap().deactivate(atomic);
        // SAFETY: at the dispatcher's level.
        unsafe {
            Cpu::current(atomic).backend.set_thread(core::ptr::null_mut(), core::ptr::null_mut());
        }
    }

    fn asynchronous(&self, _: &'static Thread, may_fault: &mut MayFault) {
        let signal = self.killed.load(Ordering::Acquire) as u8;
        if signal != 0 {
            // SAFETY: the thread has come from user mode, and its stack is populated.
            let frame = unsafe { own_frame(may_fault).read() };
            kill(&frame, Killed { signal, exception: false }, may_fault);
        }
    }
}

/// The process that a processor runs; for the panic path, and for who stands on it.
fn on(cpu: &Cpu) -> Option<&Process> {
    let process = cpu.backend.thread().cast::<Process>();
    // SAFETY: null, or set by `enters_processor` to a process that lives until it is null again.
    unsafe { process.as_ref() }
}

/// The process on whose thread the caller runs, if it is one's.
#[inline]
pub fn find_current() -> Option<&'static Process> {
    let process = CpuState::own_thread().cast::<Process>();
    // SAFETY: null, or set by `enters_processor` to a process that lives until its own thread, which this is, has left.
    unsafe { process.as_ref() }
}

/// The process on whose thread the caller runs.
pub fn current() -> &'static Process {
    find_current().expect("a process's thread")
}

impl Process {
    /// Its address space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Where its heap begins and ends.
    pub fn heap(&self) -> &SpinLock<(u64, u64), 13> {
        &self.heap
    }

    /// Its name, copied to a place.
    fn name_to<'a>(&self, place: &'a mut [u8; NAME_MAX]) -> &'a str {
        *place = self.program.lock_anywhere().name;
        text_of(place)
    }

    /// The archive's number of an open file.
    pub fn file(&self, fd: i32) -> Option<u16> {
        let place = usize::try_from(fd.checked_sub(FIRST_FILE)?).ok()?;
        self.files.lock_anywhere().get(place).copied().flatten()
    }

    /// Opens a file; returns its descriptor, if there is one left.
    pub fn add_file(&self, file: u16) -> Option<i32> {
        let mut files = self.files.lock_anywhere();
        let place = files.iter().position(Option::is_none)?;
        files[place] = Some(file);
        Some(place as i32 + FIRST_FILE)
    }

    /// Closes a file; says whether it was open.
    pub fn remove_file(&self, fd: i32) -> bool {
        let Some(place) = fd.checked_sub(FIRST_FILE).and_then(|place| usize::try_from(place).ok())
        else {
            return false;
        };
        self.files.lock_anywhere().get_mut(place).is_some_and(|file| file.take().is_some())
    }

    /// Whether it has been asked to die.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire) != 0
    }
}

fn text_of(name: &[u8; NAME_MAX]) -> &str {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
    core::str::from_utf8(&name[..end]).unwrap_or("?")
}

/// What is known of the largest process.
pub struct Largest {
    /// Its number.
    pub id: u64,
    /// The pages that it has in memory.
    pub resident: u64,
    /// Those that it has in swap space only.
    pub swapped: u64,
    name: [u8; NAME_MAX],
}

impl Largest {
    /// Its name.
    pub fn name(&self) -> &str {
        text_of(&self.name)
    }

    /// All its pages: what a victim is chosen by.
    pub fn pages(&self) -> u64 {
        self.resident + self.swapped
    }
}

/// The process with the most memory, unless one is about to give its back.
pub fn largest(may_fault: &mut MayFault) -> Option<Largest> {
    table::largest(Kernel::current(), may_fault)
}

/// Acts on the process with this number, if there is one that has not ended; nobody begins or ends meanwhile.
pub fn with<R>(
    kernel: &'static Kernel,
    id: u64,
    may_fault: &mut MayFault,
    act: impl FnOnce(&Process, &mut MayFault) -> R,
) -> Option<R> {
    table::with(kernel, id, may_fault, act)
}

/// How many processes are about to give their memory back because they have been asked to die.
pub fn dying(may_fault: &mut MayFault) -> usize {
    table::dying(Kernel::current(), may_fault)
}

/// Asks a process to die by a signal. Says whether there is one with this number.
pub fn signal(kernel: &'static Kernel, id: u64, signal: u8, may_fault: &mut MayFault) -> bool {
    table::with(kernel, id, may_fault, |process, _| process.ask_to_die(signal)).is_some()
}

impl Process {
    fn ask_to_die(&self, signal: u8) {
        let first =
            self.killed.compare_exchange(0, u32::from(signal), Ordering::AcqRel, Ordering::Relaxed);
        // See `begin`.
        fence(Ordering::SeqCst);
        if first.is_ok()
            && let Some(thread) = self.thread.get()
        {
            thread.ask(asynchronous::OWNER);
            sleep_queue::interrupt(thread);
        }
    }
}

/// Brings a page of the current process's memory, for an access of its own or of a copy on its behalf. Says whether
/// the access is worth another try.
pub fn page_fault(frame: &TrapFrame, may_fault: &mut MayFault) -> bool {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    use machine::pmap::Rights;
    let Some(process) = find_current() else { return false };
    let access = if frame.error & FETCH != 0 {
        Rights::READ | Rights::EXECUTE
    } else if frame.error & WRITE != 0 {
        Rights::READ | Rights::WRITE
    } else {
        Rights::READ
    };
    match vm::fault(&process.space, frame.fault_address, access, may_fault) {
        Ok(()) => true,
        // The thread is to do something else first: on its way back to user mode. A copy fails.
        Err(FaultError::Interrupted) => frame.is_user(),
        Err(error) => {
            *process.last_fault.lock(may_fault) = Some((frame.fault_address, error));
            false
        }
    }
}

/// Ends the current process.
pub fn exit(status: u8, may_fault: &mut MayFault) -> ! {
    leave(Outcome::Exited(status), may_fault)
}

/// What ends a process by a signal.
pub struct Killed {
    /// The signal.
    pub signal: u8,
    /// It comes from the exception in the frame.
    pub exception: bool,
}

/// Ends the current process by a signal, and says so.
pub fn kill(frame: &TrapFrame, killed: Killed, may_fault: &mut MayFault) -> ! {
    let process = current();
    let reason = process.last_fault.lock(may_fault).take();
    let reason = reason.filter(|(address, _)| killed.exception && *address == frame.fault_address);
    let signal = match reason {
        Some((_, FaultError::BehindEnd | FaultError::Device)) => signals::SIGBUS,
        _ => killed.signal,
    };
    let mut name = [0; NAME_MAX];
    print(format_args!("{}: killed by {}: ", process.name_to(&mut name), signals::name(signal)));
    if !killed.exception {
        let why = match signal {
            signals::SIGINT => "Ctrl-C",
            _ => "asked to",
        };
        print(format_args!("{why}"));
    } else if frame.vector == 14 {
        let what = access(frame.error);
        print(format_args!("page fault, {what}, address {:#018x}", frame.fault_address));
    } else {
        print(format_args!("{}, address {:#018x}", exception_name(frame.vector), frame.rip));
        if frame.error != 0 {
            print(format_args!(", error code {:#x}", frame.error));
        }
    }
    print(format_args!(", pc {:#018x}, sp {:#018x}", frame.rip, frame.rsp));
    if let Some((_, reason)) = reason {
        print(format_args!(": {reason}"));
    }
    print(format_args!("; backtrace:\n"));
    let start = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    // Who is told to go does not wait for names: somebody may be waiting for the memory.
    let reach = if killed.exception { Reach::DeviceAndAhead } else { Reach::Memory };
    let file = process.program.lock(may_fault).file;
    let mut file = file.map(|file| Reader { file, reach, may_fault: &mut *may_fault });
    backtrace::show(Kernel::current().system, start, &mut file, &mut |text| print(text));
    leave(Outcome::Killed(signal), may_fault)
}

/// Where entries from user mode leave their frame on a kernel stack.
fn user_frame(stack: Stack) -> *mut TrapFrame {
    (stack.top - frame::SIZE as u64) as *mut TrapFrame
}

/// Where they leave it on the running thread's own.
pub fn own_frame(may_fault: &mut MayFault) -> *mut TrapFrame {
    let guard = machine::preempt::disable(may_fault);
    user_frame(machine::x86_64::stack::current(Cpu::current(guard.atomic())))
}

/// The name of the program that a processor runs, copied to a place; without waiting, for the panic path.
pub fn name_on<'a>(cpu: &Cpu, place: &'a mut [u8; 32]) -> Option<&'a str> {
    let process = on(cpu)?;
    *place =
        process.program.try_lock().map_or(*b"?...............................", |name| name.name);
    Some(text_of(place))
}

/// The backtrace of the program that a processor runs, if it runs one: from `start`, or from where it
/// entered the kernel. For the panic path.
pub fn show_own_backtrace(
    cpu: &Cpu,
    start: Option<backtrace::Start>,
    write: &mut dyn FnMut(fmt::Arguments<'_>),
) {
    let Some(process) = on(cpu) else { return };
    let stack = machine::x86_64::stack::current(cpu);
    // SAFETY: every entry from user mode leaves its frame there, and the stack is populated.
    let frame = unsafe { user_frame(stack).read() };
    let entered = backtrace::Start { rip: frame.rip, rbp: frame.rbp };
    if let Some(start) = start.or(frame.is_user().then_some(entered)) {
        let mut name = [0; NAME_MAX];
        write(format_args!("backtrace of {}:\n", name_on(cpu, &mut name).unwrap_or("?")));
        let file = process.program.try_lock().and_then(|program| program.file);
        backtrace::show(Kernel::current().system, start, &mut file.map(Peeker), write);
    }
}

fn leave(outcome: Outcome, may_fault: &mut MayFault) -> ! {
    let process = current();
    // A sleep on the way out is an ordinary one.
    sleep_queue::take_interrupt();
    process.outcome.store(outcome.to_bits(), Ordering::Relaxed);
    // Who is told to go does not print first: somebody may be waiting for the memory.
    if Kernel::current().options.maps && !process.is_killed() {
        let mut name = [0; NAME_MAX];
        virtual_memory::maps::show(process, process.name_to(&mut name), may_fault);
    }
    process.space.clear(may_fault);
    table::note_end(Kernel::current(), process, may_fault);
    // SAFETY: the way here from user mode keeps nothing on the stack that anybody else knows, or that
    // has to be dropped: whoever ends a process has let go of everything.
    unsafe { kernel_thread::exit_here(0) }
}

/// Ctrl-C: asks the process in the foreground to end. Says whether there is one.
pub fn interrupt_foreground(kernel: &Kernel) -> bool {
    let foreground = kernel.foreground.lock_anywhere();
    let Some(process) = *foreground else { return false };
    process.ask_to_die(signals::SIGINT);
    true
}
