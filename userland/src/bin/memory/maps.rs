//! Mapping, protecting, unmapping; the errors of each.

use abi::errno::Errno;
use core::ptr;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::raw;

pub const PAGE: usize = 4096;
pub const READ: i32 = 1;
pub const WRITE: i32 = 2;
pub const EXECUTE: i32 = 4;
pub const SHARED: i32 = 1;
pub const PRIVATE: i32 = 2;
pub const FIXED: i32 = 0x10;
pub const ANONYMOUS: i32 = 0x20;
const FIXED_NOREPLACE: i32 = 0x10_0000;

/// Maps memory, or says which error came.
pub fn map(
    address: u64,
    length: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: u64,
) -> Result<*mut u8, Errno> {
    // SAFETY: what was at the address is the check's own.
    let mapped = unsafe { raw::mmap(address, length as u64, protection, flags, fd, offset) }?;
    Ok(ptr::with_exposed_provenance_mut(mapped as usize))
}

/// Anonymous memory of so many pages.
pub fn pages(count: usize, flags: i32) -> Result<*mut u8, Why> {
    map(0, count * PAGE, READ | WRITE, flags | ANONYMOUS, -1, 0)
        .map_err(|error| Why::new(format_args!("mmap: {}", error.text())))
}

/// The word at the start of a page.
pub fn get(memory: *mut u8, page: usize) -> u64 {
    // SAFETY: the checks ask for pages that they have mapped.
    let place = unsafe { memory.add(page * PAGE) };
    // SAFETY: as above.
    unsafe { place.cast::<u64>().read_volatile() }
}

/// Writes it.
pub fn put(memory: *mut u8, page: usize, value: u64) {
    // SAFETY: the checks ask for pages that they have mapped.
    let place = unsafe { memory.add(page * PAGE) };
    // SAFETY: as above.
    unsafe { place.cast::<u64>().write_volatile(value) };
}

/// Unmaps pages.
pub fn unmap(memory: *mut u8, count: usize) -> Result<(), Why> {
    // SAFETY: nobody uses them any more.
    unsafe { raw::munmap(memory as u64, (count * PAGE) as u64) }
        .map(drop)
        .map_err(|error| Why::new(format_args!("munmap: {}", error.text())))
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("anonymous-memory-is-zero-and-keeps"), || {
        const COUNT: usize = 300;
        let memory = pages(COUNT, PRIVATE)?;
        for page in 0..COUNT {
            if get(memory, page) != 0 {
                fail!("page {page} is not zero");
            }
            put(memory, page, page as u64 + 1);
        }
        if let Some(page) = (0..COUNT).find(|&page| get(memory, page) != page as u64 + 1) {
            fail!("page {page} has lost what was written");
        }
        unmap(memory, COUNT)
    });
    checks.check(format_args!("unmapping-the-middle-leaves-the-rest"), || {
        let memory = pages(5, PRIVATE)?;
        (0..5).for_each(|page| put(memory, page, 7));
        // SAFETY: pages of its own.
        unmap(unsafe { memory.add(2 * PAGE) }, 1)?;
        if [0, 1, 3, 4].iter().any(|&page| get(memory, page) != 7) {
            fail!("the others have changed");
        }
        let address = memory as u64 + 2 * PAGE as u64;
        let flags = PRIVATE | ANONYMOUS | FIXED_NOREPLACE;
        match map(address, PAGE, READ, flags, -1, 0) {
            Ok(place) if place as u64 == address && get(place, 0) == 0 => {}
            other => fail!("mapping into the gap came to {other:?}"),
        }
        match map(address - PAGE as u64, PAGE, READ, flags, -1, 0) {
            Err(Errno::EEXIST) => unmap(memory, 5),
            other => fail!("mapping what is taken came to {other:?}"),
        }
    });
    checks.check(format_args!("wrong-calls-have-their-errors"), wrong_calls);
    checks.check(format_args!("protection-changes"), || {
        let memory = pages(3, PRIVATE)?;
        put(memory, 1, 5);
        let start = memory as u64;
        // SAFETY: the page's own.
        let protect = |pages: usize, protection| unsafe {
            raw::mprotect(start, (pages * PAGE) as u64, protection)
        };
        for (count, protection, expected) in [
            (3, READ, Ok(0)),
            (3, READ | WRITE, Ok(0)),
            (3, WRITE | EXECUTE, Err(Errno::EACCES)),
            (3, 8, Err(Errno::EINVAL)),
            (0, READ, Ok(0)),
        ] {
            let came = protect(count, protection);
            if came != expected {
                fail!("mprotect({count} pages, {protection}) came to {came:?}");
            }
        }
        if get(memory, 1) != 5 {
            fail!("a change of rights has changed the contents");
        }
        unmap(memory, 3)
    });
    checks.check(format_args!("heap-grows-and-shrinks"), heap);
    checks.check(format_args!("what-is-not-needed-is-zero-again"), || {
        const DO_NOT_NEED: i32 = 4;
        let memory = pages(4, PRIVATE)?;
        (0..4).for_each(|page| put(memory, page, 9));
        // SAFETY: pages of its own.
        let advised =
            unsafe { raw::madvise(memory as u64 + PAGE as u64, 2 * PAGE as u64, DO_NOT_NEED) };
        if advised != Ok(0) {
            fail!("madvise came to {advised:?}");
        }
        let found = [0, 1, 2, 3].map(|page| get(memory, page));
        if found != [9, 0, 0, 9] {
            fail!("the pages are {found:?}");
        }
        unmap(memory, 4)
    });
    checks.check(format_args!("memory-can-be-locked"), || {
        let memory = pages(8, PRIVATE)?;
        // SAFETY: pages of its own.
        let locked = unsafe { raw::mlock(memory as u64 + 100, 5 * PAGE as u64) };
        // SAFETY: likewise.
        let unlocked = unsafe { raw::munlock(memory as u64, 8 * PAGE as u64) };
        // SAFETY: likewise, and there is nothing.
        let nothing = unsafe { raw::mlock(0x10_0000_0000, PAGE as u64) };
        if (locked, unlocked, nothing) != (Ok(0), Ok(0), Err(Errno::ENOMEM)) {
            fail!("{locked:?}, {unlocked:?}, {nothing:?}");
        }
        unmap(memory, 8)
    });
    checks.check(format_args!("files-are-mapped"), files);
}

fn wrong_calls() -> Result<(), Why> {
    const TOP: u64 = 0x7fff_ffff_f000;
    for (what, came, expected) in [
        ("no length", map(0, 0, READ, PRIVATE | ANONYMOUS, -1, 0), Errno::EINVAL),
        ("no kind", map(0, PAGE, READ, ANONYMOUS, -1, 0), Errno::EINVAL),
        ("bad rights", map(0, PAGE, 64, PRIVATE | ANONYMOUS, -1, 0), Errno::EINVAL),
        ("W and X", map(0, PAGE, WRITE | EXECUTE, PRIVATE | ANONYMOUS, -1, 0), Errno::EACCES),
        ("address 1", map(1, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0), Errno::EINVAL),
        ("address 0", map(0, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0), Errno::EINVAL),
        ("the top", map(TOP, PAGE, READ, PRIVATE | ANONYMOUS | FIXED, -1, 0), Errno::EINVAL),
        ("too long", map(0, 1 << 47, READ, PRIVATE | ANONYMOUS, -1, 0), Errno::ENOMEM),
        ("wraps", map(0, usize::MAX - 100, READ, PRIVATE | ANONYMOUS, -1, 0), Errno::ENOMEM),
        ("no file", map(0, PAGE, READ, PRIVATE, 9, 0), Errno::EBADF),
        ("bad offset", map(0, PAGE, READ, PRIVATE, 9, 5), Errno::EINVAL),
    ] {
        if came != Err(expected) {
            fail!("mmap with {what} came to {came:?}, not {expected:?}");
        }
    }
    // SAFETY: none of these changes anything.
    let unmapped = unsafe { raw::munmap(5, PAGE as u64) };
    // SAFETY: likewise.
    let empty = unsafe { raw::munmap(0x10_0000, 0) };
    // SAFETY: likewise.
    let protected = unsafe { raw::mprotect(0x10_0000_0000, PAGE as u64, READ) };
    // SAFETY: likewise.
    let advised = unsafe { raw::madvise(0x10_0000_0000, PAGE as u64, 99) };
    // SAFETY: likewise.
    let inherited = unsafe { raw::minherit(0x10_0000_0000, PAGE as u64, 7) };
    let all = [unmapped, empty, protected, advised, inherited];
    let expected = [Errno::EINVAL, Errno::EINVAL, Errno::ENOMEM, Errno::EINVAL, Errno::EINVAL];
    if all != expected.map(Err) {
        fail!("{all:?}");
    }
    Ok(())
}

fn heap() -> Result<(), Why> {
    // SAFETY: asks only.
    let start = unsafe { raw::brk(0) }.unwrap_or(0);
    // SAFETY: nobody uses the heap.
    let grown = unsafe { raw::brk(start + 5000) };
    if start == 0 || grown != Ok(start + 5000) {
        fail!("from {start:#x} the heap grew to {grown:x?}");
    }
    let heap: *mut u8 = ptr::with_exposed_provenance_mut(start.next_multiple_of(4096) as usize);
    put(heap, 0, 3);
    // SAFETY: nobody uses the heap.
    let shrunk = unsafe { raw::brk(start) };
    // SAFETY: likewise.
    let again = unsafe { raw::brk(start + 5000) };
    if (shrunk, again) != (Ok(start), Ok(start + 5000)) || get(heap, 0) != 0 {
        fail!("the heap came back as {shrunk:x?}, {again:x?}, {}", get(heap, 0));
    }
    // SAFETY: asks for what cannot be.
    let below = unsafe { raw::brk(start - 1) };
    if below != Ok(start + 5000) {
        fail!("a heap that ends before it begins came to {below:x?}");
    }
    Ok(())
}

fn files() -> Result<(), Why> {
    const ELF: [u8; 4] = [0x7f, b'E', b'L', b'F'];
    // SAFETY: a path that ends with a null byte.
    let opened = unsafe { raw::open(c"/bin/hello".as_ptr().cast(), 0, 0) };
    let Ok(fd) = opened.map(|fd| fd as i32) else { fail!("open came to {opened:?}") };
    let private = map(0, 2 * PAGE, READ | WRITE, PRIVATE, fd, 0);
    let shared = map(0, 2 * PAGE, READ, SHARED, fd, 0);
    let written = map(0, PAGE, READ | WRITE, SHARED, fd, 0);
    let (Ok(private), Ok(shared), Err(Errno::EACCES)) = (private, shared, written) else {
        fail!("{private:?}, {shared:?}, {written:?}");
    };
    for memory in [private, shared] {
        let head = (get(memory, 0) as u32).to_le_bytes();
        if head != ELF {
            fail!("the file begins with {head:x?}");
        }
    }
    put(private, 0, 1);
    if get(private, 0) != 1 || get(shared, 0) as u32 != u32::from_le_bytes(ELF) {
        fail!("a private write is seen in the file");
    }
    // SAFETY: closes what was opened here.
    let closed = [unsafe { raw::close(fd) }, unsafe { raw::close(fd) }];
    if closed != [Ok(0), Err(Errno::EBADF)] {
        fail!("close came to {closed:?}");
    }
    if get(private, 1) == get(private, 0) {
        fail!("the second page is the first");
    }
    unmap(private, 2)?;
    unmap(shared, 2)
}
