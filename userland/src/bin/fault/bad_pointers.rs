//! Every system call that takes a pointer, with pointers that lead nowhere.
//!
//! What must hold: the answer is an error, the program lives, and so does the kernel. An error that
//! an earlier argument deserves comes first. Memory that a refused call was to fill may have been
//! filled in part: the bytes at the edges are put back after each check.

use super::{calls_on_files, calls_on_lwps, calls_on_paths};
use abi::calls::{DescribeCursor, TimeSpec};
use abi::errno::Errno;
use abi::statistics::ProcessorInfo;
use core::ptr;
use core::slice;
use userland::arguments::{PAGE_SIZE, PROGRAM_HEADER_COUNT, PROGRAM_HEADERS};
use userland::print::OUTPUT;
use userland::report::{Checks, Why};
use userland::system::{SystemName, raw};
use userland::{Arguments, fail};

/// A call with everything chosen but its pointer and, if it takes one, its length.
pub struct Call {
    pub name: &'static str,
    /// Bytes behind the pointer; fixed, if the call takes no length.
    pub size: u64,
    pub direction: Direction,
    pub make: fn(address: u64, length: u64) -> Result<u64, Errno>,
}

/// What the kernel does to the memory behind a pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It reads as many bytes as it is told.
    Reads,
    /// It fills a structure.
    Fills,
}

const CLOCK_MONOTONIC: i32 = 1;

/// What is behind the pointers of calls that take a length: less than the kernel copies at a time.
pub const LENGTH: u64 = 33;

/// The calls. In all of them memory that is filled is none of Rust's: addresses are bad, or lie at
/// the edges that [`Edge`] looks after.
const CALLS: [Call; 5] = [
    Call {
        name: "write",
        size: LENGTH,
        direction: Direction::Reads,
        // SAFETY: the call writes to no memory.
        make: |address, length| unsafe { raw::write(OUTPUT, address as _, length as usize) },
    },
    Call {
        name: "uname",
        size: size_of::<SystemName>() as u64,
        direction: Direction::Fills,
        // SAFETY: see `CALLS`.
        make: |address, _| unsafe { raw::uname(address as _) },
    },
    Call {
        name: "clock_gettime",
        size: size_of::<TimeSpec>() as u64,
        direction: Direction::Fills,
        // SAFETY: see `CALLS`.
        make: |address, _| unsafe { raw::clock_gettime(CLOCK_MONOTONIC, address as _) },
    },
    Call {
        name: "report",
        size: LENGTH,
        direction: Direction::Reads,
        // SAFETY: the call writes to no memory.
        make: |address, length| unsafe { raw::report(address as _, length as usize) },
    },
    Call {
        name: "processor_info",
        size: size_of::<ProcessorInfo>() as u64,
        direction: Direction::Fills,
        // SAFETY: see `CALLS`.
        make: |address, length| unsafe { raw::processor_info(0, address as _, length as usize) },
    },
];

/// Calls with pointers of other kinds, tried one by one ([`try_strings`], [`try_wait`], [`try_describe`]); memory of an
/// observed process in the program `observe`, because somebody has to be observed.
const BY_HAND: [&str; 4] = ["execve", "wait4", "describe", "observe_read"];

/// Addresses that lead nowhere, whatever lies behind them.
pub const NOWHERE: [u64; 6] =
    [8, 0xf000, 0x7fff_ffff_f000, 1 << 47, 0xffff_8000_0000_0000, u64::MAX];

macro_rules! calls_with_pointers {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        /// Names and types of arguments of all calls.
        const TABLE: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($type)),*])),*];
    };
}
abi::system_calls!(calls_with_pointers);

/// Where this program's memory begins and ends.
struct Layout {
    /// The first address of its image.
    image: u64,
    /// The end of its data's last page. What follows is not mapped.
    data_end: u64,
    /// The end of its stack's last page. What follows is not mapped.
    stack_end: u64,
}

/// Runs the checks.
pub fn try_all(arguments: Arguments) -> i32 {
    let mut checks = Checks::new("bad-pointers");
    checks.check(format_args!("all-calls-are-tried"), all_calls_are_tried);
    let Some(layout) = layout(arguments) else {
        checks.check(format_args!("layout"), || {
            fail!("the kernel does not say where the program headers are")
        });
        return checks.finish();
    };
    for call in all_calls() {
        try_addresses(&mut checks, call);
        try_edges(&mut checks, call, &layout);
        if call.direction == Direction::Fills {
            try_read_only(&mut checks, call, &layout);
        }
    }
    try_lengths(&mut checks, &layout);
    try_order(&mut checks);
    try_strings(&mut checks);
    checks.check(format_args!("paths-that-are-nowhere"), calls_on_paths::try_paths);
    checks.check(format_args!("structures-that-are-nowhere"), || {
        calls_on_lwps::try_structures(layout.data_end)
    });
    checks.check(format_args!("wait4-bad-addresses"), try_wait);
    checks.check(format_args!("describe-bad-addresses"), || try_describe(layout.image));
    try_good_ones(&mut checks);
    checks.check(format_args!("nothing-is-left-open"), calls_on_files::nothing_is_left);
    checks.finish()
}

/// The calls that are tried with addresses.
fn all_calls() -> impl Iterator<Item = &'static Call> {
    CALLS.iter().chain(&calls_on_files::CALLS).chain(&calls_on_paths::CALLS)
}

fn all_calls_are_tried() -> Result<(), Why> {
    for (name, types) in TABLE {
        let pointers = types.iter().any(|text| text.starts_with('*'));
        let mut calls = all_calls();
        let is_tried = calls.any(|call| call.name == *name)
            || BY_HAND.contains(name)
            || calls_on_lwps::tries(name)
            || calls_on_paths::WITH_PATHS.contains(name);
        if pointers && !is_tried {
            fail!("nothing is tried with {name}");
        }
    }
    Ok(())
}

/// The auxiliary vector says where the image is; the arguments' strings lie at the stack's end.
fn layout(arguments: Arguments) -> Option<Layout> {
    /// As in an ELF file.
    #[repr(C)]
    struct ProgramHeader {
        kind: u32,
        flags: u32,
        offset: u64,
        address: u64,
        physical_address: u64,
        file_size: u64,
        memory_size: u64,
        alignment: u64,
    }
    const LOAD: u32 = 1;
    const WRITABLE: u32 = 2;

    let page = arguments.auxiliary(PAGE_SIZE)?;
    let headers = arguments.auxiliary(PROGRAM_HEADERS).filter(|&address| address != 0)?;
    let headers = ptr::with_exposed_provenance::<ProgramHeader>(headers as usize);
    let count = arguments.auxiliary(PROGRAM_HEADER_COUNT)? as usize;
    // SAFETY: the kernel says that they are there; they are constant data of this program's image.
    let headers = unsafe { slice::from_raw_parts(headers, count) };
    let loaded = || headers.iter().filter(|header| header.kind == LOAD);
    let writable = loaded().filter(|header| header.flags & WRITABLE != 0);
    let data_end = writable.map(|header| header.address + header.memory_size).max()?;

    let last = (0..).map_while(|place| arguments.get(place)).last()?;
    let strings_end = last.as_ptr() as u64 + last.count_bytes() as u64 + 1;
    Some(Layout {
        image: loaded().map(|header| header.address).min()?,
        data_end: data_end.next_multiple_of(page),
        stack_end: strings_end.next_multiple_of(page),
    })
}

fn expect(call: &Call, address: u64, length: u64, error: Errno) -> Result<(), Why> {
    let found = (call.make)(address, length);
    if found != Err(error) {
        fail!(
            "{} with {address:#x}, length {length:#x}: expected {error:?}, found {found:?}",
            call.name
        );
    }
    Ok(())
}

/// Addresses that are never this program's.
fn try_addresses(checks: &mut Checks, call: &Call) {
    for (name, address) in [
        ("null", 0),
        ("one", 1),
        ("first-page", 0xff8),
        ("unmapped", 0x5555_5555_5000),
        ("unmapped-odd", 0x5555_5555_5fff),
        ("kernel-half", 0xffff_8000_0000_0000),
        ("kernel-image", 0xffff_ffff_8000_0000),
        ("last-address", u64::MAX),
        ("before-kernel-half", 0xffff_8000_0000_0000 - 1),
        ("non-canonical", 0x0000_8000_0000_0000),
        ("non-canonical-sign", 1 << 63),
        ("into-the-hole", 0x0000_8000_0000_0000 - 1),
        ("ends-at-the-last-address", call.size.wrapping_neg()),
        ("wraps-around", call.size.wrapping_neg() + 1),
    ] {
        checks.check(format_args!("{}-{name}", call.name), || {
            expect(call, address, call.size, Errno::EFAULT)
        });
    }
}

/// Ranges that begin in memory that is there and end in memory that is not, and the other way round.
fn try_edges(checks: &mut Checks, call: &Call, layout: &Layout) {
    for (name, end) in [("stack", layout.stack_end), ("data", layout.data_end)] {
        checks.check(format_args!("{}-across-end-of-{name}", call.name), || {
            let edge = Edge::before(end);
            // What fits is tried with the good ones.
            for inside in 0..EDGE.min(call.size) {
                expect(call, end - inside, call.size, Errno::EFAULT)?;
            }
            if call.direction == Direction::Fills && call.size <= EDGE {
                let found = (call.make)(end - call.size, call.size);
                if found != Ok(0) {
                    fail!("up to the last byte: expected success, found {found:?}");
                }
            }
            drop(edge);
            Ok(())
        });
    }
    checks.check(format_args!("{}-before-the-image", call.name), || {
        (1..EDGE)
            .try_for_each(|outside| expect(call, layout.image - outside, call.size, Errno::EFAULT))
    });
}

/// How many bytes before an edge are tried.
const EDGE: u64 = 32;

/// The bytes before an edge, which are put back in the end.
struct Edge {
    place: *mut [u8; EDGE as usize],
    bytes: [u8; EDGE as usize],
}

impl Edge {
    fn before(end: u64) -> Edge {
        let place = ptr::with_exposed_provenance_mut((end - EDGE) as usize);
        // SAFETY: the last bytes of one of this program's own writable pages.
        Edge { place, bytes: unsafe { ptr::read_volatile(place) } }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: as above; these are the bytes that were there.
        unsafe { ptr::write_volatile(self.place, self.bytes) };
    }
}

/// Memory that this program may read, but not write to.
fn try_read_only(checks: &mut Checks, call: &Call, layout: &Layout) {
    static CONSTANT: [u8; 512] = [0x5a; 512];
    for (name, address) in [
        ("constants", &raw const CONSTANT as u64),
        ("instructions", try_all as *const () as u64),
        ("headers", layout.image),
    ] {
        checks.check(format_args!("{}-{name}", call.name), || {
            let place = ptr::with_exposed_provenance::<u64>(address as usize);
            // SAFETY: one of this program's own pages.
            let before = unsafe { ptr::read_unaligned(place) };
            expect(call, address, call.size, Errno::EFAULT)?;
            // SAFETY: as above. Volatile, because the compiler knows that it is constant.
            let after = unsafe { ptr::read_volatile(place.cast::<[u8; 8]>()) };
            if u64::from_ne_bytes(after) != before {
                fail!("the call was refused, but {address:#x} has changed");
            }
            Ok(())
        });
    }
}

/// Lengths that reach beyond everything.
fn try_lengths(checks: &mut Checks, layout: &Layout) {
    // More bytes than the kernel copies at a time are really there.
    let address = layout.data_end - 600;
    for (name, length) in [
        ("max", u64::MAX),
        ("max-positive", i64::MAX as u64),
        ("to-the-last-address", address.wrapping_neg()),
        ("to-the-kernel-half", 0xffff_8000_0000_0000 - address + 1),
        ("to-the-hole", 0x0000_8000_0000_0000 - address),
    ] {
        for (call, error) in [(&CALLS[0], Errno::EFAULT), (&CALLS[3], Errno::EINVAL)] {
            checks.check(format_args!("{}-length-{name}", call.name), || {
                expect(call, address, length, error)
            });
        }
    }
}

/// An error of an earlier argument comes before that of the pointer; without a length no pointer is
/// bad.
fn try_order(checks: &mut Checks) {
    let mut check = |name: &str, found: Result<u64, Errno>, expected: Result<u64, Errno>| {
        checks.check(format_args!("{name}"), || {
            if found != expected {
                fail!("expected {expected:?}, found {found:?}");
            }
            Ok(())
        });
    };
    // SAFETY: the call writes to no memory.
    let found = unsafe { raw::write(77, ptr::null(), 8) };
    check("write-bad-fd-first", found, Err(Errno::EBADF));
    // SAFETY: as above.
    let found = unsafe { raw::write(-1, ptr::null(), 8) };
    check("write-negative-fd-first", found, Err(Errno::EBADF));
    // SAFETY: as above.
    let found = unsafe { raw::write(OUTPUT, ptr::null(), 0) };
    check("write-nothing", found, Ok(0));
    // SAFETY: there is no memory at null.
    let found = unsafe { raw::clock_gettime(99, ptr::null_mut()) };
    check("clock_gettime-bad-clock-first", found, Err(Errno::EINVAL));
    // SAFETY: the call writes to no memory.
    let found = unsafe { raw::report(ptr::null(), 0) };
    check("report-nothing", found, Err(Errno::EINVAL));
    // SAFETY: as above.
    let found = unsafe { raw::report(ptr::null(), 100_000) };
    check("report-too-long-first", found, Err(Errno::EINVAL));
}

/// Paths, and arrays of strings. The kernel must not become another program for any of them.
fn try_strings(checks: &mut Checks) {
    for address in NOWHERE {
        let bad: *const u8 = ptr::with_exposed_provenance(address as usize);
        checks.check(format_args!("strings-at-{address:#x}"), || {
            let path = c"/bin/hello".as_ptr().cast();
            let words = [bad, ptr::null()];
            // SAFETY: the call writes to no memory.
            let opened = unsafe { raw::open(bad, 0, 0) };
            let tries = [
                // SAFETY: as above; and it fails.
                unsafe { raw::execve(bad, ptr::null(), ptr::null()) },
                // SAFETY: likewise.
                unsafe { raw::execve(path, bad.cast(), ptr::null()) },
                // SAFETY: likewise.
                unsafe { raw::execve(path, ptr::null(), bad.cast()) },
                // SAFETY: likewise.
                unsafe { raw::execve(path, words.as_ptr(), ptr::null()) },
            ];
            if opened != Err(Errno::EFAULT) || tries != [Err(Errno::EFAULT); 4] {
                fail!("open: {opened:?}; execve: {tries:?}");
            }
            Ok(())
        });
    }
}

/// A child that has ended is gone, even if the parent did not want to hear how.
fn try_wait() -> Result<(), Why> {
    for address in NOWHERE {
        // SAFETY: the child only ends.
        let child = match unsafe { raw::fork() } {
            Ok(0) => userland::system::exit_group(0),
            Ok(child) => child as i32,
            Err(error) => fail!("fork: {}", error.text()),
        };
        let bad: *mut i32 = ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: nothing is there.
        let waited = unsafe { raw::wait4(child, bad, 0, ptr::null_mut()) };
        // SAFETY: no status is asked for.
        let again = unsafe { raw::wait4(child, ptr::null_mut(), 0, ptr::null_mut()) };
        if (waited, again) != (Err(Errno::EFAULT), Err(Errno::ECHILD)) {
            fail!("{address:#x}: {waited:?}, then {again:?}");
        }
    }
    Ok(())
}

/// A description goes to a buffer, and leaves behind where it goes on: neither may be elsewhere, nor in `read_only`.
fn try_describe(read_only: u64) -> Result<(), Why> {
    let mut buffer = [0_u8; DescribeCursor::PIECE_MIN];
    for address in NOWHERE.into_iter().chain([read_only]) {
        let bad: *mut u8 = ptr::with_exposed_provenance_mut(address as usize);
        let place = buffer.as_mut_ptr();
        // SAFETY: nothing may be written there.
        let no_cursor = unsafe { raw::describe(0, 0, bad.cast(), place, buffer.len()) };
        let mut cursor = DescribeCursor::default();
        // SAFETY: likewise.
        let no_buffer = unsafe { raw::describe(0, 0, &raw mut cursor, bad, buffer.len()) };
        // What can be read is no cursor, but the kernel need not get so far as to write there.
        let is_refused =
            no_cursor == Err(Errno::EFAULT) || address == read_only && no_cursor.is_err();
        if !is_refused || no_buffer != Err(Errno::EFAULT) {
            fail!("{address:#x}: {no_cursor:?} for the cursor, {no_buffer:?} for the buffer");
        }
    }
    Ok(())
}

/// After all this the calls still work.
fn try_good_ones(checks: &mut Checks) {
    checks.check(format_args!("good-ones-still-work"), || {
        let mut place = [0_u64; 64];
        for call in all_calls() {
            if call.direction == Direction::Reads {
                continue;
            }
            place.fill(u64::MAX);
            // The array is larger than any structure.
            let found = (call.make)(place.as_mut_ptr() as u64, call.size);
            if found != Ok(0) || place[0] == u64::MAX {
                fail!("{}: found {found:?}", call.name);
            }
        }
        let text = "the kernel still writes\n";
        let found = (CALLS[0].make)(text.as_ptr() as u64, text.len() as u64);
        if found != Ok(text.len() as u64) {
            fail!("write: found {found:?}");
        }
        Ok(())
    });
}
