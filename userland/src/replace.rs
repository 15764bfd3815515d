//! Becoming another program: for programs that prepare something and then run what their last words say.

use crate::Arguments;
use crate::system::raw;
use crate::text::Text;
use abi::errno::Errno;
use core::ptr;

/// Most words of the other program's, its name included.
const WORDS: usize = 32;

/// Becomes the program whose name is the argument at `place`, with the arguments behind it. A name without a slash is
/// one of `/bin`. Returns if that cannot be.
pub fn become_program(arguments: Arguments, place: usize) -> Errno {
    let mut words = [ptr::null(); WORDS + 1];
    for (index, to) in words.iter_mut().enumerate() {
        match arguments.get(place + index) {
            Some(_) if index == WORDS => return Errno::EINVAL,
            Some(word) => *to = word.as_ptr().cast::<u8>(),
            None => break,
        }
    }
    let Some(name) = arguments.get(place).and_then(|name| name.to_str().ok()) else {
        return Errno::EINVAL;
    };
    let folder = if name.contains('/') { "" } else { "/bin/" };
    let path = Text::<256>::new(format_args!("{folder}{name}\0"));
    if !path.as_str().ends_with('\0') {
        return Errno::ENAMETOOLONG;
    }
    let nothing = [ptr::null()];
    // SAFETY: path and words are strings with a null byte behind each.
    match unsafe { raw::execve(path.as_str().as_ptr(), words.as_ptr(), nothing.as_ptr()) } {
        Err(error) => error,
        Ok(_) => unreachable!("execve returned to the old program"),
    }
}
