//! Whatever an LWP goes through, its microstates add up to its lifetime, and each has what is its own.

use accounting::{Accounts, Leaves, Microstate, Times};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Call,
    CallEnds,
    Enter(Microstate),
    Away(Leaves, u64),
    SleepsAs(Microstate),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let state = (0..Microstate::ALL.len()).prop_map(|number| Microstate::ALL[number]);
    let why = prop_oneof![Just(Leaves::ToSleep), Just(Leaves::Preempted), Just(Leaves::Stopped)];
    let step = prop_oneof![
        Just(Step::Call),
        Just(Step::CallEnds),
        state.clone().prop_map(Step::Enter),
        (why, 0..2000_u64).prop_map(|(why, later)| Step::Away(why, later)),
        state.prop_map(Step::SleepsAs),
    ];
    prop::collection::vec((step, 0..1000_u64), 0..200)
}

/// An LWP that runs, in this state, from 100 on.
fn running(state: Microstate) -> Accounts {
    let accounts = Accounts::new(100);
    accounts.arrives(100, 100);
    accounts.enter(state, 100);
    accounts
}

fn of(times: &Times, state: Microstate) -> u64 {
    times.of(state)
}

proptest! {
    #[test]
    fn the_sum_is_the_lifetime(steps in steps()) {
        let accounts = running(Microstate::System);
        let mut now = 100;
        for (step, later) in steps {
            now += later;
            match step {
                Step::Call => {
                    accounts.enter(Microstate::User, now);
                    accounts.call_begins(now);
                }
                Step::CallEnds => {
                    accounts.enter(Microstate::System, now);
                    accounts.call_ends(now);
                }
                Step::Enter(state) => { accounts.enter(state, now); }
                Step::SleepsAs(state) => { accounts.sleeps_as(state); }
                Step::Away(why, woken) => {
                    let before = accounts.state();
                    accounts.leaves(why, now);
                    // Also a wake-up that another processor's counter puts before the sleep, or after its end.
                    let runnable_at = (now + woken).saturating_sub(500);
                    now += later;
                    accounts.arrives(runnable_at, now);
                    prop_assert_eq!(accounts.state(), before);
                }
            }
            let (times, _) = accounts.snapshot(now).expect("nobody changes it");
            prop_assert_eq!(times.sum(), now - 100);
            prop_assert_eq!(accounts.own(now), times);
        }
    }
}

#[test]
fn each_state_gets_its_own() {
    let accounts = running(Microstate::User);
    accounts.call_begins(107);
    accounts.leaves(Leaves::ToSleep, 120);
    accounts.arrives(150, 155);
    accounts.call_ends(160);
    accounts.leaves(Leaves::Preempted, 170);
    accounts.arrives(150, 190);
    let times = accounts.own(200);
    assert_eq!(of(&times, Microstate::User), 7 + 10 + 10);
    assert_eq!(of(&times, Microstate::System), 13 + 5);
    assert_eq!(of(&times, Microstate::Sleep), 30);
    assert_eq!(of(&times, Microstate::WaitCpu), 5 + 20);
}

#[test]
fn a_fault_that_waits_stays_a_fault() {
    let accounts = running(Microstate::User);
    let before = accounts.enter(Microstate::DataFault, 110);
    accounts.leaves(Leaves::ToSleep, 115);
    accounts.arrives(140, 142);
    accounts.enter(before, 150);
    let times = accounts.own(150);
    assert_eq!(of(&times, Microstate::DataFault), 5 + 25 + 8);
    assert_eq!(of(&times, Microstate::WaitCpu), 2);
    assert_eq!(of(&times, Microstate::User), 10);
}

#[test]
fn parking_is_a_wait_for_a_lock() {
    let accounts = running(Microstate::System);
    let before = accounts.sleeps_as(Microstate::UserLock);
    accounts.leaves(Leaves::ToSleep, 110);
    accounts.arrives(130, 130);
    accounts.sleeps_as(before);
    accounts.leaves(Leaves::ToSleep, 131);
    accounts.arrives(141, 141);
    let times = accounts.own(141);
    assert_eq!(of(&times, Microstate::UserLock), 20);
    assert_eq!(of(&times, Microstate::Sleep), 10);
}

#[test]
fn time_does_not_go_back() {
    let accounts = running(Microstate::User);
    accounts.call_begins(150);
    // Another processor, whose counter lags.
    accounts.call_ends(140);
    accounts.call_begins(160);
    let times = accounts.own(160);
    assert_eq!(of(&times, Microstate::User), 60);
    assert_eq!(times.sum(), 60);
}

#[test]
fn snapshots_add_up_while_it_changes() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let accounts = running(Microstate::User);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut now = 100;
            while !over.load(Ordering::Relaxed) {
                accounts.call_begins(now + 3);
                accounts.leaves(Leaves::ToSleep, now + 5);
                accounts.arrives(now + 8, now + 13);
                accounts.call_ends(now + 20);
                now += 20;
            }
        });
        let mut good = 0;
        for _ in 0..100_000 {
            if let Some((times, _)) = accounts.snapshot(0) {
                assert!(times.of(Microstate::Sleep) <= times.sum());
                good += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(good > 0, "no snapshot was ever good");
    });
}
