//! Virtual memory in the kernel: starting it, and what it asks of the kernel.
//!
//! | file | concept |
//! |---|---|
//! | [`stores`] | disks as stores of pages |
//! | [`archive`] | the files of the archive: what programs are mapped from |
//! | [`patience`] | trying again what needs memory at once |
//! | [`maps`] | what a process's memory is made of, printed |
//! | [`tar`] | the headers of an archive |
//! | [`victim`] | who goes when there is no memory left |

pub mod archive;
pub mod maps;
pub mod patience;
pub mod stores;
mod tar;
pub mod victim;

use crate::checks;
use crate::kernel::Kernel;
use crate::kernel_space::SlabPages;
use crate::threads;
use alloc::vec::Vec;
use dispatch::Priority;
use dispatch::kernel_thread::{self, Attributes};
use machine::{MayFault, time};
use memory::Memory;
use vm::page_daemon::{self, Goals};
use vm::swap::Swap;
use vm::{Pages, Vm};

/// The priority of the page daemon and the laundry: above the threads that wait for them.
const PRIORITY: Priority = Priority::new(80);

/// How long the page daemon waits before it tries again what it could not do, in nanoseconds.
const PAUSE: u64 = 10_000_000;

/// Makes the virtual memory of the system, which lives for ever.
pub fn make(pages: Pages) -> Vm {
    // What programs must not know; they cannot read the clock as it was at boot.
    let secret = time::now().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Vm::new(pages, &SlabPages, secret, Some(checks::at_schedule_point))
}

/// What must be left free for whom, in frames.
#[derive(Clone, Copy)]
pub struct Reserves {
    /// To those who make memory free. None of them asks for any at present: swapping out allocates nothing.
    ordinary: u64,
    /// To those who can neither wait nor do without.
    daemon: u64,
    /// Below this the daemon begins to work.
    low: u64,
    /// Up to this it goes on.
    high: u64,
}

impl Reserves {
    /// Makes them hold.
    pub fn set(&self) {
        Memory::current().frames.set_reserves(self.ordinary, self.daemon, self.low);
    }

    /// So many frames the page daemon tries to keep free.
    pub fn high(&self) -> u64 {
        self.high
    }

    fn of(frames: u64) -> Reserves {
        let ordinary = (frames / 256).clamp(32, 1024);
        Reserves { ordinary, daemon: ordinary / 2, low: 3 * ordinary, high: 4 * ordinary }
    }
}

/// Starts what virtual memory consists of beside faults: files, swap space, the daemon and the laundry. The disks have
/// been started.
pub fn start(kernel: &'static Kernel, may_fault: &mut MayFault) {
    archive::open(kernel, may_fault);
    attach_swap(kernel);
    let reserves = Reserves::of(Memory::current().frames.free_frames());
    kernel.reserves.call_once(|| reserves);
    reserves.set();
    for (name, entry) in
        [("page daemon", run_daemon as kernel_thread::Entry), ("laundry", run_laundry)]
    {
        let attributes = Attributes::system(name).scheduled(dispatch::Class::System, PRIORITY);
        if kernel_thread::create(&attributes, entry, reserves.high as usize).is_err() {
            log::warn!(
                "no memory for the {name}: programs that want too much memory wait for ever"
            );
        }
    }
}

fn run_daemon(high: usize, may_fault: &mut MayFault) -> usize {
    let pause = threads::ticks(Kernel::current(), PAUSE);
    let goals = Goals { high: high as u64, pause };
    page_daemon::run(goals, &victim::Processes, may_fault);
    0
}

fn run_laundry(_: usize, may_fault: &mut MayFault) -> usize {
    page_daemon::run_laundry(may_fault);
    0
}

/// Swaps to the disk with that name, if there is one.
fn attach_swap(kernel: &'static Kernel) {
    let Some(store) = stores::swap(kernel) else { return };
    let words = Swap::words(vm::store::Store::pages(store));
    let mut memory = Vec::new();
    if memory.try_reserve_exact(words).is_err() {
        log::warn!("no memory for the map of the swap space: there is none");
        return;
    }
    memory.resize(words, 0);
    Vm::current().swap.attach(store, memory.leak());
}
