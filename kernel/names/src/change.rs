//! Making, removing and renaming.

use crate::nodes::{Node, Position};
use crate::path::Component;
use crate::walk::Last;
use crate::{Kind, NodeId, Tree, Volume};
use abi::errno::Errno;

/// What opening a path came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileToOpen {
    /// It was there.
    Found(NodeId),
    /// It has been made.
    Made(NodeId),
}

impl<C> Tree<C> {
    /// The file, or whatever has that name, that a path leads to; made if there is none. `content` says what is in it.
    pub fn find_or_make_file(
        &mut self,
        from: NodeId,
        path: &[u8],
        exclusive: bool,
        made: u64,
        content: impl FnOnce() -> Result<C, Errno>,
    ) -> Result<FileToOpen, Errno> {
        let last = self.find_last(from, path)?;
        let Some(Component::Name(name)) = last.component else { return Err(Errno::EISDIR) };
        if last.wants_folder {
            return Err(Errno::EISDIR);
        }
        match self.nodes.child(last.folder, name) {
            Some(_) if exclusive => Err(Errno::EEXIST),
            Some(found) => Ok(FileToOpen::Found(found)),
            None => {
                self.expect_writable(last.folder)?;
                let volume = self.nodes.at(last.folder).volume;
                let node = Node::new(Kind::File, volume, made);
                self.add(last.folder, name, node, || content().map(Some)).map(FileToOpen::Made)
            }
        }
    }

    /// Makes a folder.
    pub fn make_folder(&mut self, from: NodeId, path: &[u8], made: u64) -> Result<NodeId, Errno> {
        let last = self.find_last(from, path)?;
        let Some(Component::Name(name)) = last.component else { return Err(Errno::EEXIST) };
        if self.nodes.child(last.folder, name).is_some() {
            return Err(Errno::EEXIST);
        }
        self.expect_writable(last.folder)?;
        let volume = self.nodes.at(last.folder).volume;
        self.add(last.folder, name, Node::new(Kind::Folder, volume, made), || Ok(None))
    }

    /// For who makes the system's names: a folder that may be a volume of its own, or with `content` something else,
    /// also where programs could not make it.
    pub fn install(
        &mut self,
        folder: NodeId,
        name: &[u8],
        kind: Kind,
        volume: Volume,
        content: Option<C>,
    ) -> Result<NodeId, Errno> {
        debug_assert!((kind == Kind::Folder) == content.is_none(), "folders have no value");
        if self.nodes.child(folder, name).is_some() {
            return Err(Errno::EEXIST);
        }
        self.add(folder, name, Node::new(kind, volume, 0), || Ok(content))
    }

    /// Takes the name of a file away. If nobody uses it, its value comes back.
    pub fn remove_file(&mut self, from: NodeId, path: &[u8]) -> Result<Option<C>, Errno> {
        let last = self.find_last(from, path)?;
        let Some(Component::Name(name)) = last.component else { return Err(Errno::EISDIR) };
        self.expect_changeable(last.folder)?;
        let node = self.nodes.child(last.folder, name).ok_or(Errno::ENOENT)?;
        if self.is_folder(node) {
            return Err(Errno::EISDIR);
        }
        if last.wants_folder {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.remove_name(node).1)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, from: NodeId, path: &[u8]) -> Result<(), Errno> {
        let last = self.find_last(from, path)?;
        let name = match last.component {
            Some(Component::Name(name)) => name,
            Some(Component::Same) => return Err(Errno::EINVAL),
            Some(Component::Up) => return Err(Errno::ENOTEMPTY),
            None => return Err(Errno::EBUSY),
        };
        self.expect_changeable(last.folder)?;
        let node = self.nodes.child(last.folder, name).ok_or(Errno::ENOENT)?;
        self.expect_folder(node)?;
        if self.nodes.at(node).first.is_some() {
            return Err(Errno::ENOTEMPTY);
        }
        self.expect_same_volume(node, last.folder)?;
        self.remove_name(node);
        Ok(())
    }

    /// Gives what a path leads to the name of another path, in place of what has that name. If that was a file which
    /// nobody uses, its value comes back.
    pub fn rename(
        &mut self,
        from: (NodeId, &[u8]),
        to: (NodeId, &[u8]),
    ) -> Result<Option<C>, Errno> {
        let old = self.find_last(from.0, from.1)?;
        let new = self.find_last(to.0, to.1)?;
        if self.nodes.at(old.folder).volume != self.nodes.at(new.folder).volume {
            return Err(Errno::EXDEV);
        }
        let (Some(Component::Name(old_name)), Some(Component::Name(new_name))) =
            (old.component, new.component)
        else {
            return Err(Errno::EBUSY);
        };
        self.expect_changeable(old.folder)?;
        let node = self.nodes.child(old.folder, old_name).ok_or(Errno::ENOENT)?;
        let replaced = self.nodes.child(new.folder, new_name);
        if !self.is_folder(node) && (old.wants_folder || new.wants_folder) {
            return Err(Errno::ENOTDIR);
        }
        if self.is_within(new.folder, node) {
            return Err(Errno::EINVAL);
        }
        if let Some(replaced) = replaced {
            self.check_replaced(node, replaced, &old)?;
        }
        if replaced == Some(node) {
            return Ok(None);
        }
        self.expect_writable(new.folder)?;
        self.expect_same_volume(node, old.folder)?;
        // The old name goes when the new one comes.
        let instead = old_name.len() + replaced.map_or(0, |_| new_name.len());
        let name = self.nodes.copy_name(new_name, instead)?;
        self.nodes.unlink(node);
        // Who reads the folder meanwhile, and has not come there yet, finds this name once, as before.
        let (position, content) = match replaced {
            Some(replaced) => self.remove_name(replaced),
            None => (Position::End, None),
        };
        self.nodes.link(node, new.folder, name, position);
        Ok(content)
    }

    /// Whether a node may take the place of another one.
    fn check_replaced(&self, node: NodeId, other: NodeId, old: &Last<'_>) -> Result<(), Errno> {
        if other == node {
            return Ok(());
        }
        if self.is_within(old.folder, other) {
            return Err(Errno::ENOTEMPTY);
        }
        self.expect_same_volume(other, old.folder)?;
        match (self.is_folder(node), self.is_folder(other)) {
            (true, false) => Err(Errno::ENOTDIR),
            (false, true) => Err(Errno::EISDIR),
            (true, true) if self.nodes.at(other).first.is_some() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    /// Adds a node with a name.
    fn add(
        &mut self,
        folder: NodeId,
        name: &[u8],
        mut node: Node<C>,
        content: impl FnOnce() -> Result<Option<C>, Errno>,
    ) -> Result<NodeId, Errno> {
        self.nodes.reserve()?;
        let name = self.nodes.copy_name(name, 0)?;
        node.content = content()?;
        let id = self.nodes.make(node)?;
        self.nodes.link(id, folder, name, Position::End);
        Ok(id)
    }

    /// Takes a name away. Says where it was, and gives the value if nobody uses the node.
    fn remove_name(&mut self, node: NodeId) -> (Position, Option<C>) {
        let position = self.nodes.unlink(node);
        (position, self.drop_unused(node))
    }

    /// Names of a folder may go.
    fn expect_changeable(&self, folder: NodeId) -> Result<(), Errno> {
        if self.nodes.at(folder).volume.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// New ones may come: not into a folder that has been removed.
    fn expect_writable(&self, folder: NodeId) -> Result<(), Errno> {
        self.expect_changeable(folder)?;
        if self.has_name(folder) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// The top of a volume stays where it is.
    fn expect_same_volume(&self, node: NodeId, folder: NodeId) -> Result<(), Errno> {
        let same = self.nodes.at(node).volume == self.nodes.at(folder).volume;
        if same { Ok(()) } else { Err(Errno::EBUSY) }
    }
}
