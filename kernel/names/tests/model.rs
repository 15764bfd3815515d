//! The tree does what a map from whole paths does: the same results, the same errors, the same lists.

use abi::errno::Errno;
use names::{FileToOpen, Kind, Limits, NodeId, Tree, Volume};
use proptest::prelude::*;
use std::collections::BTreeMap;

const VOLUME: Volume = Volume { number: 1, read_only: false };
const NODES: usize = 12;

/// A path from the root, name by name.
type Names = Vec<String>;

/// What a path means: how it ends, beside where.
enum End {
    Name(Names, String),
    Same,
    Up,
    Root,
}

/// Files by path; `None` is a folder.
#[derive(Default)]
struct Model {
    nodes: BTreeMap<Names, Option<u32>>,
    /// Files without names that are open.
    open: Vec<u32>,
    /// Files that have gone.
    gone: Vec<u32>,
}

impl Model {
    fn is_folder(&self, names: &[String]) -> Option<bool> {
        if names.is_empty() { Some(true) } else { self.nodes.get(names).map(Option::is_none) }
    }

    fn children(&self, folder: &[String]) -> Vec<String> {
        let inside = self.nodes.keys().filter(|path| path.len() == folder.len() + 1);
        inside
            .filter(|path| path.starts_with(folder))
            .map(|path| path.last().unwrap().clone())
            .collect()
    }

    fn end(&self, path: &str) -> Result<(End, bool), Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let slash = path.ends_with('/');
        let components: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
        let mut at = Names::new();
        let Some((last, before)) = components.split_last() else { return Ok((End::Root, slash)) };
        let enter = |at: &Names| match self.is_folder(at) {
            Some(true) => Ok(()),
            Some(false) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        };
        for name in before {
            match *name {
                "." => {}
                ".." => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
            enter(&at)?;
        }
        let end = match *last {
            "." => End::Same,
            ".." => End::Up,
            name => End::Name(at, name.to_owned()),
        };
        Ok((end, slash))
    }

    fn full(&self) -> Result<(), Errno> {
        if self.nodes.len() + 1 + self.open.len() >= NODES { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    fn create(&mut self, path: &str, id: u32, exclusive: bool) -> Result<bool, Errno> {
        let (End::Name(mut at, name), false) = self.end(path)? else { return Err(Errno::EISDIR) };
        at.push(name);
        match self.is_folder(&at) {
            Some(_) if exclusive => Err(Errno::EEXIST),
            Some(_) => Ok(false),
            None => {
                self.full()?;
                self.nodes.insert(at, Some(id));
                Ok(true)
            }
        }
    }

    fn make_folder(&mut self, path: &str) -> Result<(), Errno> {
        let (End::Name(mut at, name), _) = self.end(path)? else { return Err(Errno::EEXIST) };
        at.push(name);
        if self.is_folder(&at).is_some() {
            return Err(Errno::EEXIST);
        }
        self.full()?;
        self.nodes.insert(at, None);
        Ok(())
    }

    fn lose(&mut self, id: u32, is_open: bool) {
        if is_open { self.open.push(id) } else { self.gone.push(id) }
    }

    fn remove_file(&mut self, path: &str, open: &[u32]) -> Result<(), Errno> {
        let (End::Name(mut at, name), slash) = self.end(path)? else { return Err(Errno::EISDIR) };
        at.push(name);
        match self.nodes.get(&at) {
            None => Err(Errno::ENOENT),
            Some(None) => Err(Errno::EISDIR),
            Some(Some(_)) if slash => Err(Errno::ENOTDIR),
            Some(Some(id)) => {
                self.lose(*id, open.contains(id));
                self.nodes.remove(&at);
                Ok(())
            }
        }
    }

    fn remove_folder(&mut self, path: &str) -> Result<(), Errno> {
        let mut at = match self.end(path)?.0 {
            End::Same => return Err(Errno::EINVAL),
            End::Up => return Err(Errno::ENOTEMPTY),
            End::Root => return Err(Errno::EBUSY),
            End::Name(mut at, name) => {
                at.push(name);
                at
            }
        };
        match self.is_folder(&at) {
            None => return Err(Errno::ENOENT),
            Some(false) => return Err(Errno::ENOTDIR),
            Some(true) => {}
        }
        if !self.children(&at).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.nodes.remove(&std::mem::take(&mut at));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, open: &[u32]) -> Result<(), Errno> {
        let (old, old_slash) = self.end(from)?;
        let (new, new_slash) = self.end(to)?;
        let (End::Name(mut old, old_name), End::Name(mut new, new_name)) = (old, new) else {
            return Err(Errno::EBUSY);
        };
        let old_folder = old.clone();
        let new_folder = new.clone();
        old.push(old_name);
        new.push(new_name);
        let is_folder = self.is_folder(&old).ok_or(Errno::ENOENT)?;
        if !is_folder && (old_slash || new_slash) {
            return Err(Errno::ENOTDIR);
        }
        if new_folder.starts_with(&old) {
            return Err(Errno::EINVAL);
        }
        if old == new {
            return Ok(());
        }
        if old_folder.starts_with(&new) && self.is_folder(&new).is_some() {
            return Err(Errno::ENOTEMPTY);
        }
        match (is_folder, self.is_folder(&new)) {
            (true, Some(false)) => return Err(Errno::ENOTDIR),
            (false, Some(true)) => return Err(Errno::EISDIR),
            (true, Some(true)) if !self.children(&new).is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        if let Some(Some(id)) = self.nodes.get(&new) {
            self.lose(*id, open.contains(id));
        }
        self.nodes.remove(&new);
        let moved: Vec<_> =
            self.nodes.keys().filter(|path| path.starts_with(&old)).cloned().collect();
        for path in moved {
            let node = self.nodes.remove(&path).unwrap();
            let target = [&new[..], &path[old.len()..]].concat();
            self.nodes.insert(target, node);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(String, bool),
    MakeFolder(String),
    RemoveFile(String),
    RemoveFolder(String),
    Rename(String, String),
    Open(String),
    Close(usize),
    Find(String),
}

fn path() -> impl Strategy<Value = String> {
    let component = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c"]),
        1 => prop::sample::select(vec![".", "..", ""]),
    ];
    (prop::collection::vec(component, 0..4), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(components, absolute, slash)| {
            let end = if slash { "/" } else { "" };
            format!("{}{}{end}", if absolute { "/" } else { "" }, components.join("/"))
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (path(), any::<bool>()).prop_map(|(path, exclusive)| Step::Create(path, exclusive)),
        4 => path().prop_map(Step::MakeFolder),
        2 => path().prop_map(Step::RemoveFile),
        1 => path().prop_map(Step::RemoveFolder),
        5 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => path().prop_map(Step::Open),
        1 => any::<usize>().prop_map(Step::Close),
        1 => path().prop_map(Step::Find),
    ]
}

/// All paths of a tree, by listing folder after folder.
fn listed(tree: &Tree<u32>) -> BTreeMap<Names, Option<u32>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Names::new()];
    while let Some(folder) = folders.pop() {
        let path = format!("/{}", folder.join("/"));
        let id = tree.find(NodeId::ROOT, path.as_bytes()).unwrap();
        let mut buffer = [0; 256];
        let start = tree.path_of(id, &mut buffer).unwrap();
        assert_eq!(&buffer[start..], path.as_bytes());
        let (mut place, mut inner) = (2, 0);
        while let Some(entry) = tree.entry(id, place) {
            assert!(entry.next > place);
            place = entry.next;
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            let path = [&folder[..], &[name]].concat();
            let node = tree.find(NodeId::ROOT, format!("/{}", path.join("/")).as_bytes()).unwrap();
            assert_eq!(tree.describe(node), entry.description);
            if entry.description.kind == Kind::Folder {
                inner += 1;
                folders.push(path.clone());
            }
            found.insert(path, tree.content(node).copied());
        }
        assert_eq!(tree.describe(id).links, 2 + inner);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_does_what_a_map_of_paths_does(steps in prop::collection::vec(step(), 0..60)) {
        let limits = Limits { nodes: NODES, name_bytes: 1000 };
        let mut tree = Tree::new(limits, VOLUME).unwrap();
        let mut model = Model::default();
        let mut gone: Vec<u32> = Vec::new();
        let mut open: Vec<(NodeId, u32)> = Vec::new();
        let root = NodeId::ROOT;
        for (number, step) in steps.into_iter().enumerate() {
            let number = number as u32;
            let ids: Vec<_> = open.iter().map(|(_, id)| *id).collect();
            match step {
                Step::Create(path, exclusive) => {
                    let made = tree.find_or_make_file(root, path.as_bytes(), exclusive, 0, || Ok(number));
                    let made = made.map(|made| matches!(made, FileToOpen::Made(_)));
                    prop_assert_eq!(made, model.create(&path, number, exclusive), "create {}", path);
                }
                Step::MakeFolder(path) => {
                    let made = tree.make_folder(root, path.as_bytes(), 0).map(drop);
                    prop_assert_eq!(made, model.make_folder(&path), "mkdir {}", path);
                }
                Step::RemoveFile(path) => {
                    let removed = tree.remove_file(root, path.as_bytes()).map(|id| gone.extend(id));
                    prop_assert_eq!(removed, model.remove_file(&path, &ids), "unlink {}", path);
                }
                Step::RemoveFolder(path) => {
                    let removed = tree.remove_folder(root, path.as_bytes());
                    prop_assert_eq!(removed, model.remove_folder(&path), "rmdir {}", path);
                }
                Step::Rename(from, to) => {
                    let renamed = tree.rename((root, from.as_bytes()), (root, to.as_bytes()));
                    let renamed = renamed.map(|id| gone.extend(id));
                    prop_assert_eq!(renamed, model.rename(&from, &to, &ids), "rename {} {}", from, to);
                }
                Step::Open(path) => {
                    if let Ok(id) = tree.find(root, path.as_bytes())
                        && let Some(content) = tree.content(id).copied()
                    {
                        tree.hold(id).unwrap();
                        open.push((id, content));
                    }
                }
                Step::Close(which) => {
                    if !open.is_empty() {
                        let (id, content) = open.swap_remove(which % open.len());
                        gone.extend(tree.let_go(id));
                        if !open.iter().any(|(_, other)| *other == content)
                            && let Some(place) = model.open.iter().position(|id| *id == content)
                        {
                            model.gone.push(model.open.swap_remove(place));
                        }
                    }
                }
                Step::Find(path) => {
                    let found = tree.find(root, path.as_bytes()).map(|id| tree.content(id).copied());
                    let expected = model.end(&path).and_then(|(end, slash)| {
                        let End::Name(mut at, name) = end else { return Ok(None) };
                        at.push(name);
                        match model.nodes.get(&at) {
                            Some(Some(_)) if slash => Err(Errno::ENOTDIR),
                            Some(id) => Ok(*id),
                            None => Err(Errno::ENOENT),
                        }
                    });
                    // Where `..` leads is no node of the model's.
                    if !path.ends_with('.') && !path.ends_with("./") {
                        prop_assert_eq!(found, expected, "find {}", path);
                    }
                }
            }
            prop_assert_eq!(&gone, &model.gone);
            prop_assert_eq!(tree.len(), model.nodes.len() + 1 + model.open.len());
            prop_assert_eq!(&listed(&tree), &model.nodes);
        }
    }
}
