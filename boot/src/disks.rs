//! The disks of the machine to emulate.
//!
//! There are two: the archive with the programs, read-only, and an empty one to swap to, which forgets what
//! was written to it when the run is over.

use std::path::Path;
use std::str::FromStr;

use anyhow::Result;

use crate::qemu::{Memory, Pace, escaped};

/// Length of the swap disk, in MiB; 0: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Swap(pub u32);

impl Swap {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl std::fmt::Display for Swap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 { f.write_str("0") } else { Memory(self.0).fmt(f) }
    }
}

impl FromStr for Swap {
    type Err = String;

    fn from_str(text: &str) -> Result<Swap, String> {
        if text == "0" { Ok(Swap(0)) } else { text.parse().map(|Memory(size)| Swap(size)) }
    }
}

/// A virtio block device. The kernel knows it by its name, which is its serial number too.
pub(crate) struct Disk<'a> {
    name: &'static str,
    /// The device's number on the first bus.
    slot: u8,
    path: &'a Path,
    writable: bool,
}

impl Disk<'_> {
    /// With the programs.
    pub(crate) fn archive(path: &Path) -> Disk<'_> {
        Disk { name: "archive", slot: 2, path, writable: false }
    }

    /// For what has no room in memory.
    pub(crate) fn swap(path: &Path) -> Disk<'_> {
        Disk { name: "swap", slot: 3, path, writable: true }
    }

    /// QEMU's arguments.
    ///
    /// A request is begun by the processor that asks for it (`ioeventfd=off`), not by another thread
    /// of QEMU's some time later. When it is over is the host's affair all the same, and where
    /// instructions are counted nothing may be: there the disk has a second function, a disk of
    /// its own over the same content, which exists to be reset. QEMU answers a reset only when nothing
    /// is under way on that content (see the kernel's `disk/door.rs`).
    ///
    /// The content lies behind a throttle there, one that holds nothing back. QEMU's processors take turns, and
    /// whether a reset ends a turn depends on whether there was anything to wait for; with a throttle
    /// in between there always is.
    pub(crate) fn arguments(&self, pace: Pace) -> Result<Vec<String>> {
        let Disk { name, slot, path, writable } = *self;
        let counted = pace == Pace::Counted;
        let mut words = Vec::new();
        let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
        let access = if writable { "read-only=off" } else { "read-only=on" };
        let content = if counted { format!("{name}-content") } else { name.to_owned() };
        // What the host loses when it crashes, nobody wants back.
        let file = format!(
            "driver=raw,node-name={content},{access},cache.no-flush=on,file.driver=file,file.filename={}",
            escaped(path)?
        );
        add("-blockdev", file);
        if counted {
            add("-object", format!("throttle-group,id={name}-throttle"));
            let throttle = format!("driver=throttle,throttle-group={name}-throttle");
            add("-blockdev", format!("{throttle},node-name={name},{access},file={content}"));
        }
        let function = |number: u8, serial: &str| {
            let mut text = format!(
                "virtio-blk-pci,drive={name},serial={serial},addr={slot:#x}.{number},disable-legacy=on,\
                 ioeventfd=off,num-queues=1,vectors=2,werror=report,rerror=report"
            );
            if counted {
                text += ",multifunction=on";
                text += if writable { ",share-rw=on" } else { "" };
            }
            text
        };
        add("-device", function(0, name));
        if counted {
            add("-device", function(1, "door"));
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, Swap};
    use crate::qemu::Pace;
    use std::path::Path;

    #[test]
    fn there_may_be_no_swap() {
        let read = |text: &str| text.parse::<Swap>();
        assert_eq!(read("0"), Ok(Swap(0)));
        assert_eq!(read("1G").map(Swap::bytes), Ok(1 << 30));
        assert!(read("-1").is_err() && read("").is_err());
        assert_eq!([Swap(0), Swap(64), Swap(2048)].map(|it| it.to_string()), ["0", "64M", "2G"]);
    }

    #[test]
    fn disks_have_a_door_where_instructions_are_counted() {
        let swap = Disk::swap(Path::new("/a,b"));
        let free = swap.arguments(Pace::Free).unwrap();
        assert!(free[1].contains("node-name=swap,read-only=off") && free[1].ends_with("=/a,,b"));
        assert!(free[3].contains("serial=swap,addr=0x3.0,disable-legacy=on"));
        assert_eq!(free.len(), 4);
        let counted = swap.arguments(Pace::Counted).unwrap();
        assert!(counted[5].contains("node-name=swap,read-only=off,file=swap-content"));
        assert!(counted[9].contains("drive=swap,serial=door,addr=0x3.1"));
        assert!(counted[9].ends_with("multifunction=on,share-rw=on"));
        let archive = Disk::archive(Path::new("/x")).arguments(Pace::Counted).unwrap();
        assert!(archive[5].contains("read-only=on") && !archive[9].contains("share-rw"));
    }
}
