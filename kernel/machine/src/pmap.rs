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
            memory,
            active: AtomicU64::new(0),
            pins: AtomicU32::new(0),
            tables: AtomicUsize::new(1),
            resident: AtomicUsize::new(0),
        })
    }

    /// The entry of an address, if its table is there.
    fn find(&self, address: u64) -> Option<backend::pmap::Entry> {
        debug_assert!(address < USER_END, "{address:#x} is not a user address");
        // SAFETY: the tables live as long as `self`, and no entry gets out of here.
        unsafe { page_table::find(self.system, self.root, address) }
    }

    /// Makes sure that the tables above an address are there, and stay. On an error some of them are.
    /// Takes no lock: of those who add the same table, one succeeds, and the others give theirs back.
    pub fn prepare(&self, address: u64) -> Result<(), OutOfTables> {
        debug_assert!(address < USER_END, "{address:#x} is not a user address");
        let mut table = self.root;
        for level in (2..=page_table::LEVELS).rev() {
            let index = page_table::index(address, level);
            // SAFETY: the root, or a table that an entry leads to; they live as long as `self`.
            let entry = unsafe { backend::pmap::entry(self.system, table, index) };
            let mut value = entry.load(Ordering::Acquire);
            if value == 0 {
                let new = self.memory.allocate_table().ok_or(OutOfTables)?;
                let new_value = page_table::to_table(new);
                let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
                value = match entry.compare_exchange(0, new_value, success, failure) {
                    Ok(_) => {
                        self.tables.fetch_add(1, Ordering::Relaxed);
                        new_value
                    }
                    Err(others) => {
                        self.memory.free_table(new);
                        others
                    }
                };
            }
            table = page_table::frame(value);
        }
        Ok(())
    }

    /// What the entry of an address says.
    pub fn lookup(&self, address: u64) -> Option<Translation> {
        page_table::decode(self.find(address)?.load(Ordering::Acquire))
    }

    /// Puts another translation, or none, in the place of what is there, in one step, and returns what
    /// was there: with the accessed and dirty bits that processors had set until that moment.
    ///
    /// The address has been prepared ([`Pmap::prepare`]), unless nothing is put there. The frame is the
    /// caller's to give to user mode: nothing of the kernel's lives in it.
    pub fn exchange(&self, address: u64, new: Option<Translation>) -> Option<Translation> {
        let Some(entry) = self.find(address) else {
            assert!(new.is_none(), "the tables above {address:#x} have not been prepared");
            return None;
        };
        let before = entry.swap(new.map_or(0, page_table::encode), Ordering::AcqRel);
        let before = page_table::decode(before);
        match (before.is_some(), new.is_some()) {
            (false, true) => _ = self.resident.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.resident.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        before
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
        let before = page_table::update(self.find(address)?, |value| {
            page_table::decode(value).filter(|now| now.frame == frame).map(|_| 0)
        });
        let before = before.ok().and_then(page_table::decode)?;
        self.resident.fetch_sub(1, Ordering::Relaxed);
        Some(before)
    }

    /// Takes away every right that is not in `keep`. Returns what was there, if anything was. The
    /// accessed and dirty bits stay; a page of which nobody has any right left is still mapped.
    pub fn restrict(&self, address: u64, keep: Rights) -> Option<Translation> {
        let entry = self.find(address)?;
        let before = page_table::update(entry, |value| {
            let rights = page_table::decode(value)?.rights;
            Some(page_table::with_rights(value, rights.common(keep)))
        });
        before.ok().and_then(page_table::decode)
    }

    /// Adds rights, if the entry still maps this frame; says whether it does.
    pub fn permit(&self, address: u64, frame: u64, rights: Rights) -> bool {
        let Some(entry) = self.find(address) else { return false };
        let changed = page_table::update(entry, |value| {
            let now = page_table::decode(value).filter(|now| now.frame == frame)?;
            Some(page_table::with_rights(value, now.rights | rights))
        });
        changed.is_ok()
    }

    /// Clears the accessed bit; says whether it was set. A processor that has a copy of the entry does
    /// not set it again until it has forgotten the copy.
    pub fn clear_accessed(&self, address: u64) -> bool {
        self.find(address).is_some_and(|entry| {
            entry.fetch_and(!page_table::ACCESSED, Ordering::AcqRel) & page_table::ACCESSED != 0
        })
    }

    /// Shows every translation of a range, in order of address, each as it is when its turn comes, until
    /// `f` says that it is enough. Absent tables cost one step, however large what they would be for. `f`
    /// may change entries.
    pub fn for_each(
        &self,
        range: Range<u64>,
        f: &mut dyn FnMut(u64, Translation) -> ControlFlow<()>,
    ) {
        let end = range.end.min(USER_END);
        let mut address = range.start & !(PAGE - 1);
        while address < end {
            // SAFETY: the tables live as long as `self`.
            match unsafe { page_table::lowest_table(self.system, self.root, address) } {
                Err(span) => address = (address & !(span - 1)) + span,
                Ok(table) => {
                    let next = (address & !(page_table::span(2) - 1)) + page_table::span(2);
                    while address < next.min(end) {
                        let index = page_table::index(address, 1);
                        // SAFETY: as above.
                        let entry = unsafe { backend::pmap::peek(self.system, table, index) };
                        if let Some(translation) = page_table::decode(entry)
                            && f(address, translation).is_break()
                        {
                            return;
                        }
                        address += PAGE;
                    }
                }
            }
        }
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

    /// Gives the tables below an entry's table back, and the table itself.
    fn free(&self, table: u64, level: u32) {
        let user_entries =
            if level == page_table::LEVELS { page_table::ENTRIES / 2 } else { page_table::ENTRIES };
        for index in 0..user_entries {
            // SAFETY: a table of this pmap's, which nobody else uses any more.
            let entry = unsafe { backend::pmap::peek(self.system, table, index) };
            if level == 1 {
                // Whoever finds a mapping of a page's goes to the pmap that it names.
                assert!(entry == 0, "a pmap is dropped that still maps {entry:#x}");
            } else if entry != 0 {
                self.free(page_table::frame(entry), level - 1);
            }
        }
        self.memory.free_table(table);
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
        self.free(self.root, page_table::LEVELS);
    }
}
