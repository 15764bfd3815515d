//! The table of nodes, and the lists that go through it: a folder's children in the order of their cookies.

use crate::{Kind, Limits, NodeId, Volume};
use abi::errno::Errno;
use alloc::vec::Vec;

/// A node.
pub(crate) struct Node<C> {
    pub(crate) kind: Kind,
    /// See [`crate::Description::number`].
    pub(crate) number: u64,
    pub(crate) volume: Volume,
    pub(crate) made: u64,
    /// None in folders.
    pub(crate) content: Option<C>,
    /// Open files and working folders.
    pub(crate) uses: u32,
    /// The folder that it is in; none if it has no name, and the root has none.
    pub(crate) parent: Option<NodeId>,
    pub(crate) name: Vec<u8>,
    /// Its place in its folder, for who reads it piece by piece.
    pub(crate) cookie: u64,
    next: Option<NodeId>,
    previous: Option<NodeId>,
    /// Of a folder: its first and last child, the cookie of the next one, how many children are folders.
    pub(crate) first: Option<NodeId>,
    last: Option<NodeId>,
    next_cookie: u64,
    pub(crate) folders: u32,
}

/// The cookie of the first child: `.` and `..` come before.
pub(crate) const FIRST_COOKIE: u64 = 2;

impl<C> Node<C> {
    /// Without a name.
    pub(crate) fn new(kind: Kind, volume: Volume, made: u64) -> Node<C> {
        Node {
            kind,
            number: 0,
            volume,
            made,
            content: None,
            uses: 0,
            parent: None,
            name: Vec::new(),
            cookie: 0,
            next: None,
            previous: None,
            first: None,
            last: None,
            next_cookie: FIRST_COOKIE,
            folders: 0,
        }
    }

    fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }
}

/// Where a node is put among a folder's children.
pub(crate) enum Position {
    /// Behind all others.
    End,
    /// With this cookie, behind this child, or before all.
    Behind(Option<NodeId>, u64),
}

/// All nodes of a tree.
pub(crate) struct Nodes<C> {
    table: Vec<Option<Node<C>>>,
    /// How many are in use.
    used: usize,
    made: u64,
    name_bytes: usize,
    limits: Limits,
}

impl<C> Nodes<C> {
    pub(crate) fn new(limits: Limits) -> Nodes<C> {
        Nodes { table: Vec::new(), used: 0, made: 0, name_bytes: 0, limits }
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn at(&self, id: NodeId) -> &Node<C> {
        self.table.get(id.0 as usize).and_then(Option::as_ref).expect("a node that is used stays")
    }

    pub(crate) fn at_mut(&mut self, id: NodeId) -> &mut Node<C> {
        let place = self.table.get_mut(id.0 as usize);
        place.and_then(Option::as_mut).expect("a node that is used stays")
    }

    /// Makes sure that [`Nodes::make`] has a place.
    pub(crate) fn reserve(&mut self) -> Result<(), Errno> {
        if self.used >= self.limits.nodes {
            return Err(Errno::ENOSPC);
        }
        if self.used == self.table.len() {
            self.table.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }

    /// A node in the table.
    pub(crate) fn make(&mut self, mut node: Node<C>) -> Result<NodeId, Errno> {
        self.reserve()?;
        self.made += 1;
        self.used += 1;
        node.number = self.made;
        let place = match self.table.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                // Room has been reserved.
                self.table.extend([None]);
                self.table.len() - 1
            }
        };
        self.table[place] = Some(node);
        Ok(NodeId(place as u32))
    }

    /// Takes a node out, which is in no folder.
    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Node<C>> {
        let node = self.table.get_mut(id.0 as usize)?.take()?;
        self.used -= 1;
        Some(node)
    }

    /// A copy of a name, where there is room for another one; `instead` bytes of names will be gone.
    pub(crate) fn copy_name(&self, name: &[u8], instead: usize) -> Result<Vec<u8>, Errno> {
        if self.name_bytes + name.len() > self.limits.name_bytes + instead {
            return Err(Errno::ENOSPC);
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend(name);
        Ok(copy)
    }

    /// Gives a node without a name one.
    pub(crate) fn link(&mut self, id: NodeId, folder: NodeId, name: Vec<u8>, position: Position) {
        self.name_bytes += name.len();
        let parent = self.at_mut(folder);
        let (behind, cookie) = match position {
            Position::End => {
                parent.next_cookie += 1;
                (parent.last, parent.next_cookie - 1)
            }
            Position::Behind(behind, cookie) => (behind, cookie),
        };
        let next = match behind {
            Some(behind) => self.at_mut(behind).next.replace(id),
            None => self.at_mut(folder).first.replace(id),
        };
        match next {
            Some(next) => self.at_mut(next).previous = Some(id),
            None => self.at_mut(folder).last = Some(id),
        }
        let node = self.at_mut(id);
        (node.parent, node.name, node.cookie) = (Some(folder), name, cookie);
        (node.previous, node.next) = (behind, next);
        let is_folder = node.is_folder();
        self.at_mut(folder).folders += u32::from(is_folder);
    }

    /// Takes a node's name away. Says where it was in its folder.
    pub(crate) fn unlink(&mut self, id: NodeId) -> Position {
        let node = self.at_mut(id);
        let (previous, next, cookie) = (node.previous.take(), node.next.take(), node.cookie);
        let (name, is_folder) = (core::mem::take(&mut node.name), node.is_folder());
        let Some(folder) = node.parent.take() else { return Position::End };
        self.name_bytes -= name.len();
        match previous {
            Some(previous) => self.at_mut(previous).next = next,
            None => self.at_mut(folder).first = next,
        }
        match next {
            Some(next) => self.at_mut(next).previous = previous,
            None => self.at_mut(folder).last = previous,
        }
        self.at_mut(folder).folders -= u32::from(is_folder);
        Position::Behind(previous, cookie)
    }

    /// A folder's children, in order.
    pub(crate) fn children(&self, folder: NodeId) -> impl Iterator<Item = NodeId> {
        core::iter::successors(self.at(folder).first, |child| self.at(*child).next)
    }

    /// The child with a name.
    pub(crate) fn child(&self, folder: NodeId, name: &[u8]) -> Option<NodeId> {
        self.children(folder).find(|child| self.at(*child).name == name)
    }
}
