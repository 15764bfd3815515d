//! A stage: threads of a check, its *actors*, that stop at schedule points ([`vm::schedule`]), and a director who says
//! who goes on, and up to where. So an order of events that chance brings once in years happens in every run.

use super::pressure::pause;
use super::spaces::Program;
use crate::checks::dispatcher::run_threads;
use crate::checks::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use dispatch::kernel_thread::Attributes;
use dispatch::{Semaphore, State, Thread};
use machine::{MayFault, SpinLock};
use spin::Once;
use vm::schedule::Point;

/// What an actor does. It sees the whole stage.
pub type Deed<S> = fn(&S, &mut MayFault);

/// An actor's own state.
struct Actor {
    thread: Once<&'static Thread>,
    /// The point where it stops next, as a number; [`NOWHERE`].
    until: AtomicU8,
    waits: AtomicBool,
    go: Semaphore,
    over: AtomicBool,
}

const NOWHERE: u8 = u8::MAX;

/// What has become of an actor that went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It waits where it was to stop.
    Held,
    /// It sleeps, for a page or a lock.
    Asleep,
    /// It has done its deed.
    Over,
}

/// Most actors.
const ACTORS: usize = 3;

/// A stage. See the module.
pub struct Stage {
    actors: [Actor; ACTORS],
}

/// The stage whose actors stop, if there is one. Part of what checks share.
pub struct CurrentStage(AtomicPtr<Stage>);

impl CurrentStage {
    /// None.
    pub fn none() -> CurrentStage {
        CurrentStage(AtomicPtr::new(core::ptr::null_mut()))
    }
}

/// What is called at schedule points.
pub fn at_schedule_point(point: Point, may_fault: &mut MayFault) {
    let stage = Kernel::current().shared.stage.0.load(Ordering::Acquire);
    // SAFETY: null, or set by `play` to a stage that stays until its actors are over; no other thread has faults then.
    let Some(stage) = (unsafe { stage.as_ref() }) else { return };
    let me = Thread::running();
    let is_me =
        |actor: &&Actor| actor.thread.get().is_some_and(|thread| core::ptr::eq(*thread, me));
    if let Some(actor) = stage.actors.iter().find(is_me)
        && actor.until.load(Ordering::Acquire) == point as u8
    {
        actor.stop(may_fault);
    }
}

impl Actor {
    fn new() -> Actor {
        Actor {
            thread: Once::new(),
            until: AtomicU8::new(NOWHERE),
            waits: AtomicBool::new(false),
            go: Semaphore::new(0),
            over: AtomicBool::new(false),
        }
    }

    fn go_on(&self, until: Option<Point>) {
        self.until.store(until.map_or(NOWHERE, |point| point as u8), Ordering::Release);
        if self.waits.swap(false, Ordering::AcqRel) {
            self.go.v();
        }
    }

    fn stop(&self, may_fault: &mut MayFault) {
        self.waits.store(true, Ordering::Release);
        self.go.p(may_fault);
    }
}

impl Stage {
    /// Lets an actor go on until it comes to a point (`None`: to its end), or can go no further.
    pub fn go(&self, actor: usize, until: Option<Point>, may_fault: &mut MayFault) -> Stopped {
        self.actors[actor].go_on(until);
        self.look(actor, may_fault)
    }

    /// Lets an actor go on, and does not look.
    pub fn start(&self, actor: usize) {
        self.actors[actor].go_on(None);
    }

    /// What has become of an actor, once that is settled.
    pub fn look(&self, actor: usize, may_fault: &mut MayFault) -> Stopped {
        /// So often it has to be seen asleep, a millisecond apart: it may sleep for a moment on its way.
        const LOOKS: u32 = 30;
        const APART: u64 = 1_000_000;
        let state = &self.actors[actor];
        let mut asleep = 0;
        loop {
            if state.over.load(Ordering::Acquire) {
                return Stopped::Over;
            }
            if state.waits.load(Ordering::Acquire) {
                return Stopped::Held;
            }
            let sleeps = state.thread.get().is_some_and(|thread| thread.state() == State::Sleep);
            asleep = if sleeps { asleep + 1 } else { 0 };
            if asleep == LOOKS {
                return Stopped::Asleep;
            }
            pause(APART, may_fault);
        }
    }

    /// The same, if it is as expected.
    pub fn must(
        &self,
        actor: usize,
        until: Option<Point>,
        expected: Stopped,
        may_fault: &mut MayFault,
    ) -> Outcome {
        let stopped = self.go(actor, until, may_fault);
        ensure!(stopped == expected, "actor {actor}: {stopped:?} and not {expected:?} ({until:?})");
        Ok(())
    }
}

/// What a play is made of: `share` is what the actors see.
pub struct Play<'a, S> {
    pub share: S,
    /// Each actor's program, if it is in one, its attributes, and its deed.
    pub cast: [(Option<&'a Program>, Attributes, Deed<S>); ACTORS],
    /// What the director does. Whoever is held in the end goes on after it.
    pub direct: fn(&Stage, &S, &mut MayFault) -> Outcome,
}

impl<S: Sync> Play<'_, S> {
    /// Plays it; all actors are over when it returns.
    pub fn play(self, run: &mut Run<'_>) -> Outcome {
        struct Scene<S> {
            stage: Stage,
            share: S,
            deeds: [Deed<S>; ACTORS],
            direct: fn(&Stage, &S, &mut MayFault) -> Outcome,
            found: SpinLock<Option<Outcome>, 13>,
        }
        fn body<S: Sync>(scene: &Scene<S>, number: usize, may_fault: &mut MayFault) {
            let stage = &scene.stage;
            if let Some(number) = number.checked_sub(1) {
                let actor = &stage.actors[number];
                actor.thread.call_once(Thread::running);
                actor.stop(may_fault);
                (scene.deeds[number])(&scene.share, may_fault);
                actor.over.store(true, Ordering::Release);
                return;
            }
            let ready = (0..ACTORS).all(|actor| stage.look(actor, may_fault) == Stopped::Held);
            let found = match ready {
                true => (scene.direct)(stage, &scene.share, may_fault),
                false => Err(Wrong::new(format_args!("an actor does not come"))),
            };
            for actor in &stage.actors {
                actor.go_on(None);
            }
            *scene.found.lock(may_fault) = Some(found);
        }
        let Play { share, cast, direct } = self;
        let deeds = [cast[0].2, cast[1].2, cast[2].2];
        let actors = core::array::from_fn(|_| Actor::new());
        let scene =
            Scene { stage: Stage { actors }, share, deeds, direct, found: SpinLock::new(None) };
        let current = &run.kernel.shared.stage.0;
        current.store(core::ptr::from_ref(&scene.stage).cast_mut(), Ordering::Release);
        let threads = cast.into_iter().map(|(program, attributes, _)| match program {
            // SAFETY: `run_threads` waits for its threads, and the program outlives this call.
            Some(program) => unsafe { program.inside() }.with(attributes),
            None => attributes,
        });
        let director = core::iter::once(Attributes::system("director"));
        let ran = run_threads(&scene, director.chain(threads), body::<S>, run.may_fault);
        current.store(core::ptr::null_mut(), Ordering::Release);
        ran?;
        scene.found.lock_anywhere().take().unwrap_or(Ok(()))
    }
}
