//! A barrier: all go on when all have come.

use super::{Condvar, Mutex};

struct State {
    come: usize,
    round: usize,
}

/// A barrier for a number of threads, again and again.
pub struct Barrier {
    state: Mutex<State>,
    all_have_come: Condvar,
    number: usize,
}

impl Barrier {
    /// For so many threads.
    pub const fn new(number: usize) -> Barrier {
        let state = Mutex::new(State { come: 0, round: 0 });
        Barrier { state, all_have_come: Condvar::new(), number }
    }

    /// Waits until all have come. For one of them the result says so.
    pub fn wait(&self) -> BarrierWaitResult {
        let Ok(mut state) = self.state.lock();
        state.come += 1;
        if state.come >= self.number {
            state.come = 0;
            state.round = state.round.wrapping_add(1);
            drop(state);
            self.all_have_come.notify_all();
            return BarrierWaitResult(true);
        }
        let round = state.round;
        let Ok(_state) = self.all_have_come.wait_while(state, |state| state.round == round);
        BarrierWaitResult(false)
    }
}

/// Who it was.
#[derive(Clone, Copy, Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this was the last one to come.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}
