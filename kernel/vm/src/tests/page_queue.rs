//! The queues against lists, and under several who move the same pages.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::test_machine::{model, run, single, spawn, system};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::VecDeque;

const ALL: [Queue; 3] = [Queue::Active, Queue::Inactive, Queue::Laundry];
const PAGES: u32 = 8;

/// Under a checker each step counts, and nothing happens at the same time.
const CASES: u32 = if cfg!(feature = "shuttle") { 5 } else { 200 };

#[derive(Clone, Debug)]
enum Step {
    Put(u32, usize),
    Remove(u32),
    NoteUse(u32),
    Take(usize, u32),
    /// Takes the first page while this one is busy.
    TakeBeside(usize, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let page = || 0..PAGES;
    prop_oneof![
        3 => (page(), 0..3usize).prop_map(|(page, queue)| Step::Put(page, queue)),
        1 => page().prop_map(Step::Remove),
        1 => page().prop_map(Step::NoteUse),
        1 => (0..3usize, 1..5u32).prop_map(|(queue, limit)| Step::Take(queue, limit)),
        1 => (0..3usize, page()).prop_map(|(queue, page)| Step::TakeBeside(queue, page)),
    ]
}

fn perform(steps: &[Step]) {
    let (vm, queues) = (Vm::current(), &Vm::current().queues);
    let mut lists: [VecDeque<u32>; 3] = Default::default();
    let forget = |lists: &mut [VecDeque<u32>; 3], page| {
        lists.iter_mut().for_each(|list| list.retain(|other| *other != page));
    };
    let taken = |page: Option<Exclusive>| page.map(|page| vm.pages.place_of(page.page()));
    for step in steps {
        match *step {
            Step::Put(page, queue) => {
                queues.put(vm.pages.at(page), ALL[queue]);
                forget(&mut lists, page);
                lists[queue].push_back(page);
            }
            Step::Remove(page) => {
                queues.remove(vm.pages.at(page));
                forget(&mut lists, page);
            }
            Step::NoteUse(page) => {
                queues.note_use(vm.pages.at(page));
                if !lists.iter().any(|list| list.contains(&page)) {
                    lists[0].push_back(page);
                }
            }
            Step::Take(queue, limit) => {
                let first = taken(queues.take_first(ALL[queue], limit));
                assert_eq!(first, lists[queue].front().copied());
            }
            Step::TakeBeside(queue, page) => {
                let busy = vm.pages.at(page).try_exclusive().expect("nobody else is here");
                let first = taken(queues.take_first(ALL[queue], PAGES));
                drop(busy);
                // One that is busy goes to the end if it comes first.
                if lists[queue].front() == Some(&page) {
                    lists[queue].rotate_left(1);
                }
                let other = lists[queue].front().copied().filter(|first| *first != page);
                assert_eq!(first, other);
            }
        }
        for (queue, list) in ALL.into_iter().zip(&lists) {
            assert_eq!(queues.count(queue) as usize, list.len());
        }
    }
    for page in 0..PAGES {
        queues.remove(vm.pages.at(page));
    }
    assert_eq!(ALL.map(|queue| queues.count(queue)), [0; 3]);
}

#[test]
fn the_queues_do_what_three_lists_do() {
    single(1, 64, |_| {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let steps = prop::collection::vec(step(), 1..60);
        let result = TestRunner::new(config).run(&steps, |steps| {
            perform(&steps);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    });
}

#[test]
fn a_wired_page_is_in_no_queue_until_its_last_wiring_goes() {
    single(1, 64, |_| {
        let (queues, page) = (&Vm::current().queues, Vm::current().pages.at(3));
        queues.put(page, Queue::Inactive);
        page.wire();
        page.wire();
        queues.put(page, Queue::Laundry);
        queues.note_use(page);
        assert_eq!(ALL.map(|queue| queues.count(queue)), [0; 3]);
        page.unwire();
        assert_eq!(queues.count(Queue::Active), 0);
        page.unwire();
        assert_eq!(queues.count(Queue::Active), 1);
        queues.remove(page);
    });
}

#[test]
#[cfg(not(feature = "loom"))]
fn whoever_moves_wires_and_takes_pages_at_the_same_time_loses_none() {
    model(|| {
        run(2, 64, |may_fault| {
            let (vm, queues) = (Vm::current(), &Vm::current().queues);
            for place in 0..3 {
                queues.put(vm.pages.at(place), Queue::Active);
            }
            let mover = |from, to| {
                move |_: &mut machine::MayFault| {
                    for _ in 0..3 {
                        if let Some(page) = Vm::current().queues.take_first(from, 3) {
                            Vm::current().queues.put(page.page(), to);
                        }
                    }
                }
            };
            let threads = [
                spawn(system(60), mover(Queue::Active, Queue::Inactive)),
                spawn(system(60), mover(Queue::Inactive, Queue::Active)),
                spawn(system(60), |_| {
                    for place in [0, 1] {
                        Vm::current().pages.at(place).wire();
                        Vm::current().pages.at(place).unwire();
                    }
                }),
            ];
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(ALL.iter().map(|queue| queues.count(*queue)).sum::<u32>(), 3);
            for place in 0..3 {
                queues.remove(vm.pages.at(place));
            }
        });
    });
}
