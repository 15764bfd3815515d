//! The line discipline of a terminal: a state machine between the keyboard, the screen and the programs.
//!
//! ```text
//!  keyboard --> input --+--> the queue of what has been typed --> read --> programs
//!                       +--> echo --> output --> screen
//!                       +--> signals
//!  programs --> output --> screen
//! ```
//!
//! It knows neither devices nor threads: who has it feeds it byte by byte, shows what it says, sends the signals that it
//! says, and waits and wakes. So tests on the host try all of it.
//!
//! With lines (`ICANON`) what is typed can be read when its line is complete, and corrected before; without, at once, as
//! many bytes at a time as `VMIN` and `VTIME` say.
//!
//! | file | concept |
//! |---|---|
//! | this one | settings, reading |
//! | `keys.rs` | what a typed byte does |
//! | `screen.rs` | what a byte looks like, and where the cursor is |
//! | `queue.rs` | what has been typed and not read |

#![no_std]
#![forbid(unsafe_code)]

mod keys;
mod queue;
mod screen;

pub use queue::CAPACITY;

use abi::terminals::{ICANON, Termios, VMIN, VTIME};
use queue::Queue;
use screen::Screen;

/// A signal that a key sends, by Linux's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// SIGINT.
    Interrupt = 2,
    /// SIGQUIT.
    Quit = 3,
    /// SIGTSTP.
    Suspend = 20,
}

/// What a byte that was typed has come to, beside what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// A signal for who is in the foreground.
    pub signal: Option<Signal>,
    /// There may be something to read that there was not before.
    pub readable: bool,
}

/// A terminal. See the module.
pub struct Terminal {
    settings: Termios,
    queue: Queue,
    screen: Screen,
    /// The next byte is to be taken as it is.
    literal: bool,
}

impl Default for Terminal {
    fn default() -> Terminal {
        Terminal::new()
    }
}

impl Terminal {
    /// With the settings that terminals begin with, and nothing typed.
    pub const fn new() -> Terminal {
        Terminal {
            settings: Termios::INITIAL,
            queue: Queue::new(),
            screen: Screen::new(),
            literal: false,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Termios {
        &self.settings
    }

    /// Changes the settings. What has been typed without lines is a line if there are lines from now on; and what is
    /// being typed can be read if there are none.
    pub fn set(&mut self, settings: Termios) {
        let (had, has) = (self.settings.local & ICANON, settings.local & ICANON);
        self.settings = settings;
        if had != has {
            self.literal = false;
            self.queue.end_line();
        }
    }

    /// Forgets what has been typed.
    pub fn forget_input(&mut self) {
        self.queue.clear();
        self.literal = false;
    }

    fn has(&self, flag: u32) -> bool {
        self.settings.local & flag != 0
    }

    /// The bytes for which reading waits that is to get `length` at most. 0: it does not wait.
    fn wanted(&self, length: usize) -> usize {
        usize::from(self.settings.characters[VMIN]).min(length)
    }

    /// Whether reading has something to return, if only that the input is over.
    pub fn is_readable(&self) -> bool {
        if self.has(ICANON) {
            self.queue.has_line()
        } else {
            // Who asks wants to know whether there is anything.
            self.queue.length() >= usize::from(self.settings.characters[VMIN]).max(1)
        }
    }

    /// How many bytes can be read at once.
    pub fn available(&self) -> usize {
        if self.has(ICANON) { self.queue.bytes_in_lines() } else { self.queue.length() }
    }

    /// How many bytes have been typed and not read: with [`Terminal::timer`], for who waits.
    pub fn typed(&self) -> usize {
        self.queue.length()
    }

    /// The time, in tenths of a second, after which reading is not to wait any longer, if there is one now. It begins
    /// again with every byte if reading waits for some.
    pub fn timer(&self) -> Option<u8> {
        let [minimum, time] = [VMIN, VTIME].map(|which| self.settings.characters[which]);
        let runs = !self.has(ICANON) && time != 0 && (minimum == 0 || self.queue.length() > 0);
        runs.then_some(time)
    }

    /// Reads what has been typed; says how much, 0 at the end of the input. None: there is not enough yet, and
    /// `time_is_over` does not say that one has waited for it long enough.
    pub fn read(&mut self, to: &mut [u8], time_is_over: bool) -> Option<usize> {
        if self.has(ICANON) {
            return self.queue.has_line().then(|| self.queue.take_line(to));
        }
        let wanted = self.wanted(to.len());
        let at_once = wanted == 0 && self.timer().is_none();
        let enough = self.queue.length() >= wanted.max(1);
        (enough || at_once || time_is_over).then(|| self.queue.take(to))
    }
}
