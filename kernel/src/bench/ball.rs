//! A ball that two threads play to each other over a condition variable: the wake-ups that are measured.

use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Condvar, Mutex};
use machine::MayFault;

/// Who may play next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ball {
    Here,
    There,
    Lost,
}

/// A game with a thread that plays back.
pub struct Game {
    ball: Mutex<Ball>,
    played: Condvar,
}

impl Game {
    /// Makes a thread that plays back, and the game's own part: what `here` does. Returns when both are over.
    pub fn against(
        other: &Attributes,
        may_fault: &mut MayFault,
        here: impl FnOnce(&Game, &mut MayFault),
    ) {
        fn play_back(game: usize, may_fault: &mut MayFault) -> usize {
            // SAFETY: `against` passes the address of its game, and waits for this thread.
            let game = unsafe { &*core::ptr::with_exposed_provenance::<Game>(game) };
            while game.play(Ball::There, Ball::Here, may_fault) {}
            0
        }
        let game = Game { ball: Mutex::new(Ball::Here), played: Condvar::new() };
        let address = core::ptr::from_ref(&game).expose_provenance();
        let thread = kernel_thread::create(other, play_back, address).expect("memory for a thread");
        here(&game, may_fault);
        // The last ball is still on its way back.
        game.play(Ball::Here, Ball::Lost, may_fault);
        thread.join(may_fault);
    }

    /// Waits until the ball is back and plays it to the other thread, so many times.
    pub fn rally(&self, count: u64, may_fault: &mut MayFault) {
        for _ in 0..count {
            self.play(Ball::Here, Ball::There, may_fault);
        }
    }

    /// Waits for the ball at one side and plays it to the other. Says whether the game goes on.
    fn play(&self, from: Ball, to: Ball, may_fault: &mut MayFault) -> bool {
        let mut ball = self.ball.lock(may_fault);
        while *ball != from {
            if *ball == Ball::Lost {
                return false;
            }
            ball = self.played.wait(ball, may_fault);
        }
        *ball = to;
        self.played.signal();
        true
    }
}
