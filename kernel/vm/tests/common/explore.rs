//! Trying every order: a few threads, the *actors*, on one processor, that stop at every schedule point
//! ([`vm::schedule`]); whoever goes on next is chosen here. Depth first, one execution per order, each from the
//! beginning; orders with more than so many preemptions (an actor that could go on has to wait) are left out.
//!
//! Nothing else decides anything: one processor, no interrupts, no clock. So an order is the list of the choices, and
//! repeating the list repeats the execution. A failure prints it.
//!
//! An actor that sleeps for a page or a lock is not to be chosen; when it wakes up it goes on to its next point by
//! itself, before the next choice.
//!
//! Musuvathi and Qadeer, *Iterative Context Bounding*, 2007.

use super::dispatcher::system;
use super::program::{Program, Running, User};
use super::run_hooked;
use dispatch::{Semaphore, Thread};
use machine::slot::{Layer, Slot};
use machine::{MayFault, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use vm::schedule::Point;

// SAFETY: the only slot of this layer in these tests.
const SLOT: Slot<Stage> = unsafe { Slot::new(Layer::Test) };

/// The priority of actors: above the one who chooses.
const ACTOR: u8 = 80;

/// Where the actors of one execution wait.
struct Stage {
    actors: Mutex<Vec<Arc<Actor>>>,
}

/// An actor's place on the stage.
struct Actor {
    name: &'static str,
    thread: Mutex<Option<&'static Thread>>,
    go: Semaphore,
    waits: AtomicBool,
    over: AtomicBool,
    /// Where it waits.
    at: Mutex<Option<Point>>,
}

impl Actor {
    fn stop_at(&self, point: Option<Point>, may_fault: &mut MayFault) {
        *self.at.lock().unwrap() = point;
        self.waits.store(true, Ordering::SeqCst);
        self.go.p(may_fault);
    }
}

/// Stops an actor at a point.
fn hook(point: Point, may_fault: &mut MayFault) {
    stop(Some(point), may_fault);
}

/// Stops the running thread, if it is an actor, at a place of the test's own.
pub fn stop_here(may_fault: &mut MayFault) {
    stop(None, may_fault);
}

fn stop(point: Option<Point>, may_fault: &mut MayFault) {
    let Some(stage) = System::current().slots().find(&SLOT) else { return };
    let me = Thread::running();
    let actor = {
        let actors = stage.actors.lock().unwrap();
        let is_me = |actor: &&Arc<Actor>| {
            actor.thread.lock().unwrap().is_some_and(|thread| std::ptr::eq(thread, me))
        };
        actors.iter().find(is_me).cloned()
    };
    if let Some(actor) = actor {
        actor.stop_at(point, may_fault);
    }
}

/// A choice that was made: which of the actors that could go on, and how many preemptions that was.
#[derive(Clone, Debug)]
struct Choice {
    taken: usize,
    options: Vec<usize>,
    /// The actor that was stopped by its own point and could go on.
    current: Option<usize>,
}

impl Choice {
    fn preempts(&self, option: usize) -> bool {
        self.current.is_some_and(|current| self.options[option] != current)
    }
}

/// What an execution is made of.
#[derive(Default)]
pub struct Cast {
    actors: Vec<Arc<Actor>>,
    programs: Vec<Running>,
}

impl Cast {
    fn actor(&mut self, name: &'static str) -> Arc<Actor> {
        let actor = Arc::new(Actor {
            name,
            thread: Mutex::new(None),
            go: Semaphore::new(0),
            waits: AtomicBool::new(false),
            over: AtomicBool::new(false),
            at: Mutex::new(None),
        });
        self.actors.push(Arc::clone(&actor));
        actor
    }

    /// An actor: a thread of a program.
    pub fn add(
        &mut self,
        name: &'static str,
        program: &Program,
        body: impl FnOnce(&User, &mut MayFault) + Send + 'static,
    ) {
        let actor = self.actor(name);
        let running = program.run(system(ACTOR), move |user, may_fault| {
            *actor.thread.lock().unwrap() = Some(Thread::running());
            actor.stop_at(None, may_fault);
            body(user, may_fault);
            // What it does when it is over is no matter.
            *actor.thread.lock().unwrap() = None;
            actor.over.store(true, Ordering::SeqCst);
        });
        self.programs.push(running);
    }
}

/// How an exploration went.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// Orders that were tried.
    pub orders: usize,
    /// The longest of them, in choices.
    pub longest: usize,
}

/// Preemptions of an order at most, unless the environment variable `PREEMPTIONS` says otherwise.
pub fn preemptions(default: usize) -> usize {
    match std::env::var("PREEMPTIONS") {
        Ok(number) => number.parse().expect("PREEMPTIONS is a number"),
        Err(_) => default,
    }
}

/// Tries every order with at most so many preemptions. `play` sets the stage up, and names the actors; what it
/// returns is run when all are over. Panics in the first order in which something does, and prints it.
pub fn explore<F>(frames: u64, preemptions: usize, play: F) -> Explored
where
    F: Fn(&mut Cast, &mut MayFault) -> Box<dyn FnOnce(&mut MayFault)>
        + Copy
        + Send
        + Sync
        + 'static,
{
    let mut prefix: Vec<usize> = Vec::new();
    let mut explored = Explored { orders: 0, longest: 0 };
    loop {
        let choices = perform(frames, prefix.clone(), play);
        explored.orders += 1;
        explored.longest = explored.longest.max(choices.len());
        match next(&choices, preemptions) {
            Some(next) => prefix = next,
            None => return explored,
        }
    }
}

/// A choice, and for people what was chosen.
type Taken = (Choice, String);

/// What has been chosen so far; printed if the execution panics.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Taken>>>);

struct PrintOnPanic(Record);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.print();
        }
    }
}

impl Record {
    fn print(&self) {
        let taken = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let order: Vec<_> = taken.iter().map(|(choice, _)| choice.taken).collect();
        eprintln!("the order {order:?}:");
        for (_, text) in taken.iter() {
            eprintln!("  {text}");
        }
    }
}

/// Performs one order: first these choices, then whoever is current, or else the first, goes on.
fn perform<F>(frames: u64, prefix: Vec<usize>, play: F) -> Vec<Choice>
where
    F: Fn(&mut Cast, &mut MayFault) -> Box<dyn FnOnce(&mut MayFault)>
        + Copy
        + Send
        + Sync
        + 'static,
{
    let record = Record::default();
    // Whichever thread panics, the order is told by the one that waits for the machine.
    let _told = PrintOnPanic(record.clone());
    let own = record.clone();
    run_hooked(1, frames, Some(hook), move |may_fault| {
        let stage: &'static Stage = Box::leak(Box::new(Stage { actors: Mutex::default() }));
        System::current().slots().install(&SLOT, stage);
        let mut cast = Cast::default();
        let finish = play(&mut cast, may_fault);
        *stage.actors.lock().unwrap() = cast.actors.clone();
        direct(&cast.actors, &prefix, &own, may_fault);
        for running in cast.programs {
            running.join(may_fault);
        }
        stage.actors.lock().unwrap().clear();
        finish(may_fault);
    });
    let taken = record.0.lock().unwrap();
    taken.iter().map(|(choice, _)| choice.clone()).collect()
}

/// Lets one actor after the other go on. Runs at a lower priority than they do: only when all of them stand still.
fn direct(actors: &[Arc<Actor>], prefix: &[usize], record: &Record, _: &mut MayFault) {
    let mut last = None;
    while actors.iter().any(|actor| !actor.over.load(Ordering::SeqCst)) {
        let waits = |index: &usize| actors[*index].waits.load(Ordering::SeqCst);
        let mut options: Vec<usize> = Vec::new();
        for _ in 0..100 {
            // Threads that serve the actors have a lower priority than they.
            dispatch::preempt::yield_now();
            options = (0..actors.len()).filter(waits).collect();
            if !options.is_empty() {
                break;
            }
        }
        if actors.iter().all(|actor| actor.over.load(Ordering::SeqCst)) {
            return;
        }
        assert!(!options.is_empty(), "nobody can go on: {}", describe(actors));
        let current = last.filter(|last| options.contains(last));
        // The current one first: going on is no preemption.
        options.sort_by_key(|option| Some(*option) != current);
        let depth = record.0.lock().unwrap().len();
        let taken = prefix.get(depth).copied().unwrap_or(0);
        let chosen = options[taken];
        let actor = &actors[chosen];
        let at = actor.at.lock().unwrap().map_or("start".to_owned(), |point| format!("{point:?}"));
        let text = format!("{} goes on from {at}", actor.name);
        record.0.lock().unwrap().push((Choice { taken, options, current }, text));
        actor.waits.store(false, Ordering::SeqCst);
        last = Some(chosen);
        // It runs at once, and everybody whom it wakes; when all stand still, this thread goes on.
        actor.go.v();
        dispatch::preempt::yield_now();
    }
}

fn describe(actors: &[Arc<Actor>]) -> String {
    let state = |actor: &Arc<Actor>| {
        let is_over = actor.over.load(Ordering::SeqCst);
        format!("{} {}", actor.name, if is_over { "is over" } else { "sleeps" })
    };
    actors.iter().map(state).collect::<Vec<_>>().join(", ")
}

/// The next order in depth-first order.
fn next(choices: &[Choice], preemptions: usize) -> Option<Vec<usize>> {
    for depth in (0..choices.len()).rev() {
        let before = choices[..depth].iter().filter(|choice| choice.preempts(choice.taken)).count();
        let choice = &choices[depth];
        let others = choice.taken + 1..choice.options.len();
        let possible =
            |option: &usize| before + usize::from(choice.preempts(*option)) <= preemptions;
        if let Some(option) = { others }.find(possible) {
            let mut prefix: Vec<_> = choices[..depth].iter().map(|choice| choice.taken).collect();
            prefix.push(option);
            return Some(prefix);
        }
    }
    None
}
