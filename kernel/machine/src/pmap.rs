//! The physical map: page tables as a cache of what an address map says.
//!
//! A [`Pmap`] is the user's half of one address space as the processors see it. It decides nothing: any
//! translation may be taken out at any time, and is put back when somebody misses it. Its entries are
//! words that processors set bits in while others change them, so every change is one atomic step, and
//! what an entry said until that step, the accessed and dirty bits included, is handed back.
//!
//! Processors keep copies of entries in their translation caches. To take a right away is therefore
//! three steps: change the entry, [`Pmap::shoot_down`], and only then rely on it. To give a right takes
//! one: whoever still has the poorer copy faults, and looks again.
//!
//! Invariants:
//! - tables are added while the pmap lives and freed with it, so that walking down needs no lock;
//! - the processors that may hold copies of entries are in the active set;
//! - no entry is both writable and executable.
//!
//! All of it may be called on many processors at once. Who changes which entry when is the business of
//! the layer above.
//!
//! The word is Mach's.

use crate::capability::Atomic;
use crate::{Cpu, System, backend, page_table, shoot_down};
use atomics::{AtomicU32, AtomicU64, Ordering, fence};
use core::ops::{BitOr, ControlFlow, Range};
use core::sync::atomic::AtomicUsize;

pub use page_table::PAGE;

/// The end of user addresses: one page below the hole of non-canonical addresses, so that the
/// instruction after a `syscall` is always canonical.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// What user mode may do with a page: a set. Whoever may write or execute may also read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Nothing: the page is mapped, and every access faults.
    pub const NONE: Rights = Rights(0);
    /// Reading.
    pub const READ: Rights = Rights(1 << 0);
    /// Writing. Never together with [`Rights::EXECUTE`].
    pub const WRITE: Rights = Rights(1 << 1);
    /// Executing.
    pub const EXECUTE: Rights = Rights(1 << 2);

    /// Whether all of `others` are among these.
    pub const fn contains(self, others: Rights) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those that are in both; nothing if reading is not among them.
    pub const fn common(self, others: Rights) -> Rights {
        let both = Rights(self.0 & others.0);
        if both.contains(Rights::READ) { both } else { Rights::NONE }
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, others: Rights) -> Rights {
        Rights(self.0 | others.0)
    }
}

/// What an entry says of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address of the frame behind it.
    pub frame: u64,
    /// What user mode may do with it.
    pub rights: Rights,
    /// A processor has used the entry since the bit was last cleared.
    pub accessed: bool,
    /// A processor has written through it.
    pub dirty: bool,
}

impl Translation {
    /// A frame with these rights, untouched.
    pub const fn new(frame: u64, rights: Rights) -> Translation {
        Translation { frame, rights, accessed: false, dirty: false }
    }
}

/// Where the frames of page tables come from. Called from any context, also with spin locks held.
///
/// # Safety
///
/// A frame that is handed out is memory that nobody else uses until it is given back.
pub unsafe trait TableMemory: Sync {
    /// The physical address of a frame full of zeros, or nothing.
    fn allocate_table(&self) -> Option<u64>;

    /// Takes a frame back.
    fn free_table(&self, frame: u64);
}

/// There is no frame for a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTables;

/// The translations of one address space. See the module.
pub struct Pmap {
    system: &'static System,
    root: u64,
    /// Which parts of the root have been used, as if an entry led to it.
    root_parts: AtomicU64,
    memory: &'static dyn TableMemory,
    /// Bit `n` set: processor `n` runs in it, or is about to, and may hold copies of its entries.
    active: AtomicU64,
    /// How many are between a withdrawal and its shoot-down, and hold no lock of the pmap's owner.
    pins: AtomicU32,
    /// How many tables it has, the root among them, and how many translations. Statistics.
    tables: AtomicUsize,
    resident: AtomicUsize,
}

impl Pmap {
    /// An empty one. The upper half is the kernel's.
    pub fn new(memory: &'static dyn TableMemory) -> Result<Pmap, OutOfTables> {
        let system = System::current();
        let root = memory.allocate_table().ok_or(OutOfTables)?;
        // SAFETY: a fresh frame of our own.
        unsafe { backend::pmap::share_upper_half(system, root) };
        Ok(Pmap {
            system,
            root,
            root_parts: AtomicU64::new(0),
            memory,
            active: AtomicU64::new(0),
            pins: AtomicU32::new(0),
            tables: AtomicUsize::new(1),
            resident: AtomicUsize::new(0),
        })
    }

    /// The entry of an address, if its table is there.
    fn find(&self, address: u64) -> Option<Place<'_>> {
        debug_assert!(address < USER_END, "{address:#x} is not a user address");
        // SAFETY: the tables live as long as `self`, and the place no longer.
        let entry = unsafe { page_table::find(self.system, self.root, address) }?;
        Some(Place { pmap: self, entry })
    }

    /// Makes sure that the tables above an address are there, and stay, and returns the address' entry. On an
    /// error some of them are. Takes no lock: of those who add the same table, one succeeds, and the others give
    /// theirs back.
    pub fn prepare(&self, address: u64) -> Result<Place<'_>, OutOfTables> {
        debug_assert!(address < USER_END, "{address:#x} is not a user address");
        let part = page_table::part_of(address, page_table::LEVELS);
        if self.root_parts.load(Ordering::Relaxed) & part == 0 {
            self.root_parts.fetch_or(part, Ordering::AcqRel);
        }
        let mut table = self.root;
        let mut level = page_table::LEVELS;
        while level > 1 {
            let index = page_table::index(address, level);
            // SAFETY: the root, or a table that an entry leads to; they live as long as `self`.
            let entry = unsafe { backend::pmap::entry(self.system, table, index) };
            level -= 1;
            let part = page_table::part_of(address, level);
            let mut value = entry.load(Ordering::Acquire);
            if value & part == 0 {
                value = self.extend(&entry, part)?;
            }
            table = page_table::frame(value);
        }
        // SAFETY: the lowest table, as above.
        let entry =
            unsafe { backend::pmap::entry(self.system, table, page_table::index(address, 1)) };
        Ok(Place { pmap: self, entry })
    }

    /// Makes an entry lead to a table, of which this part is used. Returns the entry.
    #[cold]
    fn extend(&self, entry: &backend::pmap::Entry, part: u64) -> Result<u64, OutOfTables> {
        if entry.load(Ordering::Acquire) == 0 {
            let new = self.memory.allocate_table().ok_or(OutOfTables)?;
            let value = page_table::to_table(new) | part;
            match entry.compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.tables.fetch_add(1, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(_) => self.memory.free_table(new),
            }
        }
        Ok(entry.fetch_or(part, Ordering::AcqRel) | part)
    }

    /// What the entry of an address says.
    pub fn lookup(&self, address: u64) -> Option<Translation> {
        self.find(address)?.lookup()
    }

    /// See [`Place::exchange`]. The address has been prepared ([`Pmap::prepare`]), unless nothing is put there.
    pub fn exchange(&self, address: u64, new: Option<Translation>) -> Option<Translation> {
        let Some(place) = self.find(address) else {
            assert!(new.is_none(), "the tables above {address:#x} have not been prepared");
            return None;
        };
        place.exchange(new)
    }

    /// The pmap stays, and whoever settles it ([`Pmap::settle`]) waits, until the result is dropped: for who
    /// withdraws a translation of a pmap that is another's, and shoots it down after that. The caller knows
    /// that the pmap is there: it has a translation still.
    pub fn pin(&self) -> Pin<'_> {
        self.pins.fetch_add(1, Ordering::Relaxed);
        Pin(self)
    }

    /// Waits until what others have withdrawn is forgotten by every processor: an entry that is gone says
    /// nothing of that. Spins, for no longer than a shoot-down takes.
    pub fn settle(&self) {
        while self.pins.load(Ordering::Acquire) != 0 {
            crate::spin();
        }
    }

    /// Takes a translation out if it still leads to this frame, and returns what it was.
    pub fn withdraw(&self, address: u64, frame: u64) -> Option<Translation> {
        let before = page_table::update(&self.find(address)?.entry, |value| {
            page_table::decode(value).filter(|now| now.frame == frame).map(|_| 0)
        });
        let before = before.ok().and_then(page_table::decode)?;
        self.resident.fetch_sub(1, Ordering::Relaxed);
        Some(before)
    }

    /// Takes away every right that is not in `keep`. Returns what was there, if anything was. The
    /// accessed and dirty bits stay; a page of which nobody has any right left is still mapped.
    pub fn restrict(&self, address: u64, keep: Rights) -> Option<Translation> {
        let before = page_table::update(&self.find(address)?.entry, |value| {
            let rights = page_table::decode(value)?.rights;
            Some(page_table::with_rights(value, rights.common(keep)))
        });
        before.ok().and_then(page_table::decode)
    }

    /// See [`Place::permit`].
    pub fn permit(&self, address: u64, frame: u64, rights: Rights) -> bool {
        self.find(address).is_some_and(|place| place.permit(frame, rights))
    }

    /// Clears the accessed bit; says whether it was set. A processor that has a copy of the entry does
    /// not set it again until it has forgotten the copy.
    pub fn clear_accessed(&self, address: u64) -> bool {
        self.find(address).is_some_and(|place| {
            place.entry.fetch_and(!page_table::ACCESSED, Ordering::AcqRel) & page_table::ACCESSED
                != 0
        })
    }

    /// Shows every translation of a range, in order of address, each as it is when its turn comes, until
    /// `f` says that it is enough; what comes meanwhile may be left out. Absent tables cost one step, however
    /// large what they would be for. `f` may change entries.
    pub fn for_each(
        &self,
        range: Range<u64>,
        f: &mut dyn FnMut(u64, Translation) -> ControlFlow<()>,
    ) {
        const PART_BYTES: u64 = page_table::PART as u64 * PAGE;
        let end = range.end.min(USER_END);
        let root = self.root | self.root_parts.load(Ordering::Acquire);
        let mut address = range.start & !(PAGE - 1);
        while address < end {
            // SAFETY: the tables live as long as `self`.
            let table = match unsafe { page_table::lowest_table(self.system, root, address) } {
                Err(span) => {
                    address = (address & !(span - 1)) + span;
                    continue;
                }
                Ok(table) => table,
            };
            let next = ((address & !(page_table::span(2) - 1)) + page_table::span(2)).min(end);
            while address < next {
                let stop = ((address & !(PART_BYTES - 1)) + PART_BYTES).min(next);
                let part = page_table::index(address, 1) / page_table::PART;
                if page_table::is_used(table, part)
                    && self.show_part(page_table::frame(table), address..stop, f).is_break()
                {
                    return;
                }
                address = stop;
            }
        }
    }

    /// Shows the translations of a range that lies in one table of the lowest level.
    fn show_part(
        &self,
        table: u64,
        range: Range<u64>,
        f: &mut dyn FnMut(u64, Translation) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let first = page_table::index(range.start, 1);
        for place in 0..(range.end - range.start).div_ceil(PAGE) as usize {
            // SAFETY: a table of this pmap's, and the range lies in it.
            let entry = unsafe { backend::pmap::peek(self.system, table, first + place) };
            if entry != 0
                && let Some(translation) = page_table::decode(entry)
            {
                f(range.start + place as u64 * PAGE, translation)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Returns when no processor has a copy of an entry of this range that is older than the call.
    ///
    /// At levels up to [`Pil::SPIN_MAX`](crate::Pil::SPIN_MAX), also with spin locks held and with
    /// hardware interrupts off; waits by spinning. Two processors may shoot each other down.
    pub fn shoot_down(&self, range: Range<u64>) {
        shoot_down::request(&self.active, range);
    }

    /// The current processor begins to run in it. It runs in no other.
    pub fn activate(&self, atomic: &Atomic) {
        let cpu = Cpu::current(atomic);
        debug_assert!(
            backend::pmap::is_kernels_own(cpu),
            "a processor runs in two address spaces at once"
        );
        self.active.fetch_or(1 << cpu.index(), Ordering::AcqRel);
        // Whoever changes an entry and then does not find the bit has changed it before this
        // processor can have read it. Against the fence in `shoot_down::request`.
        fence(Ordering::SeqCst);
        // SAFETY: the pmap is not freed while it is active.
        unsafe { backend::pmap::enter(cpu, self.root) };
    }

    /// The current processor, which runs in it, goes back to the kernel's own tables, in which there is
    /// nothing of a user's.
    pub fn deactivate(&self, atomic: &Atomic) {
        let cpu = Cpu::current(atomic);
        backend::pmap::leave(cpu);
        // Not before everything is forgotten: who does not find the bit does not wait.
        let before = self.active.fetch_and(!(1 << cpu.index()), Ordering::AcqRel);
        debug_assert!(before & 1 << cpu.index() != 0, "a processor leaves where it was not");
    }

    /// Whether any processor runs in it.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire) != 0
    }

    /// How many translations it has. Out of date at once where others change it.
    pub fn resident_pages(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// How many tables it has, the root among them; likewise.
    pub fn tables(&self) -> usize {
        self.tables.load(Ordering::Relaxed)
    }

    /// Gives the tables below the table back that an entry leads to, and the table itself.
    fn free(&self, entry_above: u64, level: u32) {
        let table = page_table::frame(entry_above);
        let is_root = level == page_table::LEVELS;
        let user_entries = if is_root { page_table::ENTRIES / 2 } else { page_table::ENTRIES };
        for part in 0..user_entries / page_table::PART {
            let is_used = page_table::is_used(entry_above, part);
            if !is_used && !cfg!(debug_assertions) {
                continue;
            }
            for index in part * page_table::PART..(part + 1) * page_table::PART {
                // SAFETY: a table of this pmap's, which nobody else uses any more.
                let entry = unsafe { backend::pmap::peek(self.system, table, index) };
                debug_assert!(is_used || entry == 0, "{entry:#x} in a part that is not used");
                if level == 1 {
                    // Whoever finds a mapping of a page's goes to the pmap that it names.
                    assert!(entry == 0, "a pmap is dropped that still maps {entry:#x}");
                } else if entry != 0 {
                    self.free(entry, level - 1);
                }
            }
        }
        self.memory.free_table(table);
    }
}

/// The entry of an address.
pub struct Place<'a> {
    pmap: &'a Pmap,
    entry: backend::pmap::Entry,
}

impl Place<'_> {
    /// What it says.
    #[inline]
    pub fn lookup(&self) -> Option<Translation> {
        page_table::decode(self.entry.load(Ordering::Acquire))
    }

    /// Puts another translation, or none, in the place of what is there, in one step, and returns what
    /// was there: with the accessed and dirty bits that processors had set until that moment.
    ///
    /// The frame is the caller's to give to user mode: nothing of the kernel's lives in it.
    pub fn exchange(&self, new: Option<Translation>) -> Option<Translation> {
        let before = self.entry.swap(new.map_or(0, page_table::encode), Ordering::AcqRel);
        let before = page_table::decode(before);
        match (before.is_some(), new.is_some()) {
            (false, true) => _ = self.pmap.resident.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.pmap.resident.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        before
    }

    /// Adds rights, if it still maps this frame; says whether it does.
    #[inline]
    pub fn permit(&self, frame: u64, rights: Rights) -> bool {
        let changed = page_table::update(&self.entry, |value| {
            let now = page_table::decode(value).filter(|now| now.frame == frame)?;
            Some(page_table::with_rights(value, now.rights | rights))
        });
        changed.is_ok()
    }
}

/// See [`Pmap::pin`].
pub struct Pin<'a>(&'a Pmap);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        // The last look at the pmap.
        self.0.pins.fetch_sub(1, Ordering::Release);
    }
}

/// Gives all tables back. No processor runs in it, and nothing is mapped.
impl Drop for Pmap {
    fn drop(&mut self) {
        if backend::pmap::is_unwinding() {
            return;
        }
        assert!(!self.is_active(), "a pmap is dropped in which a processor runs");
        self.settle();
        let root = self.root | self.root_parts.load(Ordering::Acquire);
        self.free(root, page_table::LEVELS);
    }
}
