//! What the kernel just did: typed events in a ring per processor.
//!
//! - [`event`]: the kinds of events, in groups that are switched on one by one; one table for the
//!   kernel, the panic report and the host tool.
//! - [`ring`]: where a processor keeps its latest events, written without a lock.
//!
//! A leaf: it depends on nothing but `atomics`, so that everything else can say what it does. The
//! machine layer owns the rings and offers `machine::trace::emit`, which costs one test where the
//! group is off.
//!
//! Each event can name the event that caused it, also one of another processor: the poke behind the
//! interrupt, the wake-up behind the run. From these names the host tool draws its arrows.

#![no_std]
#![forbid(unsafe_code)]

pub mod event;
pub mod ring;

pub use event::{Event, EventId, FaultEnd, Groups, Kind};
pub use ring::{Ring, Slot};
