//! Error values of system calls, with Linux's numbers. A call returns `-value` in `rax`.

macro_rules! errnos {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        /// An error of a system call. The number is Linux's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Errno {
            $(#[doc = $text] $name = $value,)*
        }

        impl Errno {
            /// The error with this number, if it is one that this kernel returns.
            pub const fn from_number(number: u16) -> Option<Errno> {
                match number {
                    $($value => Some(Errno::$name),)*
                    _ => None,
                }
            }

            /// What went wrong, in words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Errno::$name => $text,)*
                }
            }
        }
    };
}

errnos! {
    ENOENT = 2, "no such file";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted";
    EIO = 5, "input or output failed";
    E2BIG = 7, "the arguments are too long";
    ENOEXEC = 8, "not a program that can be run";
    EBADF = 9, "bad file descriptor";
    ECHILD = 10, "no such child";
    EAGAIN = 11, "not now";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "not permitted";
    EFAULT = 14, "bad address";
    EEXIST = 17, "it is there already";
    EINVAL = 22, "invalid argument";
    EMFILE = 24, "too many open files";
    ENOSYS = 38, "no such system call";
}

/// The largest error number; `-MAX..=-1` in `rax` is an error, everything else a result.
pub const MAX: u16 = 4095;
