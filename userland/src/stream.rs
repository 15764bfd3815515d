//! Text read line by line, and text written in large pieces.

use crate::files;
use abi::errno::Errno;
use core::fmt;

/// Bytes that are read or written at a time.
const PIECE: usize = 4096;

/// Reads a descriptor.
pub struct Reader {
    fd: i32,
    bytes: [u8; PIECE],
    from: usize,
    to: usize,
}

impl Reader {
    /// For a descriptor.
    pub fn new(fd: i32) -> Reader {
        Reader { fd, bytes: [0; PIECE], from: 0, to: 0 }
    }

    /// What has come and was not taken; if there is none, what comes next. Empty at the end.
    pub fn bytes(&mut self) -> Result<&[u8], Errno> {
        while self.from == self.to {
            match files::read(self.fd, &mut self.bytes) {
                Ok(0) => return Ok(&[]),
                Ok(count) => (self.from, self.to) = (0, count),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.bytes[self.from..self.to])
    }

    /// So many bytes have been taken.
    pub fn took(&mut self, count: usize) {
        self.from = (self.from + count).min(self.to);
    }

    /// Reads a line into a buffer, without its line feed: the line, and whether it had one. `None` at the end. A line
    /// that is longer than the buffer comes in pieces, of which only the last has a line feed.
    pub fn line<'a>(&mut self, to: &'a mut [u8]) -> Result<Option<(&'a [u8], bool)>, Errno> {
        let mut length = 0;
        loop {
            let room = to.len() - length;
            let bytes = self.bytes()?;
            if bytes.is_empty() {
                return Ok((length > 0).then_some((&to[..length], false)));
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let count = end.unwrap_or(bytes.len()).min(room);
            to[length..length + count].copy_from_slice(&bytes[..count]);
            length += count;
            let is_whole = end == Some(count);
            self.took(count + usize::from(is_whole));
            if is_whole || length == to.len() {
                return Ok(Some((&to[..length], is_whole)));
            }
        }
    }
}

/// Writes to a descriptor. What was written is gone when it is dropped, or flushed.
pub struct Writer {
    fd: i32,
    bytes: [u8; PIECE],
    length: usize,
    error: Option<Errno>,
}

impl Writer {
    /// For a descriptor.
    pub fn new(fd: i32) -> Writer {
        Writer { fd, bytes: [0; PIECE], length: 0, error: None }
    }

    /// Writes bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE - self.length));
            self.bytes[self.length..][..now.len()].copy_from_slice(now);
            self.length += now.len();
            rest = later;
            if self.length == PIECE {
                self.send();
            }
        }
    }

    /// The first error there was.
    pub fn error(&self) -> Option<Errno> {
        self.error
    }

    fn send(&mut self) {
        let mut rest = &self.bytes[..self.length];
        while !rest.is_empty() && self.error.is_none() {
            match files::write(self.fd, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::EINTR) => {}
                Err(error) => self.error = Some(error),
            }
        }
        self.length = 0;
    }

    /// Everything is written now; the first error there was.
    pub fn flush(&mut self) -> Result<(), Errno> {
        self.send();
        self.error.map_or(Ok(()), Err)
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.send();
    }
}
