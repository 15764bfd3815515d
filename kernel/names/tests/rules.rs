//! What one example shows best: limits, volumes, lists while names come and go, folders that have been removed.

use abi::errno::Errno;
use names::{FileToOpen, Kind, Limits, NodeId, Tree, Volume};

const ROOT: NodeId = NodeId::ROOT;
const WRITABLE: Volume = Volume { number: 2, read_only: false };
const FIXED: Volume = Volume { number: 1, read_only: true };

fn tree(nodes: usize, name_bytes: usize) -> Tree<u32> {
    Tree::new(Limits { nodes, name_bytes }, WRITABLE).unwrap()
}

fn make(tree: &mut Tree<u32>, path: &str) -> Result<NodeId, Errno> {
    match tree.find_or_make_file(ROOT, path.as_bytes(), true, 5, || Ok(7))? {
        FileToOpen::Made(id) => Ok(id),
        FileToOpen::Found(_) => unreachable!("it was to be new"),
    }
}

/// The names of a folder from a place on, at most so many, and where to go on.
fn list(tree: &Tree<u32>, folder: NodeId, mut place: u64, most: usize) -> (Vec<String>, u64) {
    let mut found = Vec::new();
    while found.len() < most
        && let Some(entry) = tree.entry(folder, place)
    {
        found.push(String::from_utf8(entry.name.to_vec()).unwrap());
        place = entry.next;
    }
    (found, place)
}

#[test]
fn what_is_too_long_is_refused() {
    let mut tree = tree(8, 10_000);
    let name = "n".repeat(255);
    make(&mut tree, &name).unwrap();
    assert_eq!(make(&mut tree, &"n".repeat(256)), Err(Errno::ENAMETOOLONG));
    let path = format!("{}{name}", "/".repeat(4095 - 255));
    assert!(tree.find(ROOT, path.as_bytes()).is_ok());
    assert_eq!(tree.find(ROOT, format!("/{path}").as_bytes()), Err(Errno::ENAMETOOLONG));
    assert_eq!(tree.find(ROOT, b""), Err(Errno::ENOENT));
    assert_eq!(tree.find(ROOT, b"///"), Ok(ROOT));
}

#[test]
fn limits_are_kept_and_what_goes_makes_room() {
    let mut small = tree(3, 100);
    make(&mut small, "a").unwrap();
    small.make_folder(ROOT, b"b/", 0).unwrap();
    assert_eq!(make(&mut small, "c"), Err(Errno::ENOSPC));
    assert_eq!(small.remove_file(ROOT, b"a"), Ok(Some(7)));
    make(&mut small, "b/c").unwrap();
    let mut short = tree(9, 6);
    make(&mut short, "abcd").unwrap();
    assert_eq!(make(&mut short, "xyz"), Err(Errno::ENOSPC));
    assert_eq!(short.rename((ROOT, b"abcd"), (ROOT, b"1234567")), Err(Errno::ENOSPC));
    assert_eq!(short.rename((ROOT, b"abcd"), (ROOT, b"123456")), Ok(None));
    assert_eq!(short.find(ROOT, b"abcd"), Err(Errno::ENOENT));
    assert_eq!(short.rename((ROOT, b"123456"), (ROOT, b"x")), Ok(None));
    make(&mut short, "12345").unwrap();
}

#[test]
fn a_value_that_cannot_be_made_leaves_nothing_behind() {
    let mut tree = tree(8, 100);
    let made = tree.find_or_make_file(ROOT, b"a", false, 0, || Err(Errno::ENOMEM));
    assert_eq!(made, Err(Errno::ENOMEM));
    assert_eq!((tree.len(), tree.find(ROOT, b"a")), (1, Err(Errno::ENOENT)));
}

#[test]
fn volumes_that_cannot_be_written_keep_their_names() {
    let mut tree: Tree<u32> = Tree::new(Limits { nodes: 20, name_bytes: 100 }, FIXED).unwrap();
    tree.install(ROOT, b"file", Kind::File, FIXED, Some(1)).unwrap();
    tree.install(ROOT, b"tmp", Kind::Folder, WRITABLE, None).unwrap();
    assert_eq!(make(&mut tree, "new"), Err(Errno::EROFS));
    assert_eq!(make(&mut tree, "file"), Err(Errno::EEXIST));
    assert_eq!(tree.make_folder(ROOT, b"new", 0), Err(Errno::EROFS));
    assert_eq!(tree.remove_file(ROOT, b"file"), Err(Errno::EROFS));
    assert_eq!(tree.remove_folder(ROOT, b"tmp"), Err(Errno::EROFS));
    assert_eq!(tree.rename((ROOT, b"file"), (ROOT, b"other")), Err(Errno::EROFS));
    assert_eq!(tree.rename((ROOT, b"file"), (ROOT, b"tmp/file")), Err(Errno::EXDEV));
    let file = make(&mut tree, "tmp/file").unwrap();
    assert_eq!(tree.describe(file).volume, WRITABLE);
    assert_eq!(tree.describe(file).made, 5);
}

#[test]
fn a_list_has_each_name_that_stays_once() {
    let mut tree = tree(40, 1000);
    for name in ["a", "b", "c", "d", "e", "f"] {
        make(&mut tree, name).unwrap();
    }
    let (first, place) = list(&tree, ROOT, 0, 4);
    assert_eq!(first, [".", "..", "a", "b"]);
    // One before the place goes, one after it; one comes; one takes another's place, one its own again.
    tree.remove_file(ROOT, b"a").unwrap();
    tree.remove_file(ROOT, b"c").unwrap();
    make(&mut tree, "g").unwrap();
    tree.rename((ROOT, b"b"), (ROOT, b"e")).unwrap();
    make(&mut tree, "a").unwrap();
    assert_eq!(list(&tree, ROOT, place, 9).0, ["d", "e", "f", "g", "a"]);
    assert_eq!(list(&tree, ROOT, u64::MAX, 9).0, [""; 0]);
}

#[test]
fn a_removed_folder_is_empty_and_leads_nowhere() {
    let mut tree = tree(8, 100);
    let folder = tree.make_folder(ROOT, b"folder", 0).unwrap();
    let inner = tree.make_folder(folder, b"inner", 0).unwrap();
    tree.hold(inner).unwrap();
    assert_eq!(tree.remove_folder(ROOT, b"folder"), Err(Errno::ENOTEMPTY));
    tree.remove_folder(folder, b"../folder/inner").unwrap();
    tree.remove_folder(ROOT, b"folder").unwrap();
    assert_eq!(tree.describe(inner).links, 0);
    assert_eq!(tree.find(inner, b"."), Ok(inner));
    assert_eq!(tree.find(inner, b".."), Err(Errno::ENOENT));
    assert_eq!(tree.make_folder(inner, b"x", 0), Err(Errno::ENOENT));
    assert!(tree.entry(inner, 0).is_none());
    assert_eq!(tree.path_of(inner, &mut [0; 99]), Err(Errno::ENOENT));
    assert_eq!(tree.len(), 2);
    assert_eq!(tree.let_go(inner), None);
    assert_eq!(tree.len(), 1);
}

#[test]
fn numbers_are_not_used_again() {
    let mut tree = tree(4, 100);
    let first = make(&mut tree, "a").unwrap();
    let number = tree.describe(first).number;
    tree.remove_file(ROOT, b"a").unwrap();
    let second = make(&mut tree, "a").unwrap();
    assert_eq!(first, second);
    assert_ne!(tree.describe(second).number, number);
}

#[test]
fn a_path_needs_its_room() {
    let mut tree = tree(8, 100);
    tree.make_folder(ROOT, b"ab", 0).unwrap();
    let inner = tree.make_folder(ROOT, b"ab/cd", 0).unwrap();
    let mut buffer = [0; 6];
    assert_eq!(tree.path_of(inner, &mut buffer), Ok(0));
    assert_eq!(&buffer, b"/ab/cd");
    assert_eq!(tree.path_of(inner, &mut buffer[..5]), Err(Errno::ERANGE));
    assert_eq!(tree.path_of(ROOT, &mut buffer), Ok(5));
}
