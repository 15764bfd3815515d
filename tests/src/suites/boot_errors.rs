//! Boots that cannot succeed: each has a status of its own, and one line says what is wrong.

use abi::ending::Ending;

use crate::damage::Damage;
use crate::scenario::{Scenario, Want};

/// Options that the kernel must refuse, naming them.
const BAD_OPTIONS: [(&str, &str); 18] = [
    ("check", "check=nonsense"),
    ("log", "log=nonsense"),
    ("unknown", "nonsense=1"),
    ("empty-value", "log="),
    ("panic", "panic=nonsense"),
    ("no-value", "nonsense="),
    ("trace", "trace=nonsense"),
    ("trace-dump", "trace-dump=2"),
    ("collapse", "collapse=maybe"),
    ("maps", "maps=1"),
    ("no-such-bug-here", "bug=cow-2019"),
    ("no-cpus", "cpus=0"),
    ("too-many-cpus", "cpus=65"),
    ("cpus-in-words", "cpus=two"),
    ("no-scale", "scale=0"),
    ("too-much-scale", "scale=1000001"),
    ("counted", "counted=yes"),
    ("bench", "bench=nonsense"),
];

/// Images that the loader must refuse.
const BAD_IMAGES: [(&str, Damage, Ending); 10] = [
    ("no-ramdisk", Damage::NoRamdisk, Ending::NoRamdisk),
    ("random-ramdisk", Damage::RandomRamdisk, Ending::CorruptRamdisk),
    ("truncated-ramdisk", Damage::TruncatedRamdisk, Ending::CorruptRamdisk),
    ("ragged-ramdisk", Damage::RaggedRamdisk, Ending::CorruptRamdisk),
    ("no-kernel", Damage::NoKernel, Ending::NoKernel),
    ("half-kernel", Damage::HalfKernel, Ending::TruncatedKernel),
    ("kernel-without-segments", Damage::KernelStump(100), Ending::TruncatedKernel),
    ("kernel-without-header", Damage::KernelStump(10), Ending::TruncatedKernel),
    ("empty-kernel", Damage::KernelStump(0), Ending::TruncatedKernel),
    ("kernel-for-arm", Damage::ArmKernel, Ending::WrongMachineKernel),
];

/// Images whose kernel is good and whose program is not.
const BAD_PROGRAMS: [(&str, Damage); 2] =
    [("truncated-program", Damage::TruncatedProgram), ("program-for-arm", Damage::ArmProgram)];

/// Disks on which no program can be found.
const BAD_ARCHIVES: [(&str, Damage, &str); 4] = [
    ("no-archive", Damage::NoArchive, "no virtio disk with the serial number 'archive'"),
    ("random-archive", Damage::RandomArchive, "holds no tar archive with programs"),
    ("truncated-archive", Damage::TruncatedArchive, "holds no tar archive with programs"),
    ("damaged-archive", Damage::DamagedArchive, "holds no tar archive with programs"),
];

/// MiB of memory with which nothing can be done.
const TOO_LITTLE: [u32; 2] = [8, 24];

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (name, option) in BAD_OPTIONS {
        let (key, _) = option.split_once('=').unwrap_or((option, ""));
        all.push(refused(name, "bad-option", Ending::BadOption).option(option).shows(&[key]));
    }
    for (name, damage, ending) in BAD_IMAGES {
        all.push(refused(name, "bad-image", ending).damage(damage).wants(only(ending)));
    }
    for (name, damage) in BAD_PROGRAMS {
        all.push(refused(name, "bad-program", Ending::BadProgram).damage(damage));
    }
    for (name, damage, why) in BAD_ARCHIVES {
        let ending = Ending::NoArchive;
        all.push(refused(name, "bad-archive", ending).damage(damage).shows(&[ending.text(), why]));
    }
    // The kernel's own checks need no program.
    let option = "check=context-switch";
    all.push(
        Scenario::new("boot-errors/bad-archive/checks-without-programs", &[])
            .option(option)
            .damage(Damage::NoArchive)
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed),
    );
    for memory in TOO_LITTLE {
        let ending = Ending::TooLittleMemory;
        all.push(refused(&format!("memory-{memory}M"), "machine", ending).memory(memory));
    }
    all.push(refused("no-acpi", "machine", Ending::NoAcpi).without_acpi());
    all
}

/// A boot of `hello` that is refused: exactly one line says why, and the program never runs.
fn refused(name: &str, group: &str, ending: Ending) -> Scenario {
    Scenario::new(format!("boot-errors/{group}/{name}"), &["hello"])
        .ends(ending)
        .wants(Want::OneLine(ending.text().to_owned()))
        .wants(Want::Nowhere("Hello from user mode".to_owned()))
}

/// The loader has nothing else to say.
fn only(ending: Ending) -> Want {
    Want::OnlyLine(ending.text().to_owned())
}
