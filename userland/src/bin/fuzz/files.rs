//! Removing what workers have made in `/tmp`, whatever its name is.

use abi::errno::Errno;
use userland::folder;
use userland::paths::{self, Path};

/// Empties `/tmp`.
pub fn remove() -> Result<(), Errno> {
    empty(b"/tmp")
}

/// Empties a folder. While it is emptied it may not be listed whole, hence once more until nothing is found.
fn empty(folder: &[u8]) -> Result<(), Errno> {
    let mut found = true;
    while found {
        found = false;
        let mut removed = Ok(());
        folder::each(folder, |entry| {
            found = true;
            let one = Path::join(folder, entry.name).and_then(|path| {
                if !entry.is_folder {
                    return paths::unlink(path.bytes());
                }
                empty(path.bytes())?;
                paths::remove_folder(path.bytes())
            });
            removed = removed.and(one.map(drop));
        })?;
        removed?;
    }
    Ok(())
}
