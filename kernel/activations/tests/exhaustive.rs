//! Every order of steps of small processes: nobody is lost, nothing comes twice or too early, nobody idles beside work.

mod common;

use common::{Plan, Step, World};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// How many preemptions the large worlds are tried with. `PREEMPTIONS` says another number.
fn bound() -> u32 {
    let said = std::env::var("PREEMPTIONS").ok();
    said.map_or(0, |said| said.parse().expect("PREEMPTIONS is a number"))
}

/// The steps that have led to a state, the last first.
struct Way {
    step: Step,
    before: Option<Rc<Way>>,
}

fn steps_of(way: &Option<Rc<Way>>) -> Vec<Step> {
    let back = std::iter::successors(way.as_ref(), |way| way.before.as_ref());
    let mut steps: Vec<Step> = back.map(|way| way.step).collect();
    steps.reverse();
    steps
}

/// Tries every order. Returns how many states there are.
fn explore(plan: Plan) -> usize {
    explore_with(plan, u32::MAX)
}

/// Tries every order in which at most so many times another LWP goes on although one could go on itself. (What happens
/// from outside, wake-ups and processors that come and go, is free.)
fn explore_with(plan: Plan, preemptions: u32) -> usize {
    let mut seen = HashSet::new();
    let mut open = vec![(World::new(plan), None, None::<usize>, preemptions)];
    while let Some((world, way, last, left)) = open.pop() {
        let steps = world.steps();
        if steps.is_empty() && !world.is_good_end() {
            panic!("nobody goes on after {:?}: {world:#?}", steps_of(&way));
        }
        let goes_on = steps.iter().any(|step| step.lwp().is_some() && step.lwp() == last);
        for step in steps {
            let is_preemption = goes_on && step.lwp().is_some() && step.lwp() != last;
            let Some(left) = left.checked_sub(u32::from(is_preemption && left != u32::MAX)) else {
                continue;
            };
            let mut next = world.clone();
            let way = Some(Rc::new(Way { step, before: way.clone() }));
            if catch_unwind(AssertUnwindSafe(|| next.take(step))).is_err() {
                panic!("{plan:?}: after {:?}", steps_of(&way));
            }
            // Without a bound it does not matter who went last.
            let last = step.lwp().or(last).filter(|_| left != u32::MAX);
            if seen.insert((next.key(), last, left)) {
                open.push((next, way, last, left));
            }
        }
    }
    println!("{} states: {plan:?}", seen.len());
    seen.len()
}

#[test]
fn one_processor() {
    explore(Plan { blocks: 2, ..Plan::SMALL });
}

#[test]
fn two_processors() {
    explore(Plan { processors: 2, stacks: 4, ..Plan::SMALL });
}

#[test]
fn two_processors_and_three_threads() {
    explore_with(Plan { processors: 2, threads: 3, stacks: 4, ..Plan::SMALL }, bound());
}

#[test]
fn a_holder_of_a_lock_is_put_back() {
    explore(Plan { locks: true, ..Plan::SMALL });
    explore_with(
        Plan { processors: 2, threads: 3, locks: true, stacks: 4, ..Plan::SMALL },
        bound(),
    );
}

#[test]
fn a_holder_of_a_lock_is_put_back_when_the_upcall_is_interrupted() {
    for puts_off in [false, true] {
        let one = Plan { locks: true, posts: 1, puts_off, ..Plan::SMALL };
        explore(one);
        explore_with(Plan { processors: 2, stacks: 4, ..one }, bound());
    }
}

#[test]
fn processors_come_and_go() {
    explore(Plan { revocations: 2, ..Plan::SMALL });
    explore_with(Plan { processors: 2, revocations: 1, stacks: 4, ..Plan::SMALL }, bound());
}

#[test]
fn upcalls_fault() {
    explore(Plan { faults: true, posts: 1, ..Plan::SMALL });
    explore(Plan { processors: 2, stacks: 4, faults: true, ..Plan::SMALL });
}

#[test]
fn stacks_and_slots_are_short() {
    for stacks in 1..3 {
        for slots in 1..3 {
            explore(Plan { stacks, slots, posts: 1, ..Plan::SMALL });
            explore(Plan { processors: 2, stacks, slots, ..Plan::SMALL });
            let short = Plan { processors: 2, locks: true, posts: 1, stacks, slots, ..Plan::SMALL };
            explore_with(short, bound());
        }
    }
}
