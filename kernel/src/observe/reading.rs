//! Memory of an observed process: an LWP that stands reads it for the observer. So there is no second way into an
//! address space, and a page that is not there comes as for a call of the LWP's own.
//!
//! The bytes lie in a buffer of the request's: the observer makes it, the LWP fills it, the observer takes it back. Who
//! is interrupted while it waits leaves the buffer to the LWP.

use crate::kernel::Kernel;
use crate::lwp::Lwp;
use abi::errno::Errno;
use alloc::vec::Vec;
use dispatch::Woken;
use machine::MayFault;
use machine::x86_64::user_copy;

/// Most bytes of a request.
pub const PIECE: usize = 2048;

/// A request.
pub struct Request {
    ticket: u64,
    address: u64,
    bytes: Vec<u8>,
}

/// How far a request has come.
pub enum Reading {
    /// There is none.
    Nothing,
    /// It is for the LWP to take.
    Asked(Request),
    /// The LWP reads.
    Busy(u64),
    /// The first `usize` bytes have been read.
    Done(Request, usize),
}

impl Reading {
    fn ticket(&self) -> u64 {
        match self {
            Reading::Nothing => 0,
            Reading::Busy(ticket) => *ticket,
            Reading::Asked(request) | Reading::Done(request, _) => request.ticket,
        }
    }
}

/// Takes what the LWP is asked to read.
pub fn take_request(lwp: &Lwp) -> Option<Request> {
    if !lwp.observed.with_reading(|reading| matches!(reading, Reading::Asked(_))) {
        return None;
    }
    // The mutex is held: it is still there.
    match lwp.observed.exchange_reading(Reading::Nothing) {
        Reading::Asked(request) => {
            lwp.observed.exchange_reading(Reading::Busy(request.ticket));
            Some(request)
        }
        _ => None,
    }
}

/// Reads, on the LWP itself: up to the first page that cannot be read.
pub fn answer(mut request: Request, may_fault: &mut MayFault) -> (Request, usize) {
    const PAGE: u64 = 4096;
    let mut done = 0;
    while done < request.bytes.len() {
        let at = request.address.wrapping_add(done as u64);
        let length = (request.bytes.len() - done).min((PAGE - at % PAGE) as usize);
        let piece = &mut request.bytes[done..][..length];
        if user_copy::copy_in(piece, at, may_fault).is_err() {
            break;
        }
        done += length;
    }
    (request, done)
}

/// Leaves the answer for who has asked, if that still waits.
pub fn give_answer(lwp: &Lwp, (request, done): (Request, usize)) {
    let is_awaited = lwp.observed.with_reading(|reading| reading.ticket()) == request.ticket;
    let unwanted = if is_awaited {
        lwp.observed.exchange_reading(Reading::Done(request, done))
    } else {
        Reading::Asked(request)
    };
    drop(unwanted);
}

/// Reads memory of a process that `observer` observes: at most [`PIECE`] bytes. Returns a buffer, and how many of its
/// bytes could be read.
pub fn read(
    kernel: &'static Kernel,
    observer: u64,
    id: u64,
    address: u64,
    length: usize,
    may_fault: &mut MayFault,
) -> Result<(Vec<u8>, usize), Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    let observations = &kernel.observations;
    let mut all = observations.all.lock(may_fault);
    all.last_ticket += 1;
    let ticket = all.last_ticket;
    let mut unasked = Some(Request { ticket, address, bytes });
    loop {
        let process =
            all.observed_by(observer).find(|process| process.id == id).ok_or(Errno::ESRCH)?;
        // One that stands stays while the mutex is held.
        let find = |is_meant: &dyn Fn(&Reading) -> bool| {
            let lwps = process.lwps.lock_anywhere();
            lwps.iter().find(|lwp| {
                lwp.observed.undecided().is_some()
                    && lwp.observed.with_reading(|reading| is_meant(reading))
            })
        };
        let asked = find(&|reading| reading.ticket() == ticket);
        match (asked, unasked.take()) {
            (Some(lwp), _) => {
                if lwp.observed.with_reading(|reading| matches!(reading, Reading::Done(..))) {
                    let done = lwp.observed.exchange_reading(Reading::Nothing);
                    // The next one may ask.
                    observations.heard.broadcast();
                    drop(all);
                    let Reading::Done(request, done) = done else { return Err(Errno::EAGAIN) };
                    return Ok((request.bytes, done));
                }
            }
            (None, Some(request)) => {
                if let Some(lwp) = find(&|reading| matches!(reading, Reading::Nothing)) {
                    lwp.observed.exchange_reading(Reading::Asked(request));
                } else if find(&|_| true).is_some() {
                    unasked = Some(request);
                } else {
                    drop(all);
                    return Err(Errno::EAGAIN);
                }
            }
            // The LWP has gone on.
            (None, None) => return Err(Errno::EAGAIN),
        }
        let (guard, woken) = observations.heard.wait_interruptible(all, may_fault);
        all = guard;
        if woken == Woken::BySignal {
            let own = |reading: &Reading| reading.ticket() == ticket;
            let abandoned =
                all.observed_by(observer).find(|process| process.id == id).and_then(|process| {
                    let lwps = process.lwps.lock_anywhere();
                    lwps.iter().find(|lwp| lwp.observed.with_reading(own))
                });
            let left = abandoned.map(|lwp| lwp.observed.exchange_reading(Reading::Nothing));
            drop(all);
            drop(left);
            return Err(Errno::EINTR);
        }
    }
}
