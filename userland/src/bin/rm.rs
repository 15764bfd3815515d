//! Removes files; -r: folders with all that is in them, -f: no matter whether they are there.

#![no_std]
#![no_main]

use abi::errno::Errno;
use userland::paths::Path;
use userland::tool::{Tool, readable};
use userland::{Arguments, folder, paths, program};

program!(main);

/// Removes a folder and everything in it.
fn remove_all(tool: &Tool, path: &[u8]) -> Result<(), Errno> {
    loop {
        // One at a time: what a list shows while names go is not said.
        let mut first = None;
        folder::each(path, |entry| {
            if first.is_none() {
                first = Path::join(path, entry.name).ok().map(|path| (path, entry.is_folder));
            }
        })?;
        let Some((path, is_folder)) = first else { break };
        let removed = match is_folder {
            true => remove_all(tool, path.bytes()),
            false => paths::unlink(path.bytes()).map(drop),
        };
        if let Err(error) = removed {
            tool.complain(readable(path.bytes()), error);
            return Err(Errno::ENOTEMPTY);
        }
    }
    paths::remove_folder(path).map(drop)
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("rm", "rm [-rf] FILE…");
    let Some((options, names)) = tool.options(arguments.words(), "rf") else {
        return tool.wrong_use();
    };
    if names.clone().next().is_none() && !options.has('f') {
        return tool.wrong_use();
    }
    for name in names {
        let removed = if options.has('r') && paths::is_folder(name.as_bytes()) {
            remove_all(&tool, name.as_bytes())
        } else {
            paths::unlink(name.as_bytes()).map(drop)
        };
        if !(options.has('f') && removed == Err(Errno::ENOENT)) {
            tool.check(name, removed);
        }
    }
    tool.status()
}
