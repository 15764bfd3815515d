//! Copies files, to another name or into a folder.

#![no_std]
#![no_main]

use abi::errno::Errno;
use abi::files::{O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
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
    Tool::new("cp", "cp FROM… TO").each_target(arguments.words(), copy)
}
