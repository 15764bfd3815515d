//! Which processor a thread holds; contexts; handing a processor over.
//!
//! Invariants:
//! - a processor is held by at most one thread, and a thread holds at most one;
//! - a context has a thread from the first switch to it until it is over (a context of running code
//!   had one before), and another one each time it is restarted;
//! - a context is resumed only after it has been left, and once for each time. Whoever resumes one
//!   that is still being left, because it was announced to other processors too early, is told so.

use super::flavour::{Condvar, Mutex, lock, spawn, thread_local, wait_until};
use super::interrupt::interrupt_point;
use super::run::NoteFailure;
use crate::capability::Atomic;
use crate::switch::{Entry, prepare_last};
use crate::{Cpu, System};
use core::cell::Cell;
use std::sync::Arc;

/// What a thread knows of its place in the simulation.
#[derive(Clone, Copy)]
struct Place {
    system: &'static System,
    /// The processor that it holds, or held last.
    cpu: Option<&'static Cpu>,
    holds: bool,
}

thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro knows no constants")]
    static PLACE: Cell<Option<Place>> = Cell::new(None);
}

/// The system that the calling thread belongs to.
pub fn current_system() -> &'static System {
    match PLACE.with(Cell::get) {
        Some(place) => place.system,
        None => panic!("this thread belongs to no simulated machine"),
    }
}

/// The processor that the calling thread holds.
///
/// A thread that panics while it waits for a processor unwinds as if it still held its last one: the
/// test has failed, and the guards on its stack must not make it worse.
pub fn current_cpu() -> &'static Cpu {
    match PLACE.with(Cell::get) {
        Some(Place { cpu: Some(cpu), holds, .. }) if holds || std::thread::panicking() => cpu,
        _ => panic!("this thread holds no simulated processor"),
    }
}

/// Whether the calling thread holds a processor.
pub(crate) fn holds_cpu() -> bool {
    PLACE.with(Cell::get).is_some_and(|place| place.holds)
}

/// Makes the calling thread one of the system's, without a processor.
pub(crate) fn join_system(system: &'static System) {
    PLACE.with(|place| place.set(Some(Place { system, cpu: None, holds: false })));
}

/// Makes the calling thread one of no system.
pub(crate) fn leave_system() {
    PLACE.with(|place| place.set(None));
}

/// Gives the calling thread a processor that nobody holds.
pub(crate) fn take_cpu(cpu: &'static Cpu) {
    let mine = Place { system: cpu.system(), cpu: Some(cpu), holds: true };
    PLACE.with(|place| place.set(Some(mine)));
}

/// Takes the calling thread's processor away from it.
pub(crate) fn drop_cpu() -> &'static Cpu {
    let cpu = current_cpu();
    let mine = Place { system: cpu.system(), cpu: Some(cpu), holds: false };
    PLACE.with(|place| place.set(Some(mine)));
    cpu
}

/// The stack of a context: the host's own threads have theirs.
#[derive(Clone, Copy)]
pub struct Stack;

/// What the simulation keeps per context.
pub struct Context {
    shared: Arc<Shared>,
}

/// What a context shares with its thread.
struct Shared {
    state: Mutex<State>,
    given: Condvar,
}

/// Where a context is.
enum State {
    /// It has no thread: it never had one, or is over. Only a restart leads on.
    Over,
    /// Never switched to.
    New { entry: Entry, argument: usize },
    /// It has a processor.
    Running,
    /// Left; it waits for a processor.
    Left,
    /// It has been given a processor, which its thread is about to take.
    Given(&'static Cpu),
}

impl Context {
    fn with(state: State) -> Context {
        Context { shared: Arc::new(Shared { state: Mutex::new(state), given: Condvar::new() }) }
    }

    /// The context of the calling thread.
    pub(crate) fn of_running() -> Context {
        Context::with(State::Running)
    }

    pub(crate) fn unstarted() -> Context {
        Context::with(State::Over)
    }

    /// Gives a context its beginning; its thread is made when somebody switches to it.
    ///
    /// # Safety
    ///
    /// See [`crate::Context::restart`]. What can be checked here is.
    pub(crate) unsafe fn restart(&self, _: Stack, entry: Entry, argument: usize) {
        let mut state = lock(&self.shared.state);
        assert!(
            matches!(*state, State::Over | State::New { .. }),
            "a context is restarted that is not over"
        );
        *state = State::New { entry, argument };
    }
}

/// Hands the calling thread's processor from one context to another and waits until a processor
/// comes back. The interrupt flag is the context's own, as on the real machine.
///
/// # Safety
///
/// As for [`crate::switch()`]. What can be checked here is.
pub unsafe fn switch(from: &Context, to: &Context) {
    interrupt_point();
    let cpu = drop_cpu();
    let interrupts = cpu.backend.interrupts.are_on();
    let system = cpu.system();
    *lock(&from.shared.state) = State::Left;
    system.backend.threads.left(1);
    hand_over(&to.shared, cpu);
    let cpu = receive(&from.shared);
    system.backend.threads.left(-1);
    take_cpu(cpu);
    cpu.backend.interrupts.set(interrupts);
    interrupt_point();
}

/// Gives a processor to a context.
fn hand_over(to: &Arc<Shared>, cpu: &'static Cpu) {
    let mut state = lock(&to.state);
    match core::mem::replace(&mut *state, State::Running) {
        State::New { entry, argument } => {
            drop(state);
            let of = Arc::clone(to);
            let thread = spawn(move || live(&of, cpu, entry, argument));
            cpu.system().backend.threads.add_context(thread);
        }
        State::Left => {
            *state = State::Given(cpu);
            drop(state);
            to.given.notify_one();
        }
        State::Running | State::Over => {
            panic!("a context is resumed that is running, being left, or over")
        }
        State::Given(_) => panic!("a context is resumed twice"),
    }
}

/// Waits for a processor.
fn receive(of: &Shared) -> &'static Cpu {
    let what = || "a context was left and is never resumed".into();
    let mut state =
        wait_until(&of.state, &of.given, what, |state| matches!(state, State::Given(_)));
    match core::mem::replace(&mut *state, State::Running) {
        State::Given(cpu) => cpu,
        _ => unreachable!("the wait was for this"),
    }
}

/// The life of a context's thread.
fn live(of: &Shared, cpu: &'static Cpu, entry: Entry, argument: usize) {
    let _note = NoteFailure(cpu.system());
    take_cpu(cpu);
    cpu.backend.interrupts.set(true);
    interrupt_point();
    let next = entry(argument);
    interrupt_point();
    // SAFETY: the thread holds the processor until it drops it, below.
    prepare_last(unsafe { Atomic::assume() }, next);
    let cpu = drop_cpu();
    *lock(&of.state) = State::Over;
    hand_over(&next.backend.shared, cpu);
}
