//! Finding what a path leads to.

use crate::path::{Component, Path, component};
use crate::{Kind, NodeId, Tree};
use abi::errno::Errno;

/// Where a path ends: a folder, and what is to be looked for in it.
#[derive(Clone, Copy, Debug)]
pub struct Last<'p> {
    /// The folder.
    pub folder: NodeId,
    /// The last component; none if the path is `/`.
    pub component: Option<Component<'p>>,
    /// It ends with a slash.
    pub wants_folder: bool,
}

impl<C> Tree<C> {
    /// What a path leads to, from a folder. No path leads to nothing: an empty one is `ENOENT`.
    pub fn find(&self, from: NodeId, path: &[u8]) -> Result<NodeId, Errno> {
        let last = self.find_last(from, path)?;
        let found = self.find_in(&last)?;
        if last.wants_folder {
            self.expect_folder(found)?;
        }
        Ok(found)
    }

    /// The folder in which the last component of a path is to be looked for, which need not be there.
    pub fn find_last<'p>(&self, from: NodeId, path: &'p [u8]) -> Result<Last<'p>, Errno> {
        let mut path = Path::new(path)?;
        let wants_folder = path.wants_folder;
        let mut folder = if path.is_absolute { NodeId::ROOT } else { from };
        while let Some((bytes, is_last)) = path.take_first() {
            self.expect_folder(folder)?;
            let component = component(bytes)?;
            if is_last {
                return Ok(Last { folder, component: Some(component), wants_folder });
            }
            folder = self.step(folder, component)?;
        }
        Ok(Last { folder, component: None, wants_folder })
    }

    /// What is there.
    pub(crate) fn find_in(&self, last: &Last<'_>) -> Result<NodeId, Errno> {
        match last.component {
            Some(component) => self.step(last.folder, component),
            None => Ok(last.folder),
        }
    }

    fn step(&self, folder: NodeId, component: Component<'_>) -> Result<NodeId, Errno> {
        match component {
            Component::Same => Ok(folder),
            Component::Up if folder == NodeId::ROOT => Ok(NodeId::ROOT),
            // From a folder that has been removed no way leads up.
            Component::Up => self.nodes.at(folder).parent.ok_or(Errno::ENOENT),
            Component::Name(name) => self.nodes.child(folder, name).ok_or(Errno::ENOENT),
        }
    }

    pub(crate) fn is_folder(&self, id: NodeId) -> bool {
        self.nodes.at(id).kind == Kind::Folder
    }

    pub(crate) fn expect_folder(&self, id: NodeId) -> Result<(), Errno> {
        if self.is_folder(id) { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// Whether a node is a folder or in it, at any depth.
    pub(crate) fn is_within(&self, id: NodeId, folder: NodeId) -> bool {
        core::iter::successors(Some(id), |at| self.nodes.at(*at).parent).any(|at| at == folder)
    }
}
