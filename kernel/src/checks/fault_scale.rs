//! How the faults of one process get along with each other on several processors.
//!
//! Each processor has a thread that writes to pages of its own, in one entry and one object. They share the map's lock
//! and the object's, both for reading, so neither makes anybody wait. What is left are two spin locks, held for some
//! dozens of instructions: that of the page queues, once for each page, and that of the frames that all share, once for
//! each filling of a processor's own. The check says how often they were waited for.

use super::dispatcher::run_threads;
use super::{Outcome, Run, Wrong, ensure};
use crate::console::print;
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::CpuDispatch;
use dispatch::kernel_thread::Attributes;
use machine::MayFault;
use machine::pmap::{PAGE, Rights};
use memory::Memory;
use vm::entry::Inheritance;
use vm::map::{Place, Request};
use vm::{Space, Vm};

/// Pages that each thread writes to.
const PAGES: u64 = 600;

/// What the threads share.
struct Work {
    space: Space,
    start: u64,
    threads: u64,
    ready: AtomicU64,
    failed: AtomicU64,
}

/// How often somebody has waited: for a map, for an object, for the page queues, for the frames that all share.
fn waits() -> [i64; 4] {
    let census = &Vm::current().census;
    let frames = Memory::current().frames.waits() as i64;
    [census.map_waits.get(), census.object_waits.get(), census.queue_waits.get(), frames]
}

fn write_pages(work: &Work, number: usize, may_fault: &mut MayFault) {
    work.ready.fetch_add(1, Ordering::AcqRel);
    while work.ready.load(Ordering::Acquire) != work.threads {
        machine::spin();
    }
    for page in 0..PAGES {
        // Pages beside each other belong to different threads.
        let address = work.start + (page * work.threads + number as u64) * PAGE;
        if vm::fault(&work.space, address, Rights::READ | Rights::WRITE, may_fault).is_err() {
            work.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn measure(threads: usize, run: &mut Run<'_>) -> Outcome {
    let space = Space::new(&TableFrames).map_err(|error| Wrong::new(format_args!("{error:?}")))?;
    let pages = threads as u64 * PAGES;
    let rights = Rights::READ | Rights::WRITE;
    let request = Request {
        address: 0,
        length: pages * PAGE,
        place: Place::Hint,
        rights,
        rights_max: rights,
        inheritance: Inheritance::Copy,
        shared: false,
        stacks: None,
    };
    let start = space
        .insert(&request, None, run.may_fault)
        .map_err(|error| Wrong::new(format_args!("{error:?}")))?;
    let work = Work {
        space,
        start,
        threads: threads as u64,
        ready: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    };
    // The first fault makes the object, for which it has to change the map.
    let first = vm::fault(&work.space, start, rights, run.may_fault);
    let before = waits();
    let cpus = (0..threads).filter_map(|index| Kernel::current().system.cpu(index));
    let attributes = cpus.map(|cpu| Attributes::system("faults").bound(CpuDispatch::of(cpu)));
    let outcome = run_threads(&work, attributes, write_pages, run.may_fault);
    let after = waits();
    let (resident, _) = work.space.count_pages(run.may_fault);
    work.space.clear(run.may_fault);
    outcome?;
    let [map, object, queues, frames] = core::array::from_fn(|lock| after[lock] - before[lock]);
    print(format_args!(
        "{pages} faults on {threads} processors; waited for: map {map}, object {object}, page queues {queues}, frames {frames}\n"
    ));
    let failed = work.failed.load(Ordering::Relaxed);
    ensure!(first.is_ok() && failed == 0, "{failed} faults failed");
    ensure!(resident == pages, "{resident} of {pages} pages are there");
    ensure!(map == 0, "faults have waited {map} times for the map's lock");
    ensure!(object == 0, "faults have waited {object} times for the object's lock");
    Ok(())
}

pub fn faults_of_one_process_go_side_by_side(run: &mut Run<'_>) -> Outcome {
    let all = run.kernel.system.cpus().count();
    let mut threads = 1;
    while threads <= all {
        measure(threads, run)?;
        threads *= 2;
    }
    Ok(())
}
