//! Pipes: bytes go in at one end and come out at the other, in order.
//!
//! A pipe is a ring of [`PIPE_CAPACITY`] bytes in pages that are there as long as they are needed. Its two ends are open
//! files; each of them may be shared by many. What is written in one piece of at most `PIPE_BUF` bytes stays together.
//!
//! Who finds nothing, or no room, sleeps, and can be interrupted. All who sleep at an end are woken when something
//! changes there, because they may want different amounts.

use super::buffer::{self, Page};
use super::{File, How, Result, Shared};
use crate::kernel::Kernel;
use crate::lwp;
use crate::signal::{Information, SIGPIPE, send};
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use abi::files::{PIPE_BUF, PIPE_CAPACITY, POLLERR, POLLHUP, POLLIN, POLLOUT, S_IFIFO, Stat};
use abi::terminals::FIONREAD;
use core::sync::atomic::Ordering;
use dispatch::{Condvar, Mutex, MutexGuard, Woken};
use machine::MayFault;
use memory::OutOfMemory;

const PAGES: usize = PIPE_CAPACITY / buffer::SIZE;

/// A pipe. See the module.
pub struct Pipe {
    ring: Mutex<Ring>,
    /// Something can be read, or nobody writes any more.
    filled: Condvar,
    /// There is room, or nobody reads any more.
    drained: Condvar,
    /// Tells it from others.
    number: u64,
}

/// What is in a pipe. Positions are counted on for ever.
struct Ring {
    pages: [Option<Page>; PAGES],
    read: u64,
    written: u64,
    has_reader: bool,
    has_writer: bool,
}

/// The page of a position, and the place in it.
fn place_of(position: u64) -> (usize, usize) {
    let place = (position % PIPE_CAPACITY as u64) as usize;
    (place / buffer::SIZE, place % buffer::SIZE)
}

impl Ring {
    fn length(&self) -> usize {
        (self.written - self.read) as usize
    }

    fn room(&self) -> usize {
        PIPE_CAPACITY - self.length()
    }

    /// Makes sure that there is memory for so many more bytes, for which there is room.
    fn prepare(&mut self, count: usize) -> core::result::Result<(), OutOfMemory> {
        let mut at = self.written;
        let end = at + count as u64;
        while at < end {
            let (page, place) = place_of(at);
            if self.pages[page].is_none() {
                self.pages[page] = Some(Page::new()?);
            }
            at += (buffer::SIZE - place) as u64;
        }
        Ok(())
    }

    /// Adds bytes, for which there is room and memory.
    fn put(&mut self, mut from: &[u8]) {
        while !from.is_empty() {
            let (page, place) = place_of(self.written);
            let (part, rest) = from.split_at(from.len().min(buffer::SIZE - place));
            let page = self.pages[page].as_mut().expect("there is memory for what is written");
            page.bytes_mut()[place..place + part.len()].copy_from_slice(part);
            self.written += part.len() as u64;
            from = rest;
        }
    }

    /// Takes as many bytes as there are and fit; and gives pages back that are empty, but for one that is written next.
    fn take(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.length());
        let mut rest = &mut to[..count];
        while !rest.is_empty() {
            let (index, place) = place_of(self.read);
            let length = rest.len().min(buffer::SIZE - place);
            let (part, behind) = rest.split_at_mut(length);
            let page = self.pages[index].as_ref().expect("what was written is in memory");
            part.copy_from_slice(&page.bytes()[place..place + length]);
            rest = behind;
            self.read += length as u64;
            // The page may have been begun again, a round later.
            let is_wanted = self.length() > PIPE_CAPACITY - buffer::SIZE;
            if place + length == buffer::SIZE && !is_wanted {
                self.pages[index] = None;
            }
        }
        count
    }
}

impl Pipe {
    /// A pipe's two ends: to read from, and to write to.
    pub fn make(may_fault: &mut MayFault) -> Result<(End, End)> {
        let files = &Kernel::current().files;
        let pipe = patiently(may_fault, |_| {
            let pipe = Pipe {
                ring: Mutex::new(Ring {
                    pages: [const { None }; PAGES],
                    read: 0,
                    written: 0,
                    has_reader: true,
                    has_writer: true,
                }),
                filled: Condvar::new(),
                drained: Condvar::new(),
                number: files.next_pipe.fetch_add(1, Ordering::Relaxed),
            };
            Shared::new(&files.pipes, pipe).map_err(|(error, _)| error)
        });
        let pipe = pipe.map_err(|OutOfMemory| Errno::ENOMEM)?;
        let reader = End { pipe: pipe.another(), writes: false };
        Ok((reader, End { pipe, writes: true }))
    }

    fn tell(&self, condition: &Condvar, ring: MutexGuard<'_, Ring>, may_fault: &mut MayFault) {
        condition.broadcast();
        drop(ring);
        Kernel::current().files.watch.tell(may_fault);
    }

    fn read(&self, to: &mut [u8], how: How, may_fault: &mut MayFault) -> Result<usize> {
        let mut ring = self.ring.lock(may_fault);
        loop {
            if ring.length() > 0 {
                let count = ring.take(to);
                self.tell(&self.drained, ring, may_fault);
                return Ok(count);
            }
            if !ring.has_writer {
                return Ok(0);
            }
            if !how.waits {
                return Err(Errno::EAGAIN);
            }
            let (guard, woken) = self.filled.wait_interruptible(ring, may_fault);
            ring = guard;
            if woken == Woken::BySignal {
                return Err(Errno::EINTR);
            }
        }
    }

    fn write(&self, from: &[u8], how: How, may_fault: &mut MayFault) -> Result<usize> {
        let mut ring = self.ring.lock(may_fault);
        loop {
            if !ring.has_reader {
                drop(ring);
                broken();
                return Err(Errno::EPIPE);
            }
            let wanted = if how.whole { from.len() } else { 1 };
            if ring.room() >= wanted {
                let count = from.len().min(ring.room());
                if ring.prepare(count).is_ok() {
                    ring.put(&from[..count]);
                    self.tell(&self.filled, ring, may_fault);
                    return Ok(count);
                }
                // Nobody waits for memory with the pipe locked.
                drop(ring);
                patiently(may_fault, |_| Page::new().map(drop)).map_err(|_| Errno::ENOMEM)?;
                ring = self.ring.lock(may_fault);
                continue;
            }
            if !how.waits {
                return Err(Errno::EAGAIN);
            }
            let (guard, woken) = self.drained.wait_interruptible(ring, may_fault);
            ring = guard;
            if woken == Woken::BySignal {
                return Err(Errno::EINTR);
            }
        }
    }
}

/// Somebody writes to a pipe that nobody reads.
fn broken() {
    if let Some(lwp) = lwp::find_current() {
        send::to_lwp(lwp, &Information::from_kernel(SIGPIPE));
    }
}

/// An end of a pipe.
pub struct End {
    pipe: Shared<Pipe>,
    writes: bool,
}

impl File for End {
    fn read(
        &self,
        _: &mut u64,
        to: &mut [u8],
        how: How,
        may_fault: &mut MayFault,
    ) -> Result<usize> {
        self.pipe.read(to, how, may_fault)
    }

    fn write(&self, _: &mut u64, from: &[u8], how: How, may_fault: &mut MayFault) -> Result<usize> {
        self.pipe.write(from, how, may_fault)
    }

    fn status(&self, _: &mut MayFault) -> Stat {
        Stat {
            device: 3,
            number: self.pipe.number,
            links: 1,
            mode: S_IFIFO | 0o600,
            block: PIPE_BUF as i64,
            ..Stat::default()
        }
    }

    fn ready(&self, may_fault: &mut MayFault) -> u16 {
        let ring = self.pipe.ring.lock(may_fault);
        let when = |condition, event| if condition { event } else { 0 };
        if self.writes {
            when(ring.room() >= PIPE_BUF, POLLOUT) | when(!ring.has_reader, POLLERR)
        } else {
            when(ring.length() > 0, POLLIN) | when(!ring.has_writer, POLLHUP)
        }
    }

    fn control(&self, request: u32, argument: u64, may_fault: &mut MayFault) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let length = self.pipe.ring.lock(may_fault).length() as u32;
        crate::user_structure::copy_out(argument, &length, may_fault)?;
        Ok(0)
    }

    fn close(&self, may_fault: &mut MayFault) {
        let mut ring = self.pipe.ring.lock(may_fault);
        let others = if self.writes {
            ring.has_writer = false;
            &self.pipe.filled
        } else {
            ring.has_reader = false;
            &self.pipe.drained
        };
        self.pipe.tell(others, ring, may_fault);
    }
}
