//! What two processors have to do with each other. Where instructions are counted, those of both count, on one
//! clock: a processor goes on until it halts, and only then comes the other one's turn.

use super::ball::Game;
use super::{report_value, shortest_round};
use crate::console::print;
use crate::kernel::Kernel;
use core::sync::atomic::Ordering;
use dispatch::CpuDispatch;
use dispatch::kernel_thread::{self, Attributes};
use machine::MayFault;

/// The value of this group.
const CROSS_WAKE: &str = "smp.cross_wake";

/// Measures all of it, in a thread that is bound to the first processor.
pub fn measure(may_fault: &mut MayFault) {
    let attributes = Attributes::system("bench").bound(processor(0));
    let thread = kernel_thread::create(&attributes, cross_wake, 0).expect("memory for a thread");
    thread.join(may_fault);
}

/// Two threads, each on its own processor, wake each other: one operation is the ball's way there and back. A
/// round is valid if at each wake-up the other processor had halted, and was poked.
fn cross_wake(_: usize, may_fault: &mut MayFault) -> usize {
    let both = [processor(0), processor(1)];
    let pokes =
        || -> u64 { both.map(|cpu| cpu.counts().pokes.load(Ordering::Relaxed)).iter().sum() };
    let other = Attributes::system("bench").bound(both[1]);
    Game::against(&other, may_fault, |game, may_fault| {
        // From here on each round begins with the ball at the other side.
        game.rally(1, may_fault);
        let shortest = shortest_round(|count| {
            let before = pokes();
            game.rally(count, may_fault);
            pokes() - before == 2 * count
        });
        match shortest {
            Some(value) => report_value(CROSS_WAKE, value),
            None => print(format_args!(
                "{CROSS_WAKE}: not measured, in each round a processor was awake that should have halted\n"
            )),
        }
    });
    0
}

fn processor(index: usize) -> &'static CpuDispatch {
    let cpu = Kernel::current().system.cpu(index);
    CpuDispatch::of(cpu.expect("the group is measured on enough processors"))
}
