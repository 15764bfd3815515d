//! LWPs: the threads of a process as the kernel knows them.
//!
//! | file | concept |
//! |---|---|
//! | this one | an LWP; what the dispatcher asks of it; finding one |
//! | [`begin`] | how one begins |
//! | [`ending`] | how one ends, and waiting for that |
//! | [`asynchronous`] | what it does before it returns to user mode, when it was asked to |
//! | [`stopping`] | suspending, continuing, and the one place where LWPs stand still |
//! | [`parking`] | parking until somebody unparks |
//! | [`faults`] | page faults and exceptions |
//! | [`user_time`] | what processors have spent in user mode |
//!
//! An LWP is its thread's owner ([`dispatch::ThreadOwner`]): wherever the thread gets a processor, the address space, the
//! registers of user mode and the word of asynchronous work come with it, and its accounts say what its time goes on.
//!
//! # Who may touch an LWP
//!
//! An LWP stays in its process's list until its thread has been waited for; then the object goes back to its slab (which
//! keeps it for the next one, as the dispatcher keeps the thread and its stack: creating an LWP is cheap). So it may be
//! used by the LWP itself, by who has found it in the list and holds the list's lock ([`Lwps`]), and by who knows that
//! it cannot have been waited for.
//!
//! Whoever wants something of an LWP notes it in a flag and then calls [`Lwp::notify`]. The LWP looks at its flags after
//! it has taken the notification back, so nothing is overlooked; and until it has looked, none of its interruptible
//! sleeps begins.

pub mod asynchronous;
pub mod begin;
pub mod ending;
pub mod faults;
pub mod parking;
pub mod stopping;
pub mod user_time;

use crate::kernel::PerCpu;
use crate::observe;
use crate::process::{Process, Start};
use crate::signal::OfLwp;
use crate::upcalls::{OfLwp as OfActivation, block};
use accounting::{Accounts, Leaves, Microstate, Times};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use dispatch::kernel_thread::JoinHandle;
use dispatch::owner::Microstate as OfThread;
use dispatch::thread::asynchronous as bits;
use dispatch::{Semaphore, Thread, ThreadOwner, sleep_queue};
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::state::CpuState;
use machine::x86_64::user_state::{FpuState, SegmentBases};
use machine::{Atomic, Cpu, MayFault, SpinLock, time};
use spin::Once;
use vm::FaultError;

/// Longest name, in bytes.
pub const NAME_MAX: usize = 32;

/// Most LWPs of a process.
pub const LWPS_MAX: usize = 1 << 16;

/// An LWP.
pub struct Lwp {
    /// Its number: no other LWP or process has the same at the same time.
    number: AtomicU64,
    /// Its process, which stays as long as the LWP does.
    pub process: &'static Process,
    thread: Once<&'static Thread>,
    /// To wait for the thread.
    handle: SpinLock<Option<JoinHandle>, 13>,
    /// What its time goes on.
    pub accounts: Accounts,
    registers: SpinLock<Registers, 13>,
    beginning: SpinLock<Beginning, 13>,
    /// Its mask, its pending signals, its alternate stack.
    pub signals: OfLwp,
    /// A unit: it has been unparked.
    parking: Semaphore,
    /// Somebody has suspended it.
    is_suspended: AtomicBool,
    /// It stands still where stopped LWPs do.
    is_stopped: AtomicBool,
    /// It is over, but for its thread's last steps.
    has_ended: AtomicBool,
    /// Nobody will wait for it.
    is_detached: AtomicBool,
    /// What it has ended with, for who waits for it.
    status: AtomicU64,
    name: SpinLock<[u8; NAME_MAX], 13>,
    /// Work before and after its system calls; 0 for none.
    pub call_work: AtomicU8,
    /// Its stops for an observer.
    pub observed: observe::OfLwp,
    /// Its part in its process's scheduler activations.
    pub activation: OfActivation,
    /// What it has done.
    pub counts: Counts,
    /// Why the last page fault could not be helped, and where.
    last_fault: SpinLock<Option<(u64, FaultError)>, 13>,
    /// Where it writes its number when it begins; 0 for nowhere.
    pub number_at: AtomicU64,
    /// Where a 0 is to be written when it ends; 0 for nowhere.
    pub clear_at_end: AtomicU64,
    /// When the sleep that is begun again after an interruption was to end; 0 for none.
    sleeps_until: AtomicU64,
}

/// What an LWP has done; only the LWP itself counts.
#[derive(Default)]
pub struct Counts {
    /// System calls.
    pub calls: AtomicU64,
    /// Page faults that did not wait for a device, and those that did.
    pub minor_faults: AtomicU64,
    /// See [`Counts::minor_faults`].
    pub major_faults: AtomicU64,
    /// Signals that have been acted on.
    pub signals: AtomicU64,
}

/// What the thread leaves in its processor when it loses it.
pub struct Registers {
    /// Floating point and vectors.
    pub fpu: FpuState,
    /// The private pointer (the base of `fs`), and that of `gs`.
    pub bases: SegmentBases,
}

impl Registers {
    /// Those of a fresh program.
    pub fn fresh() -> Registers {
        Registers { fpu: FpuState::fresh(), bases: SegmentBases::default() }
    }
}

/// How an LWP begins.
pub enum Beginning {
    /// With a program: words, each with a null byte behind it; and where to start, if not at the program's own entry.
    Program(Vec<u8>, Option<Start>),
    /// With these registers.
    Frame(TrapFrame),
    /// It sleeps until it is started, as an activation.
    Activation,
    /// It has begun.
    Begun,
}

impl Lwp {
    /// An LWP that nobody knows yet.
    pub fn new(number: u64, process: &'static Process, registers: Registers, mask: u64) -> Lwp {
        Lwp {
            number: AtomicU64::new(number),
            process,
            thread: Once::new(),
            handle: SpinLock::new(None),
            accounts: Accounts::new(time::now()),
            registers: SpinLock::new(registers),
            beginning: SpinLock::new(Beginning::Begun),
            signals: OfLwp::new(mask),
            parking: Semaphore::new(0),
            is_suspended: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_detached: AtomicBool::new(false),
            status: AtomicU64::new(0),
            name: SpinLock::new([0; NAME_MAX]),
            call_work: AtomicU8::new(0),
            observed: observe::OfLwp::new(),
            activation: OfActivation::new(),
            counts: Counts::default(),
            last_fault: SpinLock::new(None),
            number_at: AtomicU64::new(0),
            clear_at_end: AtomicU64::new(0),
            sleeps_until: AtomicU64::new(0),
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Its thread, once it has one.
    pub fn thread(&self) -> Option<&'static Thread> {
        self.thread.get().copied()
    }

    /// Its thread, also if that has been made and has not taken its first step. Not for handlers.
    pub fn made_thread(&self) -> Option<&'static Thread> {
        self.thread().or_else(|| self.handle.lock_anywhere().as_ref().map(JoinHandle::thread))
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Whether it stands still.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Its name; empty if it has none.
    pub fn name(&self) -> [u8; NAME_MAX] {
        *self.name.lock_anywhere()
    }

    /// Names it; what does not fit is cut.
    pub fn set_name(&self, name: &[u8]) {
        let mut kept = [0; NAME_MAX];
        let length = name.len().min(NAME_MAX - 1);
        kept[..length].copy_from_slice(&name[..length]);
        *self.name.lock_anywhere() = kept;
    }

    /// Goes to another microstate; returns the one before. The running LWP's own.
    pub fn enter_microstate(&self, state: Microstate, may_fault: &mut MayFault) -> Microstate {
        // A change that the LWP loses its processor in would be made twice.
        let _guard = machine::preempt::disable(may_fault);
        self.accounts.enter(state, time::now())
    }

    /// Its times up to now, to the tick, and its state.
    pub fn times(&self) -> (Times, Microstate, u64) {
        loop {
            let now = time::now();
            // Changes are short, and are not interrupted for long.
            if let Some((times, state)) = self.accounts.snapshot(now) {
                return (times, state, now);
            }
        }
    }

    /// Forgets what belongs to the program before: it is the only LWP of a new one.
    pub fn begin_anew(&self) {
        self.signals.set_stack(0, 0);
        self.clear_at_end.store(0, Ordering::Relaxed);
        self.take_deadline();
        while self.parking.try_p() {}
        self.set_name(&[]);
    }

    /// Makes it look at its flags: before it goes on in user mode, and now if it sleeps interruptibly or runs
    /// elsewhere. The flag has been set before. Up to the dispatcher's level, also in handlers.
    pub fn notify(&self) {
        // First the flag, then the look for a thread; a beginning LWP does it the other way round.
        core::sync::atomic::fence(Ordering::SeqCst);
        if let Some(thread) = self.thread()
            && !self.has_ended()
        {
            thread.ask(bits::OWNER);
            sleep_queue::interrupt(thread);
        }
    }

    /// Holds these signals back from now on. What it does not hold back any longer it acts on before it goes on in user
    /// mode; what was pending for the process may be another's now. The running LWP's own.
    pub fn hold_back(&self, mask: u64) {
        self.signals.set_mask(mask);
        if self.signals.pending.set() & !self.signals.mask() != 0 {
            self.notify();
        }
        crate::signal::redistribute(self.process);
    }

    /// Holds others back for as long as a call takes that waits: what is pending among the rest ends the wait before it
    /// begins. [`Self::hold_back_as_before`] ends it, at the latest when the LWP is about to go on in user mode.
    pub fn hold_back_for_a_while(&self, mask: u64) {
        self.signals.set_mask_for_a_while(mask);
        let pending = self.signals.pending.set() | self.process.signals.pending.set();
        if pending & !self.signals.mask() != 0 {
            self.notify();
        }
    }

    /// Holds back what it did before [`Self::hold_back_for_a_while`], if it has not come back to that yet.
    pub fn hold_back_as_before(&self) {
        if let Some(mask) = self.signals.take_saved_mask() {
            self.hold_back(mask);
        }
    }

    /// Where the interrupted sleep of a call that is begun again was to end. Taken once.
    pub fn take_deadline(&self) -> Option<u64> {
        let deadline = self.sleeps_until.load(Ordering::Relaxed);
        self.sleeps_until.store(0, Ordering::Relaxed);
        (deadline != 0).then_some(deadline)
    }

    /// Keeps that for the next beginning of the call.
    pub fn keep_deadline(&self, deadline: u64) {
        self.sleeps_until.store(deadline, Ordering::Relaxed);
    }

    /// Copies the registers that its processor has of it. The running LWP's own.
    pub fn own_registers(may_fault: &mut MayFault) -> Registers {
        let mut registers = Registers::fresh();
        // Between the two the thread must not lose its processor.
        let guard = machine::preempt::disable(may_fault);
        registers.fpu.save(guard.atomic());
        registers.bases = SegmentBases::current(guard.atomic());
        registers
    }
}

impl ThreadOwner for Lwp {
    fn enters_processor(&self, thread: &'static Thread, atomic: &Atomic) {
        let state = &Cpu::current(atomic).backend;
        let word = core::ptr::from_ref(&thread.asynchronous).cast_mut();
        let lwp = core::ptr::from_ref(self).cast_mut();
        // SAFETY: at the dispatcher's level; both live until the thread has left the processor for good.
        unsafe { state.set_thread(lwp.cast(), word) };
        self.process.space().pmap().activate(atomic);
        let registers = self.registers.lock_within(atomic);
        registers.fpu.restore(atomic);
        registers.bases.restore(atomic);
        drop(registers);
        PerCpu::current(atomic).user_time.begin(self);
        self.accounts.arrives(thread.runnable_at(), time::now());
    }

    fn leaves_processor(&self, _: &'static Thread, atomic: &Atomic) {
        let mut registers = self.registers.lock_within(atomic);
        registers.fpu.save(atomic);
        registers.bases = SegmentBases::current(atomic);
        drop(registers);
        self.process.space().pmap().deactivate(atomic);
        PerCpu::current(atomic).user_time.count(self);
        // SAFETY: at the dispatcher's level.
        unsafe {
            Cpu::current(atomic).backend.set_thread(core::ptr::null_mut(), core::ptr::null_mut());
        }
    }

    fn sleeps(&self, thread: &'static Thread, _: &Atomic) {
        block::sleeps(self, thread);
    }

    fn asynchronous(&self, _: &'static Thread, may_fault: &mut MayFault) {
        asynchronous::work(self, may_fault);
    }

    fn microstate(&self, _: &'static Thread, state: OfThread, now: u64) {
        let why = match state {
            // It has not left its processor, or `enters_processor` is about to be called.
            OfThread::Running => return,
            OfThread::WaitCpu => Leaves::Preempted,
            OfThread::Sleep => Leaves::ToSleep,
            OfThread::Stopped => Leaves::Stopped,
        };
        self.accounts.leaves(why, now);
    }
}

/// The LWP that a processor runs; for the panic path, and for who stands on it.
pub fn on(cpu: &Cpu) -> Option<&'static Lwp> {
    let lwp = cpu.backend.thread().cast::<Lwp>();
    // SAFETY: null, or set by `enters_processor` to an LWP that lives until it is null again.
    unsafe { lwp.as_ref() }
}

/// The LWP on whose thread the caller runs, if it is one's.
#[inline]
pub fn find_current() -> Option<&'static Lwp> {
    let lwp = CpuState::own_thread().cast::<Lwp>();
    // SAFETY: null, or set by `enters_processor` to an LWP that lives until its own thread, which this is, has left.
    unsafe { lwp.as_ref() }
}

/// The LWP on whose thread the caller runs.
#[inline]
pub fn current() -> &'static Lwp {
    match find_current() {
        Some(lwp) => lwp,
        None => no_lwp(),
    }
}

#[cold]
fn no_lwp() -> ! {
    panic!("this is not an LWP's thread");
}

/// The LWPs of a process, in order of number, ended ones included until they have been waited for.
///
/// Behind a spin lock at the dispatcher's level, so that handlers can notify LWPs too; who holds it may call the
/// dispatcher, and must not sleep.
pub struct Lwps {
    all: Vec<&'static Lwp>,
}

impl Lwps {
    /// None.
    pub const fn new() -> Lwps {
        Lwps { all: Vec::new() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static Lwp> + '_ {
        self.all.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The one with a number.
    pub fn find(&self, number: u64) -> Option<&'static Lwp> {
        let place = self.all.binary_search_by_key(&number, |lwp| lwp.number()).ok()?;
        Some(self.all[place])
    }

    /// The first whose number is not lower.
    pub fn find_from(&self, number: u64) -> Option<&'static Lwp> {
        let place = self.all.partition_point(|lwp| lwp.number() < number);
        self.all.get(place).copied()
    }

    /// Makes room for one more.
    pub fn reserve(&mut self) -> Result<(), memory::OutOfMemory> {
        self.all.try_reserve(1).map_err(|_| memory::OutOfMemory)
    }

    /// Adds one, with the highest number of all; there is room.
    pub fn add(&mut self, lwp: &'static Lwp) {
        debug_assert!(self.all.last().is_none_or(|last| last.number() < lwp.number()));
        debug_assert!(self.all.len() < self.all.capacity(), "no room for an LWP");
        self.all.extend([lwp]);
    }

    /// Takes the first out that is like this.
    pub fn take(&mut self, is_meant: impl Fn(&Lwp) -> bool) -> Option<&'static Lwp> {
        let place = self.all.iter().position(|lwp| is_meant(lwp))?;
        Some(self.all.remove(place))
    }

    /// Takes the one with this number out.
    pub fn take_number(&mut self, number: u64) -> Option<&'static Lwp> {
        let place = self.all.binary_search_by_key(&number, |lwp| lwp.number()).ok()?;
        Some(self.all.remove(place))
    }
}
