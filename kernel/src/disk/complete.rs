//! The end of a transfer: the disk's interrupt, or what stands for it, and telling whom it concerns.
//!
//! An interrupt says no more than "look". So it does no harm to make one that is not needed, and the driver makes
//! them itself where the device has nothing to say: for a transfer that never began, after a freeze, and where
//! a transfer takes a fixed time ([`super::door`]).

use super::door::LATENCY;
use super::{Disk, LEVEL, Operation, add};
use crate::kernel::Kernel;
use core::pin::Pin;
use dispatch::interrupt_thread::InterruptContext;
use machine::x86_64::trap::vector;
use machine::{Atomic, time};

impl Disk {
    /// Makes the disk's interrupt, in the device's stead; or later, at the end of a transfer's fixed time.
    pub(super) fn interrupt_again(&'static self) {
        if self.door.is_some() {
            self.set_alarm();
        } else {
            self.interrupt();
        }
    }

    fn interrupt(&self) {
        let kernel = Kernel::current();
        let first = kernel.system.cpu(0).expect("the first processor is there");
        kernel.system.backend.local_apic.send(first.backend.apic_id, vector(LEVEL, self.line));
    }

    /// How long a transfer takes, in ticks: 0 if that is the device's affair.
    fn latency(&self) -> u64 {
        let frequency = Kernel::current().system.backend.clock.frequency();
        frequency.filter(|_| self.door.is_some()).map_or(0, |frequency| frequency.ticks(LATENCY))
    }

    /// Sets the alarm to the end of the oldest transfer's fixed time, unless it is set.
    fn set_alarm(&'static self) {
        fn ring(argument: usize, _: &Atomic) {
            // SAFETY: the address of a disk, which lives for ever.
            let disk = unsafe { &*core::ptr::with_exposed_provenance::<Disk>(argument) };
            disk.requests.lock_anywhere().awaited = false;
            disk.interrupt();
        }
        let mut requests = self.requests.lock_anywhere();
        // The door has been waited at: all is done that the device was asked to do. Should a device have gone
        // on in spite of it, it is looked at again and again.
        requests.collect();
        let since = match requests.oldest_decided() {
            Some(since) => since,
            None if requests.count() > 0 => time::now(),
            None => return,
        };
        if requests.awaited {
            return;
        }
        requests.awaited = true;
        drop(requests);
        let argument = core::ptr::from_ref(self).expose_provenance();
        Pin::static_ref(&self.alarm).arm(since + self.latency(), ring, argument);
    }

    /// Its interrupt has come: tells whom it concerns.
    pub(super) fn complete(&'static self, context: &mut InterruptContext) {
        add(&self.counts.interrupts, 1);
        let latency = self.latency();
        loop {
            let mut requests = self.requests.lock_anywhere();
            requests.collect();
            if self.injection.is_frozen() {
                return;
            }
            // The clock of the processor that asked may be ahead of this one's by a little.
            let until = if latency == 0 { u64::MAX } else { time::now().saturating_sub(latency) };
            let Some((request, outcome)) = requests.take_decided(until) else { break };
            drop(requests);
            self.free.v();
            let counter = match request.operation {
                Operation::Read => &self.counts.reads,
                Operation::Write => &self.counts.writes,
            };
            add(counter, 1);
            add(&self.counts.pages, request.count());
            add(&self.counts.errors, u64::from(outcome.is_err()));
            (request.completion.function)(request.completion.argument, outcome, context);
        }
        if self.door.is_some() {
            self.set_alarm();
        }
    }
}
