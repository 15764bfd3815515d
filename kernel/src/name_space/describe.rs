//! What a file is, as programs hear it: Linux's `struct stat`, and `struct statx` made from it.
//!
//! Times are since the system started, and those of reading are not kept. Everything belongs to the only user.

use super::Content;
use crate::files::devices;
use crate::user_structure::Plain;
use abi::files::{S_IFCHR, S_IFDIR, S_IFREG, Stat};
use abi::folders::{S_ISVTX, STATX_BASIC_STATS, Statx, StatxTime};
use names::{Description, Kind, NodeId, Tree};
use vm::PAGE_SIZE;

/// Bytes of the unit in which [`Stat::blocks`] counts.
const BLOCK: u64 = 512;

/// Describes a node.
pub fn describe(tree: &Tree<Content>, node: NodeId) -> Stat {
    describe_as(&tree.describe(node), tree.content(node))
}

fn describe_as(description: &Description, content: Option<&Content>) -> Stat {
    let mut stat = Stat {
        device: u64::from(description.volume.number),
        number: description.number,
        links: u64::from(description.links),
        mode: mode(description, content),
        block: PAGE_SIZE as i64,
        ..Stat::default()
    };
    let (mut length, mut blocks) = (0, 0);
    match content {
        None => {}
        Some(Content::Program(file)) => {
            length = file.length();
            blocks = length.div_ceil(PAGE_SIZE) * (PAGE_SIZE / BLOCK);
        }
        Some(Content::Device(device)) => stat.special = devices::number(*device),
        Some(Content::File(contents)) => {
            length = contents.length();
            blocks = contents.pages() * (PAGE_SIZE / BLOCK);
        }
    }
    (stat.length, stat.blocks) = (length as i64, blocks as i64);
    let made = time(description.made);
    (stat.accessed, stat.modified, stat.changed) = (made, made, made);
    if let Some(Content::File(contents)) = content {
        stat.modified = time(contents.changed());
        stat.changed = stat.modified;
    }
    stat
}

/// What it is, and who may do what: what cannot be done at all nobody may.
fn mode(description: &Description, content: Option<&Content>) -> u32 {
    match (description.kind, content) {
        (Kind::Folder, _) if description.volume.read_only => S_IFDIR | 0o555,
        (Kind::Folder, _) => S_IFDIR | S_ISVTX | 0o777,
        (_, Some(Content::Program(_))) => S_IFREG | 0o555,
        (_, Some(Content::Device(_))) => S_IFCHR | 0o666,
        _ => S_IFREG | 0o644,
    }
}

/// Nanoseconds as seconds and nanoseconds.
fn time(nanoseconds: u64) -> [i64; 2] {
    const SECOND: u64 = 1_000_000_000;
    [(nanoseconds / SECOND) as i64, (nanoseconds % SECOND) as i64]
}

/// The same for `statx`.
pub fn extended(stat: &Stat) -> Statx {
    let time = |[seconds, nanoseconds]: [i64; 2]| StatxTime {
        seconds,
        nanoseconds: nanoseconds as u32,
        ..StatxTime::default()
    };
    let numbers = |device: u64| [(device >> 8) as u32, (device & 0xff) as u32];
    Statx {
        mask: STATX_BASIC_STATS,
        block: stat.block as u32,
        links: stat.links as u32,
        user: stat.user,
        group: stat.group,
        mode: stat.mode as u16,
        number: stat.number,
        length: stat.length as u64,
        blocks: stat.blocks as u64,
        accessed: time(stat.accessed),
        changed: time(stat.changed),
        modified: time(stat.modified),
        special: numbers(stat.special),
        device: numbers(stat.device),
        ..Statx::ZEROS
    }
}

const NO_TIME: StatxTime = StatxTime { seconds: 0, nanoseconds: 0, reserved: 0 };

// SAFETY: `repr(C)`, integers only, of sizes that leave no gaps.
unsafe impl Plain for Statx {
    const ZEROS: Statx = Statx {
        mask: 0,
        block: 0,
        attributes: 0,
        links: 0,
        user: 0,
        group: 0,
        mode: 0,
        padding: 0,
        number: 0,
        length: 0,
        blocks: 0,
        attributes_mask: 0,
        accessed: NO_TIME,
        made: NO_TIME,
        changed: NO_TIME,
        modified: NO_TIME,
        special: [0; 2],
        device: [0; 2],
        reserved: [0; 14],
    };
}
