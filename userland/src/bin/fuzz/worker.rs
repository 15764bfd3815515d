//! A worker: several LWPs that make calls until somebody ends the process, or it ends itself.

use crate::Shared;
use crate::arguments::{ARENA, PAGE, Pool, Random};
use crate::calls::{CALLS, NEVER, ONE_IN, RARE, TO_AN_LWP, TO_SOMEBODY, call};
use abi::errno::{self, Errno};
use abi::signals::{SA_ONSTACK, SigInfo, SigStack, UserContext};
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::files;
use userland::lwp::{self, Attributes, Stack};
use userland::signal::{self, handle};
use userland::system::{self, raw};

/// Further LWPs of a worker.
const LWPS: usize = 2;
/// Calls that a worker's first LWP makes before the worker ends: sooner or later everything in it is in a state in which
/// calls only fail.
const CALLS_OF_A_WORKER: u32 = 2000;
/// Calls that a child of a worker makes before it ends.
const CALLS_OF_A_CHILD: u32 = 40;

static STACKS: [Stack<32768>; LWPS] = [const { Stack::new() }; LWPS];
static OTHER_STACK: Stack<8192> = Stack::new();
static SHARED: AtomicU64 = AtomicU64::new(0);
static PLACE: AtomicU64 = AtomicU64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
static ARENA_AT: AtomicU64 = AtomicU64::new(0);
static NUMBERS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

extern "C" fn end(_: i32, _: &SigInfo, _: &mut UserContext) {
    system::exit_group(3);
}

extern "C" fn nothing(_: i32, _: &SigInfo, _: &mut UserContext) {}

/// Where an LWP may begin that a worker makes.
#[unsafe(naked)]
extern "C" fn end_lwp() {
    naked_asm!("mov eax, 0x1007", "syscall", "ud2")
}

extern "C" fn lwp_main(index: u64) -> u64 {
    make_calls(index, u32::MAX);
    0
}

/// What a worker does. Returns if it cannot begin, or if it is a child that a call has made.
pub fn work(shared: &'static Shared, place: usize, seed: u64) -> i32 {
    SHARED.store(core::ptr::from_ref(shared).expose_provenance() as u64, SeqCst);
    PLACE.store(place as u64, SeqCst);
    SEED.store(seed, SeqCst);
    // With a page on both sides that cannot be reached: next to it may be what is shared.
    // SAFETY: fresh memory.
    let Ok(around) = (unsafe { raw::mmap(0, ARENA + 2 * PAGE, 0, 0x22, -1, 0) }) else { return 1 };
    let arena = around + PAGE;
    // SAFETY: likewise.
    if unsafe { raw::mprotect(arena, ARENA, 3) }.is_err() {
        return 1;
    }
    ARENA_AT.store(arena, SeqCst);
    // SAFETY: a group of its own.
    let _ = unsafe { raw::setpgid(0, 0) };
    // Nothing that it writes shows.
    let Ok(null) = files::open(c"/dev/null", 2) else { return 1 };
    (0..3).for_each(|fd| {
        let _ = files::dup2(null, fd);
    });
    let _ = files::close(null);
    let base = OTHER_STACK.top() - 8192;
    let _ = signal::set_stack(&SigStack { base, flags: 0, padding: 0, size: 8192 });
    // What is printed of those that die by themselves would fill the console.
    for signal in [4, 5, 7, 8, 11] {
        let _ = handle(signal, end, SA_ONSTACK);
    }
    let _ = handle(crate::SIGUSR1, nothing, 0);
    NUMBERS[0].store(lwp::own(), SeqCst);
    for (index, stack) in STACKS.iter().enumerate() {
        // SAFETY: each stack is one LWP's for as long as the process lives.
        let made =
            unsafe { lwp::create(stack.top(), lwp_main, index as u64 + 1, Attributes::default()) };
        NUMBERS[index + 1].store(made.unwrap_or(0), SeqCst);
    }
    make_calls(0, CALLS_OF_A_WORKER);
    0
}

fn make_calls(index: u64, count: u32) {
    let shared = core::ptr::with_exposed_provenance::<Shared>(SHARED.load(SeqCst) as usize);
    // SAFETY: mapped by who looks after the workers; if a call unmaps it, the worker ends.
    let shared = unsafe { &*shared };
    let place = PLACE.load(SeqCst) as usize;
    let mut process = system::getpid();
    let mut random = Random::new(SEED.load(SeqCst) * 8 + index);
    let mut pool = Pool {
        arena: ARENA_AT.load(SeqCst),
        process,
        lwps: core::array::from_fn(|place| NUMBERS[place].load(SeqCst)),
        code: end_lwp as *const () as u64,
    };
    let mut left = count;
    while left > 0 {
        left -= 1;
        if make_one(shared, &pool, &mut random) {
            shared.done[place].fetch_add(1, SeqCst);
        }
        let now = system::getpid();
        if now != process {
            // A child of the worker's, with a copy of everything.
            process = now;
            pool.process = now;
            pool.lwps[0] = now;
            random = Random::new(now);
            left = CALLS_OF_A_CHILD;
        }
    }
    system::exit_group(0)
}

/// Draws a call, and makes it, unless it is one that is rarely made.
fn make_one(shared: &Shared, pool: &Pool, random: &mut Random) -> bool {
    if random.below(16) == 0 {
        pool.season(random);
    }
    let (mut number, name) = random.one_of(CALLS);
    if NEVER.contains(&name) || RARE.contains(&name) && random.below(ONE_IN) != 0 {
        return false;
    }
    let mut arguments: [u64; 6] = core::array::from_fn(|_| pool.any(random));
    match name {
        _ if TO_SOMEBODY.contains(&name) => arguments[0] = pool.process,
        _ if TO_AN_LWP.contains(&name) => arguments[0] = random.one_of(&pool.lwps),
        // What it makes is checked like the rest, and not more of what is never made.
        "indirect" => {
            let (inner, inner_name) = random.one_of(CALLS);
            let is_fit = ![NEVER, RARE].iter().any(|names| names.contains(&inner_name));
            arguments[0] = if is_fit { inner } else { random.next() | 1 << 20 };
        }
        // Neither the first program's memory nor anybody else's waiting.
        "prctl" if arguments[0] == 0 => arguments[0] = 15,
        _ if random.below(200) == 0 => number = random.one_of(&[400, 0xfff, 0x1080, u64::MAX]),
        _ => {}
    }
    let value = call(number, arguments);
    let error = value.wrapping_neg();
    if (1..=u64::from(errno::MAX)).contains(&error) && Errno::from_number(error as u16).is_none() {
        shared.wrong.store(number << 16 | error, SeqCst);
    }
    true
}
