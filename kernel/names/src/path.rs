//! A path, name by name. Slashes that follow each other count as one.

use abi::errno::Errno;

/// Most bytes of a path, with its null byte.
pub const PATH_MAX: usize = 4096;
/// Most bytes of a name.
pub const NAME_MAX: usize = 255;

/// What stands between two slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component<'p> {
    /// `.`
    Same,
    /// `..`
    Up,
    /// Anything else.
    Name(&'p [u8]),
}

/// What is left of a path.
#[derive(Clone, Copy, Debug)]
pub struct Path<'p> {
    rest: &'p [u8],
    /// It begins at the root.
    pub is_absolute: bool,
    /// It ends with a slash: what it leads to has to be a folder.
    pub wants_folder: bool,
}

impl<'p> Path<'p> {
    /// Checks what can be checked without a tree.
    pub fn new(bytes: &'p [u8]) -> Result<Path<'p>, Errno> {
        if bytes.is_empty() {
            return Err(Errno::ENOENT);
        }
        if bytes.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let is_absolute = bytes[0] == b'/';
        let wants_folder = bytes.ends_with(b"/");
        Ok(Path { rest: without_slashes(bytes), is_absolute, wants_folder })
    }

    /// The next component, and whether it is the last.
    pub fn take_first(&mut self) -> Option<(&'p [u8], bool)> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'/').unwrap_or(self.rest.len());
        let (component, rest) = self.rest.split_at(end);
        self.rest = without_slashes(rest);
        Some((component, self.rest.is_empty()))
    }
}

/// What a component means.
pub fn component(bytes: &[u8]) -> Result<Component<'_>, Errno> {
    match bytes {
        b"." => Ok(Component::Same),
        b".." => Ok(Component::Up),
        name if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        name => Ok(Component::Name(name)),
    }
}

fn without_slashes(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&byte| byte != b'/').unwrap_or(bytes.len());
    &bytes[start..]
}
