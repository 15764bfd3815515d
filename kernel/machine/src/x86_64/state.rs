//! What this backend keeps per system and per processor.

use super::clock::Clock;
use super::descriptors::Tables;
use super::features::Features;
use super::local_apic::LocalApic;
use super::paging;
use super::stack::Reserve;
use super::trap::TrapHooks;
use super::vectors::PutAway;
use crate::Cpu;
use crate::cpu::Private;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// The x86-64 part of a [`System`](crate::System).
pub struct SystemState {
    /// Where physical memory is mapped.
    pub physical_offset: u64,
    /// The root of the page tables that the kernel itself runs on, with nothing of a user's in them.
    pub(crate) kernel_root: u64,
    /// What the processors can do; the first one's answer holds for all.
    pub features: Features,
    /// What the trap code calls upwards.
    pub trap_hooks: &'static dyn TrapHooks,
    /// The way to the local APICs, once it is mapped.
    pub local_apic: LocalApic,
    /// The clock, once it is calibrated.
    pub clock: Clock,
    /// Where started processors go ([`super::start::Main`]).
    pub(crate) main: AtomicPtr<()>,
    /// Index plus 1 of the processor that panicked first; 0 while none has.
    pub panicking: AtomicU32,
}

impl SystemState {
    /// The state at the kernel's first steps, on its own page tables: nothing mapped or calibrated yet.
    pub fn new(
        physical_offset: u64,
        features: Features,
        trap_hooks: &'static dyn TrapHooks,
    ) -> SystemState {
        SystemState {
            physical_offset,
            kernel_root: paging::current_root(),
            features,
            trap_hooks,
            local_apic: LocalApic::new(),
            clock: Clock::new(),
            main: AtomicPtr::new(core::ptr::null_mut()),
            panicking: AtomicU32::new(0),
        }
    }
}

/// The x86-64 part of a [`Cpu`]. `repr(C)`: entry stubs reach the first fields by offset.
#[repr(C)]
pub struct CpuState {
    /// The processor's own address, so that `gs:[this]` is a `&Cpu`.
    pub(crate) this: AtomicPtr<Cpu>,
    /// Top of the running thread's kernel stack: where entries from user mode land.
    pub(crate) kernel_stack_top: Private<AtomicU64>,
    /// The user's stack pointer, for the few instructions in which `syscall` has nowhere else.
    pub(crate) user_rsp: Private<AtomicU64>,
    /// Lowest address of the running thread's kernel stack; the guard page ends here.
    pub(crate) kernel_stack_bottom: Private<AtomicU64>,
    /// The stack top below which a landing has been made for a frame of user mode ([`super::stack::make_landing`]); as
    /// long as a thread runs, the pages of its stack stay.
    pub(crate) landing_below: Private<AtomicU64>,
    /// The running thread's word of pending asynchronous work, or null: not 0 means that the
    /// return to user mode has to call [`TrapHooks::asynchronous`]. Other processors set the word.
    pub(crate) asynchronous: AtomicPtr<AtomicU32>,
    /// The running thread, in whatever form the layer above gives it.
    pub(crate) thread: AtomicPtr<()>,
    /// System calls, for statistics: counted by the entry stub.
    pub(crate) system_calls: Private<AtomicU64>,
    /// How interrupts and pokes address this processor.
    pub apic_id: u32,
    /// Set by the processor itself when it takes interrupts.
    pub online: AtomicBool,
    /// The page-fault entry is in use: a fault inside it is a bug, and named as such.
    pub(crate) in_page_fault_entry: AtomicBool,
    /// Frames with which holes in kernel stacks are filled.
    pub reserve: Reserve,
    /// Where vector registers are while the kernel uses them.
    pub(crate) put_away: PutAway,
    /// Descriptor tables.
    pub(crate) tables: Tables,
}

impl CpuState {
    /// The state of a processor that has not started yet.
    pub fn new(apic_id: u32) -> CpuState {
        CpuState {
            this: AtomicPtr::new(core::ptr::null_mut()),
            kernel_stack_top: Private::<AtomicU64>::new(0),
            user_rsp: Private::<AtomicU64>::new(0),
            kernel_stack_bottom: Private::<AtomicU64>::new(0),
            landing_below: Private::<AtomicU64>::new(0),
            asynchronous: AtomicPtr::new(core::ptr::null_mut()),
            thread: AtomicPtr::new(core::ptr::null_mut()),
            system_calls: Private::<AtomicU64>::new(0),
            apic_id,
            online: AtomicBool::new(false),
            in_page_fault_entry: AtomicBool::new(false),
            reserve: Reserve::new(),
            put_away: PutAway::new(),
            tables: Tables::new(),
        }
    }
}

impl CpuState {
    /// Says what runs on the current processor from now on: the thread, in whatever form the layer
    /// above gives it, and its word of asynchronous work. Null for neither.
    ///
    /// # Safety
    ///
    /// Called on the processor itself, at a level at which nobody preempts. What the pointers lead to
    /// lives until others have taken their place.
    pub unsafe fn set_thread(&self, thread: *mut (), asynchronous: *mut AtomicU32) {
        self.thread.store(thread, Ordering::Relaxed);
        self.asynchronous.store(asynchronous, Ordering::Relaxed);
    }

    /// The running thread, as [`CpuState::set_thread`] had it.
    pub fn thread(&self) -> *mut () {
        self.thread.load(Ordering::Relaxed)
    }

    /// System calls that have been made here.
    pub fn system_calls(&self) -> u64 {
        self.system_calls.get()
    }

    /// What [`CpuState::thread`] says on the caller's processor. One instruction: wherever the caller runs, it is its
    /// own thread there.
    #[inline]
    pub fn own_thread() -> *mut () {
        const THREAD: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, thread);
        let thread: *mut ();
        // SAFETY: one read of a word of the current processor's.
        unsafe {
            core::arch::asm!("mov {}, gs:[{}]", out(reg) thread, const THREAD,
                options(readonly, nostack, preserves_flags));
        }
        thread
    }
}
