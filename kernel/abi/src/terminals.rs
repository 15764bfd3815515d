//! What kernel and programs agree on about terminals: Linux's structures and numbers for x86-64.

/// Linux's `struct termios`, as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Termios {
    /// What happens to what is typed (`ICRNL` and the like).
    pub input: u32,
    /// What happens to what is written (`OPOST` and the like).
    pub output: u32,
    /// The line itself; kept, and without effect.
    pub control: u32,
    /// How lines are made of what is typed (`ICANON` and the like).
    pub local: u32,
    /// The line discipline: always 0.
    pub line: u8,
    /// The characters that do something, by `V…`; 0 for none.
    pub characters: [u8; 19],
}

/// Input: the eighth bit is taken away.
pub const ISTRIP: u32 = 0o40;
/// Input: a line feed becomes a carriage return.
pub const INLCR: u32 = 0o100;
/// Input: carriage returns are dropped.
pub const IGNCR: u32 = 0o200;
/// Input: a carriage return becomes a line feed.
pub const ICRNL: u32 = 0o400;
/// Input: characters may have several bytes; erasing takes all of one.
pub const IUTF8: u32 = 0o40000;

/// Output: the bits below count.
pub const OPOST: u32 = 1;
/// Output: a carriage return goes before a line feed.
pub const ONLCR: u32 = 4;
/// Output: a carriage return becomes a line feed.
pub const OCRNL: u32 = 8;

/// Control: eight bits, receiving, 38,400 baud: what the console is.
pub const CONSOLE_CONTROL: u32 = 0o60 | 0o200 | 0o17;

/// Local: some characters send signals.
pub const ISIG: u32 = 1;
/// Local: input comes in lines, which can be corrected.
pub const ICANON: u32 = 2;
/// Local: what is typed is shown.
pub const ECHO: u32 = 0o10;
/// Local: what is erased disappears.
pub const ECHOE: u32 = 0o20;
/// Local: a new line begins behind one that has been taken back.
pub const ECHOK: u32 = 0o40;
/// Local: line feeds are shown even if nothing else is.
pub const ECHONL: u32 = 0o100;
/// Local: what has been typed stays when a signal is sent.
pub const NOFLSH: u32 = 0o200;
/// Local: who is in the background and writes is stopped.
pub const TOSTOP: u32 = 0o400;
/// Local: control characters are shown as ^X.
pub const ECHOCTL: u32 = 0o1000;
/// Local: a line that is taken back disappears.
pub const ECHOKE: u32 = 0o4000;
/// Local: erasing words, and taking the next character as it is.
pub const IEXTEN: u32 = 0o10_0000;

/// The character that sends SIGINT.
pub const VINTR: usize = 0;
/// The one that sends SIGQUIT.
pub const VQUIT: usize = 1;
/// The one that erases a character.
pub const VERASE: usize = 2;
/// The one that takes the line back.
pub const VKILL: usize = 3;
/// The one that ends the input.
pub const VEOF: usize = 4;
/// Without lines: how long reading waits, in tenths of a second.
pub const VTIME: usize = 5;
/// Without lines: for how many bytes reading waits.
pub const VMIN: usize = 6;
/// The one that sends SIGTSTP.
pub const VSUSP: usize = 10;
/// Another one that ends a line.
pub const VEOL: usize = 11;
/// The one that shows the line again.
pub const VREPRINT: usize = 12;
/// The one that erases a word.
pub const VWERASE: usize = 14;
/// The one that takes the next as it is.
pub const VLNEXT: usize = 15;
/// One more that ends a line.
pub const VEOL2: usize = 16;

impl Termios {
    /// How a terminal begins: with lines, shown, and signals.
    pub const INITIAL: Termios = {
        let mut characters = [0; 19];
        characters[VINTR] = 3;
        characters[VQUIT] = 0x1c;
        characters[VERASE] = 0x7f;
        characters[VKILL] = 0x15;
        characters[VEOF] = 4;
        characters[VMIN] = 1;
        characters[VSUSP] = 0x1a;
        characters[VREPRINT] = 0x12;
        characters[VWERASE] = 0x17;
        characters[VLNEXT] = 0x16;
        Termios {
            input: ICRNL | IUTF8,
            output: OPOST | ONLCR,
            control: CONSOLE_CONTROL,
            local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            line: 0,
            characters,
        }
    };
}

/// Linux's `struct winsize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// The same in pixels: unknown, 0.
    pub pixels: [u16; 2],
}

/// `ioctl`: read the settings ([`Termios`]).
pub const TCGETS: u32 = 0x5401;
/// Change the settings now.
pub const TCSETS: u32 = 0x5402;
/// Change them when everything has been written.
pub const TCSETSW: u32 = 0x5403;
/// The same, and forget what has been typed.
pub const TCSETSF: u32 = 0x5404;
/// Read the group of processes in the foreground.
pub const TIOCGPGRP: u32 = 0x540f;
/// Change it.
pub const TIOCSPGRP: u32 = 0x5410;
/// Read the size ([`WindowSize`]).
pub const TIOCGWINSZ: u32 = 0x5413;
/// How many bytes can be read at once. Not only of terminals.
pub const FIONREAD: u32 = 0x541b;
/// Say whether reading and writing waits, as `O_NONBLOCK` does: an int at the argument.
pub const FIONBIO: u32 = 0x5421;
