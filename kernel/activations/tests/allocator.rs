//! Who gets how many processors: processes that want more and less, give back or do not.

use activations::allocator::{Allocator, Demand, Order, Space, Standing, Times};
use proptest::prelude::*;

const TIMES: Times = Times { grace: 10, again: 1, patience: 8, turn: 100 };

/// A process.
#[derive(Clone, Debug, Default)]
struct Process {
    space: Option<Space>,
    demand: Demand,
    /// It does not give back what it owes.
    is_stubborn: bool,
    /// And cannot be forced.
    is_in_library: bool,
    until: u64,
}

struct World {
    allocator: Allocator,
    processors: u32,
    processes: Vec<Process>,
    now: u64,
}

impl World {
    fn new(processors: u32, wanted: &[u32]) -> World {
        let mut allocator = Allocator::new(TIMES, 8).unwrap();
        let process = |wanted: &u32| Process {
            space: allocator.enter(),
            demand: Demand { wanted: *wanted, ..Demand::default() },
            ..Process::default()
        };
        let processes = wanted.iter().map(process).collect();
        World { allocator, processors, processes, now: 1 }
    }

    fn share_out(&mut self) -> Standing {
        for process in &self.processes {
            if let Some(space) = process.space {
                self.allocator.set(space, process.demand);
            }
        }
        let processes = &mut self.processes;
        self.allocator.share_out(self.processors, self.now, &mut |order| {
            let (Order::Grant(space, count)
            | Order::TakeIdle(space, count)
            | Order::Notice(space, count, _)
            | Order::Force(space, count)) = order;
            let mut all = processes.iter_mut();
            let process = all.find(|process| process.space == Some(space)).expect("it is there");
            match order {
                Order::Grant(..) => {
                    process.demand.granted += count;
                    assert!(process.demand.granted <= process.demand.wanted, "{order:?}");
                    count
                }
                Order::TakeIdle(..) => {
                    let demand = &mut process.demand;
                    assert!(count <= demand.idle, "{order:?}");
                    demand.idle -= count;
                    demand.granted -= count;
                    count
                }
                Order::Notice(_, _, until) => {
                    process.demand.owed = count;
                    process.until = until;
                    count
                }
                Order::Force(..) => {
                    assert_eq!(count, process.demand.owed);
                    if !process.is_in_library {
                        process.demand.granted -= count;
                        process.demand.owed = 0;
                    }
                    count
                }
            }
        })
    }

    /// Time goes by until nothing happens by itself any more, or `time` is over.
    fn goes_on(&mut self, time: u64) {
        let end = self.now + time;
        loop {
            let standing = self.share_out();
            let mut given_back = 0;
            for process in self.processes.iter_mut().filter(|process| !process.is_stubborn) {
                let owed = std::mem::take(&mut process.demand.owed);
                process.demand.granted -= owed;
                given_back += owed;
            }
            if given_back != 0 {
                continue;
            }
            match standing.next {
                Some(next) if next <= end => self.now = next.max(self.now + 1),
                _ => break,
            }
        }
        self.now = end;
    }

    fn granted(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.demand.granted).collect()
    }

    fn entitled(&self) -> Vec<u32> {
        let spaces = self.processes.iter().filter_map(|process| process.space);
        spaces.map(|space| self.allocator.entitled(space)).collect()
    }
}

#[test]
fn one_process_gets_what_it_wants() {
    let mut world = World::new(4, &[3]);
    let standing = world.share_out();
    assert_eq!(standing, Standing { next: None, is_anybody_short: false });
    assert_eq!(world.granted(), [3]);
}

#[test]
fn what_one_does_not_want_is_the_others() {
    let mut world = World::new(8, &[1, 8, 8]);
    world.goes_on(20);
    assert_eq!(world.granted(), [1, 4, 3]);
}

/// There are three, and the second comes later.
#[test]
fn somebody_who_comes_later_gets_his_share() {
    let mut world = World::new(4, &[4]);
    world.goes_on(5);
    assert_eq!(world.granted(), [4]);
    let space = world.allocator.enter();
    let demand = Demand { wanted: 4, ..Demand::default() };
    world.processes.push(Process { space, demand, ..Process::default() });
    world.share_out();
    assert_eq!(world.processes[0].demand.owed, 2);
    assert_eq!(world.processes[0].until, world.now + TIMES.grace);
    world.goes_on(5);
    assert_eq!(world.granted(), [2, 2]);
    // And when it is gone the first has all again.
    let gone = world.processes.pop().unwrap();
    world.allocator.leave(gone.space.unwrap());
    world.goes_on(5);
    assert_eq!(world.granted(), [4]);
}

#[test]
fn idle_ones_are_taken_at_once_and_only_for_somebody() {
    let mut world = World::new(4, &[1, 0]);
    world.processes[0].demand = Demand { granted: 4, idle: 3, wanted: 1, owed: 0 };
    world.share_out();
    assert_eq!(world.granted(), [4, 0]);
    world.processes[1].demand.wanted = 2;
    world.share_out();
    assert_eq!(world.granted(), [2, 2]);
    assert_eq!(world.allocator.counts().notices, 0);
}

#[test]
fn who_does_not_give_back_is_forced_after_the_grace() {
    let mut world = World::new(2, &[2, 2]);
    world.processes[0].demand.granted = 2;
    world.processes[0].is_stubborn = true;
    world.goes_on(TIMES.grace - 1);
    assert_eq!(world.granted(), [2, 0]);
    world.goes_on(2);
    assert_eq!(world.granted(), [1, 1]);
    assert_eq!(world.allocator.counts().forced, 1);
}

/// Rule 5.
#[test]
fn who_stays_in_the_library_shares_his_processor_in_time() {
    let mut world = World::new(2, &[2, 2]);
    world.processes[0] = Process {
        demand: Demand { granted: 2, ..world.processes[0].demand },
        is_stubborn: true,
        is_in_library: true,
        ..world.processes[0].clone()
    };
    world.goes_on(TIMES.grace + TIMES.patience - 2);
    assert_eq!(world.granted(), [2, 0]);
    world.goes_on(TIMES.patience);
    assert_eq!(world.granted(), [2, 1]);
    assert!(world.allocator.counts().forced > 4);
    // It leaves the library.
    world.processes[0].is_in_library = false;
    world.goes_on(2);
    assert_eq!(world.granted(), [1, 1]);
    world.goes_on(50);
    assert_eq!(world.granted(), [1, 1]);
    assert_eq!(world.allocator.counts().shared_in_time, 1);
}

#[test]
fn the_one_more_goes_round() {
    let mut world = World::new(4, &[4, 4, 4]);
    let mut had = [0; 3];
    for _ in 0..6 {
        world.goes_on(TIMES.turn);
        let granted = world.granted();
        assert_eq!(granted.iter().sum::<u32>(), 4);
        (0..3).for_each(|place| had[place] += granted[place] - 1);
    }
    assert_eq!(had, [2, 2, 2]);
    // More processes than processors: nobody waits for ever.
    let mut world = World::new(1, &[1, 2, 1]);
    let mut had = [0; 3];
    for _ in 0..6 {
        world.goes_on(TIMES.turn);
        (0..3).for_each(|place| had[place] += world.granted()[place]);
    }
    assert_eq!(had, [2, 2, 2]);
}

proptest! {
    /// Whatever they want, one after the other: in the end everybody has what it is entitled to, and that is fair.
    #[test]
    fn shares_are_fair(
        processors in 1..9_u32,
        steps in prop::collection::vec((0..4_usize, 0..9_u32, any::<bool>(), 0..30_u64), 1..20),
    ) {
        let mut world = World::new(processors, &[0; 4]);
        for (place, wanted, is_stubborn, time) in steps {
            let process = &mut world.processes[place];
            // What it has and does not want idles.
            process.demand.wanted = wanted;
            process.demand.idle = process.demand.granted.saturating_sub(wanted);
            process.demand.owed = process.demand.owed.min(process.demand.granted - process.demand.idle);
            process.is_stubborn = is_stubborn;
            world.goes_on(time);
            let granted: u32 = world.granted().iter().sum();
            prop_assert!(granted <= processors, "{granted} of {processors}");
        }
        world.goes_on(TIMES.grace + 5);
        let entitled = world.entitled();
        let wanted: Vec<u32> = world.processes.iter().map(|process| process.demand.wanted).collect();
        let all: u32 = wanted.iter().sum();
        prop_assert_eq!(entitled.iter().sum::<u32>(), all.min(processors));
        for place in 0..4 {
            prop_assert!(entitled[place] <= wanted[place]);
            for other in 0..4 {
                let is_less = entitled[place] + 1 < entitled[other];
                prop_assert!(!is_less || entitled[place] == wanted[place], "{entitled:?} of {wanted:?}");
            }
            let granted = world.processes[place].demand.granted - world.processes[place].demand.idle;
            let turns = world.allocator.counts().turns != 0;
            prop_assert!(granted == entitled[place] || turns && granted + 1 >= entitled[place]);
        }
    }
}
