//! A description of an address space: its entries, the objects under each, and their pages.
//!
//! A description is made in *steps*: the map, an entry, an object of the chain below it, some of its pages, the next
//! object, the next entry. Before it speaks of an object a step or more only count its pages. A step takes the locks,
//! notes plain numbers, and lets go of them; what is done with the numbers is done with nothing held. So who describes
//! may sleep between two steps, or never come back, and nobody waits for longer than a step takes: a few places of one
//! object, and the locks down one chain, hand over hand.
//!
//! What has been noted need not be true any more when the next step is made. Where that would make the description as
//! a whole wrong it ends with [`Changed`]: when an entry has come, gone or got another object, and when the chain that
//! is being described is not the same. Pages may come and go, and change state, between the steps: each is said as it
//! was when its step was made.
//!
//! Objects are known by their numbers: an object gets one when it is made, and nobody else ever gets it. So an object
//! that is found in the descriptions of several processes is the same.
//!
//! | file | concept |
//! |---|---|
//! | this one | the steps |
//! | [`record`] | what a step notes |
//! | [`print`](mod@print) | the steps as text and as JSON |
//!
//! The idea is that of SVR4's `/proc` maps and FreeBSD's `procstat -v`, which stop at the first object.

pub mod print;
pub mod record;

use crate::entry::Entry;
use crate::map::Map;
use crate::object::{Kind, Locked, Object};
use crate::page::PAGE_SHIFT;
use crate::space::Space;
use core::ops::Range;
use machine::MayFault;
use record::{EntryRecord, MapRecord, ObjectKind, ObjectRecord, PAGES, PageRecord, PageRecords};

/// How many places of an object are counted before its lock is let go of once, for others to get through.
const BATCH: u64 = 128;

/// How many batches a step counts.
const STEP_BATCHES: u64 = 8;

/// The map or the chain is not what it was when the description began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// A step of a description.
#[expect(clippy::large_enum_variant, reason = "there is one, on the stack of who describes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The map: the first step.
    Map(MapRecord),
    /// The next entry.
    Entry(EntryRecord),
    /// Nothing yet: some of the next object's pages have been counted.
    Counting,
    /// The next object down the chain of the entry.
    Object(ObjectRecord),
    /// Further pages of the object, at places that the entry sees.
    Pages(PageRecords),
    /// Nothing is left.
    End,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Map = 0,
    Entry = 1,
    Object = 2,
    Pages = 3,
    End = 4,
}

/// A description under way. It keeps nothing: neither locks nor objects, only how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where the next entry is looked for, or where the one begins that is being described.
    address: u64,
    end: u64,
    stage: Stage,
    /// The map's version when it began.
    version: u64,
    /// Of the object that is next, or is being described.
    depth: u32,
    /// The object that is being described.
    object: u64,
    /// The object that it has been said to be the shadow of; 0 for none.
    below: u64,
    /// Its next place.
    place: u64,
    /// What has been counted of the next object.
    count: Count,
    /// What is open in JSON; [`print`](mod@print)'s.
    open: print::Open,
}

/// A count of an object's pages under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// The place where it goes on; 0 before it has begun.
    from: u64,
    /// Pages in memory.
    resident: u64,
    /// Pages in swap space only.
    swapped: u64,
}

/// An object of a chain, locked, and what the entry sees of it.
struct Found {
    object: Locked,
    places: Range<u64>,
    /// The address of the first place.
    address: u64,
}

impl Description {
    /// Of all entries that have an address of a range.
    pub fn new(range: Range<u64>) -> Description {
        Description {
            address: range.start,
            end: range.end,
            stage: Stage::Map,
            version: 0,
            depth: 0,
            object: 0,
            below: 0,
            place: 0,
            count: Count::default(),
            open: print::Open::Nothing,
        }
    }

    /// Makes the next step. Takes the map's lock, and those of a chain, and lets go of them.
    pub fn next(&mut self, space: &Space, may_fault: &mut MayFault) -> Result<Step, Changed> {
        loop {
            let map = space.map().read(may_fault);
            if self.stage == Stage::Map {
                self.version = map.version();
                self.stage = Stage::Entry;
                let (mapped, tables) = (space.pmap().resident_pages(), space.pmap().tables());
                return Ok(Step::Map(MapRecord { entries: map.entries().len(), mapped, tables }));
            }
            if map.version() != self.version {
                return Err(Changed);
            }
            let made = match self.stage {
                Stage::Entry => Some(self.entry(&map)),
                Stage::Object => self.object(map, may_fault)?,
                Stage::Pages => self.pages(&map, may_fault)?,
                Stage::Map | Stage::End => Some(Step::End),
            };
            if let Some(step) = made {
                return Ok(step);
            }
        }
    }

    /// Whether the last step has been made.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::End
    }

    fn entry(&mut self, map: &Map) -> Step {
        let next = map.entries().at_or_above(self.address);
        let Some(entry) = next.filter(|entry| entry.start < self.end) else {
            self.stage = Stage::End;
            return Step::End;
        };
        (self.address, self.stage) = (entry.start, Stage::Object);
        self.depth = 0;
        Step::Entry(EntryRecord {
            start: entry.start,
            end: entry.end,
            rights: entry.rights,
            inheritance: entry.inheritance,
            advice: entry.advice,
            wired: entry.wired,
            needs_copy: entry.needs_copy,
            shared: entry.shared,
            stride: entry.stacks.map(|stacks| stacks.shape.stride),
            has_object: entry.object.is_some(),
        })
    }

    /// The next object, or nothing if the chain ends: then the next entry's turn has come.
    fn object(
        &mut self,
        map: dispatch::RwReadGuard<'_, Map>,
        may_fault: &mut MayFault,
    ) -> Result<Option<Step>, Changed> {
        let entry = map.entries().find(self.address).ok_or(Changed)?;
        let found = find(entry, self.depth, may_fault);
        let number = found.as_ref().map_or(0, |found| found.object.object().number());
        let is_another = self.count.from != 0 && number != self.object;
        if is_another || self.depth != 0 && number != self.below {
            return Err(Changed);
        }
        let Some(Found { object: locked, places, .. }) = found else {
            (self.address, self.stage) = (entry.end, Stage::Entry);
            return Ok(None);
        };
        // The map may change while the pages are counted, which the next step finds out.
        drop(map);
        let object = locked.object().clone();
        let mut record = ObjectRecord {
            number,
            depth: self.depth,
            kind: match object.kind() {
                Kind::Anonymous => ObjectKind::Anonymous,
                Kind::File(_) => ObjectKind::File,
                Kind::Device(_) => ObjectKind::Device,
            },
            pages: object.pages(),
            first: places.start,
            references: locked.references,
            shadows: locked.shadows,
            paging: object.paging(),
            merging: locked.merging,
            resident: 0,
            swapped: 0,
            backing: locked
                .backing
                .as_ref()
                .map(|backing| (backing.number(), locked.backing_offset)),
        };
        drop(locked);
        self.object = number;
        if !self.count.go_on(&object, may_fault) {
            return Ok(Some(Step::Counting));
        }
        let Count { resident, swapped, .. } = core::mem::take(&mut self.count);
        (record.resident, record.swapped) = (resident, swapped);
        (self.place, self.stage) = (places.start, Stage::Pages);
        self.below = record.backing.map_or(0, |(number, _)| number);
        Ok(Some(Step::Object(record)))
    }

    /// The next pages, or nothing if there are none: then the next object's turn has come.
    fn pages(&mut self, map: &Map, may_fault: &mut MayFault) -> Result<Option<Step>, Changed> {
        let entry = map.entries().find(self.address).ok_or(Changed)?;
        let found = find(entry, self.depth, may_fault).ok_or(Changed)?;
        let object = found.object.object();
        if object.number() != self.object {
            return Err(Changed);
        }
        let mut pages = [None; PAGES];
        let mut count = 0;
        while count < PAGES
            && let Some((place, content)) = object.index.next(self.place)
            && place < found.places.end
        {
            let offset = place.saturating_sub(found.places.start) << PAGE_SHIFT;
            pages[count] = Some(PageRecord::new(place, found.address + offset, content));
            self.place = place + 1;
            count += 1;
        }
        if count == 0 {
            (self.depth, self.stage) = (self.depth + 1, Stage::Object);
            return Ok(None);
        }
        Ok(Some(Step::Pages(PageRecords { pages })))
    }

    /// As words, for who cannot keep it: the range and the rest. A count under way is not among them: it begins anew.
    pub fn to_words(&self) -> [u64; 7] {
        let small = self.stage as u64 | (self.open as u64) << 8 | u64::from(self.depth) << 32;
        [self.address, self.end, small, self.version, self.object, self.below, self.place]
    }

    /// From the words; whatever they say, nothing worse comes of it than a wrong description. None if they cannot come
    /// from [`to_words`](Description::to_words). With all but the range 0 it is a new one.
    pub fn from_words(words: [u64; 7]) -> Option<Description> {
        let [address, end, small, version, object, below, place] = words;
        let stage = match small & 0xff {
            0 => Stage::Map,
            1 => Stage::Entry,
            2 => Stage::Object,
            3 => Stage::Pages,
            4 => Stage::End,
            _ => return None,
        };
        let open = print::Open::from_number((small >> 8) as u8)?;
        let depth = (small >> 32) as u32;
        let count = Count::default();
        Some(Description { address, end, stage, version, depth, object, below, place, count, open })
    }
}

/// The object so far down the chain of an entry, if the chain is that long.
fn find(entry: &Entry, depth: u32, may_fault: &mut MayFault) -> Option<Found> {
    let mut first = entry.offset;
    let mut object = Locked::new(entry.object.clone()?, may_fault);
    for _ in 0..depth {
        let below = object.backing.clone()?;
        first += object.backing_offset;
        // Hand over hand: the next lock before this one is let go of.
        object = Locked::new(below, may_fault);
    }
    let places = first..first + entry.pages();
    Some(Found { object, places, address: entry.start })
}

impl Count {
    /// Counts some more of an object's pages; says whether that was the last. Lets go of the lock from time to time.
    fn go_on(&mut self, object: &Object, may_fault: &mut MayFault) -> bool {
        for _ in 0..STEP_BATCHES {
            let _shape = object.write(may_fault);
            for _ in 0..BATCH {
                let Some((place, content)) = object.index.next(self.from) else { return true };
                match content.resident() {
                    Some(_) => self.resident += 1,
                    None => self.swapped += u64::from(content.swapped().is_some()),
                }
                self.from = place + 1;
            }
        }
        false
    }
}
