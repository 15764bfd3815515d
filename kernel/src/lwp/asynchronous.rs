//! What an LWP does before it returns to user mode, when it was asked to (an AST): it ends, stands still, or acts on a
//! signal; again and again until there is nothing left.
//!
//! In the end a call that was interrupted, and for which no handler is about to run, begins again: nobody in user mode
//! has noticed anything.

use super::{Lwp, ending, stopping};
use crate::kernel::Kernel;
use crate::process::{own_frame, table};
use crate::signal::deliver::{self, Delivered};
use crate::system_call::restart;
use crate::upcalls::border;
use accounting::Microstate;
use dispatch::sleep_queue;
use machine::MayFault;

/// Does what the running LWP was asked to do.
pub fn work(lwp: &Lwp, may_fault: &mut MayFault) {
    let before = lwp.enter_microstate(Microstate::System, may_fault);
    let frame = own_frame(may_fault);
    // SAFETY: the thread has come from user mode, so its frame is there; nobody else uses it while the thread is here.
    let frame = unsafe { &mut *frame };
    loop {
        // What comes after this is asked for again.
        sleep_queue::take_interrupt();
        if lwp.process.is_ending() || lwp.process.is_becoming_another(lwp) {
            ending::leave(0, may_fault);
        }
        if let Some(news) = lwp.process.take_untold() {
            table::note_news(Kernel::current(), lwp.process, news, may_fault);
        }
        if lwp.is_to_stop() {
            stopping::stand_still(lwp, may_fault);
            continue;
        }
        match deliver::deliver(lwp, frame, may_fault) {
            Delivered::Nothing => {
                restart::without_handler(lwp, frame);
                if !border::cross(lwp, frame, may_fault) {
                    break;
                }
            }
            Delivered::Something => {}
        }
    }
    lwp.enter_microstate(before, may_fault);
}
