//! Virtual memory: what a program sees at its addresses, and where that comes from.
//!
//! It knows pages, objects, maps and stores. It does not know what a page table is made of ([`machine::pmap`]), what
//! a disk is ([`store::Store`]), or what a process is. So the same code runs in the kernel and on the host, under
//! plain tests and under shuttle.
//!
//! | file | concept |
//! |---|---|
//! | **pages** | |
//! | [`page`] | what is known of a frame |
//! | [`busy`] | who may work on a page, and who waits |
//! | `reverse_map.rs` | where a page is mapped |
//! | [`page_queue`] | in what order pages may go |
//! | `shortage.rs` | getting memory, and waiting for it |
//! | **objects** | |
//! | [`object`] | memory that can be mapped |
//! | `index.rs` | which page, and which slot, is at which place |
//! | [`shadow`] | shadows: making, referring, letting go |
//! | [`collapse`](mod@collapse) | keeping chains short |
//! | **maps** | |
//! | [`entry`], [`entry_tree`] | an entry; a map's entries |
//! | [`stacks`] | arrays of stacks, with a guard for each |
//! | [`map`] | an address map |
//! | [`space`] | an address space: map and page tables |
//! | **faults** | |
//! | [`fault`](mod@fault) | the fault: `walk.rs` down the chain, `enter.rs` the page table |
//! | `bulk_copy.rs` | copying and clearing a page |
//! | **stores** | |
//! | [`store`] | devices that keep pages; transfers |
//! | `page_in.rs` | bringing a page in, and others along |
//! | [`read`](mod@read) | reading files for the kernel itself |
//! | [`contents`] | what is in a file that is nowhere but in memory and swap space |
//! | `page_out.rs` | the laundry: writing pages to swap |
//! | [`page_daemon`] | making memory free, and who goes when there is none |
//! | [`swap`] | which slots of swap space are taken |
//! | **looking on** | |
//! | [`census`] | counters; the chain lemma |
//! | [`describe`] | a map with its objects, chains and pages, as text and as JSON |
//! | [`history`] | historical bugs, and which of them is in |
//! | [`schedule`] | named places where tests hold a thread |
//!
//! # Rules
//!
//! 1. *Order of locks*: a map's; objects', down a chain; then spin locks: a page's reverse map, the queues, swap
//!    space, slabs, frames.
//! 2. Busy states are tried with locks held, and waited for with none ([`busy`]).
//! 3. Down a chain hand over hand ([`object`]).
//! 4. A page whose shadowing page is valid is unmapped, or busy ([`fault`](mod@fault), [`collapse`](mod@collapse)).
//! 5. A page that is freed is mapped nowhere: checked always.
//! 6. Nobody waits, for memory or a device, with a lock held.
//! 7. Running out of memory is a value. What must not fail needs no memory.
//!
//! # Sources
//!
//! Mach's design (Rashid and others, 1987) as FreeBSD carries it on; each file names its counterparts there. No line
//! is copied. The races in `docs/history` are from the public histories of those systems.

#![cfg_attr(not(test), no_std)]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the comments are for readers of the code: `cargo doc --document-private-items`"
)]

// The unit tests share the machine of the tests in `tests/`, which know this crate by its name.
#[cfg(test)]
extern crate self as vm;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_machine;

mod bulk_copy;
pub mod busy;
pub mod census;
pub mod collapse;
pub mod contents;
pub mod describe;
pub mod entry;
pub mod entry_tree;
pub mod fault;
pub mod history;
mod index;
pub mod map;
pub mod object;
pub mod page;
pub mod page_daemon;
mod page_in;
mod page_out;
pub mod page_queue;
pub mod read;
mod reverse_map;
pub mod schedule;
pub mod shadow;
mod shortage;
pub mod space;
pub mod stacks;
pub mod store;
pub mod swap;

pub use fault::{FaultError, fault};
pub use index::Slot;
pub use object::{Object, ObjectRef};
pub use page::{PAGE_SHIFT, PAGE_SIZE, Page, Pages};
pub use space::Space;

use busy::BusyChannels;
use census::Census;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::System;
use machine::pmap::Pmap;
use machine::slot::{Layer, Slot as LayerSlot};
use memory::{PageSource, Slab};
use page_daemon::Daemon;
use page_out::PageOut;
use page_queue::{Queue, Queues};
use schedule::Hook;
use shortage::Shortage;
use swap::Swap;

// SAFETY: the only slot of this layer for systems.
const SLOT: LayerSlot<Vm> = unsafe { LayerSlot::new(Layer::Vm) };

/// The virtual memory of one system. The kernel makes it once, while the system starts.
pub struct Vm {
    /// The pages of all frames.
    pub pages: Pages,
    /// Counters.
    pub census: Census,
    /// Swap space.
    pub swap: Swap,
    pub(crate) busy: BusyChannels,
    pub(crate) queues: Queues,
    pub(crate) shortage: Shortage,
    pub(crate) page_out: PageOut,
    pub(crate) daemon: Daemon,
    pub(crate) objects: Slab<Object>,
    pub(crate) nodes: Slab<index::Node>,
    pub(crate) mappings: Slab<reverse_map::Further>,
    pub(crate) entries: Slab<entry_tree::Node>,
    pub(crate) pmaps: Slab<Pmap>,
    pub(crate) transfers: Slab<store::Transfer>,
    pub(crate) contents: Slab<contents::Contents>,
    /// How many pages files may have that are nowhere else.
    pub budget: contents::Budget,
    /// How many objects there have ever been; core's atomics in every flavour: they are only numbered by it.
    pub(crate) objects_made: AtomicU64,
    hook: Option<Hook>,
    bug: history::Chosen,
    /// Chains are kept short.
    collapses: AtomicBool,
    /// What programs must not know: with it they could make trees of entries as deep as they like.
    secret: AtomicU64,
}

impl Vm {
    /// Virtual memory with these pages, whose own data comes from `source`. `hook` is called at schedule points.
    /// `secret` is a number that programs do not know.
    pub fn new(
        pages: Pages,
        source: &'static dyn PageSource,
        secret: u64,
        hook: Option<Hook>,
    ) -> Vm {
        Vm {
            pages,
            census: Census::default(),
            swap: Swap::new(),
            busy: BusyChannels::new(),
            queues: Queues::new(),
            shortage: Shortage::new(),
            page_out: PageOut::new(),
            daemon: Daemon::new(),
            objects: Slab::new(source),
            nodes: Slab::new(source),
            mappings: Slab::new(source),
            entries: Slab::new(source),
            pmaps: Slab::new(source),
            transfers: Slab::new(source),
            contents: Slab::new(source),
            budget: contents::Budget::new(),
            objects_made: AtomicU64::new(0),
            hook,
            bug: history::Chosen::default(),
            collapses: AtomicBool::new(true),
            secret: AtomicU64::new(secret),
        }
    }

    /// Makes this the virtual memory of `system`; once per system.
    pub fn install(&'static self, system: &System) {
        system.slots().install(&SLOT, self);
    }

    /// The virtual memory of the current system, which must have been installed.
    #[inline]
    pub fn current() -> &'static Vm {
        System::current().slots().get(&SLOT)
    }

    /// A number that programs cannot guess, another one each time.
    pub(crate) fn next_secret(&self) -> u64 {
        // Steele, Lea and Flood's SplitMix.
        let state = self.secret.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Leaves chains of shadows as long as they become: to see what they become without collapse and bypass.
    pub fn leave_chains(&self) {
        self.collapses.store(false, Ordering::Relaxed);
    }

    /// Whether chains are kept short.
    pub(crate) fn collapses(&self) -> bool {
        self.collapses.load(Ordering::Relaxed)
    }

    pub(crate) fn schedule_hook(&self) -> Option<Hook> {
        self.hook
    }

    /// Gives back the memory of which nothing is in use.
    pub fn reclaim(&'static self) {
        self.objects.reclaim();
        self.nodes.reclaim();
        self.mappings.reclaim();
        self.entries.reclaim();
        self.pmaps.reclaim();
        self.transfers.reclaim();
        self.contents.reclaim();
    }

    /// How many pages each queue has.
    pub fn queue_counts(&self) -> [u32; 3] {
        [Queue::Active, Queue::Inactive, Queue::Laundry].map(|queue| self.queues.count(queue))
    }

    /// After something has failed for want of memory that is to be tried again in a moment: the page daemon looks for
    /// some.
    pub fn ask_for_memory(&self) {
        self.shortage.ask();
    }

    /// How many threads wait for memory.
    pub fn waiting(&self) -> u32 {
        self.shortage.waiting()
    }

    /// How many objects, entries, index nodes, further mappings, transfers and physical maps there are, to be
    /// compared with what there was.
    pub fn live(&self) -> [u64; 6] {
        [
            self.objects.counts().live,
            self.entries.counts().live,
            self.nodes.counts().live,
            self.mappings.counts().live,
            self.transfers.counts().live,
            self.pmaps.counts().live,
        ]
    }
}
