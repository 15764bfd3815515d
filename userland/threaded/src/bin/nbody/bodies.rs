//! The bodies: where they are, and how they move.
//!
//! All have the same mass, together 1, and so is the constant of gravity. They begin evenly spread over a ball of radius 1,
//! which falls together: so their energy of motion grows from the first step on, and a mistake in how they move is seen in
//! the sum. Every sum has a fixed order: a run comes to the same bits however many threads take part.

use alloc::vec;
use alloc::vec::Vec;
use core::arch::asm;
use userland::random::Random;

/// A place, a velocity, an acceleration.
pub type Vector = [f64; 3];

/// The time of a step.
const STEP: f64 = 1.0 / 64.0;

/// Gravity does not grow any more within this distance, squared: two that meet do not throw each other out.
pub const SOFTENING: f64 = 1.0 / 1024.0;

/// The root, by the processor's own instruction: there is no library of mathematics.
pub fn root(value: f64) -> f64 {
    let root;
    // SAFETY: the instruction reads and writes these registers only; every x86-64 processor has it.
    unsafe {
        asm!("sqrtsd {}, {}", out(xmm_reg) root, in(xmm_reg) value, options(pure, nomem, nostack));
    }
    root
}

/// The square of a distance.
pub fn distance_squared(one: &Vector, other: &Vector) -> f64 {
    let [x, y, z] = [0, 1, 2].map(|axis| other[axis] - one[axis]);
    x * x + y * y + z * z
}

/// All bodies.
pub struct Bodies {
    pub positions: Vec<Vector>,
    pub velocities: Vec<Vector>,
    pub accelerations: Vec<Vector>,
}

impl Bodies {
    /// As they begin.
    pub fn new(count: usize) -> Bodies {
        let mut random = Random::of(count as u64, 0);
        let mut in_ball = || loop {
            let place = [random.signed(), random.signed(), random.signed()];
            if distance_squared(&place, &[0.0; 3]) <= 1.0 {
                break place;
            }
        };
        let mut bodies = Bodies {
            positions: Vec::with_capacity(count),
            velocities: Vec::with_capacity(count),
            accelerations: vec![[0.0; 3]; count],
        };
        for _ in 0..count {
            let (place, chance) = (in_ball(), in_ball());
            bodies.positions.push(place);
            bodies.velocities.push([0, 1, 2].map(|axis| (chance[axis] - place[axis]) / 2.0));
        }
        bodies
    }

    /// The mass of each.
    pub fn mass(&self) -> f64 {
        1.0 / self.positions.len() as f64
    }

    /// Velocities change for half a step.
    pub fn kick(&mut self) {
        for (velocity, acceleration) in self.velocities.iter_mut().zip(&self.accelerations) {
            for axis in 0..3 {
                velocity[axis] += acceleration[axis] * (STEP / 2.0);
            }
        }
    }

    /// Places change for a step.
    pub fn drift(&mut self) {
        for (position, velocity) in self.positions.iter_mut().zip(&self.velocities) {
            for axis in 0..3 {
                position[axis] += velocity[axis] * STEP;
            }
        }
    }

    /// The energy: of motion, and of each pair.
    pub fn energy(&self) -> f64 {
        let mass = self.mass();
        let motion: f64 =
            self.velocities.iter().map(|one| distance_squared(one, &[0.0; 3])).sum::<f64>() / 2.0;
        let mut pairs = 0.0;
        for (number, one) in self.positions.iter().enumerate() {
            for other in &self.positions[..number] {
                pairs += 1.0 / root(distance_squared(one, other) + SOFTENING);
            }
        }
        mass * motion - mass * mass * pairs
    }

    /// All bits of places and velocities in one number.
    pub fn digest(&self) -> u64 {
        let values = self.positions.iter().chain(&self.velocities).flatten();
        values.fold(0xcbf2_9ce4_8422_2325, |digest: u64, value| {
            (digest ^ value.to_bits()).wrapping_mul(0x100_0000_01b3).rotate_left(29)
        })
    }
}
