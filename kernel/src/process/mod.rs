//! Processes: an address space, and the LWPs that run in it.
//!
//! | file | concept |
//! |---|---|
//! | this one | a process; what others ask of it |
//! | `start.rs` | how the kernel begins one |
//! | [`ending`], `outcome.rs` | how it ends, and what that is called |
//! | [`table`] | which processes there are, parents and children, waiting for an end |
//! | [`execute`] | becoming a program: its image, its first stack |
//! | [`image`], [`arguments`] | an ELF file, checked and mapped; arguments as Linux lays them out |
//! | [`fork`](mod@fork) | a child |
//!
//! A process that is to end has it noted and its LWPs notified ([`Process::end`]): each leaves on its way back to user
//! mode, and the last one takes the process with it. So one that waits for a page or for memory goes at once.
//!
//! Locks, in order: the table of processes; a process's `control`; its list of LWPs (a spin lock at the dispatcher's
//! level); the spin locks at level 13.

pub mod arguments;
pub mod ending;
pub mod execute;
pub mod fork;
pub mod image;
mod outcome;
mod start;
pub mod table;

pub use outcome::{CannotRun, Outcome};
pub use start::{Start, run, run_from};

use crate::backtrace;
use crate::files::Descriptors;
use crate::kernel::Kernel;
use crate::lwp::{self, Lwp, Lwps};
use crate::name_space::working_folder::WorkingFolder;
use crate::observe;
use crate::signal::alarm::Alarm;
use crate::signal::{self, OfProcess};
use crate::upcalls::Activations;
use crate::virtual_memory::archive::{ArchiveFile, Peeker};
use accounting::Times;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use dispatch::{Condvar, Mutex, Thread};
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::Stack;
use machine::{Cpu, MayFault, SpinLock};
use memory::SlabBox;
use vm::Space;

pub use arguments::STACK_SIZE;

/// Longest name that is kept, in bytes.
const NAME_MAX: usize = 32;

/// A process.
pub struct Process {
    /// Its number.
    pub id: u64,
    space: Space,
    program: SpinLock<ProgramName, 13>,
    /// Its LWPs.
    pub lwps: SpinLock<Lwps, 11>,
    /// How many of them live, and so on.
    pub control: Mutex<Control>,
    /// An LWP has ended or stands still, or the process is stopped or goes on.
    pub changed: Condvar,
    /// Where LWPs stand still.
    pub standing: Condvar,
    /// In it only this LWP goes on, as it becomes another program; 0: all do.
    pub only: AtomicU64,
    /// In the low byte the signal that has stopped it, 0 if it is not; above it, how often it was told to go on.
    stopped_by: AtomicU64,
    /// What its parent may hear once: it has been stopped by this signal, or ([`CONTINUED`]) goes on.
    news: AtomicU8,
    /// The same, if the parent has not been told yet; who waits may hear of it before.
    untold: AtomicU8,
    /// How it ends; [`outcome::RUNNING`] while nobody has said so.
    outcome: AtomicU32,
    /// It could not become the program that it was to begin with.
    refusal: SpinLock<Option<CannotRun>, 13>,
    /// Where its heap begins and ends (`brk`).
    heap: SpinLock<(u64, u64), 13>,
    /// The files that it has open.
    pub descriptors: SlabBox<Descriptors>,
    /// Where its paths begin.
    pub working_folder: WorkingFolder,
    /// What signals do, and which are pending.
    pub signals: SlabBox<OfProcess>,
    /// Whether somebody observes it.
    pub observed: observe::OfProcess,
    /// When it was made, in ticks of the clock.
    pub began: u64,
    /// Its group of processes, and its session.
    group: AtomicU64,
    session: AtomicU64,
    /// It has become another program since it was made.
    has_executed: AtomicBool,
    /// Who made it has noted everything.
    has_begun: AtomicBool,
    /// It has ended, and its parent has not asked.
    is_zombie: AtomicBool,
    parent: AtomicU64,
    /// Its scheduler activations, if it has any. In a place of their own: its LWPs know the address.
    pub activations: SpinLock<Option<SlabBox<Activations>>, 13>,
    /// Its timer.
    pub alarm: Alarm,
    /// What its children have used that it has waited for.
    pub children: SpinLock<Ended, 13>,
}

/// What the mutex of a process protects.
pub struct Control {
    /// LWPs that have not ended.
    pub live: u32,
    /// Detached ones that have, and are still in the list.
    pub to_reap: u32,
    /// Only this one goes on.
    pub only: Option<u64>,
    /// What those have used that have ended.
    pub ended: Ended,
}

/// What LWPs, or processes, that are no more have used.
#[derive(Clone, Copy, Default)]
pub struct Ended {
    /// Their times.
    pub times: Times,
    /// Their system calls, page faults without and with a device, signals.
    pub counts: [u64; 4],
    /// How often they gave up their processor, and how often it was taken.
    pub switches: [u64; 2],
}

impl Ended {
    /// Adds an LWP's.
    pub fn add(&mut self, times: &Times, counts: &lwp::Counts, thread: Option<&Thread>) {
        self.times.add(times);
        let counts = [&counts.calls, &counts.minor_faults, &counts.major_faults, &counts.signals];
        for (to, from) in self.counts.iter_mut().zip(counts) {
            *to += from.load(Ordering::Relaxed);
        }
        let (voluntary, involuntary) = thread.map_or((0, 0), Thread::switches);
        self.switches[0] += voluntary;
        self.switches[1] += involuntary;
    }

    /// Adds others'.
    pub fn add_all(&mut self, other: &Ended) {
        self.times.add(&other.times);
        self.counts.iter_mut().zip(other.counts).for_each(|(to, from)| *to += from);
        self.switches.iter_mut().zip(other.switches).for_each(|(to, from)| *to += from);
    }
}

/// In [`Process::news`]: it goes on.
const CONTINUED: u8 = u8::MAX;

/// In [`Process::stopped_by`]: the signal.
const STOPPED_BY: u64 = 0xff;

/// What a process runs.
#[derive(Clone, Copy)]
struct ProgramName {
    name: [u8; NAME_MAX],
    /// Its ELF file, for the names in a backtrace.
    file: Option<&'static ArchiveFile>,
}

/// The process that a processor runs; for the panic path, and for who stands on it.
fn on(cpu: &Cpu) -> Option<&'static Process> {
    lwp::on(cpu).map(|lwp| lwp.process)
}

/// The process on whose LWP the caller runs, if it is one's.
#[inline]
pub fn find_current() -> Option<&'static Process> {
    lwp::find_current().map(|lwp| lwp.process)
}

/// The process on whose LWP the caller runs.
#[inline]
pub fn current() -> &'static Process {
    lwp::current().process
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

    /// Whether it is about to end: nobody works for it any longer.
    #[inline]
    pub fn is_ending(&self) -> bool {
        self.outcome.load(Ordering::Acquire) != outcome::RUNNING
    }

    /// Whether it is about to end by a signal.
    pub fn is_killed(&self) -> bool {
        Outcome::find(self.outcome.load(Ordering::Acquire))
            .is_some_and(|outcome| matches!(outcome, Outcome::Killed(_)))
    }

    /// Whether it has ended.
    pub fn is_zombie(&self) -> bool {
        self.is_zombie.load(Ordering::Acquire)
    }

    /// Ends it, if nobody has before: says how, and makes each of its LWPs leave. Also in handlers.
    pub fn end(&self, outcome: Outcome) {
        let first = self.outcome.compare_exchange(
            outcome::RUNNING,
            outcome.to_bits(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if first.is_ok() {
            self.notify_all();
        }
    }

    /// Makes each of its LWPs look at its flags.
    pub fn notify_all(&self) {
        self.lwps.lock_anywhere().iter().for_each(Lwp::notify);
    }

    /// Whether an LWP is to leave because another makes the process another program.
    pub fn is_becoming_another(&self, lwp: &Lwp) -> bool {
        let only = self.only.load(Ordering::Acquire);
        only != 0 && only != lwp.number()
    }

    /// Notes why it could not become the program that it was to begin with.
    pub fn refuse(&self, why: CannotRun) {
        *self.refusal.lock_anywhere() = Some(why);
    }

    /// Whether a signal has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.stopped_by.load(Ordering::Acquire) & STOPPED_BY != 0
    }

    /// How often it has been told to go on. Who takes a signal that stops reads it before that; see [`Process::stop`].
    pub fn continuations(&self) -> u64 {
        self.stopped_by.load(Ordering::Acquire) & !STOPPED_BY
    }

    /// Stops it: its LWPs stand still on their way to user mode. Not if it has been told to go on since the signal was
    /// taken. Also in handlers.
    pub fn stop(&self, signal: u8, continuations: u64) {
        let first = self.stopped_by.compare_exchange(
            continuations,
            continuations | u64::from(signal),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if first.is_ok() {
            self.news.store(signal, Ordering::Release);
            self.untold.store(signal, Ordering::Release);
            self.notify_all();
        }
    }

    /// Lets it go on; the signals that stop are no longer pending. Also in handlers.
    pub fn go_on(&self) {
        let next = |before: u64| Some((before & !STOPPED_BY).wrapping_add(STOPPED_BY + 1));
        let before = self.stopped_by.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
        if before.is_ok_and(|before| before & STOPPED_BY != 0) {
            self.news.store(CONTINUED, Ordering::Release);
            self.untold.store(CONTINUED, Ordering::Release);
            self.notify_all();
        }
    }

    /// What its parent is to be told: the signal that has stopped it, or that it goes on. Answered once.
    pub fn take_untold(&self) -> Option<u8> {
        let is_untold = self.untold.load(Ordering::Acquire) != 0;
        let news = if is_untold { self.untold.swap(0, Ordering::AcqRel) } else { 0 };
        (news != 0).then_some(news)
    }

    /// The name of its program, with null bytes behind it.
    pub fn name(&self) -> [u8; NAME_MAX] {
        self.program.lock_anywhere().name
    }

    /// Its parent's number; 0, or a number that no process has, if it has none.
    pub fn parent(&self) -> u64 {
        self.parent.load(Ordering::Relaxed)
    }

    /// Its group of processes.
    pub fn group(&self) -> u64 {
        self.group.load(Ordering::Relaxed)
    }

    /// Its session.
    pub fn session(&self) -> u64 {
        self.session.load(Ordering::Relaxed)
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
    act: impl FnOnce(&'static Process, &mut MayFault) -> R,
) -> Option<R> {
    table::with(kernel, id, may_fault, act)
}

/// How many processes are about to give their memory back because they have been asked to die.
pub fn dying(may_fault: &mut MayFault) -> usize {
    table::dying(Kernel::current(), may_fault)
}

/// Sends a signal to a process, from the kernel. Says whether there is one with this number.
pub fn signal(kernel: &'static Kernel, id: u64, signal: u8, may_fault: &mut MayFault) -> bool {
    let information = signal::Information::from_kernel(signal);
    table::with(kernel, id, may_fault, |process, _| signal::send::to_process(process, &information))
        .is_some()
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

/// The group of the process that the kernel runs in the foreground, if it runs one.
pub fn foreground(kernel: &Kernel) -> Option<u64> {
    kernel.foreground.lock_anywhere().map(Process::group)
}
