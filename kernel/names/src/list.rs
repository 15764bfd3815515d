//! What is in a folder, one name after the other, while names come and go; and the path of a folder.
//!
//! Each name of a folder has a cookie that no other one has had before, and the order is that of the cookies. So who
//! goes on behind a cookie finds each name that was there all the time exactly once, whatever came or went meanwhile.

use crate::nodes::FIRST_COOKIE;
use crate::{Description, NodeId, Tree};
use abi::errno::Errno;

/// A name in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'t> {
    /// The name.
    pub name: &'t [u8],
    /// What has it.
    pub description: Description,
    /// Where to go on.
    pub next: u64,
}

impl<C> Tree<C> {
    /// The first entry of a folder at or behind a place; 0 is the beginning. A folder that has been removed has none.
    pub fn entry(&self, folder: NodeId, place: u64) -> Option<Entry<'_>> {
        if !self.has_name(folder) {
            return None;
        }
        let (name, id, next) = match place {
            0 => (&b"."[..], folder, 1),
            1 => (&b".."[..], self.nodes.at(folder).parent.unwrap_or(folder), FIRST_COOKIE),
            _ => {
                let child = self
                    .nodes
                    .children(folder)
                    .find(|child| self.nodes.at(*child).cookie >= place)?;
                let node = self.nodes.at(child);
                (&node.name[..], child, node.cookie + 1)
            }
        };
        Some(Entry { name, description: self.describe(id), next })
    }

    /// Whether a folder has no names.
    pub fn is_empty_folder(&self, folder: NodeId) -> bool {
        self.nodes.at(folder).first.is_none()
    }

    /// Writes the path of a folder to the end of a buffer, without a null byte; returns where it begins. `ERANGE`: it is
    /// too long; `ENOENT`: the folder has been removed, or one above it.
    pub fn path_of(&self, folder: NodeId, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut start = buffer.len();
        let mut put = |bytes: &[u8]| {
            let to = start.checked_sub(bytes.len()).ok_or(Errno::ERANGE)?;
            buffer[to..start].copy_from_slice(bytes);
            start = to;
            Ok(())
        };
        let mut at = folder;
        if at == NodeId::ROOT {
            put(b"/")?;
        }
        while at != NodeId::ROOT {
            let node = self.nodes.at(at);
            put(&node.name)?;
            put(b"/")?;
            at = node.parent.ok_or(Errno::ENOENT)?;
        }
        Ok(start)
    }
}
