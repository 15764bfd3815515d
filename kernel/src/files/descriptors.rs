//! A process's descriptors: small numbers for open files.
//!
//! The lowest free number is given first. A child gets a copy of the table, so the open files are shared; `execve` closes
//! those that are marked for it, the end of the process the others.
//!
//! The table's lock is a spin lock: files are taken out with it held, and closed without it.

use super::open_file::{OpenFile, close};
use super::{Result, Shared};
use crate::kernel::Kernel;
use crate::process;
use abi::errno::Errno;
use abi::files::OPEN_MAX;
use machine::{MayFault, SpinLock};
use memory::{OutOfMemory, SlabBox};

/// A process's descriptors. See the module.
pub struct Descriptors(SpinLock<Entries, 13>);

struct Entries {
    files: [Option<Shared<OpenFile>>; OPEN_MAX],
    /// A bit for each that there is.
    used: [u64; OPEN_MAX / 64],
    /// A bit for each that `execve` closes.
    closing: [u64; OPEN_MAX / 64],
}

impl Entries {
    const NONE: Entries = Entries {
        files: [const { None }; OPEN_MAX],
        used: [0; OPEN_MAX / 64],
        closing: [0; OPEN_MAX / 64],
    };

    fn mark(&mut self, place: usize, closes: bool) {
        let (word, bit) = (place / 64, 1 << (place % 64));
        if closes {
            self.closing[word] |= bit;
        } else {
            self.closing[word] &= !bit;
        }
    }

    fn is_marked(&self, place: usize) -> bool {
        self.closing[place / 64] & 1 << (place % 64) != 0
    }

    fn put(
        &mut self,
        place: usize,
        file: Shared<OpenFile>,
        closes: bool,
    ) -> Option<Shared<OpenFile>> {
        self.mark(place, closes);
        self.used[place / 64] |= 1 << (place % 64);
        self.files[place].replace(file)
    }

    fn take(&mut self, place: usize) -> Option<Shared<OpenFile>> {
        self.used[place / 64] &= !(1 << (place % 64));
        self.files[place].take()
    }

    /// Takes the first file away; of those that `execve` closes, if only they are meant.
    fn take_first(&mut self, only_marked: bool) -> Option<Shared<OpenFile>> {
        let place = (0..OPEN_MAX / 64).find_map(|word| {
            let meant = self.used[word] & if only_marked { self.closing[word] } else { u64::MAX };
            (meant != 0).then(|| word * 64 + meant.trailing_zeros() as usize)
        });
        self.take(place?)
    }

    fn copy(&self) -> Entries {
        let another = |file: &Option<Shared<OpenFile>>| file.as_ref().map(Shared::another);
        Entries { files: core::array::from_fn(|place| another(&self.files[place])), ..*self }
    }
}

/// The place of a descriptor in the table.
fn place_of(fd: i32) -> Result<usize> {
    usize::try_from(fd).ok().filter(|&place| place < OPEN_MAX).ok_or(Errno::EBADF)
}

impl Descriptors {
    /// None.
    pub fn new() -> core::result::Result<SlabBox<Descriptors>, OutOfMemory> {
        let none = || Descriptors(SpinLock::new(Entries::NONE));
        Kernel::current().files.descriptors.allocate_with(none)
    }

    /// The open file of a descriptor.
    pub fn get(&self, fd: i32) -> Result<Shared<OpenFile>> {
        let place = place_of(fd)?;
        let entries = self.0.lock_anywhere();
        entries.files[place].as_ref().map(Shared::another).ok_or(Errno::EBADF)
    }

    /// Gives an open file the lowest free descriptor that is not below `from`. If there is none, it is let go.
    pub fn add(
        &self,
        file: Shared<OpenFile>,
        from: usize,
        closes: bool,
        may_fault: &mut MayFault,
    ) -> Result<i32> {
        {
            let mut entries = self.0.lock(may_fault);
            let free = (from..OPEN_MAX).find(|&place| entries.files[place].is_none());
            if let Some(place) = free {
                entries.put(place, file, closes);
                return Ok(place as i32);
            }
        }
        close(file, may_fault);
        Err(Errno::EMFILE)
    }

    /// Gives an open file this descriptor; whatever had it is closed. If there is no such descriptor, the file is let go.
    pub fn set(
        &self,
        fd: i32,
        file: Shared<OpenFile>,
        closes: bool,
        may_fault: &mut MayFault,
    ) -> Result<()> {
        let (old, result) = match place_of(fd) {
            Ok(place) => (self.0.lock(may_fault).put(place, file, closes), Ok(())),
            Err(error) => (Some(file), Err(error)),
        };
        if let Some(old) = old {
            close(old, may_fault);
        }
        result
    }

    /// Takes a descriptor away; its file is the caller's.
    pub fn take(&self, fd: i32) -> Result<Shared<OpenFile>> {
        let place = place_of(fd)?;
        self.0.lock_anywhere().take(place).ok_or(Errno::EBADF)
    }

    /// Whether `execve` closes a descriptor.
    pub fn closes(&self, fd: i32) -> Result<bool> {
        let place = place_of(fd)?;
        let entries = self.0.lock_anywhere();
        entries.files[place].as_ref().map(|_| entries.is_marked(place)).ok_or(Errno::EBADF)
    }

    /// Says whether `execve` closes a descriptor.
    pub fn set_closes(&self, fd: i32, closes: bool) -> Result<()> {
        let place = place_of(fd)?;
        let mut entries = self.0.lock_anywhere();
        entries.files[place].as_ref().ok_or(Errno::EBADF)?;
        entries.mark(place, closes);
        Ok(())
    }

    /// Gives a child, which has none, the same descriptors.
    pub fn copy_to(&self, child: &Descriptors) {
        let copy = self.0.lock_anywhere().copy();
        *child.0.lock_anywhere() = copy;
    }

    /// Closes those that are marked for `execve`.
    pub fn close_marked(&self, may_fault: &mut MayFault) {
        self.close_each(true, may_fault);
    }

    /// Closes all.
    pub fn close_all(&self, may_fault: &mut MayFault) {
        self.close_each(false, may_fault);
    }

    fn close_each(&self, only_marked: bool, may_fault: &mut MayFault) {
        loop {
            let file = self.0.lock(may_fault).take_first(only_marked);
            let Some(file) = file else { return };
            close(file, may_fault);
        }
    }
}

/// Acts on the open file of a descriptor of the running process, which may be closed meanwhile.
pub fn with<R>(
    fd: i32,
    may_fault: &mut MayFault,
    act: impl FnOnce(&OpenFile, &mut MayFault) -> Result<R>,
) -> Result<R> {
    let file = process::current().descriptors.get(fd)?;
    let result = act(&file, may_fault);
    close(file, may_fault);
    result
}
