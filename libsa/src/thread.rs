//! Threads, under the names of `std::thread`.
//!
//! What a thread does, and what comes out of it, lie at the top of its stack: to make a thread takes no memory but its
//! own.

use crate::control::{ControlBlock, Threads, block, id_of};
use crate::dispatch;
use crate::line;
use crate::processor::here;
use crate::runtime::{self, Mode};
use crate::switch;
use crate::timeout;
use abi::activations::SaProcessor;
use core::arch::naked_asm;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::sync::atomic::{Ordering, Ordering::Relaxed};
use core::time::Duration;
use scheduler::thread::LEVEL;
use scheduler::wait::WaitQueue;
use scheduler::{Place, ThreadId};

pub use crate::local::{AccessError, LocalKey};
pub use crate::scope::{Scope, ScopedJoinHandle, scope};

/// Most bytes of what a thread does, and of what comes out of it.
const PACKET_MAX: usize = 16 * 1024;

/// There can be no more threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError;

/// What a thread that has panicked leaves; that ends the whole program, so there is none.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

/// What comes out of a thread.
pub type Result<T> = core::result::Result<T, Never>;

/// Room for what a thread does, then for what came out of it.
union Packet<F, T> {
    _act: ManuallyDrop<F>,
    _result: ManuallyDrop<T>,
}

/// How a thread is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder {
    name: Option<&'static str>,
    priority: Option<u32>,
}

impl Builder {
    /// A thread like any other.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// It has a name.
    pub fn name(self, name: &'static str) -> Builder {
        Builder { name: Some(name), ..self }
    }

    /// It has a priority: 0 is the least, 7 the highest, 3 usual. A thread that can run does so before all of a lower
    /// one.
    pub fn priority(self, priority: u32) -> Builder {
        Builder { priority: Some(priority), ..self }
    }

    /// Starts it.
    pub fn spawn<F, T>(self, act: F) -> core::result::Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: what it uses lives for ever.
        unsafe { self.spawn_unchecked(act) }
    }

    /// Starts it.
    ///
    /// # Safety
    ///
    /// What it uses lives until it is over.
    #[inline]
    pub(crate) unsafe fn spawn_unchecked<F, T>(
        self,
        act: F,
    ) -> core::result::Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T,
    {
        const { assert!(size_of::<Packet<F, T>>() <= PACKET_MAX) };
        const { assert!(align_of::<Packet<F, T>>() <= 64) };
        let thread = new(self.priority.unwrap_or(LEVEL))?;
        let top = runtime::stack_top(id_of(thread)) - size_of::<SaProcessor>() as u64;
        let packet = ((top as usize - size_of::<Packet<F, T>>()) & !63) as *mut u8;
        // SAFETY: the stack is the new thread's, which does not run yet.
        unsafe { packet.cast::<F>().write(act) };
        thread.data.set(packet);
        thread.entry.set(Some(act_of::<F, T>));
        thread.drop_result.set(Some(drop_of::<T>));
        let name = self.name.unwrap_or_default();
        thread.name.set((name.as_ptr(), name.len()));
        start(thread, packet as u64)?;
        Ok(JoinHandle { thread: Thread { block: thread }, result: PhantomData })
    }
}

/// Runs what a thread does.
///
/// # Safety
///
/// `packet` has it; this is done once.
unsafe fn act_of<F: FnOnce() -> T, T>(packet: *mut u8) {
    // SAFETY: the caller's promise.
    let act = unsafe { packet.cast::<F>().read() };
    let result = act();
    // SAFETY: the place is free now, and large enough.
    unsafe { packet.cast::<T>().write(result) };
}

/// Drops what came out of a thread.
///
/// # Safety
///
/// `packet` has it; nobody takes it.
unsafe fn drop_of<T>(packet: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { packet.cast::<T>().drop_in_place() };
}

/// A thread that does not run yet. It and one handle use it.
#[inline]
fn new(priority: u32) -> core::result::Result<&'static ControlBlock, SpawnError> {
    line::enter();
    let processor = here();
    processor.count(runtime::SPAWNED);
    let thread = runtime::new_thread(processor);
    line::leave();
    let thread = thread.ok_or(SpawnError)?;
    thread.references.store(2, Relaxed);
    thread.is_over.store(0, Relaxed);
    thread.joiner.store(0, Relaxed);
    thread.scheduler.set_level(priority);
    Ok(thread)
}

/// Lets it run, on a stack that begins here.
#[inline]
fn start(thread: &'static ControlBlock, top: u64) -> core::result::Result<(), SpawnError> {
    if runtime::mode() == Mode::Lwp {
        return start_lwp(thread, top);
    }
    // What `switch` takes from the stack: six registers, then where to.
    let frame = (top - 16 - 56) as *mut [u64; 7];
    let begin = begin as *const () as u64;
    // SAFETY: the stack is the new thread's, which does not run yet.
    unsafe { frame.write([0, 0, 0, 0, 0, 0, begin]) };
    thread.stack_pointer.set(frame as u64);
    line::critical(|| dispatch::ready(id_of(thread), Place::Last));
    Ok(())
}

#[cold]
fn start_lwp(thread: &'static ControlBlock, top: u64) -> core::result::Result<(), SpawnError> {
    extern "C" fn lwp(thread: u64) -> u64 {
        // SAFETY: its own control block.
        let thread = unsafe { &*(thread as *const ControlBlock) };
        let line = runtime::stack_top(id_of(thread)) - size_of::<SaProcessor>() as u64;
        let line = line as *mut SaProcessor;
        // SAFETY: the stack's top is kept for it.
        unsafe { line.write(SaProcessor::default()) };
        // SAFETY: it lives as long as the thread.
        runtime::begin_as_lwp(unsafe { &*line }, thread);
        live()
    }
    const DETACHED: u32 = 2;
    let attributes = userland::lwp::Attributes { flags: DETACHED, ..Default::default() };
    let argument = core::ptr::from_ref(thread) as u64;
    // SAFETY: the stack is the new thread's.
    let made = unsafe { userland::lwp::create(top, lwp, argument, attributes) };
    made.map_err(|_| SpawnError)?;
    Ok(())
}

/// Where threads begin, at a stack pointer that is a multiple of 16.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!("xor ebp, ebp", "call {live}", "ud2", live = sym live)
}

/// A thread's life.
extern "C" fn live() -> ! {
    // SAFETY: this is a thread.
    let me: &'static ControlBlock = unsafe { &*line::running() };
    if let Some(entry) = me.entry.get() {
        // SAFETY: that is what `data` is for.
        unsafe { entry(me.data.get()) };
    }
    crate::local::drop_all(me);
    line::enter();
    me.is_over.store(1, Ordering::Release);
    let joiner = me.joiner.swap(OVER, Ordering::AcqRel);
    if let Some(joiner) = ThreadId::new(joiner as u32) {
        unpark_block(block(joiner));
    }
    crate::save::drop_context(me);
    drop_reference(me);
    if runtime::mode() == Mode::Lwp {
        me.scheduler.leave_stack();
        userland::system::exit(0);
    }
    match dispatch::next(here()) {
        // SAFETY: nobody goes on with this one; its stack is used again when it has left it.
        Some(next) => unsafe { switch::leave_for_good(me, next) },
        None => {
            // SAFETY: likewise.
            unsafe { switch::switch_to_nobody(me) };
            unreachable!("a thread that is over goes on")
        }
    }
}

/// In [`ControlBlock::joiner`]: the thread is over. No thread has this number.
const OVER: u64 = 1 << 32;

/// Somebody uses a thread no longer. In a critical section.
fn drop_reference(thread: &ControlBlock) {
    if thread.references.fetch_sub(1, Ordering::AcqRel) == 1 {
        if let Some(drop_result) = thread.drop_result.take() {
            // SAFETY: the thread is over, nobody else is left, and nobody has taken the result.
            unsafe { drop_result(thread.data.get()) };
        }
        runtime::free_thread(here(), thread);
    }
}

/// Gives a thread its token, in a critical section.
#[inline]
fn unpark_block(thread: &'static ControlBlock) {
    if thread.scheduler.unpark() {
        dispatch::ready(id_of(thread), Place::First);
    }
}

/// Whether there is a token is seen first, then the thread leaves.
#[inline]
pub(crate) fn park_me(me: &'static ControlBlock) {
    if me.scheduler.take_token() {
        return;
    }
    line::enter();
    if me.scheduler.parks() {
        dispatch::leave(me);
    } else {
        line::leave();
    }
}

#[inline]
pub(crate) fn me() -> &'static ControlBlock {
    // SAFETY: whoever calls this is a thread.
    unsafe { &*line::running() }
}

/// Starts a thread.
///
/// # Panics
///
/// If there can be no more.
#[inline]
pub fn spawn<F, T>(act: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(act).expect("there can be one more thread")
}

/// Waits until it gets its token, which [`Thread::unpark`] gives, and takes it.
pub fn park() {
    park_me(me());
}

/// The same, but for so long at most.
pub fn park_timeout(time: Duration) {
    let me = me();
    if me.scheduler.take_token() {
        return;
    }
    let at = timeout::after(time);
    line::enter();
    if me.scheduler.parks() {
        timeout::leave_until(me, at, None);
    } else {
        line::leave();
    }
}

/// Lets others run.
pub fn yield_now() {
    dispatch::yield_now();
}

/// Sleeps. Others run meanwhile.
pub fn sleep(time: Duration) {
    /// Nobody wakes those who are in it.
    static SLEEPERS: WaitQueue = WaitQueue::new();
    let (me, at) = (me(), timeout::after(time));
    line::enter();
    SLEEPERS.lock().add(id_of(me), &Threads);
    timeout::leave_until(me, at, Some(&SLEEPERS));
}

/// The running thread.
pub fn current() -> Thread {
    let block = me();
    block.references.fetch_add(1, Relaxed);
    Thread { block }
}

/// A handle of a thread.
pub struct Thread {
    block: &'static ControlBlock,
}

// SAFETY: all that it does may be done from anywhere.
unsafe impl Send for Thread {}
// SAFETY: likewise.
unsafe impl Sync for Thread {}

impl Thread {
    /// Its number; later threads may have the same when it is over.
    pub fn id(&self) -> ThreadId {
        id_of(self.block)
    }

    /// Its name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        let (start, length) = self.block.name.get();
        // SAFETY: a name lives for ever.
        let name = unsafe { core::slice::from_raw_parts(start, length) };
        core::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    /// Gives it its token: it returns from [`park`], now or the next time that it parks.
    #[inline]
    pub fn unpark(&self) {
        line::critical(|| unpark_block(self.block));
    }
}

impl Clone for Thread {
    fn clone(&self) -> Thread {
        self.block.references.fetch_add(1, Relaxed);
        Thread { block: self.block }
    }
}

impl Drop for Thread {
    #[inline]
    fn drop(&mut self) {
        line::critical(|| drop_reference(self.block));
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Thread").field("id", &self.id()).field("name", &self.name()).finish()
    }
}

/// The handle to wait for a thread with. Without it the thread goes on all the same.
pub struct JoinHandle<T> {
    thread: Thread,
    result: PhantomData<T>,
}

// SAFETY: as `Thread`; the result is `Send`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: likewise.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        self.thread.block.is_over.load(Ordering::Acquire) != 0
    }

    /// Waits until it is over; returns what came out of it.
    #[inline]
    pub fn join(self) -> Result<T> {
        let block = self.thread.block;
        if block.is_over.load(Ordering::Acquire) == 0 {
            wait_for(block);
        }
        block.drop_result.set(None);
        // SAFETY: the thread is over, and its result lies at the beginning of its packet; nobody else takes it.
        Ok(unsafe { block.data.get().cast::<T>().read() })
    }
}

#[cold]
fn wait_for(thread: &ControlBlock) {
    let me = me();
    let number = u64::from(id_of(me).number());
    let first = thread.joiner.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
    if first.is_err() {
        return;
    }
    // A token that comes from elsewhere is not lost: it is given again.
    let mut others = 0;
    while thread.is_over.load(Ordering::Acquire) == 0 {
        park();
        others += 1;
    }
    // One of them was for this.
    if others > 1 {
        line::critical(|| unpark_block(me));
    }
}
