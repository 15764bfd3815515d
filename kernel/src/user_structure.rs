//! Structures of the program's, by their bytes: reading them from user memory and writing them there.

use abi::activations::{SaAreas, SaLibrary, SaStack};
use abi::calls::{TimeSpec, TimerEvent, TimerTimes};
use abi::errno::Errno;
use abi::files::{IoVec, PollFd, Stat};
use abi::observe::{ObserveChange, ObserveEvent};
use abi::signals::{SigAction, SigFrame, SigInfo, SigStack, UserContext};
use abi::statistics::{LwpInfo, ProcessInfo, ProcessorInfo, TrapRecord, Words};
use abi::terminals::{Termios, WindowSize};
use machine::MayFault;
use machine::x86_64::user_copy;

/// The bytes of a structure that is made of integers without gaps.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    let start = core::ptr::from_ref(value).cast();
    // SAFETY: `Plain`: every byte of it is initialised.
    unsafe { core::slice::from_raw_parts(start, size_of::<T>()) }
}

/// Reads such a structure from user memory.
pub fn copy_in<T: Plain>(address: u64, may_fault: &mut MayFault) -> Result<T, Errno> {
    let mut value = T::ZEROS;
    let start = core::ptr::from_mut(&mut value).cast();
    // SAFETY: `Plain`: whatever bytes it has, it is a value of its type.
    let bytes = unsafe { core::slice::from_raw_parts_mut(start, size_of::<T>()) };
    user_copy::copy_in(bytes, address, may_fault).map_err(|_| Errno::EFAULT)?;
    Ok(value)
}

/// Writes such a structure to user memory.
pub fn copy_out<T: Plain>(address: u64, value: &T, may_fault: &mut MayFault) -> Result<(), Errno> {
    user_copy::copy_out(address, bytes_of(value), may_fault).map_err(|_| Errno::EFAULT)
}

/// A structure that is made of integers.
///
/// # Safety
///
/// `repr(C)`, of integers, without gaps between them.
pub unsafe trait Plain: Copy {
    /// All its integers are 0.
    const ZEROS: Self;
}

macro_rules! plain {
    ($($type:ty = $zeros:expr;)*) => {
        $(
            // SAFETY: `repr(C)`, integers only, sizes that leave no gaps: see `abi`.
            unsafe impl Plain for $type {
                const ZEROS: Self = $zeros;
            }
        )*
    };
}

const NO_STACK: SigStack = SigStack { base: 0, flags: 0, padding: 0, size: 0 };
const NO_INFORMATION: SigInfo =
    SigInfo { signal: 0, error: 0, code: 0, padding: 0, fields: [0; 14] };
const NO_CONTEXT: UserContext = UserContext {
    flags: 0,
    link: 0,
    stack: NO_STACK,
    registers: [0; 18],
    segments: [0; 4],
    error: 0,
    trap: 0,
    old_mask: 0,
    fault_address: 0,
    fpu: 0,
    reserved: [0; 8],
    mask: 0,
};
const NO_STATUS: Stat = Stat {
    device: 0,
    number: 0,
    links: 0,
    mode: 0,
    user: 0,
    group: 0,
    padding: 0,
    special: 0,
    length: 0,
    block: 0,
    blocks: 0,
    accessed: [0; 2],
    modified: [0; 2],
    changed: [0; 2],
    reserved: [0; 3],
};
const NO_EVENT: ObserveEvent = ObserveEvent {
    kind: 0,
    signal: 0,
    process: 0,
    lwp: 0,
    number: 0,
    arguments: [0; 6],
    result: 0,
    time: 0,
    in_calls: 0,
};
plain! {
    u32 = 0;
    i32 = 0;
    u64 = 0;
    i64 = 0;
    [u64; 2] = [0; 2];
    [u64; 4] = [0; 4];
    [u64; 18] = [0; 18];
    SigAction = SigAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    SaLibrary = SaLibrary {
        entry: 0,
        scheduler_start: 0,
        scheduler_end: 0,
        processors: 0,
        stacks: 0,
        slots: 0,
        flags: 0,
    };
    SaAreas = SaAreas { header: 0, processors: 0, upcalls: 0, slots: 0 };
    SaStack = SaStack { base: 0, size: 0 };
    SigStack = NO_STACK;
    SigInfo = NO_INFORMATION;
    UserContext = NO_CONTEXT;
    SigFrame = SigFrame { restorer: 0, context: NO_CONTEXT, information: NO_INFORMATION };
    TimeSpec = TimeSpec { seconds: 0, nanoseconds: 0 };
    TimerEvent = TimerEvent { value: 0, signal: 0, notify: 0, rest: [0; 6] };
    TimerTimes = TimerTimes {
        interval: TimeSpec { seconds: 0, nanoseconds: 0 },
        value: TimeSpec { seconds: 0, nanoseconds: 0 },
    };
    IoVec = IoVec { address: 0, length: 0 };
    PollFd = PollFd { fd: 0, events: 0, found: 0 };
    [i32; 2] = [0; 2];
    ProcessorInfo = ProcessorInfo::NOTHING;
    Stat = NO_STATUS;
    Termios = Termios { input: 0, output: 0, control: 0, local: 0, line: 0, characters: [0; 19] };
    WindowSize = WindowSize { rows: 0, columns: 0, pixels: [0; 2] };
    ObserveEvent = NO_EVENT;
    ObserveChange = ObserveChange { number: 0, arguments: [0; 6], result: 0 };
    LwpInfo = <LwpInfo as Words>::ZEROS;
    ProcessInfo = <ProcessInfo as Words>::ZEROS;
    TrapRecord = <TrapRecord as Words>::ZEROS;
}
