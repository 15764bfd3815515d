//! Checks of pmaps: that real processors read entries as they are meant, set their bits, and forget what
//! they are told to forget.

use super::dispatcher::{run_threads, system};
use super::processors::wait_until;
use super::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use crate::kernel_space::{TableFrames, free_frame, zeroed_frame};
use ::memory::Memory;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::CpuDispatch;
use machine::pmap::{PAGE, Rights, Translation, USER_END};
use machine::x86_64::paging;
use machine::x86_64::private::{interrupts_off, interrupts_on};
use machine::x86_64::user_copy::{BadAddress, copy_in, copy_out};
use machine::{MayFault, Pil, Pmap, System, pil, preempt, vector_unit};

/// The page that the checks use; those behind it are its processors' own.
const ADDRESS: u64 = 0x10_0000;
const RANGE: core::ops::Range<u64> = ADDRESS..ADDRESS + PAGE;

/// The first word of a frame.
fn word(frame: u64) -> &'static AtomicU64 {
    let word = paging::physical::<AtomicU64>(System::current(), frame);
    // SAFETY: physical memory is mapped for ever; frames of the checks are used as atomics only.
    unsafe { &*word }
}

/// What a user program would read at an address.
fn read(address: u64, may_fault: &mut MayFault) -> Result<u64, BadAddress> {
    let mut bytes = [0; 8];
    copy_in(&mut bytes, address, may_fault)?;
    Ok(u64::from_le_bytes(bytes))
}

fn write(address: u64, value: u64, may_fault: &mut MayFault) -> Result<(), BadAddress> {
    copy_out(address, &value.to_le_bytes(), may_fault)
}

/// A pmap and two frames of user memory.
struct Space {
    pmap: Pmap,
    frames: [u64; 2],
}

impl Space {
    /// With a page for each of `pages`, all the first frame; may be read and written.
    fn new(pages: usize) -> Result<Space, Wrong> {
        let no_memory = || Wrong::new(format_args!("no memory for an address space"));
        let pmap = Pmap::new(&TableFrames).map_err(|_| no_memory())?;
        let first = zeroed_frame().map_err(|_| no_memory())?;
        let Ok(second) = zeroed_frame() else {
            free_frame(first);
            return Err(no_memory());
        };
        let space = Space { pmap, frames: [first, second] };
        for page in 0..pages as u64 {
            space.pmap.prepare(ADDRESS + page * PAGE).map_err(|_| no_memory())?;
            space.pmap.exchange(ADDRESS + page * PAGE, Some(space.translation(0)));
        }
        Ok(space)
    }

    fn translation(&self, frame: usize) -> Translation {
        Translation::new(self.frames[frame], Rights::READ | Rights::WRITE)
    }

    fn enter(&self, may_fault: &mut MayFault) {
        self.pmap.activate(preempt::disable(may_fault).atomic());
    }

    fn leave(&self, may_fault: &mut MayFault) {
        self.pmap.deactivate(preempt::disable(may_fault).atomic());
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let pmap = &self.pmap;
        pmap.for_each(0..USER_END, &mut |address, _| {
            pmap.exchange(address, None);
            core::ops::ControlFlow::Continue(())
        });
        self.frames.into_iter().for_each(free_frame);
    }
}

pub fn processors_follow_a_pmap(run: &mut Run<'_>) -> Outcome {
    let space = Space::new(1)?;
    space.enter(run.may_fault);
    let outcome = follow(&space, run.may_fault);
    space.leave(run.may_fault);
    outcome?;
    ensure!(!space.pmap.is_active(), "it is active after it was left");
    ensure!(paging::current_root() == run.kernel.root, "the kernel's own tables are not in use");
    Ok(())
}

fn follow(space: &Space, may_fault: &mut MayFault) -> Outcome {
    let pmap = &space.pmap;
    let bits = || pmap.lookup(ADDRESS).map(|now| (now.accessed, now.dirty));
    word(space.frames[0]).store(7, Ordering::Relaxed);
    ensure!(bits() == Some((false, false)), "a fresh entry: {:?}", pmap.lookup(ADDRESS));
    let seen = read(ADDRESS, may_fault);
    ensure!(seen == Ok(7), "read {seen:?}");
    ensure!(bits() == Some((true, false)), "after a read: {:?}", pmap.lookup(ADDRESS));
    ensure!(write(ADDRESS, 8, may_fault).is_ok(), "not writable");
    ensure!(bits() == Some((true, true)), "after a write: {:?}", pmap.lookup(ADDRESS));
    ensure!(word(space.frames[0]).load(Ordering::Relaxed) == 8, "written elsewhere");

    let old = pmap.restrict(ADDRESS, Rights::READ);
    pmap.shoot_down(RANGE);
    ensure!(old.is_some_and(|old| old.dirty), "a restriction hands back {old:?}");
    ensure!(write(ADDRESS, 9, may_fault).is_err(), "written without the right");
    ensure!(read(ADDRESS, may_fault) == Ok(8), "not readable any more");
    ensure!(pmap.permit(ADDRESS, space.frames[0], Rights::WRITE), "not permitted");
    // A copy of the poorer entry would do no harm, but fault once more.
    pmap.shoot_down(RANGE);
    ensure!(write(ADDRESS, 9, may_fault).is_ok(), "not writable again");

    ensure!(pmap.clear_accessed(ADDRESS), "it was not accessed");
    pmap.shoot_down(RANGE);
    ensure!(bits() == Some((false, true)), "after clearing: {:?}", pmap.lookup(ADDRESS));
    ensure!(read(ADDRESS, may_fault) == Ok(9), "not readable");
    ensure!(pmap.clear_accessed(ADDRESS), "it was not accessed again");

    // SAFETY: frames of our own, which only this thread uses.
    unsafe { vector_unit::copy(space.frames[0], space.frames[1]) };
    // SAFETY: as above.
    unsafe { vector_unit::clear(space.frames[0]) };
    let old = pmap.exchange(ADDRESS, Some(space.translation(1)));
    pmap.shoot_down(0..USER_END);
    ensure!(old.is_some_and(|old| old.frame == space.frames[0]), "exchanged for {old:?}");
    ensure!(read(ADDRESS, may_fault) == Ok(9), "the copied frame is not seen");
    pmap.restrict(ADDRESS, Rights::NONE);
    pmap.shoot_down(RANGE);
    ensure!(read(ADDRESS, may_fault).is_err(), "read without any right");
    ensure!(pmap.permit(ADDRESS, space.frames[1], Rights::READ), "it forgot its frame");
    ensure!(read(ADDRESS, may_fault) == Ok(9), "not readable again");
    let old = pmap.exchange(ADDRESS, None);
    pmap.shoot_down(RANGE);
    ensure!(old.is_some_and(|old| old.accessed), "taken out: {old:?}");
    ensure!(read(ADDRESS, may_fault).is_err(), "read what is not mapped");
    Ok(())
}

pub fn pmaps_give_their_tables_back(_: &mut Run<'_>) -> Outcome {
    let used = || Memory::current().frames.counts().used;
    let before = used();
    let space = Space::new(600)?;
    for address in [0, 1 << 30, 1 << 39, USER_END - PAGE] {
        ensure!(space.pmap.prepare(address).is_ok(), "no memory for tables");
    }
    let tables = space.pmap.tables() as u64;
    let during = used();
    drop(space);
    let after = used();
    ensure!(during == before + tables + 2, "{before} frames, then {during} with {tables} tables");
    ensure!(after == before, "{before} frames before, {after} after");
    Ok(())
}

/// Runs a thread on every processor that is on line, each bound there and in the pmap of `space`.
fn on_all(run: &mut Run<'_>, crowd: &Crowd, body: fn(&Crowd, usize, &mut MayFault)) -> Outcome {
    crowd.body.call_once(|| body);
    let everywhere = run.kernel.system.cpus().map(|cpu| system().bound(CpuDispatch::of(cpu)));
    run_threads(crowd, everywhere, in_crowd, run.may_fault)?;
    let why = crowd.wrong.load(Ordering::Relaxed);
    ensure!(why == 0, "cpu {}: {}", why >> 32, WHY[why as u32 as usize]);
    Ok(())
}

/// What can be wrong in a crowd.
const WHY: [&str; 5] = [
    "",
    "read an old frame after the shoot-down, or a frame before it was mapped",
    "could not read",
    "waited in vain",
    "made no progress",
];

/// How often each of so many threads does what it does. All of them may share one host processor, and a
/// round takes a turn of every one.
fn rounds(count: usize) -> u64 {
    (120 / count as u64).max(3)
}

/// What the threads of a check share.
struct Crowd {
    space: Space,
    count: usize,
    /// What each does, when all are there.
    body: spin::Once<fn(&Crowd, usize, &mut MayFault)>,
    there: AtomicU64,
    /// Versions of the page: the last that may be seen, the last that must be.
    begun: AtomicU64,
    published: AtomicU64,
    over: AtomicBool,
    /// How often each has read.
    reads: [AtomicU64; machine::system::CPU_MAX],
    /// The processor and the place in [`WHY`], or 0.
    wrong: AtomicU64,
}

impl Crowd {
    fn new(kernel: &Kernel) -> Result<Crowd, Wrong> {
        let count = kernel.system.cpu_count();
        Ok(Crowd {
            space: Space::new(count)?,
            count,
            body: spin::Once::new(),
            there: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            published: AtomicU64::new(0),
            over: AtomicBool::new(false),
            reads: [const { AtomicU64::new(0) }; machine::system::CPU_MAX],
            wrong: AtomicU64::new(0),
        })
    }

    fn fail(&self, number: usize, why: u64) {
        self.wrong.store((number as u64) << 32 | why, Ordering::Relaxed);
        self.over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// A thread of a crowd, in the pmap and with all others there.
fn in_crowd(crowd: &Crowd, number: usize, may_fault: &mut MayFault) {
    crowd.space.enter(may_fault);
    crowd.there.fetch_add(1, Ordering::AcqRel);
    let all = || crowd.there.load(Ordering::Acquire) >= crowd.count as u64;
    if wait_until(Kernel::current(), all) {
        let body = crowd.body.get().expect("set before the threads began");
        body(crowd, number, may_fault);
    } else {
        crowd.fail(number, 3);
    }
    crowd.space.leave(may_fault);
}

/// Reads the page once; says whether what was read is what may be there.
fn look(crowd: &Crowd, number: usize, may_fault: &mut MayFault) {
    let must = crowd.published.load(Ordering::Acquire);
    let seen = read(ADDRESS, may_fault);
    let may = crowd.begun.load(Ordering::Acquire);
    match seen {
        Ok(version) if (must..=may).contains(&version) => {}
        Ok(_) => crowd.fail(number, 1),
        Err(BadAddress) => crowd.fail(number, 2),
    }
    crowd.reads[number].fetch_add(1, Ordering::AcqRel);
}

pub fn shoot_downs_reach_every_processor(run: &mut Run<'_>) -> Outcome {
    /// Thread 0 changes the page, the others read it; in every version everybody has read it before it
    /// goes.
    fn body(crowd: &Crowd, number: usize, may_fault: &mut MayFault) {
        if number != 0 {
            while !crowd.is_over() {
                look(crowd, number, may_fault);
            }
            return;
        }
        for version in 1..=rounds(crowd.count) {
            let next = version as usize % 2;
            word(crowd.space.frames[next]).store(version, Ordering::Relaxed);
            crowd.begun.store(version, Ordering::Release);
            crowd.space.pmap.exchange(ADDRESS, Some(crowd.space.translation(next)));
            crowd.space.pmap.shoot_down(RANGE);
            crowd.published.store(version, Ordering::Release);
            look(crowd, 0, may_fault);
            // Counted at once, or each would wait for the one before it: on a small host, for its turn.
            let before = crowd.reads.each_ref().map(|reads| reads.load(Ordering::Acquire));
            for (reads, before) in crowd.reads[..crowd.count].iter().zip(before).skip(1) {
                // Two, as the first may have begun before.
                let have_read = || reads.load(Ordering::Acquire) >= before + 2 || crowd.is_over();
                if !wait_until(Kernel::current(), have_read) {
                    crowd.fail(0, 4);
                }
            }
            if crowd.is_over() {
                return;
            }
        }
        crowd.over.store(true, Ordering::Release);
    }
    let crowd = Crowd::new(run.kernel)?;
    on_all(run, &crowd, body)?;
    let version = crowd.published.load(Ordering::Relaxed);
    ensure!(version == rounds(crowd.count), "only {version} of {} versions", rounds(crowd.count));
    Ok(())
}

/// How many shoot-downs have been sent and received, by all processors.
fn shoot_downs(kernel: &Kernel) -> (u64, u64) {
    let cpus = || kernel.system.cpus();
    (
        cpus().map(|cpu| cpu.shoot_downs_sent()).sum(),
        cpus().map(|cpu| cpu.shoot_downs_received()).sum(),
    )
}

/// Lets a crowd shoot down, and compares how many were sent and received.
fn cross(run: &mut Run<'_>, body: fn(&Crowd, usize, &mut MayFault)) -> Outcome {
    let crowd = Crowd::new(run.kernel)?;
    let before = shoot_downs(run.kernel);
    on_all(run, &crowd, body)?;
    let after = shoot_downs(run.kernel);
    let (sent, received) = (after.0 - before.0, after.1 - before.1);
    ensure!(sent == received, "{sent} sent, {received} received");
    // Towards the end some have left. But whoever was first had all of them there.
    let least = rounds(crowd.count) * (crowd.count as u64 - 1);
    ensure!(sent >= least, "only {sent} of at least {least} were sent");
    Ok(())
}

pub fn shoot_downs_cross(run: &mut Run<'_>) -> Outcome {
    fn body(crowd: &Crowd, number: usize, may_fault: &mut MayFault) {
        let page = ADDRESS + number as u64 * PAGE;
        let shoot = || crowd.space.pmap.shoot_down(page..page + PAGE);
        for round in 0..rounds(crowd.count) {
            match round % 4 {
                0 => shoot(),
                1 => drop((pil::raise(Pil::DISP, may_fault), shoot())),
                2 => drop((pil::raise(Pil::SPIN_MAX, may_fault), shoot())),
                _ => {
                    interrupts_off();
                    shoot();
                    // SAFETY: turned off above, on the thread's own stack.
                    unsafe { interrupts_on() };
                }
            }
        }
    }
    cross(run, body)
}

pub fn shoot_downs_pass_deaf_spinners(run: &mut Run<'_>) -> Outcome {
    /// Everybody shoots down with the same lock held; every second one waits for it with interrupts off.
    fn body(crowd: &Crowd, number: usize, _: &mut MayFault) {
        let lock = &Kernel::current().shared.locked;
        for _ in 0..rounds(crowd.count) {
            if number % 2 == 1 {
                interrupts_off();
            }
            let mut held = lock.lock_anywhere();
            crowd.space.pmap.shoot_down(RANGE);
            *held += 1;
            drop(held);
            if number % 2 == 1 {
                // SAFETY: turned off above, on the thread's own stack.
                unsafe { interrupts_on() };
            }
        }
    }
    cross(run, body)?;
    let turns = *run.kernel.shared.locked.lock_anywhere();
    let count = run.kernel.system.cpu_count();
    let expected = rounds(count) * count as u64;
    ensure!(turns == expected, "{turns} turns of {expected}");
    Ok(())
}
