//! Gravity, by Barnes and Hut: a cube that is far away counts as one body.
//!
//! A few bodies that lie near each other go through the tree together, and look into the same cubes. This is the work of
//! a thread. Where a node comes from is somebody else's affair: from memory, or from a cache that may have to read it.

use crate::bodies::{SOFTENING, Vector, distance_squared, root};
use crate::tree::{NOWHERE, Node};

/// Bodies that go together.
pub const TOGETHER: usize = 32;

/// A cube is far if its distance is so many times its side.
const FAR: f64 = 1.5;

/// Where nodes come from.
pub trait Source {
    /// The node with this number.
    fn node(&mut self, number: u32) -> Node;
}

impl Source for &[Node] {
    fn node(&mut self, number: u32) -> Node {
        self[number as usize]
    }
}

/// What acts on each of these bodies.
pub fn of_group(mut source: impl Source, places: &[Vector], accelerations: &mut [Vector]) {
    let count = places.len() as f64;
    let centre = [0, 1, 2].map(|axis| places.iter().map(|place| place[axis]).sum::<f64>() / count);
    let radius =
        places.iter().map(|place| root(distance_squared(place, &centre))).fold(0.0, f64::max);
    accelerations.fill([0.0; 3]);
    let mut at = 0;
    while at != NOWHERE {
        let node = source.node(at);
        let far = radius + node.side * FAR;
        let is_far = distance_squared(&node.centre, &centre) > far * far;
        if !is_far && node.first != NOWHERE {
            at = node.first;
            continue;
        }
        for (place, acceleration) in places.iter().zip(accelerations.iter_mut()) {
            let [x, y, z] = [0, 1, 2].map(|axis| node.centre[axis] - place[axis]);
            let squared = x * x + y * y + z * z + SOFTENING;
            let pull = node.mass / (squared * root(squared));
            acceleration[0] += x * pull;
            acceleration[1] += y * pull;
            acceleration[2] += z * pull;
        }
        at = node.next;
    }
}
