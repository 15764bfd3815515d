//! One processor and the data that is its own.
//!
//! Two kinds of fields:
//!
//! - *private* ones ([`Private`]) are read and written by the processor itself only, by its running
//!   thread or by an interrupt on top of it. Each access is one plain instruction, needs no order,
//!   and is no step of its own for a model checker;
//! - everything else is shared between processors and atomic in the ordinary way.

use crate::backend;
use crate::capability::Atomic;
use crate::pil::Pending;
use crate::shoot_down::ShootDowns;
use crate::slot::Slots;
use crate::system::System;
use crate::tracing::Tracing;
use crate::vector_unit::VectorUnit;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// A field that only its own processor touches. See the module.
///
/// The representation is core's atomic in every flavour: a shared reference must be able to change
/// it, an interrupt may come between any two accesses, and no other processor ever looks.
#[repr(transparent)]
pub struct Private<A>(A);

macro_rules! private {
    ($atomic:ident, $value:ident) => {
        impl Private<$atomic> {
            /// A field with this value.
            pub const fn new(value: $value) -> Self {
                Private($atomic::new(value))
            }

            /// The value.
            #[inline]
            pub fn get(&self) -> $value {
                self.0.load(Ordering::Relaxed)
            }

            /// Changes the value.
            #[inline]
            pub fn set(&self, value: $value) {
                self.0.store(value, Ordering::Relaxed);
            }
        }
    };
}

private!(AtomicU8, u8);
private!(AtomicU32, u32);
private!(AtomicU64, u64);

/// One processor. Reached with [`Cpu::current`], or by index through its [`System`].
///
/// `repr(C)`, and the fields before `system` in this order: entry stubs reach them by offset.
#[repr(C)]
pub struct Cpu {
    /// The interrupt level: interrupts at or below it are held back ([`crate::pil`]).
    pub(crate) pil: Private<AtomicU8>,
    /// How often kernel preemption has been turned off ([`crate::preempt`]).
    pub(crate) preempt_off: Private<AtomicU32>,
    /// The interrupts that were held back.
    pub(crate) pending: Pending,
    /// Where it notes what happens.
    pub(crate) tracing: Tracing,
    system: &'static System,
    pub(crate) index: usize,
    /// What the dispatcher wants to find in one instruction: the thread that runs.
    pub(crate) running: AtomicPtr<()>,
    slots: Slots,
    /// Pokes received; read by others as a statistic.
    pub(crate) pokes: atomics::AtomicU64,
    /// Interrupts that came while the level masked them; likewise.
    pub(crate) held_back: atomics::AtomicU64,
    /// What it asks others to forget, and they it.
    pub(crate) shoot_downs: ShootDowns,
    /// Lent to who copies frames.
    pub vector_unit: VectorUnit,
    /// What the backend keeps per processor.
    pub backend: backend::CpuState,
}

impl Cpu {
    /// A processor that is not yet known to its system ([`System::add_cpu`]).
    pub fn new(system: &'static System, index: usize, backend: backend::CpuState) -> Cpu {
        Cpu {
            pil: Private::<AtomicU8>::new(0),
            preempt_off: Private::<AtomicU32>::new(0),
            pending: Pending::new(),
            tracing: Tracing::new(),
            system,
            index,
            running: AtomicPtr::new(core::ptr::null_mut()),
            slots: Slots::new(),
            pokes: atomics::AtomicU64::new(0),
            held_back: atomics::AtomicU64::new(0),
            shoot_downs: ShootDowns::new(),
            vector_unit: VectorUnit::new(),
            backend,
        }
    }

    /// The processor that the caller runs on, for as long as it is certain to stay there.
    #[inline]
    pub fn current(_: &Atomic) -> &Cpu {
        backend::current_cpu()
    }

    /// The index of that processor.
    #[inline]
    pub fn current_index(_: &Atomic) -> usize {
        backend::current_index()
    }

    /// What [`Cpu::set_running`] was given last on the current processor. One instruction: if it is the
    /// thread that runs, the answer stays right for the thread that asks, wherever it goes.
    #[inline]
    pub fn running() -> *mut () {
        backend::running()
    }

    /// Says what runs on this processor.
    ///
    /// # Safety
    ///
    /// The dispatcher alone says so, and of one kind: who asks [`Cpu::running`] relies on what it points to.
    #[inline]
    pub unsafe fn set_running(&self, running: *mut ()) {
        self.running.store(running, Ordering::Relaxed);
    }

    /// The index of the processor that the caller runs on at this moment: a hint, out of date as
    /// soon as the caller is preempted.
    pub fn current_index_hint() -> usize {
        backend::current_index()
    }

    /// Its place in the system, from 0.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The system that it belongs to.
    #[inline]
    pub fn system(&self) -> &'static System {
        self.system
    }

    /// The data that the layers above have attached to it.
    #[inline]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// How many pokes it has received.
    pub fn pokes(&self) -> u64 {
        self.pokes.load(atomics::Ordering::Relaxed)
    }

    /// How many interrupts came while the level masked them.
    pub fn held_back(&self) -> u64 {
        self.held_back.load(atomics::Ordering::Relaxed)
    }

    /// How many processors it has asked to forget translations, each counted each time.
    pub fn shoot_downs_sent(&self) -> u64 {
        self.shoot_downs.sent()
    }

    /// How many times it has been asked to, and has.
    pub fn shoot_downs_received(&self) -> u64 {
        self.shoot_downs.received()
    }
}
