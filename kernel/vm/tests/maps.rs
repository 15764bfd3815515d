//! Address maps against a table: for each page what the program may do, what a child gets, and what is there.
//!
//! Random sequences of what programs can ask for, by several programs that descend from each other. After each step
//! the entries say what the table says, and there are no more of them than it takes. A part of the memory is in arrays of
//! stacks, whose guards the table knows page by page.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::program::{BASE, page, read_write};
use common::{PAGE_SIZE, Program, Rights};
use machine::MayFault;
use machine::sim::physical;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::rc::Rc;
use vm::entry::{Advice, Inheritance};
use vm::map::{MapError, Place, Request};
use vm::stacks::StackShape;
use vm::{FaultError, Vm};

/// Pages of the table.
const PAGES: u64 = 24;
/// Most programs at a time.
const PROGRAMS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Insert { at: u64, pages: u64, place: Place, rights: Rights, stacks: Option<StackShape> },
    Remove { at: u64, pages: u64 },
    Protect { at: u64, pages: u64, rights: Rights },
    Inherit { at: u64, pages: u64, inheritance: Inheritance },
    Advise { at: u64, pages: u64, advice: Advice },
    Discard { at: u64, pages: u64 },
    Write { at: u64, value: u64 },
    Read { at: u64 },
    Fork,
    Exit,
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        4 => Just(read_write()),
        2 => Just(Rights::READ),
        1 => Just(Rights::READ | Rights::EXECUTE),
        1 => Just(Rights::NONE),
        1 => Just(read_write() | Rights::EXECUTE),
    ]
}

/// Strides of up to five pages.
fn stacks() -> impl Strategy<Value = StackShape> {
    (2..6u64).prop_flat_map(|stride| (Just(stride), 1..stride)).prop_map(|(stride, guard)| {
        StackShape { stride: stride * PAGE_SIZE, guard: guard * PAGE_SIZE }
    })
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let range = || (0..PAGES, 0..9u64);
    let place = prop_oneof![Just(Place::Hint), Just(Place::Fixed), Just(Place::FixedIfFree)];
    let inheritance =
        prop_oneof![Just(Inheritance::Share), Just(Inheritance::Copy), Just(Inheritance::None)];
    let advice = prop_oneof![Just(Advice::Normal), Just(Advice::Random), Just(Advice::Sequential)];
    let step = prop_oneof![
        6 => (range(), place.clone(), rights()).prop_map(|((at, pages), place, rights)| {
            Step::Insert { at, pages, place, rights, stacks: None }
        }),
        3 => (0..PAGES, 1..4u64, place, stacks()).prop_map(|(at, count, place, shape)| {
            let pages = count * (shape.stride / PAGE_SIZE);
            Step::Insert { at, pages, place, rights: read_write(), stacks: Some(shape) }
        }),
        3 => range().prop_map(|(at, pages)| Step::Remove { at, pages }),
        3 => (range(), rights())
            .prop_map(|((at, pages), rights)| Step::Protect { at, pages, rights }),
        2 => (range(), inheritance)
            .prop_map(|((at, pages), inheritance)| Step::Inherit { at, pages, inheritance }),
        1 => (range(), advice)
            .prop_map(|((at, pages), advice)| Step::Advise { at, pages, advice }),
        2 => range().prop_map(|(at, pages)| Step::Discard { at, pages }),
        14 => (0..PAGES, 1..1000u64).prop_map(|(at, value)| Step::Write { at, value }),
        14 => (0..PAGES).prop_map(|at| Step::Read { at }),
        2 => Just(Step::Fork),
        1 => Just(Step::Exit),
    ];
    (0..PROGRAMS, step)
}

/// What is at a page. Pages that are shared have the same cell.
#[derive(Clone)]
struct Cell {
    word: Rc<RefCell<u64>>,
    rights: Rights,
    inheritance: Inheritance,
    advice: Advice,
    /// It is in an array of stacks: in which place of one that began where; and if it is a guard, which one's.
    stacks: Option<(u64, Option<u64>)>,
}

impl Cell {
    /// Which stack's guard it is, if it is one's.
    fn guard(&self) -> Option<u64> {
        self.stacks.and_then(|(_, guard)| guard)
    }

    fn guard_error(&self) -> FaultError {
        FaultError::Guard { stack: self.guard().expect("it is asked of guards only") }
    }

    /// What is in it is forgotten. Whoever shares it still sees what was there.
    fn discard(&mut self) {
        self.word = Rc::default();
    }
}

/// A table: a cell for each page that is mapped.
type Table = Vec<Option<Cell>>;

fn covered(table: &Table, at: u64, pages: u64) -> bool {
    at + pages <= PAGES && (at..at + pages).all(|page| table[page as usize].is_some())
}

/// What a change of a range has to come to, if the range can be meant.
fn of_range(table: &Table, at: u64, pages: u64) -> Result<(), MapError> {
    match pages {
        0 => Err(MapError::BadRange),
        _ if covered(table, at, pages) => Ok(()),
        _ => Err(MapError::NotMapped),
    }
}

/// Rights that nobody can have.
fn are_too_many(rights: Rights) -> bool {
    rights.contains(Rights::WRITE | Rights::EXECUTE)
}

fn is_shared(cell: &Cell) -> bool {
    Rc::strong_count(&cell.word) > 1
}

/// A program and its table.
struct Life {
    program: Program,
    table: Table,
}

impl Life {
    fn insert(
        &mut self,
        at: u64,
        pages: u64,
        place: Place,
        rights: Rights,
        stacks: Option<StackShape>,
        may_fault: &mut MayFault,
    ) {
        let request = Request {
            address: page(at),
            length: pages * PAGE_SIZE,
            place,
            rights,
            rights_max: Rights::READ | Rights::WRITE | Rights::EXECUTE,
            inheritance: Inheritance::Copy,
            shared: false,
            stacks,
        };
        let is_free = |at: u64| {
            (at..at + pages).all(|page| self.table.get(page as usize).is_none_or(Option::is_none))
        };
        let expected = if pages == 0 {
            Err(MapError::BadRange)
        } else if are_too_many(rights) {
            Err(MapError::NotPermitted)
        } else {
            match place {
                Place::Fixed => Ok(page(at)),
                Place::FixedIfFree if !is_free(at) => Err(MapError::Taken),
                Place::FixedIfFree => Ok(page(at)),
                Place::Hint => Ok(page((at..).find(|at| is_free(*at)).expect("far up it is free"))),
            }
        };
        // What does not fit into the table is left out.
        let first = expected.map_or(at, |address| (address - BASE) / PAGE_SIZE);
        if first + pages > PAGES {
            return;
        }
        assert_eq!(self.program.space().insert(&request, None, may_fault), expected);
        if expected.is_ok() {
            for place in first..first + pages {
                self.table[place as usize] = Some(Cell {
                    word: Rc::default(),
                    rights,
                    inheritance: Inheritance::Copy,
                    advice: Advice::Normal,
                    stacks: stacks.map(|shape| {
                        let (stride, guard) = (shape.stride / PAGE_SIZE, shape.guard / PAGE_SIZE);
                        let inside = place - first;
                        (first, (inside % stride < guard).then_some(inside / stride))
                    }),
                });
            }
        }
    }

    /// Does what a step says to the entries of a range, and to the cells.
    fn change(
        &mut self,
        at: u64,
        pages: u64,
        refused: Option<MapError>,
        change: impl FnOnce(&Program) -> Result<(), MapError>,
        act: impl Fn(&mut Cell),
    ) {
        let expected = match refused {
            Some(error) if pages != 0 => Err(error),
            _ => of_range(&self.table, at, pages),
        };
        let result = change(&self.program);
        // Two reasons at a time: either may be told.
        if refused.is_none() {
            assert_eq!(result, expected);
        } else {
            assert!(result.is_err());
        }
        if result.is_ok() {
            (at..at + pages).for_each(|page| self.table[page as usize].iter_mut().for_each(&act));
        }
    }

    fn fork(&mut self, may_fault: &mut MayFault) -> Life {
        let program = self.program.fork(may_fault);
        let of_child = |cell: &Cell| match cell.inheritance {
            Inheritance::None => None,
            Inheritance::Share => Some(cell.clone()),
            Inheritance::Copy => {
                let word = Rc::new(RefCell::new(*cell.word.borrow()));
                Some(Cell { word, ..cell.clone() })
            }
        };
        let table = self.table.iter().map(|cell| cell.as_ref().and_then(of_child)).collect();
        Life { program, table }
    }

    /// What is shared with somebody, and would be copied: the copies of such memory are not for this model.
    fn is_beyond_the_model(&self) -> bool {
        let is_beyond = |cell: &Cell| cell.inheritance == Inheritance::Copy && is_shared(cell);
        self.table.iter().flatten().any(is_beyond)
    }

    /// Compares the map with the table.
    fn compare(&self, may_fault: &mut MayFault) {
        let map = self.program.space().map().read(may_fault);
        let mut entries = 0;
        let mut last_end = 0;
        for entry in map.iter() {
            entries += 1;
            assert!(entry.start >= last_end && entry.start < entry.end);
            last_end = entry.end;
            for address in (entry.start..entry.end).step_by(PAGE_SIZE as usize) {
                let cell = &self.table[((address - BASE) / PAGE_SIZE) as usize];
                let cell = cell.as_ref().expect("it is mapped, and should not be");
                let first = entry.stacks.map(|stacks| (stacks.first - BASE) / PAGE_SIZE);
                assert_eq!(
                    (entry.rights, entry.inheritance, entry.advice, first),
                    (
                        cell.rights,
                        cell.inheritance,
                        cell.advice,
                        cell.stacks.map(|(first, _)| first)
                    )
                );
                assert_eq!(entry.guard_at(address), cell.guard());
            }
        }
        let mapped: u64 = map.iter().map(vm::entry::Entry::pages).sum();
        assert_eq!(mapped, self.table.iter().flatten().count() as u64);
        assert_eq!(map.entries().len(), entries);
    }
}

/// Performs steps; says how many.
fn perform(steps: &[(usize, Step)], may_fault: &mut MayFault) {
    let mut lives = vec![Life { program: Program::new(), table: vec![None; PAGES as usize] }];
    for (who, step) in steps {
        let who = who % lives.len();
        let life = &mut lives[who];
        match *step {
            Step::Insert { at, pages, place, rights, stacks } => {
                life.insert(at, pages, place, rights, stacks, may_fault);
            }
            Step::Remove { at, pages } => {
                let range = page(at)..page(at + pages);
                let result = life.program.space().remove(range, may_fault);
                assert_eq!(result, if pages == 0 { Err(MapError::BadRange) } else { Ok(()) });
                (at..(at + pages).min(PAGES)).for_each(|page| life.table[page as usize] = None);
            }
            Step::Protect { at, pages, rights } => {
                let range = page(at)..page(at + pages);
                let refused = are_too_many(rights).then_some(MapError::NotPermitted);
                let protect = |program: &Program| program.space().protect(range, rights, may_fault);
                life.change(at, pages, refused, protect, |cell| cell.rights = rights);
            }
            Step::Inherit { at, pages, inheritance } => {
                let range = page(at)..page(at + pages);
                let inherit =
                    |program: &Program| program.space().inherit(range, inheritance, may_fault);
                life.change(at, pages, None, inherit, |cell| cell.inheritance = inheritance);
            }
            Step::Advise { at, pages, advice } => {
                let range = page(at)..page(at + pages);
                let advise = |program: &Program| program.space().advise(range, advice, may_fault);
                life.change(at, pages, None, advise, |cell| cell.advice = advice);
            }
            Step::Discard { at, pages } => {
                let range = page(at)..page(at + pages);
                let discard = |program: &Program| program.space().discard(range, may_fault);
                life.change(at, pages, None, discard, Cell::discard);
            }
            Step::Write { at, value } => {
                let expected = match &life.table[at as usize] {
                    None => Err(FaultError::NotMapped),
                    Some(cell) if cell.guard().is_some() => Err(cell.guard_error()),
                    Some(cell) if !cell.rights.contains(read_write()) => {
                        Err(FaultError::NotPermitted)
                    }
                    Some(cell) => {
                        *cell.word.borrow_mut() = value;
                        Ok(())
                    }
                };
                let frame = frame_of(&life.program, at, read_write(), may_fault);
                assert_eq!(frame.map(|frame| physical::store(frame, value)), expected);
            }
            Step::Read { at } => {
                let expected = match &life.table[at as usize] {
                    None => Err(FaultError::NotMapped),
                    Some(cell) if cell.guard().is_some() => Err(cell.guard_error()),
                    Some(cell) if cell.rights == Rights::NONE => Err(FaultError::NotPermitted),
                    Some(cell) => Ok(*cell.word.borrow()),
                };
                let frame = frame_of(&life.program, at, Rights::READ, may_fault);
                assert_eq!(frame.map(physical::load), expected);
            }
            Step::Fork if lives.len() < PROGRAMS && !lives[who].is_beyond_the_model() => {
                let child = lives[who].fork(may_fault);
                child.compare(may_fault);
                lives.push(child);
            }
            Step::Exit if lives.len() > 1 => lives.swap_remove(who).program.exit(may_fault),
            Step::Fork | Step::Exit => {}
        }
        if let Some(life) = lives.get(who) {
            life.compare(may_fault);
        }
    }
    for life in lives {
        let most = life.table.iter().flatten().count();
        assert!(life.program.space().map().read(may_fault).entries().len() <= most);
        life.program.exit(may_fault);
    }
    assert_eq!(Vm::current().live(), [0; 6]);
    assert_eq!(Vm::current().census.broken_lemma(), None);
}

/// The frame behind a page, for these rights: what a processor would find, by way of as many faults as that takes.
fn frame_of(
    program: &Program,
    at: u64,
    rights: Rights,
    may_fault: &mut MayFault,
) -> Result<u64, FaultError> {
    loop {
        let there = program.space().pmap().lookup(page(at));
        if let Some(there) = there.filter(|there| there.rights.contains(rights)) {
            return Ok(there.frame);
        }
        vm::fault(program.space(), page(at), rights, may_fault)?;
    }
}

/// Sequences of the default run, of 399 steps at most, 200 on the average; `MAPS_CASES` says otherwise.
fn cases() -> u32 {
    std::env::var("MAPS_CASES").map_or(700, |cases| cases.parse().expect("a number"))
}

#[test]
fn maps_say_what_a_table_says() {
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let performed = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&prop::collection::vec(step(), 1..400), |steps| {
        performed.set(performed.get() + steps.len());
        let steps = std::sync::Arc::new(steps);
        common::once(move || {
            let steps = std::sync::Arc::clone(&steps);
            common::run(1, 512, move |may_fault| perform(&steps, may_fault));
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("{} steps", performed.get());
}
