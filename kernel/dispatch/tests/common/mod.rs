//! What the tests share: a machine whose processors run the dispatcher, and threads from closures.

#![allow(dead_code, unused_imports, reason = "each test uses its part")]

mod host;
mod processors;

use dispatch::interrupt_thread;
use dispatch::kernel_thread::{self, Attributes, JoinHandle};
use dispatch::{Class, CpuDispatch, Dispatch, Priority, Thread, hooks, idle_loop, start};
use host::{InterruptHandler, unexpected};
use machine::sim::{self, Machine};
use machine::{Atomic, Cpu, Hooks, MayFault, Pil};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use host::with_handler;
pub use machine::sim::{model, model_with_few_preemptions, once};
pub use processors::*;

/// The hooks of a kernel that is nothing but a dispatcher.
pub struct DispatcherHooks;

impl Hooks for DispatcherHooks {
    fn interrupt(&self, cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) {
        let is_handled = interrupt_thread::deliver(CpuDispatch::of(cpu), atomic, level, line);
        assert!(is_handled, "interrupt at {level:?}, line {line}, of processor {}", cpu.index());
    }

    fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
        hooks::poked(cpu, atomic);
    }

    fn timer(&self, cpu: &Cpu, atomic: &Atomic) {
        hooks::timer(cpu, atomic);
    }

    fn preempt(&self) {
        hooks::preempt();
    }
}

/// Makes a machine with a dispatcher that knows all its processors.
pub fn with_dispatcher(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    body: impl FnOnce(&Machine, &'static Dispatch),
) {
    with_handler(cpus, hooks, unexpected, body);
}

/// Runs `main` as a thread of the dispatcher on a machine with `cpus` processors, all of which run threads
/// until it returns. Whatever it has started it must have waited for.
pub fn run(cpus: usize, main: impl FnOnce(&mut MayFault) + Send + 'static) {
    run_with(cpus, DispatcherHooks, main);
}

/// The same with hooks of the test's own.
pub fn run_with(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    main: impl FnOnce(&mut MayFault) + Send + 'static,
) {
    run_with_handler(cpus, hooks, unexpected, main);
}

/// The same with a handler of interrupts that run as threads.
pub fn run_with_handler(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    handler: InterruptHandler,
    main: impl FnOnce(&mut MayFault) + Send + 'static,
) {
    run_prepared(cpus, hooks, handler, |_| (), main);
}

/// The same on a machine to which something is added before it starts: the layers above.
pub fn run_prepared(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    handler: InterruptHandler,
    prepare: impl FnOnce(&Machine),
    main: impl FnOnce(&mut MayFault) + Send + 'static,
) {
    with_handler(cpus, hooks, handler, |machine, dispatch| {
        prepare(machine);
        start_processors(cpus, machine, dispatch, Box::new(main));
    });
}

/// Starts all processors, the first with a thread that does this. Built once, and not for each test.
fn start_processors(
    cpus: usize,
    machine: &Machine,
    dispatch: &'static Dispatch,
    main: Box<dyn FnOnce(&mut MayFault) + Send>,
) {
    let over = Arc::new(AtomicBool::new(false));
    let mut main = Some(main);
    for index in 0..cpus {
        let idle: &'static Thread = machine.keep(Thread::of_running_code());
        let over = Arc::clone(&over);
        let main = if index == 0 { main.take() } else { None };
        machine.start(index, move |may_fault| {
            let cpu = dispatch.cpu(index).expect("added before");
            start::begin_as_idle(cpu, idle);
            if let Some(main) = main {
                let over = Arc::clone(&over);
                drop(spawn(system(60), move |may_fault| {
                    main(may_fault);
                    over.store(true, Ordering::SeqCst);
                    dispatch::idle::wake_all(dispatch);
                }));
            }
            idle_loop(may_fault, |_| over.load(Ordering::SeqCst));
            interrupt_thread::retire_all(may_fault);
        });
    }
}

/// Attributes of a thread of the system class.
pub fn system(priority: u8) -> Attributes {
    Attributes::system("test").scheduled(Class::System, Priority::new(priority))
}

/// Attributes of a thread of the time-sharing class. There is no tick, so its priority stays.
pub fn time_sharing(priority: u8) -> Attributes {
    Attributes::system("test").scheduled(Class::TimeSharing, Priority::new(priority))
}

/// Attributes of a thread of the real-time class.
pub fn real_time(priority: u8) -> Attributes {
    Attributes::system("test").scheduled(Class::RealTime, Priority::new(priority))
}

/// Attributes of a thread of the system class that is bound to a processor.
pub fn on(cpu: usize, priority: u8) -> Attributes {
    system(priority).bound(Dispatch::current().cpu(cpu).expect("the machine has it"))
}

/// Moves the machine's time on.
pub fn advance(ticks: u64) {
    sim::advance(machine::System::current(), ticks);
    sim::interrupt_point();
}

type Body = Box<dyn FnOnce(&mut MayFault) -> usize + Send>;

/// Starts a thread from a closure.
pub fn spawn(
    attributes: Attributes,
    body: impl FnOnce(&mut MayFault) + Send + 'static,
) -> JoinHandle {
    spawn_boxed(
        attributes,
        Box::new(move |may_fault| {
            body(may_fault);
            0
        }),
    )
}

/// Starts a thread from a closure whose result `join` returns.
pub fn spawn_returning(
    attributes: Attributes,
    body: impl FnOnce(&mut MayFault) -> usize + Send + 'static,
) -> JoinHandle {
    spawn_boxed(attributes, Box::new(body))
}

fn spawn_boxed(attributes: Attributes, body: Body) -> JoinHandle {
    fn entry(argument: usize, may_fault: &mut MayFault) -> usize {
        let body = std::ptr::with_exposed_provenance_mut::<Body>(argument);
        // SAFETY: leaked below, for this one call.
        let body = unsafe { Box::from_raw(body) };
        body(may_fault)
    }
    let body: Box<Body> = Box::new(body);
    let argument = Box::into_raw(body).expose_provenance();
    kernel_thread::create(&attributes, entry, argument).expect("the host has memory")
}

/// Lets others run until this is so.
pub fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        dispatch::preempt::yield_now();
        machine::spin();
    }
}

/// Keeps the processor until this is so.
pub fn spin_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        machine::spin();
    }
}

/// Something that has happened or not.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Not yet.
    pub fn new() -> Flag {
        Flag::default()
    }

    /// It has happened.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Lets others run until it has.
    pub fn wait(&self) {
        wait_until(|| self.is_set());
    }

    /// Keeps the processor until it has.
    pub fn spin(&self) {
        spin_until(|| self.is_set());
    }
}
