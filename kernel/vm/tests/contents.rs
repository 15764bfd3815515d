//! Contents of files that are in memory and swap space only: what was written is read, also after it has been to swap
//! space; what goes gives back all that it had.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::dispatcher::{Flag, wait_until};
use common::swapped::{attach, swap_all_out};
use common::{PAGE_SIZE, once, run_short, single, spawn, system};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use machine::MayFault;
use memory::Memory;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::Mutex as HostMutex;
use vm::Vm;
use vm::contents::{Contents, ContentsError, ContentsRef, LENGTH_MAX, release};

fn write(
    contents: &ContentsRef,
    at: u64,
    bytes: &[u8],
    may_fault: &mut MayFault,
) -> Result<usize, ContentsError> {
    let mut open = contents.open(may_fault)?;
    let written = open.write(at, bytes, may_fault);
    open.close(may_fault);
    written
}

fn read(contents: &ContentsRef, at: u64, length: usize, may_fault: &mut MayFault) -> Vec<u8> {
    let mut bytes = vec![0xee; length];
    let open = contents.open(may_fault).unwrap();
    let count = open.read(at, &mut bytes, may_fault).unwrap();
    open.close(may_fault);
    bytes.truncate(count);
    bytes
}

fn set_length(contents: &ContentsRef, length: u64, may_fault: &mut MayFault) {
    let mut open = contents.open(may_fault).unwrap();
    open.set_length(length, may_fault).unwrap();
    open.close(may_fault);
}

fn used() -> u64 {
    Vm::current().budget.counts().1
}

#[test]
fn holes_are_zeros_and_take_no_memory() {
    single(1, 32, |may_fault| {
        let contents = Contents::make().unwrap();
        let far = 1 << 39;
        assert_eq!(write(&contents, far - 2, b"abcd", may_fault), Ok(4));
        assert_eq!((contents.length(), contents.pages(), used()), (far + 2, 2, 2));
        assert_eq!(read(&contents, far - 4, 9, may_fault), b"\0\0abcd");
        assert_eq!(read(&contents, 5000, 9000, may_fault), [0; 9000]);
        assert_eq!(read(&contents, far + 2, 9, may_fault), b"");
        assert_eq!(contents.pages(), 2);
        release(contents, may_fault);
        assert_eq!(used(), 0);
    });
}

#[test]
fn what_is_cut_off_is_zeros_when_it_grows_again() {
    single(1, 64, |may_fault| {
        let contents = Contents::make().unwrap();
        write(&contents, 0, &[7; 3 * PAGE_SIZE as usize], may_fault).unwrap();
        let nodes = || Vm::current().live()[2];
        let few = nodes();
        write(&contents, 1 << 30, b"x", may_fault).unwrap();
        assert!(nodes() > few);
        set_length(&contents, PAGE_SIZE + 3, may_fault);
        assert_eq!(contents.pages(), 2);
        // The way to what is gone is gone, but for those nodes that lead to what is there too.
        assert!(nodes() <= few + 4, "{few} {}", nodes());
        set_length(&contents, 3 * PAGE_SIZE, may_fault);
        assert_eq!(read(&contents, PAGE_SIZE, 5, may_fault), [7, 7, 7, 0, 0]);
        assert_eq!(read(&contents, 2 * PAGE_SIZE - 1, 3, may_fault), [0, 0, 0]);
        assert_eq!((contents.pages(), used()), (2, 2));
        set_length(&contents, 0, may_fault);
        assert_eq!((contents.pages(), used()), (0, 0));
        release(contents, may_fault);
    });
}

#[test]
fn the_limits_are_told() {
    single(1, 64, |may_fault| {
        let contents = Contents::make().unwrap();
        assert_eq!(write(&contents, LENGTH_MAX, b"x", may_fault), Err(ContentsError::TooLong));
        assert_eq!(write(&contents, LENGTH_MAX - 1, b"xyz", may_fault), Ok(1));
        Vm::current().budget.set_limit(3);
        let bytes = [1; 4 * PAGE_SIZE as usize];
        assert_eq!(write(&contents, 0, &bytes, may_fault), Ok(2 * PAGE_SIZE as usize));
        let more = write(&contents, 2 * PAGE_SIZE, b"x", may_fault);
        assert_eq!(more, Err(ContentsError::NoSpace));
        assert_eq!(write(&contents, 0, b"again", may_fault), Ok(5));
        set_length(&contents, PAGE_SIZE, may_fault);
        assert_eq!(write(&contents, 2 * PAGE_SIZE, b"x", may_fault), Ok(1));
        let mut open = contents.open(may_fault).unwrap();
        assert_eq!(open.set_length(LENGTH_MAX + 1, may_fault), Err(ContentsError::TooLong));
        open.close(may_fault);
        release(contents, may_fault);
        assert_eq!(used(), 0);
    });
}

/// The first word of a page, which is all that stores keep here.
fn word(contents: &ContentsRef, page: u64, may_fault: &mut MayFault) -> u64 {
    let bytes = read(contents, page * PAGE_SIZE, 8, may_fault);
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn put(contents: &ContentsRef, page: u64, value: u64, may_fault: &mut MayFault) {
    write(contents, page * PAGE_SIZE, &value.to_le_bytes(), may_fault).unwrap();
}

#[test]
fn pages_go_to_swap_space_and_come_back() {
    single(2, 128, |may_fault| {
        attach(64);
        let contents = Contents::make().unwrap();
        (0..40).for_each(|page| put(&contents, page, 100 + page, may_fault));
        let free = Memory::current().frames.free_frames();
        swap_all_out(40, may_fault);
        assert!(Memory::current().frames.free_frames() >= free + 40);
        assert_eq!(Vm::current().swap.counts().free, 24);
        assert_eq!((contents.pages(), used()), (40, 40));
        // Written in swap space: the rest of the page is what it was.
        write(&contents, 7 * PAGE_SIZE + 1, &[1], may_fault).unwrap();
        assert_eq!(word(&contents, 7, may_fault), 0x100 | 107);
        assert_eq!(word(&contents, 39, may_fault), 139);
        assert_eq!(word(&contents, 3, may_fault), 103);
        // Cut in swap space.
        set_length(&contents, 30 * PAGE_SIZE + 1, may_fault);
        assert_eq!(word_at_end(&contents, may_fault), [130]);
        assert_eq!((contents.pages(), used()), (31, 31));
        set_length(&contents, 8 * PAGE_SIZE, may_fault);
        assert_eq!(Vm::current().swap.counts().free, 56);
        (0..8).for_each(|page| {
            let expected = if page == 7 { 0x100 | 107 } else { 100 + page };
            assert_eq!(word(&contents, page, may_fault), expected);
        });
        release(contents, may_fault);
    });
}

fn word_at_end(contents: &ContentsRef, may_fault: &mut MayFault) -> Vec<u8> {
    read(contents, 30 * PAGE_SIZE, 8, may_fault)
}

#[test]
fn a_device_that_fails_is_told_and_nothing_is_lost() {
    single(2, 128, |may_fault| {
        let (_, store) = attach(64);
        let contents = Contents::make().unwrap();
        (0..4).for_each(|page| put(&contents, page, 100 + page, may_fault));
        swap_all_out(4, may_fault);
        store.failures.store(3, std::sync::atomic::Ordering::SeqCst);
        let mut bytes = [0; 8];
        let mut open = contents.open(may_fault).unwrap();
        // The second try asks for the page alone.
        assert_eq!(open.read(0, &mut bytes, may_fault), Err(ContentsError::Device));
        assert_eq!(open.set_length(1, may_fault), Err(ContentsError::Device));
        assert_eq!(open.length(), 3 * PAGE_SIZE + 8);
        open.close(may_fault);
        (0..4).for_each(|page| assert_eq!(word(&contents, page, may_fault), 100 + page));
        release(contents, may_fault);
    });
}

#[test]
fn who_appends_does_so_alone() {
    once(|| {
        common::run(4, 256, |may_fault| {
            let contents = Contents::make().unwrap();
            let threads: Vec<_> = (1..5u8)
                .map(|number| {
                    let contents = contents.clone();
                    spawn(system(60), move |may_fault| {
                        for _ in 0..50 {
                            let mut open = contents.open(may_fault).unwrap();
                            let end = open.length();
                            assert_eq!(open.write(end, &[number; 100], may_fault), Ok(100));
                            open.close(may_fault);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| _ = thread.join(may_fault));
            let bytes = read(&contents, 0, 30_000, may_fault);
            assert_eq!(bytes.len(), 4 * 50 * 100);
            for piece in bytes.chunks(100) {
                assert_eq!(piece, [piece[0]; 100]);
            }
            release(contents, may_fault);
        });
    });
}

#[test]
fn who_waits_can_be_interrupted() {
    single(2, 32, |may_fault| {
        let contents = Contents::make().unwrap();
        let open = contents.open(may_fault).unwrap();
        let other = contents.clone();
        let is_over = Flag::new();
        let over = is_over.clone();
        let thread = spawn(system(60), move |may_fault| {
            let refused = other.open(may_fault).map(|open| open.close(may_fault));
            assert_eq!(refused, Err(ContentsError::Interrupted));
            take_interrupt();
            over.set();
        });
        while !is_over.is_set() {
            interrupt(thread.thread());
            dispatch::preempt::yield_now();
        }
        thread.join(may_fault);
        open.close(may_fault);
        assert_eq!(write(&contents, 0, b"x", may_fault), Ok(1));
        release(contents, may_fault);
    });
}

#[test]
fn where_memory_runs_out_at_any_moment_nothing_is_lost() {
    let ends: Arc<HostMutex<Vec<u64>>> = Arc::default();
    for frames in 0..24 {
        let ends = Arc::clone(&ends);
        run_short(1, frames, move |may_fault| {
            let over = Flag::new();
            let is_over = over.clone();
            let thread = spawn(system(60), move |may_fault| {
                let mut written = 0;
                if let Ok(contents) = Contents::make() {
                    // Far apart, so that the way there takes memory too.
                    while written < 8 && write(&contents, written << 30, b"x", may_fault).is_ok() {
                        written += 1;
                    }
                    assert_eq!((contents.pages(), used()), (written, written));
                    release(contents, may_fault);
                }
                Vm::current().reclaim();
                take_interrupt();
                ends.lock().unwrap().push(written);
                is_over.set();
            });
            wait_until(|| over.is_set() || Vm::current().waiting() != 0);
            if !over.is_set() {
                interrupt(thread.thread());
            }
            thread.join(may_fault);
        });
    }
    let ends = ends.lock().unwrap();
    assert!(ends[0] == 0 && ends.contains(&3) && ends.last() == Some(&8), "{ends:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, u8, usize),
    SetLength(u64),
    Read(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    const END: u64 = 6 * PAGE_SIZE;
    prop_oneof![
        (0..END, 1u8.., 0..9000usize).prop_map(|(at, byte, length)| Step::Write(at, byte, length)),
        (0..END).prop_map(Step::SetLength),
        (0..END, 0..9000usize).prop_map(|(at, length)| Step::Read(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn contents_are_what_a_vector_is(steps in prop::collection::vec(step(), 0..20)) {
        let steps = Arc::new(steps);
        once(move || {
            let steps = Arc::clone(&steps);
            common::run(1, 64, move |may_fault| {
                let contents = Contents::make().unwrap();
                let mut model: Vec<u8> = Vec::new();
                for step in steps.iter() {
                    match *step {
                        Step::Write(at, byte, length) => {
                            let (start, end) = (at as usize, at as usize + length);
                            if length != 0 {
                                model.resize(model.len().max(end), 0);
                                model[start..end].fill(byte);
                            }
                            assert_eq!(write(&contents, at, &vec![byte; length], may_fault), Ok(length));
                        }
                        Step::SetLength(length) => {
                            model.resize(length as usize, 0);
                            set_length(&contents, length, may_fault);
                        }
                        Step::Read(at, length) => {
                            let end = model.len().min(at as usize + length);
                            let expected = model.get(at as usize..end).unwrap_or_default();
                            assert_eq!(read(&contents, at, length, may_fault), expected);
                        }
                    }
                    assert_eq!(contents.length(), model.len() as u64);
                    assert_eq!(used(), contents.pages());
                }
                release(contents, may_fault);
            });
        });
    }
}
