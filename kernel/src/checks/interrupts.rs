//! Checks of interrupts up to `LOCK_LEVEL`: their handlers run on the stack of the thread that was
//! interrupted, and may switch away from it and be switched back to.

use super::processors::wait_until;
use super::stacks::thread_stack;
use super::{Outcome, Run, Shared, Wrong, ensure};
use crate::kernel::Kernel;
use crate::process;
use core::hint::black_box;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use dispatch::interrupt_thread::InterruptContext;
use machine::pil::{self, Pil, PilGuard};
use machine::x86_64::frame::{self, TrapFrame};
use machine::x86_64::stack::{self, Stack};
use machine::x86_64::trap::vector;
use machine::{Atomic, Context, Cpu, idle, preempt, switch, time};

/// The line, of every level, whose interrupts are the checks' own.
pub const LINE: u8 = 15;

/// The line, of every level, whose interrupts are handed to the level's interrupt thread.
pub const THREAD_LINE: u8 = 14;

/// What a check wants done at an interrupt.
pub type Handler = fn(&Cpu, &Atomic, Pil);

/// What a check wants done by an interrupt thread.
pub type ThreadHandler = fn(Pil, &mut InterruptContext);

/// The handlers of the check that runs: at the interrupt itself, and on its thread.
pub struct Handlers(AtomicPtr<()>, AtomicPtr<()>);

impl Handlers {
    /// No handler.
    pub const fn new() -> Handlers {
        Handlers(AtomicPtr::new(core::ptr::null_mut()), AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Takes the handler away, or puts another in its place.
    pub fn set(&self, handler: Option<Handler>) {
        let handler = handler.map_or(core::ptr::null_mut(), |handler| handler as *mut ());
        self.0.store(handler, Ordering::Release);
    }

    /// An interrupt has come: the timer's, or the checks' own. Does nothing while no check wants it.
    pub fn call(&self, cpu: &Cpu, atomic: &Atomic, level: Pil) {
        let handler = self.0.load(Ordering::Acquire);
        if !handler.is_null() {
            // SAFETY: `set` is the only one that stores here, and it stores a `Handler`.
            let handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
            handler(cpu, atomic, level);
        }
    }

    /// The same for the handler on an interrupt thread.
    pub fn set_on_thread(&self, handler: Option<ThreadHandler>) {
        let handler = handler.map_or(core::ptr::null_mut(), |handler| handler as *mut ());
        self.1.store(handler, Ordering::Release);
    }

    /// An interrupt of [`THREAD_LINE`] is handled, on its thread. Does nothing while no check wants it.
    pub fn call_on_thread(&self, level: Pil, context: &mut InterruptContext) {
        let handler = self.1.load(Ordering::Acquire);
        if !handler.is_null() {
            // SAFETY: `set_on_thread` is the only one that stores here, and it stores a `ThreadHandler`.
            let handler = unsafe { core::mem::transmute::<*mut (), ThreadHandler>(handler) };
            handler(level, context);
        }
    }
}

pub fn shared() -> &'static Shared {
    &Kernel::current().shared
}

/// Handlers that have run.
pub fn handled() -> &'static AtomicU64 {
    &shared().counters[0]
}

/// Those that ran elsewhere than on the running thread's stack.
fn elsewhere() -> &'static AtomicU64 {
    &shared().counters[1]
}

/// Those that interrupted user mode.
fn of_user() -> &'static AtomicU64 {
    &shared().counters[2]
}

/// Interrupts the current processor.
fn interrupt_self(cpu: &Cpu, level: Pil) {
    cpu.system().backend.local_apic.send(cpu.backend.apic_id, vector(level, LINE));
}

/// The same with an interrupt that its level's thread handles.
pub fn interrupt_self_on_thread(cpu: &Cpu, level: Pil) {
    cpu.system().backend.local_apic.send(cpu.backend.apic_id, vector(level, THREAD_LINE));
}

/// A handler that notes where it runs.
#[inline(never)]
fn note(cpu: &Cpu, _: &Atomic, _: Pil) {
    let here = black_box(0u8);
    if !stack::current(cpu).contains(&raw const here as u64) {
        elsewhere().fetch_add(1, Ordering::Relaxed);
    }
    handled().fetch_add(1, Ordering::Release);
}

pub fn handlers_run_on_the_threads_stack(run: &mut Run<'_>) -> Outcome {
    let kernel = run.kernel;
    let own = kernel.system.cpu(0).expect("the first processor is there");
    shared().handlers.set(Some(note));
    let mut count = 0;
    for level in [3, 7, 10].map(Pil::new) {
        interrupt_self(own, level);
        count += 1;
        let came = wait_until(kernel, || handled().load(Ordering::Acquire) == count);
        ensure!(came, "no interrupt at level {level:?}");
        // The same with preemption off.
        let guard = preempt::disable(run.may_fault);
        interrupt_self(own, level);
        count += 1;
        let came = wait_until(kernel, || handled().load(Ordering::Acquire) == count);
        drop(guard);
        ensure!(came, "no interrupt at level {level:?} with preemption off");
        // And while the processor halts.
        idle::halt_unless(run.may_fault, |_| {
            interrupt_self(own, level);
            false
        });
        count += 1;
        let came = handled().load(Ordering::Acquire);
        ensure!(came == count, "halted, {came} handlers of {count} at level {level:?}");
    }
    let wrong = elsewhere().load(Ordering::Relaxed);
    ensure!(wrong == 0, "{wrong} of {count} handlers ran elsewhere than on the thread's stack");
    // One above `LOCK_LEVEL`, which does: so the note would have been made.
    interrupt_self(own, Pil::SHOOT_DOWN);
    ensure!(wait_until(kernel, || handled().load(Ordering::Acquire) > count), "none at level 14");
    ensure!(elsewhere().load(Ordering::Relaxed) == 1, "one at level 14 ran on the thread's stack");
    Ok(())
}

/// The level of the interrupt that comes while a handler is away: below the first one's, so it comes
/// only because the first has been acknowledged.
const ANOTHER: Pil = Pil::new(9);

/// What a handler that switches away works with.
struct Excursion {
    /// Where it goes.
    other: Context,
    stack: Stack,
    /// The level to which the other context goes down.
    floor: Pil,
    /// The interrupted thread, which waits.
    thread: AtomicPtr<Context>,
    /// How often it was gone on.
    taken: AtomicU64,
    /// How often the second interrupt came while the first one's handler was away.
    nested: AtomicU64,
}

impl Excursion {
    fn new(kernel: &Kernel, floor: Pil) -> Result<Excursion, Wrong> {
        Ok(Excursion {
            other: Context::unstarted(),
            stack: thread_stack(kernel)?,
            floor,
            thread: AtomicPtr::new(core::ptr::null_mut()),
            taken: AtomicU64::new(0),
            nested: AtomicU64::new(0),
        })
    }

    /// Lets handlers find it.
    fn install(&self) {
        shared().subject.store(core::ptr::from_ref(self).cast_mut().cast(), Ordering::Release);
    }
}

impl Drop for Excursion {
    fn drop(&mut self) {
        shared().handlers.set(None);
        // SAFETY: taken by `new`; who was on it has come back.
        unsafe { Kernel::current().give_thread_stack(self.stack) };
    }
}

/// What handlers do: if there is an excursion, leaves the interrupted thread for another context in the middle of
/// everything, and sets the excursion aside; and notes where it runs. Says whether there was one.
fn go_on_an_excursion(cpu: &Cpu, atomic: &Atomic, level: Pil) -> bool {
    note(cpu, atomic, level);
    let subject = shared().subject.swap(core::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: null, or left by `install`; the check keeps it until its handlers are done.
    let Some(excursion) = (unsafe { subject.cast::<Excursion>().as_ref() }) else { return false };
    shared().set_aside.store(subject, Ordering::Release);
    excursion.taken.fetch_add(1, Ordering::Relaxed);
    let thread = Context::of_running();
    excursion.thread.store((&raw const thread).cast_mut(), Ordering::Relaxed);
    let argument = core::ptr::from_ref(excursion) as usize;
    // SAFETY: the context has not begun, or is over; its stack is its own.
    unsafe { excursion.other.restart(excursion.stack, wait_for_another, argument) };
    let raised = pil::raise_within(Pil::DISP, atomic);
    // SAFETY: `thread` is what runs; the other context was restarted for this alone.
    unsafe { switch(raised.atomic(), &thread, &excursion.other) };
    true
}

/// Where the handler goes: down to the excursion's level, until another interrupt has come.
extern "C-unwind" fn wait_for_another(argument: usize) -> &'static Context {
    // SAFETY: the handler that came here passed the address of an excursion, which the check keeps.
    let excursion = unsafe { &*(argument as *const Excursion) };
    // SAFETY: the switch that came here raised the level, and nobody else restores it.
    drop(unsafe { PilGuard::adopt(excursion.floor) });
    let kernel = Kernel::current();
    let own = kernel.system.cpu(Cpu::current_index_hint()).expect("the own processor");
    let seen = || {
        if excursion.floor < Pil::LOCK {
            handled().load(Ordering::Acquire)
        } else {
            own.held_back()
        }
    };
    let before = seen();
    interrupt_self(own, ANOTHER);
    if wait_until(kernel, || seen() > before) {
        excursion.nested.fetch_add(1, Ordering::Relaxed);
    }
    pil::raise_anywhere(Pil::DISP).leave_raised();
    // SAFETY: the interrupted thread waits in the handler that holds its context.
    unsafe { &*excursion.thread.load(Ordering::Relaxed) }
}

pub fn handlers_may_switch(run: &mut Run<'_>) -> Outcome {
    const TURNS: u64 = 50;
    let kernel = run.kernel;
    let own = kernel.system.cpu(0).expect("the first processor is there");
    // At the interrupt's own level the second one is held back; at level 0 it comes at once.
    for floor in [Pil::LOCK, Pil::NONE] {
        shared().reset();
        let excursion = Excursion::new(kernel, floor)?;
        shared().handlers.set(Some(|cpu, atomic, level| {
            go_on_an_excursion(cpu, atomic, level);
        }));
        for turn in 1..=TURNS {
            // On some turns the thread is not to be preempted; interrupted it may be.
            let guard = (turn % 2 == 0).then(preempt::disable_anywhere);
            excursion.install();
            interrupt_self(own, Pil::LOCK);
            let came = wait_until(kernel, || handled().load(Ordering::Acquire) == 2 * turn);
            drop(guard);
            let nested = excursion.nested.load(Ordering::Relaxed);
            ensure!(nested == turn, "turn {turn}: {nested} came while the first was away");
            ensure!(came, "turn {turn}: {} of 2 interrupts", handled().load(Ordering::Relaxed));
            ensure!(Pil::current() == Pil::NONE, "the level is {:?} afterwards", Pil::current());
            ensure!(preempt::is_possible(), "preemption is off afterwards");
        }
        let wrong = elsewhere().load(Ordering::Relaxed);
        ensure!(wrong == 0, "{wrong} handlers ran elsewhere than on the thread's stack");
    }
    Ok(())
}

pub fn handlers_over_user_mode_may_switch(run: &mut Run<'_>) -> Outcome {
    /// Between two interrupts, in nanoseconds.
    const INTERVAL: u64 = 200_000;
    const RUNS: usize = 2_000;
    fn set_timer(atomic: &Atomic) {
        let frequency = Kernel::current().system.backend.clock.frequency().expect("calibrated");
        time::set_timer(atomic, time::now() + frequency.ticks(INTERVAL));
    }
    fn handler(cpu: &Cpu, atomic: &Atomic, level: Pil) {
        if level == ANOTHER {
            // The interrupt for which the last excursion has waited, delivered only now. Before that, the next
            // excursion would wait in vain for one: it is held back already.
            let excursion = shared().set_aside.swap(core::ptr::null_mut(), Ordering::AcqRel);
            shared().subject.store(excursion, Ordering::Release);
            return set_timer(atomic);
        }
        // User mode's frame lies at the top of its thread's stack.
        let top = stack::current(cpu).top - frame::SIZE as u64;
        // SAFETY: all stacks are populated up there.
        let frame = unsafe { (top as *const TrapFrame).read() };
        let timer = vector(time::TIMER_LEVEL, time::TIMER_LINE);
        let is_over_user = frame.is_user() && frame.vector == u64::from(timer);
        if go_on_an_excursion(cpu, atomic, level) && is_over_user {
            of_user().fetch_add(1, Ordering::Relaxed);
        }
    }
    let excursion = Excursion::new(run.kernel, Pil::LOCK)?;
    excursion.install();
    shared().handlers.set(Some(handler));
    set_timer(preempt::disable(run.may_fault).atomic());
    // Until enough have begun over user mode, and not over the kernel on its behalf.
    for _ in 0..RUNS {
        let outcome = process::run(run.kernel, "hello", run.may_fault);
        ensure!(outcome == Ok(process::Outcome::Exited(0)), "'hello' came to {outcome:?}");
        if of_user().load(Ordering::Relaxed) >= 10 {
            break;
        }
    }
    time::stop_timer(preempt::disable(run.may_fault).atomic());
    let met = of_user().load(Ordering::Relaxed);
    ensure!(met >= 10, "{met} excursions began over user mode");
    let [taken, nested] = [&excursion.taken, &excursion.nested].map(|n| n.load(Ordering::Relaxed));
    ensure!(taken == nested, "{nested} of {taken} excursions saw the other interrupt");
    let wrong = elsewhere().load(Ordering::Relaxed);
    ensure!(wrong == 0, "{wrong} handlers ran elsewhere than on the thread's stack");
    Ok(())
}

pub fn interrupts_wait_for_room_on_the_stack(run: &mut Run<'_>) -> Outcome {
    /// So little that no frame can be moved there.
    const LITTLE: u64 = 3500;
    /// Goes down the stack, interrupts itself there, and says how many handlers have run.
    #[inline(never)]
    fn deep_down(own: &Cpu, bottom: u64) -> u64 {
        let mut some = [0u8; 200];
        let left = black_box(&mut some).as_ptr() as u64 - bottom;
        if left > LITTLE {
            return black_box(deep_down(own, bottom));
        }
        interrupt_self(own, Pil::DEVICE_MIN);
        Kernel::current().spin_nanoseconds(1_000_000);
        handled().load(Ordering::Acquire)
    }
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    shared().handlers.set(Some(note));
    let bottom = {
        let guard = preempt::disable(run.may_fault);
        stack::current(Cpu::current(guard.atomic())).bottom
    };
    let early = deep_down(own, bottom);
    ensure!(early == 0, "an interrupt was taken without room on the stack");
    drop(pil::raise(Pil::DISP, run.may_fault));
    ensure!(handled().load(Ordering::Acquire) == 1, "an interrupt without room was lost");
    ensure!(elsewhere().load(Ordering::Relaxed) == 0, "its handler ran on another stack");
    // It was acknowledged: the next one comes.
    interrupt_self(own, Pil::DEVICE_MIN);
    ensure!(
        wait_until(run.kernel, || handled().load(Ordering::Acquire) == 2),
        "no interrupt comes after one that had to wait"
    );
    Ok(())
}
