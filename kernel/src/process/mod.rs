//! Processes: an address space, and one thread that runs in it.
//!
//! | file | concept |
//! |---|---|
//! | this one | a process; what the dispatcher and traps ask of it |
//! | `start.rs` | how it begins |
//! | `ending.rs`, `outcome.rs` | how it ends, and what that is called |
//! | [`table`] | which processes there are, parents and children, waiting for an end |
//! | [`execute`] | becoming a program: its image, its first stack |
//! | [`image`], [`arguments`] | an ELF file, checked and mapped; arguments as Linux lays them out |
//! | [`fork`](mod@fork) | a child |
//!
//! A process is its thread's owner ([`dispatch::ThreadOwner`]): wherever the thread gets a processor, the address
//! space, the floating-point registers and the word of asynchronous work come with it.
//!
//! A process that is to die by a signal has it noted and its sleep interrupted ([`signal`](signal())); it leaves on its
//! way back to user mode. So one that waits for a page or for memory goes at once.

pub mod arguments;
mod ending;
pub mod execute;
pub mod fork;
pub mod image;
mod outcome;
mod start;
pub mod table;

pub use ending::{Killed, exit, kill};
pub use outcome::{CannotRun, Outcome};
pub use start::{Start, run, run_from};

use crate::backtrace;
use crate::kernel::Kernel;
use crate::traps::signal as signals;
use crate::virtual_memory::archive::{ArchiveFile, Peeker};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use dispatch::kernel_thread::JoinHandle;
use dispatch::thread::asynchronous;
use dispatch::{Priority, Thread, ThreadOwner, sleep_queue};
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::Stack;
use machine::x86_64::state::CpuState;
use machine::x86_64::user_state::{FpuState, SegmentBases};
use machine::{Atomic, Cpu, MayFault, SpinLock};
use spin::Once;
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
    /// How it ended; [`outcome::RUNNING`] while it has not.
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

/// Ctrl-C: asks the process in the foreground to end. Says whether there is one.
pub fn interrupt_foreground(kernel: &Kernel) -> bool {
    let foreground = kernel.foreground.lock_anywhere();
    let Some(process) = *foreground else { return false };
    process.ask_to_die(signals::SIGINT);
    true
}
