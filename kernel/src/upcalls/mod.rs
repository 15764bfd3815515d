//! Scheduler activations, the kernel's side: it tells the protocol what happens, and does what that says.
//!
//! | file | concept |
//! |---|---|
//! | this one | a process's activations, and an LWP's part in them |
//! | [`memory`] | what kernel and library share |
//! | [`allocator`] | which process has how many processors |
//! | [`block`] | an LWP sleeps: another one goes on in its place |
//! | [`border`] | what an activation does before it returns to user mode |
//! | [`timers`] | timers whose end is an event |
//! | [`upcall`] | beginning an upcall: contexts into slots, events, the registers it begins with |
//!
//! All decisions are [`activations::Protocol`]'s. It lies behind a spin lock at the dispatcher's level: what it says is
//! done with the lock held ([`State::act`]), so that nobody hears of it too late.
//!
//! An activation is an LWP. One without a thread sleeps in [`border::park`], at the bottom of its kernel stack, where its
//! frame is: it is started by a unit of its semaphore. One whose thread has come to the border sleeps there too, and
//! another one takes the thread's registers out of its frame: the LWP itself need not run for that.

pub mod allocator;
pub mod block;
pub mod border;
pub mod memory;
pub mod timers;
pub mod upcall;

use crate::kernel::Kernel;
use crate::lwp::Lwp;
use abi::activations::{SaAreas, SaLibrary};
use abi::errno::Errno;
use activations::allocator::Space;
use activations::{Activation, Fault, Limits, Nudge, Protocol, VirtualProcessor};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use dispatch::thread::asynchronous::OWNER;
use dispatch::{Semaphore, sleep_queue};
use machine::SpinLock;
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::user_state::FpuState;
use memory::{Shared, Words};

/// Most virtual processors, stacks and slots.
const PROCESSORS_MAX: u32 = 64;
const STACKS_MAX: u32 = 512;
const SLOTS_MAX: u32 = 512;

/// A process's activations.
pub struct Activations {
    state: SpinLock<State, 11>,
    /// What is shared with the library.
    pub shared: Shared,
    /// Where the program has it mapped.
    mapped_at: AtomicU64,
    /// Where upcalls begin, and the text that is the library's whatever it says.
    entry: u64,
    scheduler: Range<u64>,
    /// The ranges that were lent as stacks: where each upcall's begins.
    tops: SpinLock<Vec<u64>, 13>,
    /// Their places are known to callouts: the list never grows.
    timers: Vec<timers::Timer>,
    /// Among those that processors are shared out to.
    space: SpinLock<Option<Space>, 13>,
}

impl Drop for Activations {
    fn drop(&mut self) {
        let space = self.space.lock_anywhere().take();
        if let Some(space) = space {
            Kernel::current().activation_processors.leave(space);
        }
        self.stop_timers();
    }
}

/// What the lock protects.
pub struct State {
    /// The protocol.
    pub protocol: Protocol,
    /// The LWP of each activation.
    lwps: Vec<&'static Lwp>,
    /// The process ends, or becomes another program: its LWPs go, and nobody is told of anything any more.
    pub is_over: bool,
}

/// An LWP's part.
pub struct OfLwp {
    /// Its process's activations; null if it is none of them.
    of: AtomicPtr<Activations>,
    number: AtomicU32,
    /// A unit: it has been started, or is to go on.
    started: Semaphore,
    /// It is to sleep at the border until it is started.
    parks: AtomicBool,
    /// It has been made for an upcall that has not begun: `sa_enable`.
    enabled: SpinLock<Option<activations::Upcall>, 13>,
    /// Where its frame is, while it sleeps at the border; and its floating point then.
    frame: AtomicPtr<TrapFrame>,
    fpu: SpinLock<FpuState, 13>,
    /// It sleeps on the protocol's behalf.
    is_quiet: AtomicBool,
    /// It sleeps at the border: it acts on nothing before it is started.
    is_parked: AtomicBool,
    /// The page fault that it is in: whether there is one, and whether it writes; address, program counter, stack
    /// pointer.
    fault: [AtomicU64; 4],
    /// The trace's event of its last block, or of its return from that.
    event: AtomicU64,
    /// What it left when it slept the last time, or lost its processor.
    left: SpinLock<Left, 13>,
}

/// What an activation was at when it left its virtual processor.
#[derive(Clone, Copy, Default)]
struct Left {
    /// Which.
    processor: u32,
    /// The first two words of the virtual processor's line.
    running: u64,
    mark: u64,
    /// The page fault, and whether it writes.
    fault: Option<(Fault, bool)>,
}

impl Activations {
    /// The activations of a process that has none yet.
    pub fn new(library: &SaLibrary) -> Result<Activations, Errno> {
        let limits = Limits {
            processors: within(library.processors, PROCESSORS_MAX)?,
            stacks: within(library.stacks, STACKS_MAX)?,
            slots: within(library.slots, SLOTS_MAX)?,
            scheduler: library.scheduler_start..library.scheduler_end,
        };
        let shared = Shared::new(&limits)?;
        let mut tops = Vec::new();
        tops.try_reserve_exact(limits.stacks as usize).map_err(|_| Errno::ENOMEM)?;
        let protocol = Protocol::new(limits).map_err(|_| Errno::ENOMEM)?;
        Ok(Activations {
            state: SpinLock::new(State { protocol, lwps: Vec::new(), is_over: false }),
            shared,
            mapped_at: AtomicU64::new(0),
            entry: library.entry,
            scheduler: library.scheduler_start..library.scheduler_end,
            tops: SpinLock::new(tops),
            timers: timers::all()?,
            space: SpinLock::new(None),
        })
    }

    /// The program has what is shared mapped at this address.
    pub fn is_mapped_at(&self, address: u64) {
        self.mapped_at.store(address, Ordering::Relaxed);
    }

    /// Where the program finds what is shared.
    pub fn areas(&self) -> SaAreas {
        self.shared.areas(self.mapped_at.load(Ordering::Relaxed))
    }

    /// `sa_enable`: the calling LWP becomes the first activation; its first upcall begins at the border.
    pub fn enable(&'static self, lwp: &'static Lwp) -> Result<(), Errno> {
        let mut state = self.lock();
        let enabled = state.protocol.enable(&mut Words(&self.shared));
        let Some((activation, upcall)) = enabled.map_err(|_| Errno::ENOMEM)? else {
            return Err(Errno::EBUSY);
        };
        state.set_lwp(activation, lwp)?;
        lwp.activation.set(self, activation);
        *lwp.activation.enabled.lock_anywhere() = Some(upcall);
        drop(state);
        // One that is too many has one virtual processor, and gets no more.
        if let Ok(space) = Kernel::current().activation_processors.enter(self) {
            *self.space.lock_anywhere() = Some(space);
        }
        Ok(())
    }

    /// Lends a stack to the protocol.
    pub fn add_stack(&self, base: u64, size: u64) -> Result<(), Errno> {
        let mut state = self.state.lock_anywhere();
        state.protocol.add_stack(base..base + size).ok_or(Errno::ENOSPC)?;
        self.tops.lock_anywhere().extend([base + size]);
        Ok(())
    }

    /// Whether who is at this instruction of a virtual processor is in the library, as far as that says.
    fn is_in_library(&self, home: VirtualProcessor, program_counter: u64) -> bool {
        let mark = self.shared.line(home).mark.load(Ordering::Relaxed);
        mark != 0 || self.scheduler.contains(&program_counter)
    }

    /// The protocol's state.
    pub fn lock(&self) -> machine::spin_lock::SpinGuard<'_, State, 11> {
        self.state.lock_anywhere()
    }
}

fn within(number: u32, most: u32) -> Result<u32, Errno> {
    if number == 0 || number > most { Err(Errno::EINVAL) } else { Ok(number) }
}

impl State {
    /// Does what the protocol has said, and has processors shared out anew if there is a reason.
    pub fn act(&mut self, nudge: Nudge) {
        self.carry_out(nudge);
        if self.protocol.take_news() {
            Kernel::current().activation_processors.kick();
        }
    }

    /// Does what the protocol has said.
    fn carry_out(&self, nudge: Nudge) {
        if self.is_over {
            return;
        }
        match nudge {
            Nudge::Nobody => {}
            Nudge::Start(activation) | Nudge::GoOn(activation) => {
                self.lwp(activation).activation.started.v();
            }
            Nudge::Poke(activation) => {
                if let Some(thread) = self.lwp(activation).thread() {
                    thread.ask(OWNER);
                    sleep_queue::hurry(thread);
                }
            }
        }
    }

    /// Notes what an activation is at on its virtual processor, which it may leave.
    fn note_left(&self, of: &Activations, own: &OfLwp, home: VirtualProcessor) {
        let line = of.shared.line(home);
        *own.left.lock_anywhere() = Left {
            processor: home.number(),
            running: line.running.load(Ordering::Relaxed),
            mark: line.mark.load(Ordering::Relaxed),
            fault: own.fault(),
        };
    }

    /// Notes the LWP of an activation.
    pub fn set_lwp(&mut self, activation: Activation, lwp: &'static Lwp) -> Result<(), Errno> {
        let place = activation.number() as usize;
        if let Some(known) = self.lwps.get_mut(place) {
            *known = lwp;
            return Ok(());
        }
        self.lwps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.lwps.extend([lwp]);
        Ok(())
    }

    /// The LWP of an activation.
    pub fn lwp(&self, activation: Activation) -> &'static Lwp {
        self.lwps[activation.number() as usize]
    }
}

impl OfLwp {
    /// Of an LWP that is no activation.
    pub fn new() -> OfLwp {
        OfLwp {
            of: AtomicPtr::new(core::ptr::null_mut()),
            number: AtomicU32::new(0),
            started: Semaphore::new(0),
            parks: AtomicBool::new(false),
            frame: AtomicPtr::new(core::ptr::null_mut()),
            fpu: SpinLock::new(FpuState::fresh()),
            enabled: SpinLock::new(None),
            is_quiet: AtomicBool::new(false),
            is_parked: AtomicBool::new(false),
            fault: Default::default(),
            event: AtomicU64::new(0),
            left: SpinLock::new(Left::default()),
        }
    }

    /// The LWP is this activation from now on.
    pub fn set(&self, of: &Activations, activation: Activation) {
        self.number.store(activation.number(), Ordering::Relaxed);
        self.of.store(core::ptr::from_ref(of).cast_mut(), Ordering::Release);
    }

    /// It is none any longer: its LWP is about to end, and perhaps all the others. If it was on a virtual processor, another
    /// one begins there.
    pub fn leave(&self, all_end: bool) {
        if let Some((of, activation)) = self.get() {
            let mut state = of.lock();
            state.is_over |= all_end;
            let nudge = state.protocol.ends(activation, &mut Words(&of.shared));
            state.act(nudge);
        }
        self.forget();
    }

    /// It is none any longer.
    pub fn forget(&self) {
        self.of.store(core::ptr::null_mut(), Ordering::Relaxed);
    }

    /// On its way back from the call that it is in it sleeps until it is started.
    pub fn park_at_border(&self) {
        self.parks.store(true, Ordering::Relaxed);
    }

    /// Whether it sleeps at the border.
    pub fn is_parked(&self) -> bool {
        self.is_parked.load(Ordering::Relaxed)
    }

    /// Starts it.
    pub fn start(&self) {
        self.started.v();
    }

    /// Its process's activations and its number, if it is one of them.
    pub fn get(&self) -> Option<(&Activations, Activation)> {
        // SAFETY: null, or set once to what lives until all LWPs of the process but one have ended.
        let of = unsafe { self.of.load(Ordering::Acquire).as_ref() }?;
        Some((of, Activation::new(self.number.load(Ordering::Relaxed))))
    }
}
