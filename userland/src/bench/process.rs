//! Processes: a signal, a child that becomes a program, a byte to a child and back.

use super::{Bench, per_long_operation};
use crate::signal;
use crate::system::{self, raw};
use abi::signals::{SigInfo, UserContext};
use core::ptr;

const SIGUSR1: i32 = 10;

/// What a child becomes. It ends at once.
const NOTHING: &core::ffi::CStr = c"/bin/nothing";

pub(super) fn measure(bench: &Bench) {
    bench.value("proc.signal", signal());
    bench.value("proc.fork_exec_wait", per_long_operation(20, fork_exec_wait));
    if let Some(value) = pipe_roundtrip() {
        bench.value("proc.pipe_roundtrip", value);
    }
}

extern "C" fn do_nothing(_: i32, _: &SigInfo, _: &mut UserContext) {}

/// A signal to oneself, its handler, and the way back.
fn signal() -> u64 {
    let before = signal::handle(SIGUSR1, do_nothing, 0).expect("it can be handled");
    let own = system::getpid() as i64;
    let value =
        per_long_operation(500, || signal::kill(own, SIGUSR1).expect("this process is there"));
    signal::set_action(SIGUSR1, &before).expect("as it was");
    value
}

/// Makes a child, which is handed to `body` and ends.
fn child(body: impl FnOnce()) -> u64 {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => {
            body();
            system::exit_group(1)
        }
        Ok(child) => child,
        Err(error) => panic!("fork: {}", error.text()),
    }
}

fn wait(child: u64) -> i32 {
    let mut status = -1;
    // SAFETY: the status is the call's to write.
    let waited = unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) };
    waited.expect("the child is there");
    status
}

fn fork_exec_wait() {
    let child = child(|| {
        let name = NOTHING.as_ptr().cast::<u8>();
        let arguments = [name, ptr::null()];
        let environment = [ptr::null()];
        // SAFETY: path, arguments and environment end with a null byte and with null pointers.
        let _ = unsafe { raw::execve(name, arguments.as_ptr(), environment.as_ptr()) };
    });
    assert!(wait(child) == 0, "the child has not become a program");
}

/// The descriptors of a pipe: to read from, to write to.
fn pipe() -> Option<[i32; 2]> {
    let mut fds = [0; 2];
    // SAFETY: the call writes the two descriptors.
    unsafe { raw::pipe(fds.as_mut_ptr()) }.ok().map(|_| fds)
}

fn close(fd: i32) {
    // SAFETY: opened for this measurement.
    let _ = unsafe { raw::close(fd) };
}

/// Reads a byte; says whether one came.
fn read_byte(fd: i32) -> bool {
    let mut byte = 0;
    // SAFETY: the byte is the call's to write.
    matches!(unsafe { raw::read(fd, &raw mut byte, 1) }, Ok(1))
}

/// A byte through a pipe to a child, which answers through another. None if there are no pipes.
fn pipe_roundtrip() -> Option<u64> {
    let [child_reads, we_write] = pipe()?;
    let [we_read, child_writes] = pipe()?;
    let child = child(|| {
        close(we_write);
        while read_byte(child_reads) && system::write(child_writes, b"a").is_ok() {}
        system::exit_group(0);
    });
    close(child_reads);
    close(child_writes);
    let value = per_long_operation(200, || {
        system::write(we_write, b"q").expect("the child reads");
        assert!(read_byte(we_read), "the child does not answer");
    });
    close(we_write);
    close(we_read);
    assert!(wait(child) == 0, "the child did not end by itself");
    Some(value)
}
