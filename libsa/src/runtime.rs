//! How the library begins, and what it has of the kernel.
//!
//! Three modes, chosen when the program starts, by the word `LIBSA` of its environment (`LIBSA=mode` or
//! `LIBSA=mode,processors`):
//!
//! | mode | a thread is | a thread that blocks in the kernel |
//! |---|---|---|
//! | `sa` | the library's; the kernel tells what happens by upcalls | leaves its virtual processor to the others |
//! | `lwp` | an LWP, the kernel's | is the kernel's affair |
//! | `mux` | the library's; a virtual processor is an LWP, and the kernel tells nothing | takes its virtual processor along |

use crate::control::{Context, ControlBlock, TABLE, THREADS_MAX, block, id_of};
use crate::processor::{COUNTS, IDLE_STACKS, PROCESSORS, Processor, Stack, here};
use crate::switch::HAS_XSAVE;
use crate::{dispatch, line, timeout, upcall};
use abi::activations::{
    SA_WHILE_IT_RUNS, SIGEV_SA, SaAreas, SaHeader, SaLibrary, SaProcessor, SaSlot, SaUpcall,
};
use abi::calls::{TimeSpec, TimerEvent, TimerTimes};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};
use core::time::Duration;
use scheduler::idle::PROCESSORS_MAX;
use scheduler::spin::SpinLock;
use scheduler::thread::LEVEL;
use scheduler::{Scheduler, ThreadId};
use userland::Arguments;
use userland::lwp;
use userland::system::raw;

/// How threads are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Scheduler activations.
    Sa = 0,
    /// An LWP for each thread.
    Lwp = 1,
    /// Virtual processors that the kernel knows nothing of.
    Mux = 2,
}

/// Most upcall stacks: so many for each virtual processor.
const STACKS_EACH: usize = 8;
/// See [`STACKS_EACH`].
pub const STACKS_MAX: usize = STACKS_EACH * PROCESSORS_MAX;
/// Save slots: so many for each virtual processor, and some for all.
const SLOTS_EACH: usize = 8;
/// See [`SLOTS_EACH`].
const SLOTS_FOR_ALL: usize = 64;
/// Most save slots.
pub const SLOTS_MAX: usize = SLOTS_EACH * PROCESSORS_MAX + SLOTS_FOR_ALL;
/// Bytes from one thread's stack to the next, and those of them that nobody can reach.
pub const STRIDE: u64 = 64 * 1024;
const GUARD: u64 = 4096;
/// The first thread's name.
const MAIN: &str = "main";
/// How long a thread runs while others wait.
const SLICE: Duration = Duration::from_millis(10);

/// What is counted, after the seven kinds of events: virtual processors woken.
pub const WAKES: usize = 7;
/// Upcalls that interrupted the library, and were put off.
pub const PUT_OFF: usize = 8;
/// Threads that blocked in a critical section, and got their virtual processor back.
pub const PUT_BACK: usize = 9;
/// Threads made.
pub const SPAWNED: usize = 10;
/// BLOCKED of threads that wait for a page.
pub const FAULTS: usize = 11;

/// What has happened, of all virtual processors together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// NEWPROC, PREEMPTED, BLOCKED, UNBLOCKED, SIGNAL, SIGEV, USER.
    pub events: [u64; 7],
    /// Virtual processors woken.
    pub wakes: u64,
    /// Upcalls put off.
    pub put_off: u64,
    /// Threads put back.
    pub put_back: u64,
    /// Threads made.
    pub spawned: u64,
    /// BLOCKED of threads that wait for a page.
    pub faults: u64,
    /// How often threads were taken from another run queue.
    pub steals: u64,
    /// How often a virtual processor had nothing to do.
    pub idles: u64,
}

struct Place<T>(UnsafeCell<T>);

// SAFETY: written before there is a second thread.
unsafe impl<T> Sync for Place<T> {}

static SCHEDULER: Place<MaybeUninit<Scheduler>> = Place(UnsafeCell::new(MaybeUninit::uninit()));
static AREAS: Place<SaAreas> =
    Place(UnsafeCell::new(SaAreas { header: 0, processors: 0, upcalls: 0, slots: 0 }));
static MODE: AtomicU8 = AtomicU8::new(0);
static SLOTS: AtomicU32 = AtomicU32::new(0);
/// The first thread number that nobody has had.
static FRESH: AtomicU32 = AtomicU32::new(2);
static STACKS: AtomicU64 = AtomicU64::new(0);
static UPCALL_STACKS: [Stack; STACKS_MAX] = [const { Stack::new() }; STACKS_MAX];
/// Where there is no kernel to have them: the lines of virtual processors.
static LINES: [SaProcessor; PROCESSORS_MAX] = [const {
    SaProcessor {
        running: AtomicU64::new(0),
        mark: AtomicU64::new(0),
        own: [const { AtomicU64::new(0) }; 6],
    }
}; PROCESSORS_MAX];

/// The mode.
#[inline(always)]
pub fn mode() -> Mode {
    match MODE.load(Relaxed) {
        0 => Mode::Sa,
        1 => Mode::Lwp,
        _ => Mode::Mux,
    }
}

/// The scheduler.
#[inline(always)]
pub fn scheduler() -> &'static Scheduler {
    // SAFETY: written before anything of this library runs.
    unsafe { &*SCHEDULER.0.get().cast() }
}

/// What the kernel may write at any time.
#[inline(always)]
pub fn look<T: Copy>(at: &T) -> T {
    // SAFETY: a reference.
    unsafe { core::ptr::from_ref(at).read_volatile() }
}

#[inline(always)]
fn areas() -> SaAreas {
    // SAFETY: written before the first upcall.
    unsafe { *AREAS.0.get() }
}

/// What the kernel shows of processors; `None` where it tells nothing.
#[inline]
pub fn header() -> Option<&'static SaHeader> {
    // SAFETY: the kernel's memory, which stays; or null.
    unsafe { (areas().header as *const SaHeader).as_ref() }
}

/// The upcall of a stack.
pub fn upcall(stack: u32) -> &'static SaUpcall {
    // SAFETY: the kernel's memory, which stays.
    unsafe { &*(areas().upcalls as *const SaUpcall).wrapping_add(stack as usize) }
}

/// A save slot.
pub fn slot(slot: u32) -> *const SaSlot {
    (areas().slots as *const SaSlot).wrapping_add(slot as usize)
}

/// The same.
pub fn slot_ref(number: u32) -> &'static SaSlot {
    // SAFETY: the kernel's memory, which stays.
    unsafe { &*slot(number) }
}

/// Which slot a context lies in, if it lies in one.
pub fn slot_at(context: *const Context) -> Option<u32> {
    let offset = (context as u64).wrapping_sub(areas().slots);
    let number = offset / size_of::<SaSlot>() as u64;
    (number < u64::from(slots())).then_some(number as u32)
}

/// How many slots there are.
pub fn slots() -> u32 {
    SLOTS.load(Relaxed)
}

/// How many upcall stacks there are, where there are upcalls.
pub fn stacks() -> u32 {
    if mode() == Mode::Sa { (scheduler().processors() * STACKS_EACH) as u32 } else { 0 }
}

/// For each upcall stack which use of it has gone back by a call.
static BACK_BY_CALL: [AtomicU32; STACKS_MAX] = [const { AtomicU32::new(0) }; STACKS_MAX];

/// The call that is about to be made gives the stack of an upcall back.
pub fn goes_back_by_call(upcall: &SaUpcall) {
    BACK_BY_CALL[look(&upcall.told.stack) as usize].store(look(&upcall.told.used), Relaxed);
}

/// How many upcall stacks are not back with the kernel, and how many slots, as far as the library can tell.
pub fn lent() -> (usize, usize) {
    let stack_is_out = |&stack: &u32| {
        let (upcall, by_call) = (upcall(stack), BACK_BY_CALL[stack as usize].load(Relaxed));
        let used = look(&upcall.told.used);
        used != upcall.returned.load(Relaxed) && used != by_call
    };
    let slot_is_out = |slot: &u32| {
        let slot = slot_ref(*slot);
        look(&slot.used) != slot.returned.load(Relaxed)
    };
    ((0..stacks()).filter(stack_is_out).count(), (0..slots()).filter(slot_is_out).count())
}

/// Memory for contexts: one is returned, the others are free.
pub fn map_contexts(processor: &Processor) -> Option<*mut Context> {
    const LENGTH: usize = 64 * 1024;
    let first = map(0, LENGTH)? as *mut Context;
    for place in 1..LENGTH / size_of::<Context>() {
        let context = first.wrapping_add(place);
        // SAFETY: within what was mapped.
        unsafe { (*context).head[0] = processor.contexts.get() as u64 };
        processor.contexts.set(context);
    }
    Some(first)
}

/// Maps memory, at an address if that is not 0.
pub fn map(address: usize, length: usize) -> Option<usize> {
    const READ_WRITE: i32 = 3;
    const PRIVATE: i32 = 2;
    const FIXED: i32 = 0x10;
    const ANONYMOUS: i32 = 0x20;
    let flags = PRIVATE | ANONYMOUS | if address == 0 { 0 } else { FIXED };
    // SAFETY: fresh memory, or the library's own addresses.
    let mapped = unsafe { raw::mmap(address as u64, length as u64, READ_WRITE, flags, -1, 0) };
    mapped.ok().map(|address| address as usize)
}

/// Takes what was mapped away.
pub fn unmap(address: usize, length: usize) {
    // SAFETY: the caller has mapped it, and uses it no longer.
    let unmapped = unsafe { raw::munmap(address as u64, length as u64) };
    debug_assert!(unmapped.is_ok(), "{address:#x}: {unmapped:?}");
}

/// The virtual processor that the caller runs on, or did a moment ago.
pub fn processor_number() -> usize {
    line::critical(|| crate::processor::here().number.get())
}

/// What has happened.
pub fn counts() -> Counts {
    let sum = |which: usize| PROCESSORS.iter().map(|one| one.counts[which].load(Relaxed)).sum();
    let scheduler = scheduler().counts();
    Counts {
        events: core::array::from_fn(sum),
        wakes: sum(WAKES),
        put_off: sum(PUT_OFF),
        put_back: sum(PUT_BACK),
        spawned: sum(SPAWNED),
        faults: sum(FAULTS),
        steals: scheduler.steals,
        idles: scheduler.idles,
    }
}

const _: () = assert!(FAULTS < COUNTS);

/// What a virtual processor's line needs before the first thread runs there.
#[inline]
pub fn set_up_line(processor: &'static Processor, line: &'static SaProcessor) {
    if line.own[3].load(Relaxed) != 0 {
        return;
    }
    let number = (core::ptr::from_ref(processor) as usize - PROCESSORS.as_ptr() as usize)
        / size_of::<Processor>();
    processor.number.set(number);
    processor.line.set(line);
    line.own[4].store(IDLE_STACKS[number].top(), Relaxed);
    line.own[3].store(core::ptr::from_ref(processor) as u64, Relaxed);
}

/// Where each thread is an LWP all of them have one [`Processor`]: this is the lock of its free threads.
static SHARED: SpinLock = SpinLock::new();

/// A number for a new thread; `None` if there are as many as there can be.
#[inline]
pub fn new_thread(processor: &Processor) -> Option<&'static ControlBlock> {
    let _guard = (mode() == Mode::Lwp).then(|| SHARED.lock());
    if let Some(free) = ThreadId::new(processor.free.get()) {
        let thread = block(free);
        processor.free.set(thread.joiner.load(Relaxed) as u32);
        processor.free_count.set(processor.free_count.get() - 1);
        thread.scheduler.wait_until_off_its_stack();
        return Some(thread);
    }
    fresh_thread()
}

#[cold]
fn fresh_thread() -> Option<&'static ControlBlock> {
    let number = FRESH.fetch_add(1, Relaxed);
    if number as usize >= THREADS_MAX {
        FRESH.fetch_sub(1, Relaxed);
        return None;
    }
    ThreadId::new(number).map(block)
}

/// A thread is over, and nobody has a handle.
pub fn free_thread(processor: &Processor, thread: &ControlBlock) {
    let _guard = (mode() == Mode::Lwp).then(|| SHARED.lock());
    thread.joiner.store(u64::from(processor.free.get()), Relaxed);
    processor.free.set(id_of(thread).number());
    processor.free_count.set(processor.free_count.get() + 1);
}

/// The address behind a thread's stack.
#[inline]
pub fn stack_top(thread: ThreadId) -> u64 {
    STACKS.load(Relaxed) + (u64::from(thread.number()) + 1) * STRIDE
}

/// Begins, and runs `main` as the first thread.
pub fn run(arguments: Arguments, main: fn(Arguments) -> i32) -> i32 {
    let (mode, processors) = wanted(arguments);
    MODE.store(mode as u8, Relaxed);
    // SAFETY: nobody else is here yet.
    unsafe { SCHEDULER.0.get().cast::<Scheduler>().write(Scheduler::new()) };
    let mapped = map(TABLE, THREADS_MAX * size_of::<ControlBlock>());
    // SAFETY: the library's own addresses.
    let stacks = unsafe { raw::stacks(THREADS_MAX as u64, STRIDE, GUARD) };
    let (Some(_), Ok(stacks)) = (mapped, stacks) else {
        userland::eprintln!("libsa: no room for threads: {mapped:?}, {stacks:?}");
        return 1;
    };
    if !timeout::begin() {
        userland::eprintln!("libsa: no room for deadlines");
        return 1;
    }
    STACKS.store(stacks, Relaxed);
    HAS_XSAVE.store(u8::from(has_xsave()), Relaxed);
    let first = block(ThreadId::new(1).expect("1 is a number"));
    first.references.store(1, Relaxed);
    first.scheduler.set_level(LEVEL);
    first.name.set((MAIN.as_ptr(), MAIN.len()));
    first.scheduler.enter_stack();
    match mode {
        Mode::Sa => begin_activations(first, processors),
        Mode::Lwp => begin_alone(first),
        Mode::Mux => begin_multiplexed(first, processors),
    }
    main(arguments)
}

/// What the environment asks for.
fn wanted(arguments: Arguments) -> (Mode, usize) {
    let on_line = || {
        let all = userland::processor::all();
        all.filter(|info| info.on_line != 0).count()
    };
    let word = arguments.environment().find_map(|word| word.to_str().ok()?.strip_prefix("LIBSA="));
    let (mode, count) = word.unwrap_or("sa").split_once(',').unwrap_or((word.unwrap_or("sa"), ""));
    let mode = match mode {
        "lwp" => Mode::Lwp,
        "mux" => Mode::Mux,
        "sa" | "" => Mode::Sa,
        other => {
            userland::eprintln!("libsa: LIBSA={other}: sa, lwp or mux");
            userland::system::exit_group(2)
        }
    };
    let count = count.parse().ok().unwrap_or_else(on_line);
    (mode, count.clamp(1, PROCESSORS_MAX))
}

fn has_xsave() -> bool {
    let features = core::arch::x86_64::__cpuid(1);
    features.ecx & 1 << 27 != 0
}

fn begin_activations(first: &'static ControlBlock, processors: usize) {
    let text = upcall::scheduler_text();
    let stacks = processors * STACKS_EACH;
    let slots = processors * SLOTS_EACH + SLOTS_FOR_ALL;
    let library = SaLibrary {
        entry: upcall::entry as *const () as u64,
        scheduler_start: text.start,
        scheduler_end: text.end,
        processors: processors as u32,
        stacks: stacks as u32,
        slots: slots as u32,
        flags: 0,
    };
    SLOTS.store(slots as u32, Relaxed);
    // SAFETY: both are there.
    let registered = unsafe { raw::sa_register(&raw const library, AREAS.0.get()) };
    assert!(registered.is_ok(), "sa_register: {registered:?}");
    for stack in &UPCALL_STACKS[..stacks] {
        let lent = stack.lent();
        // SAFETY: nobody else uses it.
        let lent = unsafe { raw::sa_stacks(&raw const lent, 1) };
        assert!(lent.is_ok(), "sa_stacks: {lent:?}");
    }
    // SAFETY: the kernel's memory, which stays.
    let line = unsafe { &*(areas().processors as *const SaProcessor) };
    set_up_line(&PROCESSORS[0], line);
    scheduler().set_processors(processors);
    line.running.store(core::ptr::from_ref(first) as u64, Relaxed);
    // SAFETY: upcalls find all they need.
    let enabled = unsafe { raw::sa_enable() };
    assert!(enabled.is_ok(), "sa_enable: {enabled:?}");
    (0..processors as u32).for_each(slice_time);
    timeout::make_timer();
    if processors > 1 {
        // SAFETY: the call writes to no memory.
        let added = unsafe { raw::sa_setconcurrency(processors as u32 - 1) };
        assert!(added.is_ok(), "sa_setconcurrency: {added:?}");
    }
}

/// While a program runs on a virtual processor, it hears every so often that the running thread's time is over.
fn slice_time(processor: u32) {
    const MONOTONIC: i32 = 1;
    let event = TimerEvent {
        value: u64::from(processor | SA_WHILE_IT_RUNS),
        notify: SIGEV_SA,
        ..TimerEvent::default()
    };
    let slice = TimeSpec { seconds: 0, nanoseconds: SLICE.as_nanos() as i64 };
    let times = TimerTimes { interval: slice, value: slice };
    let mut timer = 0;
    // SAFETY: both are there.
    let made = unsafe { raw::timer_create(MONOTONIC, &raw const event, &raw mut timer) };
    assert!(made.is_ok(), "timer_create: {made:?}");
    // SAFETY: the times are there.
    let set = unsafe { raw::timer_settime(timer, 0, &raw const times, core::ptr::null_mut()) };
    assert!(set.is_ok(), "timer_settime: {set:?}");
}

/// The calling LWP has a line of its own from now on.
fn use_line(line: &'static SaProcessor) {
    const SET_FS: i32 = 0x1002;
    // SAFETY: the line lives as long as the program.
    let set = unsafe { raw::arch_prctl(SET_FS, core::ptr::from_ref(line) as u64) };
    assert!(set.is_ok(), "arch_prctl: {set:?}");
}

fn begin_alone(first: &'static ControlBlock) {
    begin_as_lwp(&LINES[0], first);
}

/// The calling LWP is this thread.
pub fn begin_as_lwp(line: &'static SaProcessor, thread: &'static ControlBlock) {
    set_up_line(&PROCESSORS[0], line);
    line.running.store(core::ptr::from_ref(thread) as u64, Relaxed);
    thread.lwp.store(lwp_self(), Relaxed);
    use_line(line);
}

fn lwp_self() -> u64 {
    raw::lwp_self().0
}

fn begin_multiplexed(first: &'static ControlBlock, processors: usize) {
    scheduler().set_processors(processors);
    set_up_line(&PROCESSORS[0], &LINES[0]);
    LINES[0].running.store(core::ptr::from_ref(first) as u64, Relaxed);
    PROCESSORS[0].lwp.store(lwp_self(), Relaxed);
    use_line(&LINES[0]);
    for number in 1..processors {
        let top = IDLE_STACKS[number].top();
        let attributes = lwp::Attributes::default();
        // SAFETY: the stack is this virtual processor's own.
        let made = unsafe { lwp::create(top, multiplexed, number as u64, attributes) };
        let made = made.expect("an LWP for a virtual processor");
        PROCESSORS[number].lwp.store(made, Ordering::Release);
    }
}

extern "C" fn multiplexed(number: u64) -> u64 {
    let number = number as usize;
    set_up_line(&PROCESSORS[number], &LINES[number]);
    PROCESSORS[number].lwp.store(lwp_self(), Relaxed);
    LINES[number].mark.store(1, Relaxed);
    use_line(&LINES[number]);
    debug_assert!(core::ptr::eq(here(), &PROCESSORS[number]));
    debug_assert!(line::running().is_null());
    dispatch::go_on_with_anybody()
}
