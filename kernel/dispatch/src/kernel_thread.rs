//! Kernel threads: making one, its beginning and its end, waiting for it.
//!
//! A kernel thread ends by returning from its entry. Its object and its stack then go to a cache,
//! from which the next thread comes; the object is a thread's for ever.
//!
//! ```text
//!  cache -> create -> begins -> entry returns -> zombie -+- detached ------------> cache
//!                                                        +- joined: result taken -> cache
//! ```
//!
//! A thread's stack is free only when the processor has left it: `on_cpu` is cleared by the next
//! thread on the processor ([`crate::swtch`]), which also puts a detached thread into the cache.

use crate::Dispatch;
use crate::class::{self, Class};
use crate::cpu::CpuDispatch;
use crate::enqueue;
use crate::may_block::MayBlock;
use crate::owner::ThreadOwner;
use crate::partition::Partition;
use crate::priority::Priority;
use crate::resources::{KernelStack, OutOfMemory, StackKind};
use crate::run_queue::End;
use crate::select;
use crate::sleep_queue::WaitQueue;
use crate::swtch::{self, swtch};
use crate::thread::{State, Thread};
use crate::thread_list::ThreadList;
use crate::thread_lock::{self, InTransit};
use crate::thread_name::{NameCell, ThreadName};
use atomics::cell::SharedCell;
use atomics::{AtomicBool, AtomicUsize, Ordering};
use machine::backend::Stack;
use machine::pil::{self, PilGuard};
use machine::preempt::PreemptGuard;
use machine::tracing::emit;
use machine::{Atomic, Context, MayFault, Pil, SpinLock};
use trace::{EventId, Kind};

/// What a kernel thread does. What it returns, who joins it gets.
pub type Entry = fn(argument: usize, may_fault: &mut MayFault) -> usize;

/// How a thread is to be made.
pub struct Attributes {
    /// For people.
    pub name: &'static str,
    /// Its scheduling class.
    pub class: Class,
    /// Its priority, within the range of the class.
    pub priority: Priority,
    /// Its stack.
    pub stack: StackKind,
    /// The processor that it is bound to for ever, if any.
    pub bound_to: Option<&'static CpuDispatch>,
    /// The partition that it runs in; partition 0 if not given.
    pub partition: Option<&'static Partition>,
    /// Its owner.
    pub owner: Option<&'static dyn ThreadOwner>,
}

impl Attributes {
    /// A thread of the system class at its lowest priority.
    pub const fn system(name: &'static str) -> Attributes {
        Attributes {
            name,
            class: Class::System,
            priority: Priority::SYSTEM_MIN,
            stack: StackKind::Lazy,
            bound_to: None,
            partition: None,
            owner: None,
        }
    }

    /// The same with another class and priority.
    pub const fn scheduled(mut self, class: Class, priority: Priority) -> Attributes {
        self.class = class;
        self.priority = priority;
        self
    }

    /// The same, bound to a processor for ever.
    pub const fn bound(mut self, cpu: &'static CpuDispatch) -> Attributes {
        self.bound_to = Some(cpu);
        self
    }
}

/// How a thread began and how it ends; part of the thread.
pub(crate) struct Life {
    stack: SharedCell<Option<KernelStack>>,
    begin: SharedCell<Option<(Entry, usize)>>,
    name: NameCell,
    result: AtomicUsize,
    /// Nobody will join it.
    detached: AtomicBool,
    /// Those who wait for its end.
    joiners: WaitQueue,
}

impl Life {
    pub(crate) fn new() -> Life {
        Life {
            stack: SharedCell::new(None),
            begin: SharedCell::new(None),
            name: NameCell::new(),
            result: AtomicUsize::new(0),
            detached: AtomicBool::new(false),
            joiners: WaitQueue::new(),
        }
    }

    /// Gives the thread a name.
    pub(crate) fn set_name(&self, name: &str) {
        self.name.set(name);
    }

    /// Whether nobody will join the thread.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }
}

/// Threads that are over and wait to be used again, with their stacks.
pub(crate) struct ThreadCache(SpinLock<Cached, 13>);

struct Cached(ThreadList);

// SAFETY: the links of the threads in the list are the lock holder's.
unsafe impl Send for Cached {}

impl ThreadCache {
    pub(crate) fn new() -> ThreadCache {
        ThreadCache(SpinLock::new(Cached(ThreadList::EMPTY)))
    }

    fn take(&self) -> Option<&'static Thread> {
        self.0.lock_anywhere().0.pop_front()
    }

    fn give(&self, thread: &'static Thread, atomic: &Atomic) {
        self.0.lock_within(atomic).0.push_front(thread);
    }
}

/// A kernel thread that somebody may wait for. Dropping it lets the thread go its way.
pub struct JoinHandle {
    thread: &'static Thread,
}

impl Thread {
    /// What it is called.
    pub fn name(&self) -> ThreadName {
        self.life.name.get()
    }
}

/// Why there is no new thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// There is no memory for it.
    OutOfMemory,
    /// It was to be bound to a processor that is off line.
    OffLine,
}

impl From<OutOfMemory> for CreateError {
    fn from(_: OutOfMemory) -> CreateError {
        CreateError::OutOfMemory
    }
}

/// Makes a thread and lets it run.
pub fn create(
    attributes: &Attributes,
    entry: Entry,
    argument: usize,
) -> Result<JoinHandle, CreateError> {
    let thread = prepare(attributes, entry, argument)?;
    let level = pil::raise_anywhere(Pil::DISP);
    let atomic = level.atomic();
    // At this level, so that no processor goes off line, and no set ends, before the thread is in its queue: either
    // is done while all processors are paused.
    if attributes.class != Class::Interrupt
        && attributes.bound_to.is_some_and(CpuDispatch::is_offline)
    {
        discard(thread, atomic);
        return Err(CreateError::OffLine);
    }
    leave_dead_set(thread, Dispatch::of(atomic));
    // SAFETY: nobody knows the thread yet, and its lock pointer leads to the transition lock.
    enqueue::enqueue(unsafe { InTransit::assume(thread, atomic) }, End::Back);
    drop(level);
    Ok(JoinHandle { thread })
}

/// A thread that was prepared does not begin. Its owner does not hear of it.
fn discard(thread: &'static Thread, atomic: &Atomic) {
    // SAFETY: the thread has not begun.
    unsafe { thread.set_owner(None) };
    end_bare(thread);
    recycle(thread, atomic);
}

/// A thread of a set without processors, or of one that was destroyed while the thread was being made, goes to
/// partition 0, as the threads of a set do that is destroyed. At `DISP_LEVEL`.
fn leave_dead_set(thread: &Thread, dispatch: &'static Dispatch) {
    let set = enqueue::partition_of(thread);
    if set.online() == 0 {
        set.threads.fetch_sub(1, Ordering::Relaxed);
        thread.partition.store(Some(&dispatch.partitions[0]), Ordering::Relaxed);
        dispatch.partitions[0].threads.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread with a stack, ready to begin, that nobody knows.
pub(crate) fn prepare(
    attributes: &Attributes,
    entry: Entry,
    argument: usize,
) -> Result<&'static Thread, OutOfMemory> {
    let thread = prepare_bare(attributes, begin)?;
    // SAFETY: the thread is in no queue and not running: it is the caller's alone.
    *unsafe { thread.life.begin.access() } = Some((entry, argument));
    Ok(thread)
}

/// The same with a context that begins with `start`, which gets the thread's address.
pub(crate) fn prepare_bare(
    attributes: &Attributes,
    start: machine::switch::Entry,
) -> Result<&'static Thread, OutOfMemory> {
    assert!(
        attributes.class != Class::Interrupt || attributes.bound_to.is_some(),
        "threads of the interrupt class belong to a processor"
    );
    let dispatch = Dispatch::current();
    let thread = match dispatch.threads.take() {
        Some(thread) => thread,
        None => {
            let new = dispatch.resources.new_thread()?;
            dispatch.all_threads.join(new);
            new
        }
    };
    let life = &thread.life;
    let Ok(stack) = stack_of(thread, attributes.stack, dispatch) else {
        let guard = machine::preempt::disable_anywhere();
        dispatch.threads.give(thread, guard.atomic());
        return Err(OutOfMemory);
    };
    let address = core::ptr::from_ref(thread).expose_provenance();
    // SAFETY: the stack is the thread's own, and its context is over or has never begun.
    unsafe { thread.context.restart(stack, start, address) };
    life.set_name(attributes.name);
    // SAFETY: the thread has not begun.
    unsafe { thread.set_owner(attributes.owner) };
    life.detached.store(false, Ordering::Relaxed);
    thread.id.store(dispatch.take_thread_id(), Ordering::Relaxed);
    set_up(thread, attributes, dispatch);
    Ok(thread)
}

/// The stack of a thread that is nobody else's: the one that it had, if it is of the right kind, or
/// a new one.
fn stack_of(
    thread: &Thread,
    kind: StackKind,
    dispatch: &'static Dispatch,
) -> Result<Stack, OutOfMemory> {
    // SAFETY: the thread is in no queue and not running: it is the caller's alone.
    let mut kept = unsafe { thread.life.stack.access() };
    if kept.as_ref().is_some_and(|kept| kept.kind != kind) {
        dispatch.resources.give_stack(kept.take().expect("looked at just now"));
    }
    match &*kept {
        Some(kept) => Ok(kept.stack),
        None => Ok(kept.insert(dispatch.resources.take_stack(kind)?).stack),
    }
}

/// The dispatcher's own fields of a new thread.
fn set_up(thread: &'static Thread, attributes: &Attributes, dispatch: &'static Dispatch) {
    class::enter(thread, attributes.class, attributes.priority);
    thread.inherited.store(Priority::NONE);
    let partition = attributes.partition.unwrap_or(&dispatch.partitions[0]);
    thread.partition.store(Some(partition), Ordering::Relaxed);
    partition.threads.fetch_add(1, Ordering::Relaxed);
    thread.binding.begin(attributes.bound_to);
    thread.cpu.store(attributes.bound_to, Ordering::Relaxed);
    thread.woken_by.store(0, Ordering::Relaxed);
    thread.ran_at.store(0, Ordering::Relaxed);
    thread.voluntary.store(0, Ordering::Relaxed);
    thread.involuntary.store(0, Ordering::Relaxed);
    thread.asynchronous.store(0, Ordering::Relaxed);
    thread.sleep.begin_anew();
    thread.publish(State::Free, Some(dispatch.transition_lock()));
}

/// A thread that [`prepare_bare`] made, and that nobody else can find any longer, is over: it goes
/// to the cache when the processor has left its stack.
pub(crate) fn end_bare(thread: &'static Thread) {
    crate::enqueue::partition_of(thread).threads.fetch_sub(1, Ordering::Relaxed);
    thread.life.detached.store(true, Ordering::Release);
    thread.publish(State::Zombie, None);
}

impl JoinHandle {
    /// The thread.
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// Waits until the thread is over; returns what its entry returned.
    pub fn join(self, may_block: &mut impl MayBlock) -> usize {
        let thread = self.thread;
        core::mem::forget(self);
        loop {
            let level = may_block.raise();
            let atomic = level.atomic();
            let joiners = &thread.life.joiners;
            let me = thread_lock::lock(Thread::current(atomic), atomic);
            let mut held = joiners.lock(atomic).enter_high(atomic);
            if thread.state() == State::Zombie {
                drop(held);
                drop(me);
                // It is on its last instructions, at a level at which nobody preempts it.
                swtch::wait_until_left(thread);
                let result = thread.life.result.load(Ordering::Relaxed);
                recycle(thread, atomic);
                return result;
            }
            joiners.put_to_sleep(me, &mut held);
            drop(held);
            swtch(level);
        }
    }
}

impl Drop for JoinHandle {
    fn drop(&mut self) {
        let level = pil::raise_anywhere(Pil::DISP);
        let atomic = level.atomic();
        let held = self.thread.life.joiners.lock(atomic).enter_high(atomic);
        let is_over = self.thread.state() == State::Zombie;
        if !is_over {
            self.thread.life.detached.store(true, Ordering::Release);
        }
        drop(held);
        if is_over {
            swtch::wait_until_left(self.thread);
            recycle(self.thread, atomic);
        }
    }
}

/// Puts a thread that is over, and on whose stack nobody stands, into the cache.
pub(crate) fn recycle(thread: &'static Thread, atomic: &Atomic) {
    if let Some(owner) = thread.owner() {
        owner.over(thread);
    }
    Dispatch::of(atomic).threads.give(thread, atomic);
}

/// Where every thread begins: at `DISP_LEVEL`, with preemption off.
extern "C-unwind" fn begin(address: usize) -> &'static Context {
    // SAFETY: `prepare` gave the address of this thread, which lives for ever.
    let thread: &'static Thread =
        unsafe { &*core::ptr::with_exposed_provenance::<Thread>(address) };
    swtch::arrive_first();
    // SAFETY: the thread is the only one to look, now that it runs.
    let begin = unsafe { thread.life.begin.access() }.take();
    let Some((entry, argument)) = begin else { panic!("{thread:?} has nothing to do") };
    emit(Kind::ThreadBegin, thread.id(), EventId::NONE);
    // SAFETY: the level of the switch that came here, and nobody else restores it.
    let level = unsafe { PilGuard::adopt(Pil::NONE) };
    // SAFETY: a new context has preemption off once.
    let preemption = unsafe { PreemptGuard::adopt() };
    drop(level);
    drop(preemption);
    // SAFETY: the thread's own stack, level 0, preemption on, nothing held; the first token.
    let mut may_fault = unsafe { MayFault::assume() };
    let result = entry(argument, &mut may_fault);
    thread.life.result.store(result, Ordering::Relaxed);
    exit(thread)
}

/// The end of a thread: it tells those who wait for it, and says where the processor goes.
fn exit(thread: &'static Thread) -> &'static Context {
    let level = pil::raise_anywhere(Pil::DISP);
    // SAFETY: at `DISP_LEVEL` until the processor has left this stack.
    let atomic: &'static Atomic = unsafe { Atomic::assume() };
    debug_assert!(
        thread.binding.nomigrate.load(Ordering::Relaxed) == 0,
        "{thread:?} ends while it is weakly bound"
    );
    emit(Kind::ThreadEnd, thread.id(), EventId::NONE);
    crate::enqueue::partition_of(thread).threads.fetch_sub(1, Ordering::Relaxed);
    let me = thread_lock::lock(thread, atomic);
    let mut held = thread.life.joiners.lock(atomic).enter_high(atomic);
    me.zombie();
    thread.life.joiners.wake_all(&mut held);
    drop(held);
    let cpu = CpuDispatch::current(atomic);
    let next = select::select(cpu, atomic);
    let _ = level.leave_raised();
    swtch::leave_for_ever(cpu, thread, next)
}

/// Ends the running thread where it stands, without going back to its entry: what lies on its stack
/// is forgotten, not dropped. For threads that come from user mode. Not on the simulated machine,
/// whose threads have to return.
///
/// # Safety
///
/// Nothing on the stack is known to anybody else (an armed callout, a wait queue) or has to be
/// dropped (a held lock, preemption turned off).
pub unsafe fn exit_here(result: usize) -> ! {
    let thread = Thread::running();
    thread.life.result.store(result, Ordering::Relaxed);
    let next = exit(thread);
    // SAFETY: `exit` has left the level raised, until the processor has left this stack.
    let atomic: &Atomic = unsafe { Atomic::assume() };
    // SAFETY: this thread runs; `next` was published by this processor; at `DISP_LEVEL`.
    unsafe { machine::switch(atomic, &thread.context, next) };
    unreachable!("a thread that is over was resumed")
}
