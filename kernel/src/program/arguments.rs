//! A program's first stack: arguments, environment and auxiliary vector, as Linux lays them out.
//!
//! From the stack pointer upwards: the number of arguments, their addresses, null, the environment's
//! addresses, null, pairs of the auxiliary vector, the null pair; then the strings. The stack
//! pointer is a multiple of 16.

use crate::program::CannotRun;
use crate::program::address_space::AddressSpace;
use crate::program::image::{HEADER_SIZE, Image};
use alloc::vec::Vec;
use machine::time;
use machine::x86_64::paging::Flags;
use machine::x86_64::stack::PAGE;
use machine::x86_64::user_copy::USER_END;

/// The stack's pages; the page below them stays absent.
const STACK_PAGES: u64 = 32;
/// Most of the stack that arguments may take.
const ARGUMENTS_MAX: usize = 16 << 10;

/// Keys of the auxiliary vector, with Linux's numbers.
mod key {
    pub const NULL: u64 = 0;
    pub const HEADERS: u64 = 3;
    pub const HEADER_SIZE: u64 = 4;
    pub const HEADER_COUNT: u64 = 5;
    pub const PAGE_SIZE: u64 = 6;
    pub const ENTRY: u64 = 9;
    pub const RANDOM: u64 = 25;
}

/// Makes the stack; `words` are the arguments, each with a null byte behind it. Returns the stack
/// pointer.
pub fn make_stack(space: &mut AddressSpace, words: &[u8], image: &Image) -> Result<u64, CannotRun> {
    let top = USER_END;
    // Not random enough for secrets, but different in every run that is not replayed.
    let random = [time::now(), time::now().wrapping_mul(0x9e37_79b9_7f4a_7c15)];
    let strings = top - (words.len() as u64).next_multiple_of(16);
    let random_at = strings - 16;
    let count = words.iter().filter(|&&byte| byte == 0).count();

    let auxiliary = [
        (key::HEADERS, image.headers),
        (key::HEADER_SIZE, HEADER_SIZE),
        (key::HEADER_COUNT, image.header_count),
        (key::PAGE_SIZE, PAGE),
        (key::ENTRY, image.entry),
        (key::RANDOM, random_at),
        (key::NULL, 0),
    ];
    // Number, arguments, null, no environment, null, auxiliary vector.
    let length = 1 + count + 1 + 1 + 2 * auxiliary.len();
    let bytes = 8 * length + words.len();
    if bytes > ARGUMENTS_MAX {
        return Err(CannotRun::Unsuitable("its arguments are too long"));
    }
    let stack_pointer = (random_at - 8 * length as u64) & !15;

    let mut contents = Vec::<u8>::new();
    contents
        .try_reserve_exact((top - stack_pointer) as usize)
        .map_err(|_| CannotRun::OutOfMemory)?;
    let mut put = |value: u64| contents.extend(value.to_le_bytes());
    put(count as u64);
    let mut address = strings;
    for word in words.split_inclusive(|&byte| byte == 0) {
        put(address);
        address += word.len() as u64;
    }
    put(0);
    put(0);
    for (key, value) in auxiliary {
        put(key);
        put(value);
    }
    contents.resize((random_at - stack_pointer) as usize, 0);
    contents.extend(random.iter().flat_map(|word| word.to_le_bytes()));
    contents.extend(words);
    contents.resize((top - stack_pointer) as usize, 0);

    let flags = Flags::WRITABLE | Flags::NO_EXECUTE;
    for page in 1..=STACK_PAGES {
        let start = top - page * PAGE;
        space.add_page(start, flags, |bytes| {
            // The contents end where the stack does.
            let skip = (start.max(stack_pointer) - stack_pointer) as usize;
            let margin = (start.max(stack_pointer) - start) as usize;
            if let Some(part) = contents.get(skip..)
                && margin < bytes.len()
            {
                let length = part.len().min(bytes.len() - margin);
                bytes[margin..margin + length].copy_from_slice(&part[..length]);
            }
        })?;
    }
    Ok(stack_pointer)
}
