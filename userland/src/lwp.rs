//! LWPs: the kernel's threads of this process. Their entry is a function with an argument; what it returns is the
//! status for who waits.

use crate::system::raw;
use abi::calls::TimeSpec;
use abi::errno::Errno;
use core::arch::naked_asm;
use core::ptr;

/// What an LWP does.
pub type Entry = extern "C" fn(argument: u64) -> u64;

/// Memory for a stack.
#[repr(align(16))]
pub struct Stack<const BYTES: usize>(core::cell::UnsafeCell<[u8; BYTES]>);

// SAFETY: only the LWP that runs on it touches it.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

impl<const BYTES: usize> Stack<BYTES> {
    /// One that is not in use.
    #[expect(clippy::new_without_default, reason = "a stack has no default size")]
    pub const fn new() -> Stack<BYTES> {
        Stack(core::cell::UnsafeCell::new([0; BYTES]))
    }

    /// The address behind it.
    pub fn top(&self) -> u64 {
        self.0.get() as u64 + BYTES as u64
    }
}

/// How an LWP is made.
#[derive(Clone, Copy, Default)]
pub struct Attributes {
    /// Its private pointer.
    pub private: u64,
    /// `abi::calls::LWP_…`.
    pub flags: u32,
}

/// Makes an LWP on a stack that ends at `top`; returns its number.
///
/// # Safety
///
/// Nobody else uses the stack until the LWP has ended.
pub unsafe fn create(
    top: u64,
    entry: Entry,
    argument: u64,
    attributes: Attributes,
) -> Result<u64, Errno> {
    let place = (top & !15) - 16;
    // SAFETY: the stack is the caller's to give.
    unsafe { (place as *mut u64).write(entry as usize as u64) };
    let start = begin as *const () as u64;
    // SAFETY: the LWP uses the stack that it is given.
    unsafe { raw::lwp_create(start, place, argument, attributes.private, attributes.flags) }
}

/// Where LWPs begin: the function's address lies at the stack pointer, the argument is in `rdi`.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "mov rax, [rsp]",
        "call rax",
        "mov rdi, rax",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        exit = const 0x1007,
    )
}

/// Waits for an LWP (0: any); returns number and status.
pub fn wait(lwp: u64) -> Result<(u64, u64), Errno> {
    let mut status = 0;
    // SAFETY: the status is the call's to write.
    unsafe { raw::lwp_wait(lwp, &raw mut status) }.map(|number| (number, status))
}

/// The number of the calling LWP.
pub fn own() -> u64 {
    raw::lwp_self().0
}

/// The private pointer of the calling LWP.
pub fn private() -> u64 {
    raw::lwp_self().1
}

/// Parks the calling LWP until it is unparked.
pub fn park() -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::lwp_park(ptr::null()) }.map(drop)
}

/// The same for so many nanoseconds at most.
pub fn park_for(nanoseconds: u64) -> Result<(), Errno> {
    let time = crate::clock::span(nanoseconds);
    // SAFETY: the call reads the structure.
    unsafe { raw::lwp_park(&raw const time) }.map(drop)
}

/// Unparks an LWP.
pub fn unpark(lwp: u64) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::lwp_unpark(lwp) }.map(drop)
}

/// Suspends an LWP.
pub fn suspend(lwp: u64) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::lwp_suspend(lwp) }.map(drop)
}

/// Lets a suspended LWP go on.
pub fn resume(lwp: u64) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::lwp_continue(lwp) }.map(drop)
}

/// Sleeps for so many nanoseconds.
pub fn sleep(nanoseconds: u64) -> Result<(), Errno> {
    let time: TimeSpec = crate::clock::span(nanoseconds);
    // SAFETY: the call reads the structure.
    unsafe { raw::nanosleep(&raw const time, ptr::null_mut()) }.map(drop)
}
