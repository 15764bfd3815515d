//! How a run of the machine ends, as seen from outside: the value written to the debug-exit device.
//!
//! QEMU's `isa-debug-exit` device at [`DEBUG_EXIT_PORT`] ends QEMU with status `2 * value + 1`, so
//! a value has seven bits, and status 0 cannot be had. A program's own status (8 bits) travels on
//! the report channel (crate `report`); the host tool joins the two.

/// I/O port of QEMU's `isa-debug-exit` device.
pub const DEBUG_EXIT_PORT: u16 = 0xf4;

/// I/O port of QEMU's `isa-debugcon` device, which carries the report channel.
pub const REPORT_PORT: u16 = 0xe9;

macro_rules! endings {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// The ways in which a run can end. The number is what is written to the device.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Ending {
            $($(#[$doc])* $name = $value,)*
        }

        impl Ending {
            /// Every ending, in the order of the values.
            pub const ALL: &'static [Ending] = &[$(Ending::$name),*];

            /// One line for a person.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Ending::$name => $text,)*
                }
            }
        }
    };
}

endings! {
    /// The program that was asked for has ended; its status is on the report channel.
    ProgramEnded = 0x10, "the program ended";
    /// The in-kernel checks that were asked for have run; their results are on the report channel.
    ChecksEnded = 0x11, "the checks ended";
    /// Somebody chose to switch off.
    PoweredOff = 0x12, "switched off";

    /// The kernel panicked and said why.
    KernelPanic = 0x20, "kernel panic";
    /// The kernel panicked again while it was saying why.
    PanicInPanic = 0x21, "a second kernel panic inside the first";

    /// No ramdisk was passed.
    NoRamdisk = 0x30, "no ramdisk";
    /// The ramdisk is not a tar archive, or ends in the middle of a file.
    CorruptRamdisk = 0x31, "corrupt ramdisk";
    /// The ramdisk has no kernel.
    NoKernel = 0x32, "no kernel in the ramdisk";
    /// The kernel's ELF file ends before its own tables or segments do.
    TruncatedKernel = 0x33, "truncated kernel ELF";
    /// The kernel's ELF file is for another machine, class or byte order.
    WrongMachineKernel = 0x34, "kernel ELF for another machine";
    /// The kernel's ELF file is damaged in another way, or asks for what the loader cannot do.
    BadKernel = 0x35, "unusable kernel ELF";
    /// The machine has less memory than the system needs.
    TooLittleMemory = 0x36, "too little memory";
    /// The boot protocol handed over something that the loader cannot use.
    BadStartInfo = 0x37, "unusable start information";

    /// The command line has an unknown option, or a known one with a bad value.
    BadOption = 0x40, "bad boot option";
    /// No ACPI tables: processors and interrupt routing are unknown.
    NoAcpi = 0x41, "no ACPI tables";
    /// The processor lacks something that the kernel cannot do without.
    UnsuitableProcessor = 0x42, "unsuitable processor";
    /// The program that was asked for is not in the archive.
    NoSuchProgram = 0x43, "no such program";
    /// The program that was asked for is not an ELF file that this kernel can run.
    BadProgram = 0x44, "the program cannot be run";
    /// There is no disk with programs, or nothing can be read from it.
    NoArchive = 0x45, "no archive with programs";
}

impl Ending {
    /// The status with which QEMU exits.
    pub const fn qemu_status(self) -> i32 {
        2 * self as i32 + 1
    }

    /// The ending behind a status of QEMU's, if it is one of these.
    pub fn from_qemu_status(status: i32) -> Option<Ending> {
        Self::ALL.iter().copied().find(|ending| ending.qemu_status() == status)
    }
}
