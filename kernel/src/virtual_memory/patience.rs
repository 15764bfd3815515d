//! Patience: trying again what needs memory at once.
//!
//! A fault that gets no memory waits until there is some. What cannot wait like that, because it needs several things
//! together or holds others, fails; that need not mean that there is no memory. It can lie with other processors, or
//! belong to pages that nobody uses. So the page daemon is told, and it is tried again, for a while that it can do
//! something in.

use crate::kernel::Kernel;
use crate::process;
use crate::threads;
use dispatch::sleep;
use machine::MayFault;
use memory::OutOfMemory;
use vm::Vm;

/// How often it is tried.
const TRIES: u32 = 50;

/// How far apart, in nanoseconds.
const APART: u64 = 2_000_000;

/// Does something, with nothing held, and again as long as memory is all that is missing, and the running process is not
/// to end. What has failed has left nothing behind that another try would not expect.
pub fn patiently<T, E: From<OutOfMemory> + PartialEq>(
    may_fault: &mut MayFault,
    mut attempt: impl FnMut(&mut MayFault) -> Result<T, E>,
) -> Result<T, E> {
    let mut tries = 1;
    loop {
        let result = attempt(may_fault);
        let lacks_memory = matches!(&result, Err(error) if *error == E::from(OutOfMemory));
        if !lacks_memory || tries == TRIES || !wait(may_fault) {
            return result;
        }
        tries += 1;
    }
}

/// Lets the page daemon do something; says whether another try makes sense.
#[cold]
fn wait(may_fault: &mut MayFault) -> bool {
    if process::find_current().is_some_and(|process| process.is_killed()) {
        return false;
    }
    Vm::current().ask_for_memory();
    sleep::delay(threads::ticks(Kernel::current(), APART), may_fault);
    true
}
