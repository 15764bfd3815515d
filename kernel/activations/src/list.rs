//! Lists of activations, linked through the activations themselves: nothing is allocated. An activation is in one list
//! at most.

use crate::numbers::Activation;
use crate::protocol::Record;
use core::hash::{Hash, Hasher};

/// The first to come is the first to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct List {
    first: Option<Activation>,
    last: Option<Activation>,
    count: u32,
}

impl List {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn first(&self) -> Option<Activation> {
        self.first
    }

    pub(crate) fn push_last(&mut self, activation: Activation, records: &mut [Record]) {
        records[activation.place()].next = None;
        match self.last {
            Some(last) => records[last.place()].next = Some(activation),
            None => self.first = Some(activation),
        }
        self.last = Some(activation);
        self.count += 1;
    }

    pub(crate) fn take_first(&mut self, records: &mut [Record]) -> Option<Activation> {
        let first = self.first?;
        self.first = records[first.place()].next.take();
        if self.first.is_none() {
            self.last = None;
        }
        self.count -= 1;
        Some(first)
    }

    pub(crate) fn iter<'a>(
        &self,
        records: &'a [Record],
    ) -> impl Iterator<Item = Activation> + use<'a> {
        core::iter::successors(self.first, |activation| records[activation.place()].next)
    }
}

/// The last to come is the first to go: it is the warmest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pile {
    top: Option<Activation>,
    count: u32,
}

/// One without a thread is as good as another.
impl Hash for Pile {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.count.hash(hasher);
    }
}

impl Pile {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn put(&mut self, activation: Activation, records: &mut [Record]) {
        records[activation.place()].next = self.top;
        self.top = Some(activation);
        self.count += 1;
    }

    pub(crate) fn take(&mut self, records: &mut [Record]) -> Option<Activation> {
        let top = self.top?;
        self.top = records[top.place()].next.take();
        self.count -= 1;
        Some(top)
    }
}
