//! Threads wake each other: with idle processors halting between, and no tick that would hide a wake-up
//! that was lost. One that is lost leaves both asleep, and the check never ends.

use super::super::{Outcome, Run, ensure};
use super::{last_cpu, run_threads, system};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Condvar, Mutex, Semaphore, sleep};
use machine::{MayFault, time};

/// Rounds of each, when the threads are bound apart and when they may go anywhere. `scale=` multiplies.
const ROUNDS: u64 = 2_000;

/// Runs a game of two, first bound to the first and the last processor, then anywhere.
fn play<S: Sync>(
    run: &mut Run<'_>,
    game: impl Fn() -> S,
    body: super::Body<S>,
    score: impl Fn(&S) -> u64,
) -> Outcome {
    let ends = [super::cpu(run.kernel, 0), last_cpu(run.kernel)];
    let rounds = ROUNDS * run.kernel.options.scale;
    for bound in [true, false] {
        let shared = game();
        let attributes = ends.map(|end| if bound { system().bound(end) } else { system() });
        run_threads(&shared, attributes.into_iter(), body, run.may_fault)?;
        let came = score(&shared);
        ensure!(came == rounds, "{came} rounds of {rounds}, bound apart: {bound}");
    }
    Ok(())
}

fn rounds() -> u64 {
    ROUNDS * Kernel::current().options.scale
}

pub fn condvar_ping_pong(run: &mut Run<'_>) -> Outcome {
    struct Game {
        turn: Mutex<u64>,
        changed: [Condvar; 2],
    }
    fn body(game: &Game, me: usize, may_fault: &mut MayFault) {
        for _ in 0..rounds() {
            let mut turn = game.turn.lock(may_fault);
            while *turn % 2 != me as u64 {
                turn = game.changed[me].wait(turn, may_fault);
            }
            *turn += 1;
            drop(turn);
            game.changed[1 - me].signal();
        }
    }
    let game = || Game { turn: Mutex::new(0), changed: [Condvar::new(), Condvar::new()] };
    play(run, game, body, |game| game.turn.try_lock().map_or(0, |turn| *turn / 2))
}

pub fn semaphore_ping_pong(run: &mut Run<'_>) -> Outcome {
    struct Game {
        mine: [Semaphore; 2],
        rounds: AtomicU64,
    }
    fn body(game: &Game, me: usize, may_fault: &mut MayFault) {
        for _ in 0..rounds() {
            game.mine[me].p(may_fault);
            if me == 0 {
                game.rounds.fetch_add(1, Ordering::Relaxed);
            }
            game.mine[1 - me].v();
        }
    }
    let game = || Game { mine: [Semaphore::new(1), Semaphore::new(0)], rounds: AtomicU64::new(0) };
    play(run, game, body, |game| game.rounds.load(Ordering::Relaxed))
}

pub fn mutex_ping_pong(run: &mut Run<'_>) -> Outcome {
    struct Game {
        mutex: Mutex<u64>,
    }
    fn body(game: &Game, _: usize, may_fault: &mut MayFault) {
        for round in 0..rounds() / 2 {
            let mut value = game.mutex.lock(may_fault);
            *value += 1;
            // Now and then it gives way with the mutex held, so that the other has to sleep for it.
            if round % 4 == 0 {
                dispatch::preempt::yield_now();
            }
        }
    }
    let game = || Game { mutex: Mutex::new(0) };
    play(run, game, body, |game| game.mutex.try_lock().map_or(0, |value| *value))
}

pub fn threads_come_and_go(run: &mut Run<'_>) -> Outcome {
    const THREADS: u64 = 300;
    let kernel = run.kernel;
    // What the first ones need stays in the cache.
    let one = kernel_thread::create(&Attributes::system("check"), |_, _| 0, 0);
    ensure!(one.is_ok_and(|thread| thread.join(run.may_fault) == 0), "no thread");
    let stacks = kernel.thread_stacks();
    for number in 0..THREADS as usize {
        let thread = kernel_thread::create(&system(), |number, _| number * 3, number);
        let Ok(thread) = thread else {
            return Err(super::Wrong::new(format_args!("no memory for thread {number}")));
        };
        let result = thread.join(run.may_fault);
        ensure!(result == number * 3, "thread {number} returned {result}");
    }
    let after = kernel.thread_stacks();
    let made = after.made - stacks.made;
    ensure!(made <= 1, "{made} stacks were made for threads that came one after the other");
    Ok(())
}

pub fn sleeps_end_on_time(run: &mut Run<'_>) -> Outcome {
    /// How long each thread sleeps, by its number, in nanoseconds.
    const STEP: u64 = 3_000_000;
    struct Late {
        most: AtomicU64,
        early: AtomicU64,
    }
    fn body(late: &Late, number: usize, may_fault: &mut MayFault) {
        let frequency = Kernel::current().system.backend.clock.frequency().expect("calibrated");
        let deadline = time::now() + frequency.ticks(STEP * (number as u64 % 7 + 1));
        sleep::sleep_until(deadline, may_fault);
        match time::now().checked_sub(deadline) {
            Some(after) => late.most.fetch_max(frequency.nanoseconds(after), Ordering::Relaxed),
            None => late.early.fetch_add(1, Ordering::Relaxed),
        };
    }
    let late = Late { most: AtomicU64::new(0), early: AtomicU64::new(0) };
    run_threads(&late, (0..20).map(|_| system()), body, run.may_fault)?;
    let early = late.early.load(Ordering::Relaxed);
    ensure!(early == 0, "{early} of 20 threads woke before their time");
    let most = late.most.load(Ordering::Relaxed);
    // The host may be busy; a timer that is lost is never later than that.
    ensure!(most < 10_000_000_000, "a thread woke {most} ns late");
    Ok(())
}
