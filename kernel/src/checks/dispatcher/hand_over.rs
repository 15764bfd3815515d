//! Threads wake each other: with idle processors halting between, and no tick that would hide a wake-up
//! that was lost. One that is lost leaves both asleep, and the check never ends.

use super::super::{Outcome, Run, Wrong, ensure};
use super::{last_cpu, run_threads, system};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Condvar, Mutex, Semaphore, State, Thread, sleep};
use machine::{MayFault, time};

/// Rounds of each, when the threads are bound apart and when they may go anywhere. `scale=` multiplies.
const ROUNDS: u64 = 2_000;

/// How long who has the mutex sleeps before it looks again whether the other waits, in ticks of the clock.
const NAP: u64 = 100_000;

/// Runs a game of two, first anywhere, then bound to the first and the last processor: what a trace shows is the
/// end, and threads that may go anywhere may end up on one processor.
fn play<S: Sync>(
    run: &mut Run<'_>,
    game: impl Fn() -> S,
    body: super::Body<S>,
    score: impl Fn(&S) -> Result<u64, Wrong>,
) -> Outcome {
    let ends = [super::cpu(run.kernel, 0), last_cpu(run.kernel)];
    let rounds = ROUNDS * run.kernel.options.scale;
    for bound in [false, true] {
        let shared = game();
        let attributes = ends.map(|end| if bound { system().bound(end) } else { system() });
        run_threads(&shared, attributes.into_iter(), body, run.may_fault)?;
        let came = score(&shared)?;
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
    play(run, game, body, |game| Ok(game.turn.try_lock().map_or(0, |turn| *turn / 2)))
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
    play(run, game, body, |game| Ok(game.rounds.load(Ordering::Relaxed)))
}

pub fn mutex_ping_pong(run: &mut Run<'_>) -> Outcome {
    /// Who has the mutex keeps it asleep, for a waiter spins as long as the owner runs; and until the other
    /// waits in its queue. So nobody gets it without a block and a wake-up, but for the first.
    struct Game {
        mutex: Mutex<u64>,
        /// The other has the mutex now, so it makes sense to ask for it again.
        taken: [Semaphore; 2],
        players: [Mutex<Option<&'static Thread>>; 2],
        /// Times that a player blocked for the mutex.
        blocks: AtomicU64,
    }
    fn body(game: &Game, me: usize, may_fault: &mut MayFault) {
        let own = Thread::running();
        *game.players[me].lock(may_fault) = Some(own);
        game.taken[1 - me].v();
        game.taken[me].p(may_fault);
        let other = game.players[1 - me].lock(may_fault).expect("it is there before it says so");
        let rounds = rounds() / 2;
        for round in 0..rounds {
            // Player 0 begins.
            if me == 1 || round > 0 {
                game.taken[me].p(may_fault);
            }
            let (before, _) = own.switches();
            let mut value = game.mutex.lock(may_fault);
            game.blocks.fetch_add(own.switches().0 - before, Ordering::Relaxed);
            *value += 1;
            // From here on the other can only sleep for the mutex.
            game.taken[1 - me].v();
            let is_last = me == 1 && round + 1 == rounds;
            while !is_last && other.state() != State::Sleep {
                sleep::delay(NAP, may_fault);
            }
        }
    }
    let game = || Game {
        mutex: Mutex::new(0),
        taken: [Semaphore::new(0), Semaphore::new(0)],
        players: [Mutex::new(None), Mutex::new(None)],
        blocks: AtomicU64::new(0),
    };
    play(run, game, body, |game| {
        let rounds = game.mutex.try_lock().map_or(0, |value| *value);
        let blocks = game.blocks.load(Ordering::Relaxed);
        // Who is woken may find, on another processor, that it has to wait again; hardly ever.
        let is_likely = (rounds - 1..=rounds + rounds / 8).contains(&blocks);
        ensure!(is_likely, "{blocks} blocks in {rounds} rounds");
        Ok(rounds)
    })
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
            return Err(Wrong::new(format_args!("no memory for thread {number}")));
        };
        let result = thread.join(run.may_fault);
        ensure!(result == number * 3, "thread {number} returned {result}");
    }
    let after = kernel.thread_stacks();
    let made = after.made - stacks.made;
    ensure!(made <= 1, "{made} stacks were made for threads that came one after the other");
    Ok(())
}

/// Under counted instructions: how late a thread's sleep may end, in nanoseconds, which are instructions there. Up
/// to three threads with the same deadline run before it.
const LATENESS_MAX: u64 = 30_000;

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
    let limit = if run.kernel.options.counted { LATENESS_MAX } else { 10_000_000_000 };
    ensure!(most < limit, "a thread woke {most} ns late");
    Ok(())
}
