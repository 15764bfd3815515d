//! Gives files other names, or moves them into a folder.

#![no_std]
#![no_main]

use userland::paths::Path;
use userland::tool::Tool;
use userland::{Arguments, paths, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("mv", "mv FROM… TO");
    let Some((_, words)) = tool.options(arguments.words(), "") else {
        return tool.wrong_use();
    };
    let count = words.clone().count();
    let Some(to) = words.clone().last().filter(|_| count >= 2) else { return tool.wrong_use() };
    let is_folder = paths::is_folder(to.as_bytes());
    if count > 2 && !is_folder {
        tool.complain_words(to, "not a folder");
        return tool.status();
    }
    for from in words.take(count - 1) {
        let done = Path::new(from.as_bytes()).and_then(|path| {
            let target = match is_folder {
                true => Path::join(to.as_bytes(), path.name())?,
                false => Path::new(to.as_bytes())?,
            };
            paths::rename(path.bytes(), target.bytes())
        });
        tool.check(from, done);
    }
    tool.status()
}
