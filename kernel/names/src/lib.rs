//! A tree of names: folders, files and devices, and paths through them.
//!
//! The tree knows what things are called and where they are; what is in a file, and what a device does, is its users'
//! to know: a value of their type `C` belongs to each. So it does not sleep, and one lock around it is enough.
//!
//! | file | concept |
//! |---|---|
//! | this one | the tree; nodes and who uses them |
//! | `nodes.rs` | the table of nodes, and the lists that go through it |
//! | [`path`] | a path, name by name |
//! | `walk.rs` | finding what a path leads to |
//! | `change.rs` | making, removing, renaming |
//! | `list.rs` | what is in a folder; the path of a folder |
//!
//! # Rules
//!
//! 1. A node has one name at most: there are no links. One that has lost its name stays while somebody uses it
//!    ([`Tree::hold`]); with its last user it goes, and its value goes back to who let go of it.
//! 2. A [`NodeId`] is good while the node has a name and the tree has not been changed, or while somebody uses it.
//! 3. A call that fails has changed nothing.
//! 4. There is a limit to everything; whoever wants more hears `ENOSPC`. Want of memory is `ENOMEM`.
//! 5. Nothing recurs: a path is gone along, and up a tree leads a list.
//!
//! Errors, and which of several comes first, are Linux's.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod change;
mod list;
mod nodes;
pub mod path;
mod walk;

pub use change::FileToOpen;
pub use list::Entry;
pub use walk::Last;

use abi::errno::Errno;
use nodes::{Node, Nodes};

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The folder at the top.
    pub const ROOT: NodeId = NodeId(0);
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has names.
    Folder,
    /// It has contents.
    File,
    /// It does something.
    Device,
}

/// A part of the tree that would be a file system of its own elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its number.
    pub number: u32,
    /// Programs cannot change what names there are.
    pub read_only: bool,
}

/// How much a tree may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes.
    pub nodes: usize,
    /// Bytes of all names together.
    pub name_bytes: usize,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is.
    pub kind: Kind,
    /// Its number, which no other node ever has.
    pub number: u64,
    /// How many names it has; a folder has two, and one for each folder in it.
    pub links: u32,
    /// Where it belongs.
    pub volume: Volume,
    /// When it was made, as who made it said.
    pub made: u64,
}

/// A tree. See the module.
pub struct Tree<C> {
    nodes: Nodes<C>,
}

impl<C> Tree<C> {
    /// A tree with nothing in it but its root, a folder of this volume.
    pub fn new(limits: Limits, volume: Volume) -> Result<Tree<C>, Errno> {
        let mut nodes = Nodes::new(limits);
        let root = nodes.make(Node::new(Kind::Folder, volume, 0))?;
        debug_assert!(root == NodeId::ROOT, "the root is the first node");
        Ok(Tree { nodes })
    }

    /// What a node is.
    pub fn describe(&self, id: NodeId) -> Description {
        let node = self.nodes.at(id);
        let links = match node.kind {
            _ if !self.has_name(id) => 0,
            Kind::Folder => 2 + node.folders,
            Kind::File | Kind::Device => 1,
        };
        let (kind, number, volume, made) = (node.kind, node.number, node.volume, node.made);
        Description { kind, number, links, volume, made }
    }

    /// The value of a node that is no folder.
    pub fn content(&self, id: NodeId) -> Option<&C> {
        self.nodes.at(id).content.as_ref()
    }

    /// Whether a node can be reached by a path.
    pub fn has_name(&self, id: NodeId) -> bool {
        id == NodeId::ROOT || self.nodes.at(id).parent.is_some()
    }

    /// The node has one user more: it stays.
    pub fn hold(&mut self, id: NodeId) -> Result<(), Errno> {
        let node = self.nodes.at_mut(id);
        node.uses = node.uses.checked_add(1).ok_or(Errno::ENFILE)?;
        Ok(())
    }

    /// It has one less. The last user of a node without a name gets its value.
    #[must_use = "who gets a value has to let go of it"]
    pub fn let_go(&mut self, id: NodeId) -> Option<C> {
        let node = self.nodes.at_mut(id);
        debug_assert!(node.uses != 0, "a node is let go of that nobody holds");
        node.uses = node.uses.saturating_sub(1);
        self.drop_unused(id)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none, which is never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a node out that nobody can reach any more.
    fn drop_unused(&mut self, id: NodeId) -> Option<C> {
        if self.has_name(id) || self.nodes.at(id).uses != 0 {
            return None;
        }
        self.nodes.remove(id).and_then(|node| node.content)
    }
}
