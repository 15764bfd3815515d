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

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name),)*
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
    EPERM = 1, "not allowed";
    ENOENT = 2, "no such file";
    ESRCH = 3, "no such process";
    EINTR = 4, "interrupted";
    EIO = 5, "input or output failed";
    ENXIO = 6, "no such device or processor";
    E2BIG = 7, "the arguments are too long";
    ENOEXEC = 8, "not a program that can be run";
    EBADF = 9, "bad file descriptor";
    ECHILD = 10, "no such child";
    EAGAIN = 11, "not now";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "not permitted";
    EFAULT = 14, "bad address";
    EBUSY = 16, "in use";
    EEXIST = 17, "it is there already";
    EXDEV = 18, "another file system";
    ENODEV = 19, "the device cannot do that";
    ENOTDIR = 20, "not a folder";
    EISDIR = 21, "a folder";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many open files in the system";
    EMFILE = 24, "too many open files";
    ENOTTY = 25, "not a terminal";
    EFBIG = 27, "too large for a file";
    ENOSPC = 28, "no space left";
    ESPIPE = 29, "it has no places to go to";
    EROFS = 30, "read-only file system";
    EPIPE = 32, "nobody reads the pipe";
    ERANGE = 34, "the buffer is too short";
    EDEADLK = 35, "it would wait for ever";
    ENAMETOOLONG = 36, "the name is too long";
    ENOSYS = 38, "no such system call";
    ENOTEMPTY = 39, "the folder is not empty";
    EOVERFLOW = 75, "too large a value";
    EOPNOTSUPP = 95, "not supported";
    ETIMEDOUT = 110, "the time is over";
}

/// The largest error number; `-MAX..=-1` in `rax` is an error, everything else a result.
pub const MAX: u16 = 4095;
