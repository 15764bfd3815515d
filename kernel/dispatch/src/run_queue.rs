//! A run queue: for each priority a list of threads, and a bitmap of the lists that are not empty.
//!
//! Invariants:
//! - bit set ⇔ list not empty;
//! - the highest set bit is the queue's priority.
//!
//! Knows nothing of locks or processors; [`crate::dispatch_queue`] puts it behind a lock.

use crate::priority::{PRIORITIES, Priority};
use crate::thread::Thread;
use crate::thread_list::ThreadList;

const WORD: usize = 64;
const WORDS: usize = PRIORITIES.div_ceil(WORD);

/// At which end of its priority's list a thread goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is next among its equals: it was preempted before its time was up.
    Front,
    /// It waits its turn.
    Back,
}

/// A queue of threads that want a processor. See the module.
pub(crate) struct RunQueue {
    lists: [ThreadList; PRIORITIES],
    bitmap: [u64; WORDS],
}

impl RunQueue {
    pub(crate) fn new() -> RunQueue {
        RunQueue { lists: [ThreadList::EMPTY; PRIORITIES], bitmap: [0; WORDS] }
    }

    /// The highest priority that a thread in the queue has.
    #[inline]
    pub(crate) fn highest(&self) -> Priority {
        for word in (0..WORDS).rev() {
            if let Some(bit) = self.bitmap[word].checked_ilog2() {
                return Priority::at(word * WORD + bit as usize);
            }
        }
        Priority::NONE
    }

    /// Puts a thread in at its dispatch priority, which is this.
    #[inline(always)]
    pub(crate) fn insert(&mut self, thread: &'static Thread, priority: Priority, end: End) {
        let index = priority.index();
        match end {
            End::Front => self.lists[index].push_front(thread),
            End::Back => self.lists[index].push_back(thread),
        }
        self.bitmap[index / WORD] |= 1 << (index % WORD);
    }

    /// Takes a thread out. Its dispatch priority is the one with which it went in: whoever changes
    /// the priority of a thread that waits here takes it out first.
    #[inline]
    pub(crate) fn remove(&mut self, thread: &Thread) {
        let index = thread.dispatch_priority().index();
        self.lists[index].remove(thread);
        if self.lists[index].is_empty() {
            self.bitmap[index / WORD] &= !(1 << (index % WORD));
        }
    }

    /// Takes out the first thread of this priority, the highest in the queue.
    #[inline]
    pub(crate) fn take(&mut self, highest: Priority) -> Option<&'static Thread> {
        debug_assert!(highest == self.highest());
        if highest == Priority::NONE {
            return None;
        }
        let index = highest.index();
        let list = &mut self.lists[index];
        let thread = list.pop_front()?;
        if list.is_empty() {
            self.bitmap[index / WORD] &= !(1 << (index % WORD));
        }
        Some(thread)
    }

    /// The first thread, from the highest priority down, that fits.
    pub(crate) fn find(&self, fits: impl Fn(&Thread) -> bool) -> Option<&'static Thread> {
        let mut words = self.bitmap;
        for word in (0..WORDS).rev() {
            while let Some(bit) = words[word].checked_ilog2() {
                words[word] &= !(1 << bit);
                let list = &self.lists[word * WORD + bit as usize];
                if let Some(thread) = list.iter().find(|thread| fits(thread)) {
                    return Some(thread);
                }
            }
        }
        None
    }

    /// Every thread, from the highest priority down.
    pub(crate) fn each(&self, mut act: impl FnMut(&'static Thread)) {
        for list in self.lists.iter().rev() {
            list.iter().for_each(&mut act);
        }
    }

    /// Panics if an invariant does not hold; says how many threads there are. For tests and debug builds.
    #[cfg(all(not(feature = "loom"), any(test, all(debug_assertions, not(target_os = "none")))))]
    pub(crate) fn check(&self) -> u32 {
        let mut count = 0;
        for (index, list) in self.lists.iter().enumerate() {
            let bit = self.bitmap[index / WORD] & 1 << (index % WORD) != 0;
            assert_eq!(bit, !list.is_empty(), "the bit of priority {index}");
            for thread in list.iter() {
                assert_eq!(thread.dispatch_priority().index(), index, "in the wrong list");
                count += 1;
            }
        }
        count
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::{End, RunQueue};
    use crate::priority::{PRIORITIES, Priority};
    use crate::thread::Thread;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    /// What a test does to a queue.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, bool),
        TakeHighest,
        Remove(usize),
        Find(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few priorities, so that lists get long, at both sides of the edges of the bitmap's words.
        let edges = vec![0u8, 1, 63, 64, 127, 128, PRIORITIES as u8 - 1];
        let priority = prop_oneof![3 => proptest::sample::select(edges), 1 => 0..PRIORITIES as u8];
        prop_oneof![
            4 => (priority.clone(), any::<bool>()).prop_map(|(p, front)| Step::Insert(p, front)),
            2 => Just(Step::TakeHighest),
            1 => any::<usize>().prop_map(Step::Remove),
            1 => priority.prop_map(Step::Find),
        ]
    }

    /// The same queue, as plainly as it can be written: per priority the threads in their order.
    struct Plain(Vec<VecDeque<&'static Thread>>);

    impl Plain {
        fn all(&self) -> Vec<&'static Thread> {
            self.0.iter().rev().flatten().copied().collect()
        }

        fn remove(&mut self, thread: &Thread) {
            self.0.iter_mut().for_each(|list| list.retain(|other| !core::ptr::eq(*other, thread)));
        }
    }

    fn thread(priority: u8) -> &'static Thread {
        let thread: &'static Thread = Box::leak(Box::new(Thread::unused()));
        thread.priority.store(Priority::new(priority));
        thread
    }

    fn same(one: Option<&Thread>, other: Option<&Thread>) -> bool {
        one.map(core::ptr::from_ref) == other.map(core::ptr::from_ref)
    }

    proptest! {
        #[test]
        fn a_queue_does_what_a_list_per_priority_would(
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let mut queue = RunQueue::new();
            let mut plain = Plain(vec![VecDeque::new(); PRIORITIES]);
            for step in steps {
                match step {
                    Step::Insert(priority, front) => {
                        let thread = thread(priority);
                        let list = &mut plain.0[usize::from(priority)];
                        if front {
                            queue.insert(thread, thread.dispatch_priority(), End::Front);
                            list.push_front(thread);
                        } else {
                            queue.insert(thread, thread.dispatch_priority(), End::Back);
                            list.push_back(thread);
                        }
                    }
                    Step::TakeHighest => {
                        let expected = plain.all().first().copied();
                        let highest = queue.highest();
                        prop_assert!(same(queue.take(highest), expected));
                        expected.inspect(|thread| plain.remove(thread));
                    }
                    Step::Remove(which) => {
                        let all = plain.all();
                        if !all.is_empty() {
                            let thread = all[which % all.len()];
                            queue.remove(thread);
                            plain.remove(thread);
                        }
                    }
                    Step::Find(below) => {
                        let fits = |thread: &Thread| {
                            thread.dispatch_priority() <= Priority::new(below)
                        };
                        let expected = plain.all().into_iter().find(|thread| fits(thread));
                        prop_assert!(same(queue.find(fits), expected));
                    }
                }
                // Bit set <=> list not empty, everybody in the right list, the count.
                let count = queue.check();
                let all = plain.all();
                prop_assert_eq!(count as usize, all.len());
                let highest = all.first().map_or(Priority::NONE, |thread| thread.dispatch_priority());
                prop_assert_eq!(queue.highest(), highest);
                let mut each = Vec::new();
                queue.each(|thread| each.push(core::ptr::from_ref(thread)));
                let all: Vec<_> = all.into_iter().map(core::ptr::from_ref).collect();
                prop_assert_eq!(each, all, "the order of all");
            }
        }
    }
}
