//! Becoming a program: the address space is emptied, the program's file mapped into it, and a first stack made.
//!
//! Runs on the process's own thread, because the stack is written through its own page tables. What can be found out
//! before the old program is gone is found out before: whether there is such a file, and whether it can be run. After
//! that there is nothing to go back to.

use super::image::{self, Image};
use super::{CannotRun, NAME_MAX, Process, ProgramName, Start, arguments};
use crate::kernel::Kernel;
use crate::virtual_memory::archive::{self, ArchiveFile};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use machine::MayFault;
use vm::object::Kind;
use vm::read::Reach;
use vm::{FaultError, ObjectRef, shadow};

/// A program that can be started.
pub struct Ready {
    /// Where.
    pub start: Start,
    /// With this stack pointer.
    pub stack_pointer: u64,
}

/// Makes the running process the program that the first word names; `words` are its arguments, each with a null byte
/// behind it.
pub fn load_command(
    process: &Process,
    words: &[u8],
    start: Option<Start>,
    may_fault: &mut MayFault,
) -> Result<Ready, CannotRun> {
    let name = words.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = core::str::from_utf8(name).map_err(|_| CannotRun::NotFound)?;
    load(process, name, words, &[], start, may_fault)
}

/// Finds out whether a program could be loaded so.
pub fn look(
    name: &str,
    words: &[u8],
    environment: &[u8],
    may_fault: &mut MayFault,
) -> Result<(), CannotRun> {
    arguments::check(words, environment)?;
    let file = archive::get(Kernel::current())?.find(name).ok_or(CannotRun::NotFound)?;
    check_file(file, may_fault).map(drop)
}

/// The same with a name that is not among the arguments, and an environment.
pub fn load(
    process: &Process,
    name: &str,
    words: &[u8],
    environment: &[u8],
    start: Option<Start>,
    may_fault: &mut MayFault,
) -> Result<Ready, CannotRun> {
    arguments::check(words, environment)?;
    let file = archive::get(Kernel::current())?.find(name).ok_or(CannotRun::NotFound)?;
    let image = check_file(file, may_fault)?;
    let object = file.reference(may_fault);
    let ready = become_image(process, file, &image, &object, [words, environment], may_fault);
    shadow::release(object, may_fault);
    let mut ready = ready?;
    ready.start = start.unwrap_or(ready.start);
    Ok(ready)
}

/// Reads as much of a program's file as it takes to check it.
pub fn check_file(file: &ArchiveFile, may_fault: &mut MayFault) -> Result<Image, CannotRun> {
    let mut head = Vec::new();
    let length = file.length().min(image::HEAD) as usize;
    head.try_reserve_exact(length).map_err(|_| CannotRun::OutOfMemory)?;
    head.resize(length, 0);
    // What lies behind is wanted next.
    file.read(0, &mut head, Reach::DeviceAndAhead, may_fault).map_err(|error| match error {
        FaultError::Device => CannotRun::Device,
        FaultError::Interrupted => CannotRun::Interrupted,
        _ => CannotRun::Unsuitable("its file cannot be read"),
    })?;
    image::check(&head, file.length())
}

fn become_image(
    process: &Process,
    file: &'static ArchiveFile,
    image: &Image,
    object: &ObjectRef,
    strings: [&[u8]; 2],
    may_fault: &mut MayFault,
) -> Result<Ready, CannotRun> {
    debug_assert!(matches!(object.kind(), Kind::File(_)), "programs are mapped from files");
    let space = process.space();
    space.clear(may_fault);
    // Of the program before; nobody is left but this LWP.
    // Its timers are waited for, without the lock.
    let activations = process.activations.lock(may_fault).take();
    drop(activations);
    process.has_executed.store(true, Ordering::Relaxed);
    process.signals.forget_handlers();
    process.descriptors.close_marked(may_fault);
    let mut kept = [0; NAME_MAX];
    super::start::keep_name(file.name, &mut kept);
    *process.program.lock(may_fault) = ProgramName { name: kept, file: Some(file) };
    image.map(space, object, may_fault)?;
    *process.heap().lock(may_fault) = (image.end(), image.end());
    let stack_pointer = arguments::make_stack(space, strings, image, may_fault)?;
    Ok(Ready { start: Start::at(image.entry), stack_pointer })
}
