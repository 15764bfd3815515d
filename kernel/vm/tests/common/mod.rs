//! What the tests share: a machine with a dispatcher, memory and virtual memory, and programs on it.

#![allow(dead_code, unused_imports, reason = "each test uses its part")]

#[path = "../../../dispatch/tests/common/mod.rs"]
pub mod dispatcher;
pub mod explore;
#[path = "../../../memory/tests/common/mod.rs"]
mod frames;
pub mod program;
pub mod store;
pub mod swapped;

use dispatcher::{DispatcherHooks, run_prepared};
use machine::MayFault;
use machine::pmap::TableMemory;
use machine::sim::Machine;
use memory::{FrameNumber, Memory, OutOfMemory, Page as MemoryPage, PageSource};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use vm::schedule::Hook;
use vm::{Page, Pages, Vm};

pub use dispatcher::{model, model_with_few_preemptions, once, spawn, system};
pub use machine::pmap::Rights;
pub use program::Program;
pub use vm::PAGE_SIZE;

/// Frames below this are not the allocator's: nothing has address 0.
const FIRST: u64 = 16;

/// Memory for the kernel's own data; freed with the machine.
struct Arena {
    /// The pages that are given out, each with the frame that was taken for it.
    pages: Mutex<HashMap<usize, Option<FrameNumber>>>,
    /// Each page takes a frame, so that it runs out with them.
    takes_frames: bool,
}

impl Arena {
    fn new(takes_frames: bool) -> Arena {
        Arena { pages: Mutex::default(), takes_frames }
    }

    /// How many frames it has taken.
    fn taken(&self) -> u64 {
        self.pages.lock().unwrap().values().flatten().count() as u64
    }
}

// SAFETY: the host's allocator gives memory that nobody else has.
unsafe impl PageSource for Arena {
    fn allocate_page(&self) -> Result<NonNull<MemoryPage>, OutOfMemory> {
        let frame = match self.takes_frames {
            true => Some(Memory::current().frames.allocate_anywhere()?),
            false => None,
        };
        // SAFETY: a page has a size.
        let page =
            NonNull::new(unsafe { alloc(Layout::new::<MemoryPage>()) }).expect("host memory");
        self.pages.lock().unwrap().insert(page.as_ptr() as usize, frame);
        Ok(page.cast())
    }

    unsafe fn free_page(&self, page: NonNull<MemoryPage>) {
        let frame = self.pages.lock().unwrap().remove(&(page.as_ptr() as usize)).flatten();
        if let Some(frame) = frame {
            Memory::current().frames.free_anywhere(frame);
        }
        // SAFETY: allocated above, and given back by the caller.
        unsafe { dealloc(page.as_ptr().cast(), Layout::new::<MemoryPage>()) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for &page in self.pages.get_mut().unwrap().keys() {
            // SAFETY: allocated above, and the slabs that use it are gone or will not look at it.
            unsafe { dealloc(page as *mut u8, Layout::new::<MemoryPage>()) };
        }
    }
}

/// Page tables from the machine's frames.
pub struct Tables;

// SAFETY: the frame pool gives each frame to one caller.
unsafe impl TableMemory for Tables {
    fn allocate_table(&self) -> Option<u64> {
        let frame = Memory::current().frames.allocate_anywhere().ok()?.address();
        // SAFETY: fresh from the pool.
        unsafe { machine::content::clear_from(frame, 0) };
        Some(frame)
    }

    fn free_table(&self, frame: u64) {
        Memory::current().frames.free_anywhere(FrameNumber::containing(frame));
    }
}

fn prepare(machine: &Machine, frames: u64, hook: Option<Hook>, arena: Arena) -> &'static Arena {
    let mut allocator = frames::allocator(machine, (FIRST + frames) as usize);
    allocator.add(FrameNumber::new(FIRST)..FrameNumber::new(FIRST + frames));
    let memory: &'static Memory = machine.keep(Memory::new(allocator));
    memory.install(machine.system());
    let pages: &'static Vec<Page> = machine.keep((0..frames).map(|_| Page::new()).collect());
    let arena: &'static Arena = machine.keep(arena);
    let pages = Pages::new(FrameNumber::new(FIRST), pages);
    let vm: &'static Vm = machine.keep(Vm::new(pages, arena, 7, hook));
    vm.install(machine.system());
    arena
}

/// Runs `main` on a machine with `cpus` processors and this many frames, with `hook` at schedule points. When it
/// returns, everything must be as it was.
pub fn run_hooked(
    cpus: usize,
    frames: u64,
    hook: Option<Hook>,
    main: impl FnOnce(&mut MayFault) + Send + 'static,
) {
    run_on(cpus, frames, hook, Arena::new(false), Box::new(main));
}

/// The same without a hook, on a machine where the kernel's own data takes frames too.
pub fn run_short(cpus: usize, frames: u64, main: impl FnOnce(&mut MayFault) + Send + 'static) {
    run_on(cpus, frames, None, Arena::new(true), Box::new(main));
}

fn run_on(
    cpus: usize,
    frames: u64,
    hook: Option<Hook>,
    arena: Arena,
    main: Box<dyn FnOnce(&mut MayFault) + Send>,
) {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let prepare =
        |machine: &Machine| *keep.lock().unwrap() = Some(prepare(machine, frames, hook, arena));
    run_prepared(
        cpus,
        DispatcherHooks,
        |_, _, _| panic!("an interrupt"),
        prepare,
        move |may_fault| {
            main(may_fault);
            let vm = Vm::current();
            assert_eq!(
                vm.live(),
                [0; 6],
                "objects, entries, nodes, mappings, transfers, maps are left"
            );
            let taken = kept.lock().unwrap().map_or(0, Arena::taken);
            let free = Memory::current().frames.free_frames();
            assert_eq!(free + taken, frames, "frames are left");
            let swap = vm.swap.counts();
            assert_eq!(swap.free, swap.slots, "slots are left");
            assert_eq!(vm.census.anonymous_objects.get(), 0);
            assert_eq!(vm.census.anonymous_entries.get(), 0);
        },
    );
}

/// The same without a hook.
pub fn run(cpus: usize, frames: u64, main: impl FnOnce(&mut MayFault) + Send + 'static) {
    run_hooked(cpus, frames, None, main);
}

/// The same, once: for tests in which nothing happens at the same time.
pub fn single(
    cpus: usize,
    frames: u64,
    main: impl Fn(&mut MayFault) + Copy + Send + Sync + 'static,
) {
    once(move || run(cpus, frames, main));
}
