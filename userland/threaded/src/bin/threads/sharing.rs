//! Values of a thread alone, borrowed, sent: thread-local keys, scopes, channels, the heap.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::sync::mpsc::{self, RecvError, SendError, TryRecvError};
use libsa::thread;
use userland::fail;
use userland::report::{Checks, Why};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("thread-local-values-are-each-threads-own"), locals);
    checks.check(format_args!("scoped-threads-borrow"), scopes);
    checks.check(format_args!("channels-keep-the-order"), channels);
    checks.check(format_args!("channels-have-so-much-room"), rooms);
    checks.check(format_args!("channels-end"), ends);
    checks.check(format_args!("memory-goes-from-thread-to-thread"), memory);
}

static DROPPED: AtomicU64 = AtomicU64::new(0);

struct Noted(Cell<u64>);

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0.get(), Relaxed);
    }
}

libsa::thread_local! {
    static COUNT: Cell<u64> = Cell::new(7);
    static NOTED: Noted = Noted(Cell::new(0));
}

fn locals() -> Result<(), Why> {
    let threads: [_; 8] = core::array::from_fn(|number| {
        thread::spawn(move || {
            for _ in 0..number {
                COUNT.with(|count| count.set(count.get() + 1));
                thread::yield_now();
            }
            NOTED.with(|noted| noted.0.set(1));
            COUNT.with(Cell::get)
        })
    });
    for (number, thread) in threads.into_iter().enumerate() {
        let Ok(count) = thread.join();
        if count != 7 + number as u64 {
            fail!("thread {number} has counted to {count}");
        }
    }
    let dropped = DROPPED.load(Relaxed);
    if dropped != 8 || COUNT.with(Cell::get) != 7 {
        fail!("{dropped} values of 8 threads were dropped");
    }
    Ok(())
}

fn scopes() -> Result<(), Why> {
    let mut parts = [[1_u64; 100]; 8];
    let sum = AtomicU64::new(0);
    let joined = thread::scope(|scope| {
        for (number, part) in parts.iter_mut().enumerate() {
            let sum = &sum;
            scope.spawn(move || {
                part.iter_mut().for_each(|value| *value += number as u64);
                thread::yield_now();
                sum.fetch_add(part.iter().sum(), Relaxed);
            });
        }
        let Ok(joined) = scope.spawn(|| &sum).join();
        core::ptr::eq(joined, &sum)
    });
    let all: u64 = parts.as_flattened().iter().sum();
    let came = (joined, sum.into_inner(), all);
    if came == (true, 3600, 3600) { Ok(()) } else { fail!("{came:?}") }
}

fn channels() -> Result<(), Why> {
    const SENDERS: u64 = 4;
    let (sender, receiver) = mpsc::channel();
    for number in 0..SENDERS {
        let sender = sender.clone();
        drop(thread::spawn(move || {
            for value in 0..1000_u64 {
                assert!(sender.send((number, value)).is_ok(), "somebody receives");
            }
        }));
    }
    drop(sender);
    let mut next = [0; SENDERS as usize];
    for (number, value) in receiver.iter() {
        if next[number as usize] != value {
            fail!("{value} of {number}, and {} should come", next[number as usize]);
        }
        next[number as usize] += 1;
    }
    if next == [1000; SENDERS as usize] { Ok(()) } else { fail!("{next:?}") }
}

fn rooms() -> Result<(), Why> {
    static SENT: AtomicU64 = AtomicU64::new(0);
    let (sender, receiver) = mpsc::sync_channel(3);
    let sends = thread::spawn(move || {
        for value in 0..100_u64 {
            if sender.send(value).is_err() {
                return false;
            }
            SENT.fetch_add(1, Relaxed);
        }
        true
    });
    for value in 0..100 {
        thread::yield_now();
        let sent = SENT.load(Relaxed);
        if sent > value + 4 {
            fail!("{sent} were sent, and {value} received");
        }
        if receiver.recv() != Ok(value) {
            fail!("{value} should come");
        }
    }
    let Ok(all) = sends.join();
    if all { Ok(()) } else { fail!("not all could be sent") }
}

fn ends() -> Result<(), Why> {
    let (sender, receiver) = mpsc::channel::<u32>();
    let empty = receiver.try_recv();
    let waits = thread::spawn(move || (receiver.recv(), receiver.recv(), receiver.try_recv()));
    let sent = sender.send(1);
    drop(sender);
    let Ok(came) = waits.join();
    let (sender, receiver) = mpsc::sync_channel::<u32>(1);
    let fills = sender.send(1);
    let stands = thread::spawn(move || sender.send(2));
    thread::yield_now();
    drop(receiver);
    let Ok(refused) = stands.join();
    let all = (empty, sent, came, fills, refused);
    let expected = (
        Err(TryRecvError::Empty),
        Ok(()),
        (Ok(1), Err(RecvError), Err(TryRecvError::Disconnected)),
        Ok(()),
        Err(SendError(2)),
    );
    if all == expected { Ok(()) } else { fail!("{all:?}") }
}

/// What one thread has made another one frees; nothing is anybody else's meanwhile.
fn memory() -> Result<(), Why> {
    let (sender, receiver) = mpsc::sync_channel::<(u64, Vec<u64>, Box<[u8; 40]>)>(16);
    let threads: [_; 4] = core::array::from_fn(|number| {
        let (sender, seed) = (sender.clone(), number as u64 * 1000);
        thread::spawn(move || {
            for round in 0..300_u64 {
                let seed = seed + round;
                let list: Vec<u64> = (0..round * 7 % 600).map(|step| seed ^ step).collect();
                let _ = sender.send((seed, list, Box::new([seed as u8; 40])));
            }
        })
    });
    drop(sender);
    let mut kept = Vec::new();
    for (seed, list, bytes) in receiver.iter() {
        let is_right = list.iter().zip(0..).all(|(value, step)| *value == seed ^ step);
        if !is_right || *bytes != [seed as u8; 40] {
            fail!("what {seed} has made is another's");
        }
        if seed % 3 == 0 {
            kept.push((seed, list));
        }
    }
    let is_right = |(seed, list): &(u64, Vec<u64>)| {
        list.iter().zip(0..).all(|(value, step)| *value == seed ^ step)
    };
    if !kept.iter().all(is_right) {
        fail!("what was kept is another's");
    }
    for thread in threads {
        let Ok(()) = thread.join();
    }
    Ok(())
}
