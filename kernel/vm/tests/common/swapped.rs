//! Pages that are in swap space before a test begins.

use super::dispatcher::{spawn, system, wait_until};
use super::program::Program;
use super::store::{LateDevice, MemoryStore};
use machine::MayFault;
use memory::Memory;
use std::sync::atomic::Ordering;
use vm::Vm;
use vm::page_daemon::{self, Goals, Victims};

/// Programs are left alone.
pub struct Nobody;

impl Victims for Nobody {
    fn choose(&self, _: &mut MayFault) {}
}

/// Attaches swap space of so many slots, on a device that answers at once until its store is told not to.
pub fn attach(slots: u64) -> (&'static LateDevice, &'static MemoryStore) {
    let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(slots)));
    store.at_once.store(true, Ordering::SeqCst);
    let device: &'static LateDevice = Box::leak(Box::new(LateDevice::new(store)));
    let words = vec![0; vm::swap::Swap::words(slots)];
    Vm::current().swap.attach(device, Box::leak(words.into_boxed_slice()));
    (device, store)
}

/// Sends every page to swap space, by a daemon that wants all memory free; there are so many. Once per machine.
pub fn swap_all_out(pages: u64, may_fault: &mut MayFault) {
    let frames = &Memory::current().frames;
    // Nothing pauses: no clock goes on here.
    let goals = Goals { high: 1 << 20, pause: 0 };
    let threads = [
        spawn(system(75), move |may_fault| page_daemon::run(goals, &Nobody, may_fault)),
        spawn(system(75), page_daemon::run_laundry),
    ];
    // Memory is short from now on; that is seen when a processor fetches frames.
    frames.set_reserves(0, 0, 1 << 20);
    frames.empty_cache();
    let scratch = Program::new();
    scratch.map(0, 1, may_fault);
    scratch.act(|user, may_fault| user.write(0, 1, may_fault).unwrap(), may_fault);
    // A page that the daemon has in its hands is in no queue either, so the slots are counted too. And a daemon that has
    // found everything busy leaves it at that until it is asked again.
    wait_until(|| {
        let vm = Vm::current();
        let swap = vm.swap.counts();
        let are_out = vm.queue_counts() == [0; 3] && swap.slots - swap.free == pages + 1;
        if !are_out {
            vm.ask_for_memory();
        }
        are_out
    });
    scratch.exit(may_fault);
    page_daemon::stop();
    for thread in threads {
        thread.join(may_fault);
    }
    frames.set_reserves(0, 0, 0);
}
