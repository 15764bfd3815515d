//! Copies files, to another name or into a folder.

#![no_std]
#![no_main]

use abi::errno::Errno;
use abi::files::{O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
use userland::paths::Path;
use userland::stream::{Reader, Writer};
use userland::tool::Tool;
use userland::{Arguments, files, paths, program};

program!(main);

fn copy(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    if paths::is_folder(from) {
        return Err(Errno::EISDIR);
    }
    let input = paths::open(from, O_RDONLY)?;
    let (one, other) = (paths::stat(from)?, paths::stat(to));
    if other.is_ok_and(|other| (other.device, other.number) == (one.device, one.number)) {
        // Emptying the one would empty the other.
        return Err(Errno::EEXIST);
    }
    let output = paths::open(to, O_WRONLY | O_CREAT | O_TRUNC)?;
    let (mut reader, mut writer) = (Reader::new(input), Writer::new(output));
    let copied = loop {
        match reader.bytes() {
            Ok([]) => break writer.flush(),
            Ok(bytes) => {
                let count = bytes.len();
                writer.put(bytes);
                reader.took(count);
            }
            Err(error) => break Err(error),
        }
    };
    drop(writer);
    files::close(input).and(files::close(output)).and(copied)
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("cp", "cp FROM… TO");
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
            copy(path.bytes(), target.bytes())
        });
        tool.check(from, done);
    }
    tool.status()
}
