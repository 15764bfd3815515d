//! Channels: many may send, one receives.

use super::{Condvar, Mutex};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    has_receiver: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Something was sent, or nobody sends any more.
    has_news: Condvar,
    /// Something was received, or nobody receives any more.
    has_room: Condvar,
    /// Most values that wait.
    most: usize,
}

/// Nobody receives any more: the value comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Nobody sends any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why nothing came at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing was sent.
    Empty,
    /// Nobody sends any more.
    Disconnected,
}

/// Why nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing was sent.
    Timeout,
    /// Nobody sends any more.
    Disconnected,
}

/// A channel with room for everything.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    sync_channel(usize::MAX)
}

/// A channel in which so many values can wait; with 0 it is one.
pub fn sync_channel<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), senders: 1, has_receiver: true };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        has_news: Condvar::new(),
        has_room: Condvar::new(),
        most: most.max(1),
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

/// Who sends.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a value, once there is room.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let Ok(state) = self.shared.state.lock();
        let is_full =
            |state: &mut State<T>| state.has_receiver && state.queue.len() >= self.shared.most;
        let Ok(mut state) = self.shared.has_room.wait_while(state, is_full);
        if !state.has_receiver {
            return Err(SendError(value));
        }
        state.queue.push_back(value);
        drop(state);
        self.shared.has_news.notify_one();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        let Ok(mut state) = self.shared.state.lock();
        state.senders += 1;
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let Ok(mut state) = self.shared.state.lock();
        state.senders -= 1;
        let is_last = state.senders == 0;
        drop(state);
        if is_last {
            self.shared.has_news.notify_all();
        }
    }
}

/// Who receives.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The next value, once there is one.
    pub fn recv(&self) -> Result<T, RecvError> {
        let Ok(state) = self.shared.state.lock();
        let is_waiting = |state: &mut State<T>| state.queue.is_empty() && state.senders != 0;
        let Ok(mut state) = self.shared.has_news.wait_while(state, is_waiting);
        let value = state.queue.pop_front().ok_or(RecvError)?;
        drop(state);
        self.shared.has_room.notify_one();
        Ok(value)
    }

    /// The next value, if one comes within so much time.
    pub fn recv_timeout(&self, time: Duration) -> Result<T, RecvTimeoutError> {
        let Ok(state) = self.shared.state.lock();
        let is_waiting = |state: &mut State<T>| state.queue.is_empty() && state.senders != 0;
        let Ok((mut state, is_over)) =
            self.shared.has_news.wait_timeout_while(state, time, is_waiting);
        match state.queue.pop_front() {
            Some(value) => {
                drop(state);
                self.shared.has_room.notify_one();
                Ok(value)
            }
            None if is_over.timed_out() => Err(RecvTimeoutError::Timeout),
            None => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// The next value, if there is one.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let Ok(mut state) = self.shared.state.lock();
        match state.queue.pop_front() {
            Some(value) => {
                drop(state);
                self.shared.has_room.notify_one();
                Ok(value)
            }
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// All values until nobody sends any more.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        core::iter::from_fn(|| self.recv().ok())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Ok(mut state) = self.shared.state.lock();
        state.has_receiver = false;
        let left = core::mem::take(&mut state.queue);
        drop(state);
        self.shared.has_room.notify_all();
        drop(left);
    }
}
