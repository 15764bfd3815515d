//! A program's first stack: arguments, environment and auxiliary vector, as Linux lays them out.
//!
//! From the stack pointer upwards: the number of arguments, their addresses, null, the environment's
//! addresses, null, pairs of the auxiliary vector, the null pair; then the strings. The stack
//! pointer is a multiple of 16.

use crate::process::CannotRun;
use crate::process::image::{HEADER_SIZE, Image};
use alloc::vec::Vec;
use machine::pmap::Rights;
use machine::x86_64::stack::PAGE;
use machine::x86_64::user_copy::{self, USER_END};
use machine::{MayFault, time};
use vm::Space;
use vm::entry::Inheritance;
use vm::map::{Place, Request};
use vm::stacks::StackShape;

/// What the stack may grow to, with its guard: an array of a single stack. Its pages come when they are touched.
pub const STACK_SIZE: u64 = 8 << 20;
/// Most of the stack that arguments may take.
const ARGUMENTS_MAX: usize = 16 << 10;

/// Keys of the auxiliary vector, with Linux's numbers.
mod key {
    pub const NULL: u64 = 0;
    pub const HEADERS: u64 = 3;
    pub const HEADER_SIZE: u64 = 4;
    pub const HEADER_COUNT: u64 = 5;
    pub const PAGE_SIZE: u64 = 6;
    pub const INTERPRETER: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const USER: u64 = 11;
    pub const EFFECTIVE_USER: u64 = 12;
    pub const GROUP: u64 = 13;
    pub const EFFECTIVE_GROUP: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const CAPABILITIES: u64 = 16;
    pub const CLOCK_TICKS: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const EXECUTED: u64 = 31;
    pub const SIGNAL_STACK_MIN: u64 = 51;
}

/// The name of the processor's kind, with its null byte.
const PLATFORM: [u8; 8] = *b"x86_64\0\0";
/// Ticks of `times` in a second.
const CLOCK_TICKS: u64 = 100;
/// What a handler's frame takes at most, and something for the handler.
const SIGNAL_STACK_MIN: u64 = 4096;

/// What the processor says of itself in `edx` for leaf 1 of `cpuid`, as Linux passes it on.
fn capabilities() -> u64 {
    u64::from(core::arch::x86_64::__cpuid(1).edx)
}

/// Whether arguments and environment are short enough.
pub fn check(words: &[u8], environment: &[u8]) -> Result<(), CannotRun> {
    let count = |strings: &[u8]| strings.iter().filter(|&&byte| byte == 0).count();
    let bytes = 8 * (count(words) + count(environment)) + words.len() + environment.len() + 512;
    if bytes > ARGUMENTS_MAX {
        return Err(CannotRun::Unsuitable("its arguments are too long"));
    }
    Ok(())
}

/// Makes the stack of the running process, with arguments and environment, each with a null byte behind it. Returns
/// the stack pointer.
pub fn make_stack(
    space: &Space,
    [words, environment]: [&[u8]; 2],
    image: &Image,
    may_fault: &mut MayFault,
) -> Result<u64, CannotRun> {
    let top = USER_END & !(STACK_SIZE - 1);
    // Not random enough for secrets, but different in every run that is not replayed.
    let random = [time::now(), time::now().wrapping_mul(0x9e37_79b9_7f4a_7c15)];
    let strings = top - ((words.len() + environment.len()) as u64).next_multiple_of(16);
    let random_at = strings - 16;
    let platform_at = random_at - 16;
    let count = words.iter().filter(|&&byte| byte == 0).count();
    let environment_count = environment.iter().filter(|&&byte| byte == 0).count();

    let auxiliary = [
        (key::HEADERS, image.headers),
        (key::HEADER_SIZE, HEADER_SIZE),
        (key::HEADER_COUNT, image.header_count),
        (key::PAGE_SIZE, PAGE),
        (key::INTERPRETER, 0),
        (key::FLAGS, 0),
        (key::ENTRY, image.entry),
        (key::USER, 0),
        (key::EFFECTIVE_USER, 0),
        (key::GROUP, 0),
        (key::EFFECTIVE_GROUP, 0),
        (key::PLATFORM, platform_at),
        (key::CAPABILITIES, capabilities()),
        (key::CLOCK_TICKS, CLOCK_TICKS),
        (key::SECURE, 0),
        (key::RANDOM, random_at),
        (key::EXECUTED, strings),
        (key::SIGNAL_STACK_MIN, SIGNAL_STACK_MIN),
        (key::NULL, 0),
    ];
    // Number, arguments, null, environment, null, auxiliary vector.
    let length = 1 + count + 1 + environment_count + 1 + 2 * auxiliary.len();
    let stack_pointer = (platform_at - 8 * length as u64) & !15;

    let mut contents = Vec::<u8>::new();
    contents
        .try_reserve_exact((top - stack_pointer) as usize)
        .map_err(|_| CannotRun::OutOfMemory)?;
    let mut put = |value: u64| contents.extend(value.to_le_bytes());
    put(count as u64);
    let mut address = strings;
    for strings in [words, environment] {
        for string in strings.split_inclusive(|&byte| byte == 0) {
            put(address);
            address += string.len() as u64;
        }
        put(0);
    }
    for (key, value) in auxiliary {
        put(key);
        put(value);
    }
    contents.resize((platform_at - stack_pointer) as usize, 0);
    contents.extend(PLATFORM);
    contents.resize((random_at - stack_pointer) as usize, 0);
    contents.extend(random.iter().flat_map(|word| word.to_le_bytes()));
    contents.extend(words);
    contents.extend(environment);
    contents.resize((top - stack_pointer) as usize, 0);

    let request = Request {
        address: top - STACK_SIZE,
        length: STACK_SIZE,
        place: Place::FixedIfFree,
        rights: Rights::READ | Rights::WRITE,
        rights_max: Rights::READ | Rights::WRITE,
        inheritance: Inheritance::Copy,
        shared: false,
        stacks: Some(StackShape { stride: STACK_SIZE, guard: PAGE }),
    };
    space.insert(&request, None, may_fault).map_err(|_| CannotRun::OutOfMemory)?;
    user_copy::copy_out(stack_pointer, &contents, may_fault).map_err(|_| CannotRun::OutOfMemory)?;
    Ok(stack_pointer)
}
