//! Parking and unparking.

use crate::{create, ends_with, until};
use abi::errno::Errno;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::clock;
use userland::fail;
use userland::lwp;
use userland::report::Checks;

static PARTNER: AtomicU64 = AtomicU64::new(0);
static ROUNDS: AtomicU64 = AtomicU64::new(0);

/// Hands a ball back `rounds` times.
extern "C" fn player(rounds: u64) -> u64 {
    let partner = PARTNER.load(SeqCst);
    for round in 0..rounds {
        while ROUNDS.load(SeqCst) != 2 * round + 1 {
            let _ = lwp::park();
        }
        ROUNDS.store(2 * round + 2, SeqCst);
        let _ = lwp::unpark(partner);
    }
    rounds
}

extern "C" fn park_once(_: u64) -> u64 {
    ROUNDS.fetch_add(1, SeqCst);
    u64::from(lwp::park().is_err())
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("an-unpark-that-comes-first-is-kept"), || {
        let own = lwp::own();
        // As good as one.
        for _ in 0..3 {
            if let Err(error) = lwp::unpark(own) {
                fail!("unpark: {}", error.text());
            }
        }
        let (first, second) = (lwp::park_for(clock::SECOND), lwp::park_for(10_000_000));
        if (first, second) != (Ok(()), Err(Errno::ETIMEDOUT)) {
            fail!("{first:?}, {second:?}");
        }
        Ok(())
    });
    checks.check(format_args!("parking-ends-in-time"), || {
        let before = clock::nanoseconds();
        let result = lwp::park_for(30_000_000);
        let took = clock::nanoseconds() - before;
        if result != Err(Errno::ETIMEDOUT) || took < 30_000_000 {
            fail!("{result:?} after {took} ns");
        }
        Ok(())
    });
    checks.check(format_args!("a-ball-goes-to-and-fro"), || {
        const COUNT: u64 = 5000;
        ROUNDS.store(0, SeqCst);
        PARTNER.store(lwp::own(), SeqCst);
        let number = create(0, player, COUNT)?;
        for round in 0..COUNT {
            ROUNDS.store(2 * round + 1, SeqCst);
            // In the last round it may have seen that without being unparked, and be gone.
            let is_over = || ROUNDS.load(SeqCst) == 2 * COUNT;
            if let Err(error) = lwp::unpark(number)
                && !is_over()
            {
                fail!("unpark: {}", error.text());
            }
            while ROUNDS.load(SeqCst) == 2 * round + 1 {
                if let Err(error) = lwp::park_for(10 * clock::SECOND) {
                    fail!("round {round}: {}", error.text());
                }
            }
        }
        ends_with(number, COUNT)
    });
    checks.check(format_args!("each-of-many-is-woken-once"), || {
        ROUNDS.store(0, SeqCst);
        let mut numbers = [0; 16];
        for (stack, number) in numbers.iter_mut().enumerate() {
            *number = create(stack, park_once, 0)?;
        }
        until(|| ROUNDS.load(SeqCst) == 16)?;
        for number in numbers {
            if let Err(error) = lwp::unpark(number) {
                fail!("unpark: {}", error.text());
            }
        }
        numbers.into_iter().try_for_each(|number| ends_with(number, 0))
    });
}
