//! What programs of many threads share.
//!
//! - [`again`]: a program starts itself again, with another library mode, and hears what comes of it.
//! - [`amount`]: how long a stress program goes on, and its seed.
//! - [`many`]: many threads that do the same, and what they have found.
//! - [`handles`]: handles of more threads than there should be a heap for.
//! - [`activities`]: what threads do between two things that are looked at.
//! - [`processors`]: whether every virtual processor is still there.
//! - [`table`]: rounds, and what has happened, in words.

#![no_std]

pub mod activities;
pub mod again;
pub mod amount;
pub mod handles;
pub mod many;
pub mod processors;
pub mod table;
