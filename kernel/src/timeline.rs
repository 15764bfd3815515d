//! The rings of events: making them, showing their latest, sending what they hold to the host.

use crate::kernel::Kernel;
use crate::report_channel::send_unlocked;
use core::fmt;
use machine::x86_64::paging;
use machine::{Cpu, System, poke, tracing};
use memory::{Memory, OutOfMemory};
use report::Line;
use trace::{Event, EventId, Groups, Ring, Slot};

/// The memory of a ring: 2 to this many frames.
const ORDER: u8 = 3;
/// What fits beside the ring itself.
const SLOTS: usize = ((4096 << ORDER) - size_of::<Ring<'static>>()) / size_of::<Slot>() - 1;

/// A ring and its slots, in one block of frames.
#[repr(C)]
struct Block {
    slots: [Slot; SLOTS],
    ring: Ring<'static>,
}
const _: () = assert!(size_of::<Block>() <= 4096 << ORDER);

/// Gives every processor a ring and switches on what the options say. A processor for which there is
/// no memory goes without.
pub fn start(kernel: &Kernel) {
    for cpu in kernel.system.cpus() {
        match make_ring(cpu) {
            Ok(ring) => tracing::give_ring(cpu, ring),
            Err(OutOfMemory) => log::warn!("no memory to trace cpu {}", cpu.index()),
        }
    }
    tracing::set_groups(kernel.system, kernel.options.trace);
    // Those that halted before there was a ring note it now, so that no lane of a timeline is empty.
    if kernel.options.trace.meets(Groups::IDLE) {
        for cpu in kernel.system.cpus().skip(1) {
            poke::poke(cpu);
        }
    }
}

fn make_ring(cpu: &Cpu) -> Result<&'static Ring<'static>, OutOfMemory> {
    let frames = Memory::current().frames.allocate_block(ORDER)?;
    let block = paging::physical::<Block>(cpu.system(), frames.address());
    for index in 0..SLOTS {
        // SAFETY: within a block of frames that is ours for ever.
        let slot = unsafe { &raw mut (*block).slots[index] };
        // SAFETY: as above.
        unsafe { slot.write(Slot::new()) };
    }
    // SAFETY: initialised above; nothing but the ring uses them from here on.
    let slots: &'static [Slot] = unsafe { &(*block).slots };
    // SAFETY: within the block.
    let ring = unsafe { &raw mut (*block).ring };
    // SAFETY: as above.
    unsafe { ring.write(Ring::new(cpu.index() as u16, slots)) };
    // SAFETY: initialised above, and never freed.
    Ok(unsafe { &*ring })
}

/// Sends everything that the rings still hold, oldest first, processor by processor. At the end of a
/// run; takes no lock.
pub fn dump(kernel: &Kernel) {
    tracing::set_groups(kernel.system, Groups::NONE);
    let hertz = kernel.system.backend.clock.frequency().map_or(0, |frequency| frequency.hertz());
    send_unlocked(Line::Value { name: "trace.hertz", unit: "hertz", value: hertz });
    send_unlocked(Line::Value { name: "trace.start", unit: "ticks", value: kernel.start });
    for ring in kernel.system.cpus().filter_map(tracing::ring) {
        for Event { id, stamp, kind, argument, cause } in ring.latest(u64::MAX) {
            send_unlocked(Line::Event {
                processor: id.processor(),
                number: id.number(),
                stamp,
                kind: kind.text(),
                argument,
                cause: (cause.processor(), cause.number()),
            });
        }
    }
}

/// Events of one processor that the report of a panic shows.
const SHOWN: u64 = 8;
/// Processors whose events it shows.
const PROCESSORS_SHOWN: usize = 8;

/// Shows the latest events: of the processor `first`, then of others. For the panic path: takes no
/// lock and reads what is there.
pub fn show_latest(system: &System, first: usize, write: &mut dyn FnMut(fmt::Arguments<'_>)) {
    tracing::set_groups(system, Groups::NONE);
    let frequency = system.backend.clock.frequency();
    let start = Kernel::find().map_or(0, |kernel| kernel.start);
    let rest = system.cpus().filter(|cpu| cpu.index() != first);
    for cpu in system.cpu(first).into_iter().chain(rest).take(PROCESSORS_SHOWN) {
        let Some(ring) = tracing::ring(cpu).filter(|ring| ring.count() > 0) else { continue };
        write(format_args!("last events of cpu {}, of {}:\n", cpu.index(), ring.count()));
        for event in ring.latest(SHOWN) {
            let ticks = event.stamp.saturating_sub(start);
            let time = frequency.map_or(0, |frequency| frequency.nanoseconds(ticks)) / 1000;
            let kind = event.kind.text();
            write(format_args!("  {time:>9} us  {kind} {:#x}", event.argument));
            if event.cause != EventId::NONE {
                let (cpu, number) = (event.cause.processor(), event.cause.number());
                write(format_args!(", by event {number} of cpu {cpu}"));
            }
            write(format_args!("\n"));
        }
    }
}
