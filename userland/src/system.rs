//! The system calls.
//!
//! [`raw`] has one function per entry of the table in `abi::calls`, made from that table; a call's
//! effect on memory is the caller's to answer for. Around them are wrappers that any program may
//! use.

use abi::calls::{Counter, TimeSpec};
use abi::errno::Errno;
use core::str;

/// One function per system call, with the table's names and arguments.
pub mod raw {
    use abi::errno::{self, Errno};
    use core::arch::asm;

    /// What fits into a register.
    trait IntoRegister {
        fn into_register(self) -> u64;
    }

    macro_rules! into_register {
        ($($type:ty),*) => {
            $(impl IntoRegister for $type {
                #[inline(always)]
                fn into_register(self) -> u64 {
                    self as u64
                }
            })*
        };
    }
    into_register!(i32, u32, i64, u64, usize);

    impl<T> IntoRegister for *const T {
        #[inline(always)]
        fn into_register(self) -> u64 {
            self as u64
        }
    }

    impl<T> IntoRegister for *mut T {
        #[inline(always)]
        fn into_register(self) -> u64 {
            self as u64
        }
    }

    /// The meaning of a call's result.
    #[inline(always)]
    fn result(value: u64) -> Result<u64, Errno> {
        let error = value.wrapping_neg();
        if error.wrapping_sub(1) < u64::from(errno::MAX) { Err(known(error)) } else { Ok(value) }
    }

    #[cold]
    fn known(error: u64) -> Errno {
        match Errno::from_number(error as u16) {
            Some(errno) => errno,
            None => panic!("the kernel answers with error {error}, which nobody has defined"),
        }
    }

    /// Gives each argument its register, one after the other, and then makes the call.
    macro_rules! syscall {
        ($number:expr, $($argument:ident)*) => {
            syscall!(@next $number, ["rdi" "rsi" "rdx" "r10" "r8" "r9"] [$($argument)*] [])
        };
        (@next $number:expr, [$register:tt $($registers:tt)*]
            [$argument:ident $($arguments:ident)*] [$($placed:tt)*]) => {
            syscall!(@next $number, [$($registers)*] [$($arguments)*]
                [$($placed)* in($register) $argument.into_register(),])
        };
        (@next $number:expr, [$($registers:tt)*] [] [$($placed:tt)*]) => {{
            let value: u64;
            // SAFETY: the call changes `rax`, `rcx`, `r11`, and memory only as its caller, who has
            // promised that it may, asks it to. It does not use the program's stack.
            unsafe {
                asm!(
                    "syscall",
                    inlateout("rax") $number => value,
                    $($placed)*
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack),
                )
            };
            result(value)
        }};
    }

    macro_rules! stubs {
        ($($number:literal $name:ident($($argument:ident: $type:ty),*)
            $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
            $(stub!([$($rest)*] $number $name($($argument: $type),*) $text);)*
        };
    }

    /// One stub; those of calls with two results give both.
    macro_rules! stub {
        ([calls TWO_RESULTS] $number:literal $name:ident() $text:literal) => {
            #[doc = $text]
            #[inline(always)]
            pub fn $name() -> (u64, u64) {
                let (first, second);
                // SAFETY: the call changes these registers only, and no memory.
                unsafe {
                    asm!(
                        "syscall",
                        inlateout("rax") $number as u64 => first,
                        lateout("rdx") second,
                        lateout("rcx") _,
                        lateout("r11") _,
                        options(nostack),
                    )
                };
                (first, second)
            }
        };
        ([$($flag:ident)*] $number:literal $name:ident($($argument:ident: $type:ty),*) $text:literal) => {
            #[doc = $text]
            ///
            /// # Safety
            ///
            /// Memory that the call writes to is the caller's to change. (Memory that the
            /// kernel cannot reach is no danger: the call fails.)
            #[inline(always)]
            pub unsafe fn $name($($argument: $type),*) -> Result<u64, Errno> {
                syscall!($number as u64, $($argument)*)
            }
        };
    }
    abi::system_calls!(stubs);

    /// Makes the call with this number and these three registers, whatever they mean to it.
    ///
    /// # Safety
    ///
    /// If there is such a call: as for its own function.
    pub unsafe fn any(number: u64, first: u64, second: u64, third: u64) -> Result<u64, Errno> {
        let value: u64;
        // SAFETY: as in the stubs.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => value,
                in("rdi") first,
                in("rsi") second,
                in("rdx") third,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            )
        };
        result(value)
    }
}

/// Writes bytes to a file descriptor; returns how many were written.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::write(fd, bytes.as_ptr(), bytes.len()) }.map(|written| written as usize)
}

/// The number of this process.
pub fn getpid() -> u64 {
    // SAFETY: the call writes to no memory.
    unsafe { raw::getpid() }.expect("getpid does not fail")
}

/// Lets other threads of the same priority run first.
pub fn sched_yield() {
    // SAFETY: the call writes to no memory.
    unsafe { raw::sched_yield() }.expect("sched_yield does not fail");
}

/// Ends this process; the low eight bits are its status.
pub fn exit_group(status: i32) -> ! {
    // SAFETY: the call writes to no memory.
    let result = unsafe { raw::exit_group(status) };
    unreachable!("exit_group returned {result:?}")
}

/// Ends this LWP; the last one ends the process.
pub fn exit(status: i32) -> ! {
    // SAFETY: the call writes to no memory.
    let result = unsafe { raw::exit(status) };
    unreachable!("exit returned {result:?}")
}

/// Linux's `struct utsname`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SystemName {
    system: [u8; 65],
    node: [u8; 65],
    release: [u8; 65],
    version: [u8; 65],
    machine: [u8; 65],
    domain: [u8; 65],
}

/// A field up to its null byte.
fn field(bytes: &[u8]) -> &str {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    str::from_utf8(text).unwrap_or_default()
}

impl SystemName {
    /// The system's name.
    pub fn system(&self) -> &str {
        field(&self.system)
    }

    /// The kernel's release number.
    pub fn release(&self) -> &str {
        field(&self.release)
    }

    /// The kind of machine.
    pub fn machine(&self) -> &str {
        field(&self.machine)
    }
}

/// Name and version of the system.
pub fn uname() -> SystemName {
    const NOTHING: [u8; 65] = [0; 65];
    let mut name = SystemName {
        system: NOTHING,
        node: NOTHING,
        release: NOTHING,
        version: NOTHING,
        machine: NOTHING,
        domain: NOTHING,
    };
    // SAFETY: the call fills the structure, which is as Linux has it.
    unsafe { raw::uname((&raw mut name).cast()) }.expect("uname fills a structure that is there");
    name
}

/// The time since boot.
pub fn monotonic_time() -> TimeSpec {
    const MONOTONIC: i32 = 1;
    let mut time = TimeSpec::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::clock_gettime(MONOTONIC, &raw mut time) }.expect("there is a monotonic clock");
    time
}

/// Reads one of the kernel's counters.
pub fn counter(which: Counter) -> u64 {
    // SAFETY: the call writes to no memory.
    unsafe { raw::counter(which as u32) }.expect("the kernel has every counter of the table")
}

/// Puts one line on the report channel.
pub fn report(line: &str) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::report(line.as_ptr(), line.len()) }.map(drop)
}
