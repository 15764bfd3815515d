//! The tree: a cube with all bodies, its eighths with some, and so on, down to single ones.
//!
//! Nodes lie by levels, and the children of one lie side by side. So the few that everybody needs lie together at the
//! front, and those around a body in a few places further back. Each knows where the walk goes on if it is looked into
//! ([`Node::first`]) and if it is not ([`Node::next`]): a walk needs no stack.

use crate::bodies::Vector;
use alloc::vec::Vec;

/// No node.
pub const NOWHERE: u32 = u32::MAX;

/// A cube is not divided further than this often; bodies that are still together then count as one.
const DEPTH_MAX: u32 = 48;

/// A cube with bodies.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Node {
    /// The centre of its mass.
    pub centre: Vector,
    /// Its mass.
    pub mass: f64,
    /// The length of a side.
    pub side: f64,
    /// Its first child; nowhere for a single body.
    pub first: u32,
    /// The next node that does not lie in it.
    pub next: u32,
}

/// What is known of a node while the tree is made.
#[derive(Clone, Copy)]
struct Part {
    /// Its bodies: a range of the order.
    from: usize,
    to: usize,
    middle: Vector,
    depth: u32,
}

/// The tree of a step.
#[derive(Default)]
pub struct Tree {
    pub nodes: Vec<Node>,
    /// Bodies, so that those lie side by side that are near each other.
    pub order: Vec<u32>,
    /// Their places, in this order.
    pub places: Vec<Vector>,
    parts: Vec<Part>,
    sorted: Vec<u32>,
}

impl Tree {
    /// Makes it anew.
    pub fn build(&mut self, positions: &[Vector], mass: f64) {
        let reach = positions.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
        self.nodes.clear();
        self.parts.clear();
        self.order.clear();
        self.order.extend(0..positions.len() as u32);
        let root = Part { from: 0, to: positions.len(), middle: [0.0; 3], depth: 0 };
        self.add(root, 2.0 * reach, NOWHERE);
        let mut at = 0;
        while at < self.nodes.len() {
            self.divide(at, positions);
            at += 1;
        }
        self.weigh(positions, mass);
        self.places.clear();
        self.places.extend(self.order.iter().map(|&body| positions[body as usize]));
    }

    fn add(&mut self, part: Part, side: f64, next: u32) {
        self.parts.push(part);
        self.nodes.push(Node { side, first: NOWHERE, next, ..Node::default() });
    }

    /// Which eighth of a cube a place lies in.
    fn eighth(place: &Vector, middle: &Vector) -> usize {
        (0..3).map(|axis| usize::from(place[axis] >= middle[axis]) << axis).sum()
    }

    /// Sorts the bodies of a node by eighths, each of which that has any becomes a node.
    fn divide(&mut self, at: usize, positions: &[Vector]) {
        let Part { from, to, middle, depth } = self.parts[at];
        if to - from <= 1 || depth == DEPTH_MAX {
            return;
        }
        let Node { side, next, .. } = self.nodes[at];
        self.nodes[at].first = self.nodes.len() as u32;
        self.sorted.clear();
        let mut last = None;
        for eighth in 0..8 {
            let begin = self.sorted.len();
            let bodies = self.order[from..to].iter().copied();
            let inside =
                bodies.filter(|&body| Tree::eighth(&positions[body as usize], &middle) == eighth);
            self.sorted.extend(inside);
            let end = self.sorted.len();
            if begin == end {
                continue;
            }
            let middle = [0, 1, 2].map(|axis| {
                let way = if eighth >> axis & 1 == 1 { side } else { -side };
                middle[axis] + way / 4.0
            });
            if let Some(last) = last {
                self.nodes[last as usize].next = self.nodes.len() as u32;
            }
            last = Some(self.nodes.len() as u32);
            let part = Part { from: from + begin, to: from + end, middle, depth: depth + 1 };
            self.add(part, side / 2.0, next);
        }
        self.order[from..to].copy_from_slice(&self.sorted);
    }

    /// Masses and their centres: children lie behind their parents.
    fn weigh(&mut self, positions: &[Vector], mass: f64) {
        for at in (0..self.nodes.len()).rev() {
            let Part { from, to, .. } = self.parts[at];
            let (mut sum, mut weight) = ([0.0; 3], 0.0);
            let mut count = |centre: &Vector, mass: f64| {
                for axis in 0..3 {
                    sum[axis] += centre[axis] * mass;
                }
                weight += mass;
            };
            let Node { first, next, .. } = self.nodes[at];
            if first == NOWHERE {
                self.order[from..to]
                    .iter()
                    .for_each(|&body| count(&positions[body as usize], mass));
            } else {
                let mut child = first;
                while child != next {
                    let node = &self.nodes[child as usize];
                    count(&node.centre, node.mass);
                    child = node.next;
                }
            }
            self.nodes[at].centre = sum.map(|sum| sum / weight);
            self.nodes[at].mass = weight;
        }
    }
}
