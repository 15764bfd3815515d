//! How the layers above hang their own data off a [`System`](crate::System) or a
//! [`Cpu`](crate::Cpu): CPU-local and system-local storage.
//!
//! The machine cannot name the types of the layers above it, and a type parameter for each would
//! spread through every signature. So each layer owns a numbered place, a [`Slot`], that says once
//! and for all which type lives there; installing and reading through the slot is type-safe.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The layers that own slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `memory`: frames and slabs.
    Memory,
    /// `dispatch`.
    Dispatch,
    /// `vm`.
    Vm,
    /// `activations`.
    Activations,
    /// The kernel itself.
    Kernel,
    /// Free for tests.
    Test,
}

const LAYERS: usize = 6;

/// A place whose contents have type `T`.
pub struct Slot<T: 'static> {
    layer: Layer,
    content: PhantomData<fn() -> &'static T>,
}

impl<T: Sync + 'static> Slot<T> {
    /// The slot of a layer.
    ///
    /// # Safety
    ///
    /// Of all slots of this layer that are ever used with the same kind of owner (system or
    /// processor) every one has the same `T`. In practice: one constant per layer and kind.
    pub const unsafe fn new(layer: Layer) -> Slot<T> {
        Slot { layer, content: PhantomData }
    }
}

/// The places themselves; part of every system and processor.
pub struct Slots {
    places: [AtomicPtr<()>; LAYERS],
}

impl Slots {
    /// Empty places.
    #[expect(clippy::new_without_default, reason = "only systems and processors make them")]
    pub const fn new() -> Slots {
        Slots { places: [const { AtomicPtr::new(core::ptr::null_mut()) }; LAYERS] }
    }

    /// Attaches a layer's data. Once per layer; a second time is an error of the caller's.
    pub fn install<T: Sync + 'static>(&self, slot: &Slot<T>, content: &'static T) {
        let pointer = core::ptr::from_ref(content).cast_mut().cast();
        let place = &self.places[slot.layer as usize];
        let before = place.compare_exchange(
            core::ptr::null_mut(),
            pointer,
            Ordering::Release,
            Ordering::Relaxed,
        );
        assert!(before.is_ok(), "the slot of {:?} is already in use", slot.layer);
    }

    /// A layer's data, if it has been attached.
    #[inline]
    pub fn find<T: Sync + 'static>(&self, slot: &Slot<T>) -> Option<&'static T> {
        let pointer = self.places[slot.layer as usize].load(Ordering::Acquire).cast::<T>();
        // SAFETY: not null means that `install` stored a `&'static T`: by the contract of
        // `Slot::new` every slot that names this place has the same `T`.
        unsafe { pointer.as_ref() }
    }

    /// A layer's data, which must have been attached.
    #[inline]
    pub fn get<T: Sync + 'static>(&self, slot: &Slot<T>) -> &'static T {
        match self.find(slot) {
            Some(content) => content,
            None => panic!("the layer {:?} is not there yet", slot.layer),
        }
    }
}
