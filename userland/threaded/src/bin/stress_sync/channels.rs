//! Channels: from each sender everything comes once and in order, and what nobody receives is dropped.

use crate::Work;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use libsa::sync::Mutex;
use libsa::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use libsa::thread;
use threaded::many::{Outcome, many};
use userland::fail;
use userland::random::Random;

const CHANNELS: usize = 8;
/// The receiver of the last one goes away after so many.
const RECEIVED_BY_THE_LAST: u64 = 10;

/// What is sent. It counts itself.
struct Item<'a> {
    sender: u64,
    number: u64,
    alive: &'a AtomicU64,
}

impl<'a> Item<'a> {
    fn new(sender: u64, number: u64, alive: &'a AtomicU64) -> Item<'a> {
        alive.fetch_add(1, Relaxed);
        Item { sender, number, alive }
    }
}

impl Drop for Item<'_> {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

/// Many send to a few channels, half of which have little room; the receiver of one goes early.
pub fn channels(work: &Work) -> Outcome {
    let (alive, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut to, mut from) = (Vec::new(), Vec::new());
    for number in 0..CHANNELS {
        let (sender, receiver) = match number % 2 {
            0 => mpsc::channel(),
            _ => mpsc::sync_channel(number / 2 + 1),
        };
        to.push(Mutex::new(sender));
        from.push(receiver);
    }
    let received = thread::scope(|scope| {
        let receivers = from.into_iter().enumerate().map(|(number, receiver)| {
            let leaves = number == CHANNELS - 1;
            scope.spawn(move || receive(work, number as u64, &receiver, leaves))
        });
        let receivers: Vec<_> = receivers.collect();
        let outcome = many(work.threads, work.seed, |me, random| {
            let to: Vec<Sender<Item>> = to.iter().map(copy).collect();
            let mut numbers = [0; CHANNELS];
            for _ in 0..2 * work.steps {
                let which = random.below(CHANNELS as u64) as usize;
                let item = Item::new(me, numbers[which], &alive);
                match to[which].send(item) {
                    Ok(()) => {
                        numbers[which] += 1;
                        sent.fetch_add(u64::from(which != CHANNELS - 1), Relaxed);
                    }
                    Err(back) if which == CHANNELS - 1 && back.0.sender == me => {}
                    Err(_) => fail!("channel {which} takes nothing any more"),
                }
                work.activities.perhaps(random);
            }
            Ok(())
        });
        // The last senders: now the receivers hear that there are none.
        drop(to);
        let mut all = outcome.map(|()| 0);
        for receiver in receivers {
            let Ok(received) = receiver.join();
            all = all.and_then(|all| received.map(|received| all + received));
        }
        all
    })?;
    let (alive, sent) = (alive.into_inner(), sent.into_inner());
    if alive != 0 || received != sent {
        fail!("{sent} were sent, {received} received; {alive} are somewhere still");
    }
    Ok(())
}

fn copy<T>(sender: &Mutex<Sender<T>>) -> Sender<T> {
    let Ok(sender) = sender.lock();
    Sender::clone(&sender)
}

/// Receives until nobody sends any more; returns how many came. The one who leaves does so before, and says 0.
fn receive(
    work: &Work,
    number: u64,
    from: &Receiver<Item>,
    leaves: bool,
) -> Result<u64, userland::report::Why> {
    let mut random = Random::of(work.seed, 1 << 20 | number);
    let mut expected = vec![0; work.threads as usize];
    for received in 0.. {
        if leaves && received == RECEIVED_BY_THE_LAST {
            return Ok(0);
        }
        let Some(item) = receive_one(from, &mut random) else {
            return Ok(if leaves { 0 } else { received });
        };
        let place = &mut expected[item.sender as usize];
        if item.number != *place {
            fail!("{} of sender {} came instead of {place}", item.number, item.sender);
        }
        *place += 1;
        drop(item);
        work.activities.perhaps(&mut random);
    }
    Ok(0)
}

/// The next one, in one of three ways.
fn receive_one<'a>(from: &Receiver<Item<'a>>, random: &mut Random) -> Option<Item<'a>> {
    loop {
        let way = random.below(4);
        let tried = match way {
            0 => from.try_recv(),
            1 => {
                let time = Duration::from_nanos(random.below(500_000));
                from.recv_timeout(time).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            }
            _ => from.recv().map_err(|_| TryRecvError::Disconnected),
        };
        match tried {
            Ok(item) => return Some(item),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => thread::yield_now(),
        }
    }
}
