//! A program starts itself again in a child, with a mode of the thread library's, and hears numbers from it.
//!
//! Who does this has one LWP and no thread of the library's: it is to be small, and to stand aside.

use core::fmt;
use userland::job_control::{become_program, fork};
use userland::paths::Path;
use userland::text::Text;
use userland::{child, files, system};

use abi::errno::Errno;
use abi::files::O_CLOEXEC;

/// The descriptor to which the child writes its numbers.
const NUMBERS: i32 = 9;

/// The status of a child that could not become the program.
const NO_PROGRAM: i32 = 127;

/// A child at work.
#[derive(Debug)]
pub struct Started {
    child: u64,
    from: i32,
}

/// Starts a program of `/bin` in the mode that `mode` says (as behind `LIBSA=`). In `words` there is a null byte behind
/// each word, behind the last one too.
pub fn start(
    name: &str,
    words: fmt::Arguments<'_>,
    mode: fmt::Arguments<'_>,
) -> Result<Started, Errno> {
    let path = Path::join(b"/bin", name.as_bytes())?;
    let words = Text::<256>::new(format_args!("{name}\0{words}"));
    let variable = Text::<64>::new(format_args!("LIBSA={mode}\0"));
    let [from, to] = files::pipe(O_CLOEXEC)?;
    match fork()? {
        0 => {
            let each = words.as_str().split_inclusive('\0').map(str::as_bytes);
            let error = match files::dup2(to, NUMBERS) {
                Ok(_) => {
                    become_program(&path, each, core::iter::once(variable.as_str().as_bytes()))
                }
                Err(error) => error,
            };
            userland::eprintln!("{name}: {}", error.text());
            system::exit_group(NO_PROGRAM)
        }
        child => {
            files::close(to)?;
            Ok(Started { child, from })
        }
    }
}

impl Started {
    /// The number of its process.
    pub fn number(&self) -> u64 {
        self.child
    }

    /// Where its numbers come from: for `poll`.
    pub fn descriptor(&self) -> i32 {
        self.from
    }

    /// The next numbers that it says; none if it will not say any more.
    pub fn hear<const COUNT: usize>(&self) -> Option<[u64; COUNT]> {
        let mut bytes = [[0; 8]; COUNT];
        let to = bytes.as_flattened_mut();
        let mut come = 0;
        while come < to.len() {
            match files::read(self.from, &mut to[come..]) {
                Ok(0) => return None,
                Ok(more) => come += more,
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
        Some(bytes.map(u64::from_le_bytes))
    }

    /// Waits for its end: its status, as `wait4` says it.
    pub fn finish(self) -> i32 {
        // It was only read.
        let _ = files::close(self.from);
        child::wait(self.child).unwrap_or(-1)
    }
}

/// In the child: says numbers. Says whether somebody hears them.
pub fn tell<const COUNT: usize>(numbers: &[u64; COUNT]) -> bool {
    let bytes = numbers.map(u64::to_le_bytes);
    let bytes = bytes.as_flattened();
    files::write(NUMBERS, bytes) == Ok(bytes.len())
}
