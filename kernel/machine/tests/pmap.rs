//! Pmaps: what an entry says, tables that come and go, and processors that set bits meanwhile.

mod frames;

use frames::{ADDRESS, Frames, PAGE, READ, map, read_write, run};
use machine::pmap::{OutOfTables, Rights, Translation};
use machine::sim::user::{self, Fault};
use machine::sim::{self, Quiet, model, once, physical};
use machine::{Pmap, preempt, vector_unit};

#[test]
fn an_entry_says_what_was_put_there() {
    once(|| {
        run(1, |_, frames, pmap| {
            assert_eq!(pmap.lookup(ADDRESS), None);
            assert_eq!(pmap.exchange(ADDRESS, None), None, "without tables there is nothing");
            let all = [Rights::NONE, READ, read_write(), READ | Rights::EXECUTE];
            let mut before = None;
            for (number, &rights) in all.iter().enumerate() {
                let frame = frames.with_word(0);
                let (accessed, dirty) = (number % 2 == 0, number / 2 == 0);
                let new = Translation { frame, rights, accessed, dirty };
                pmap.prepare(ADDRESS).unwrap();
                assert_eq!(pmap.exchange(ADDRESS, Some(new)), before);
                assert_eq!(pmap.lookup(ADDRESS + 8), Some(new));
                assert_eq!(pmap.resident_pages(), 1);
                before = Some(new);
            }
            assert_eq!(pmap.exchange(ADDRESS, None), before);
            assert_eq!((pmap.lookup(ADDRESS), pmap.resident_pages()), (None, 0));
        });
    });
}

#[test]
fn rights_are_taken_and_given() {
    once(|| {
        run(1, |_, frames, pmap| {
            let rights = |pmap: &Pmap| pmap.lookup(ADDRESS).unwrap().rights;
            let frame = map(frames, pmap, ADDRESS, read_write(), 0);
            let old = Translation::new(frame, read_write());
            assert_eq!(pmap.restrict(ADDRESS, READ | Rights::EXECUTE), Some(old));
            assert_eq!(rights(pmap), READ, "a right that was not there is not given");
            assert_eq!(pmap.restrict(ADDRESS, Rights::NONE), Some(Translation::new(frame, READ)));
            assert_eq!(rights(pmap), Rights::NONE);
            assert_eq!(pmap.resident_pages(), 1, "a page without rights is mapped");
            assert!(!pmap.permit(ADDRESS, frame + PAGE, READ), "another frame");
            assert_eq!(rights(pmap), Rights::NONE);
            assert!(pmap.permit(ADDRESS, frame, READ | Rights::EXECUTE));
            assert_eq!(rights(pmap), READ | Rights::EXECUTE);
            assert_eq!(pmap.restrict(ADDRESS, Rights::WRITE).unwrap().frame, frame);
            assert_eq!(rights(pmap), Rights::NONE, "nobody may do what he may not see");
            assert_eq!(pmap.restrict(ADDRESS + PAGE, READ), None);
            assert!(!pmap.permit(ADDRESS + PAGE, 0, READ), "nothing is mapped there");
            assert!(!pmap.permit(ADDRESS << 12, frame, READ), "not even a table");
        });
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "writable or executable")]
fn nothing_is_writable_and_executable() {
    once(|| {
        run(1, |_, frames, pmap| {
            let frame = map(frames, pmap, ADDRESS, read_write(), 0);
            pmap.permit(ADDRESS, frame, Rights::EXECUTE);
        });
    });
}

#[test]
#[cfg(not(feature = "loom"))]
fn every_translation_of_a_range_is_shown() {
    use machine::pmap::USER_END;
    once(|| {
        run(1, |_, frames, pmap| {
            // Next to each other, over the edges of tables of every level, at both ends.
            let addresses = [
                0,
                PAGE,
                (2 << 20) - PAGE,
                2 << 20,
                (1 << 30) - PAGE,
                1 << 39,
                (1 << 39) + (5 << 30) + (7 << 21) + PAGE,
                USER_END - PAGE,
            ];
            for address in addresses {
                map(frames, pmap, address, READ, 0);
            }
            let shown = |range| {
                let mut shown = Vec::new();
                pmap.for_each(range, &mut |address, _| {
                    shown.push(address);
                    std::ops::ControlFlow::Continue(())
                });
                shown
            };
            assert_eq!(shown(0..USER_END), addresses);
            assert_eq!(shown(0..u64::MAX), addresses);
            assert_eq!(shown(PAGE..USER_END - PAGE), addresses[1..7]);
            assert_eq!(shown(PAGE + 1..(2 << 20) + 1), addresses[1..4]);
            assert_eq!(shown(2 * PAGE..(2 << 20) - PAGE), []);
            assert_eq!(shown(USER_END..u64::MAX), []);
            assert_eq!(pmap.resident_pages(), addresses.len());
        });
    });
}

#[test]
fn tables_run_out_as_an_error_and_all_come_back() {
    once(|| {
        sim::run(1, Quiet, |_| {
            for most in 0..6 {
                let frames = Box::leak(Box::new(Frames::limited(most)));
                match Pmap::new(frames) {
                    Err(OutOfTables) => assert_eq!(most, 0),
                    Ok(pmap) => {
                        // The root and three below it, then one more.
                        let first = pmap.prepare(ADDRESS);
                        assert_eq!(first.is_ok(), most >= 4, "with {most}");
                        let second = pmap.prepare(ADDRESS + (2 << 20));
                        assert_eq!(second.is_ok(), most >= 5, "with {most}");
                        assert_eq!(pmap.tables(), most.min(5));
                        assert_eq!(frames.taken(), pmap.tables());
                    }
                }
                assert_eq!(frames.taken(), 0, "tables are left");
            }
        });
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "still maps")]
fn what_is_mapped_is_not_forgotten() {
    once(|| {
        sim::run(1, Quiet, |machine| {
            let frames = machine.keep(Frames::new());
            let pmap = Pmap::new(frames).unwrap();
            map(frames, &pmap, ADDRESS, READ, 0);
        });
    });
}

#[test]
#[should_panic(expected = "in which a processor runs")]
fn what_is_active_is_not_dropped() {
    once(|| {
        sim::run(1, Quiet, |machine| {
            let frames = machine.keep(Frames::new());
            let pmap = Pmap::new(frames).unwrap();
            machine.on(0, |may_fault| pmap.activate(preempt::disable(may_fault).atomic()));
        });
    });
}

#[test]
fn two_who_prepare_the_same_address_share_its_tables() {
    model(|| {
        run(2, |machine, frames, pmap| {
            // Under loom a word is used first before it is shared.
            #[cfg(feature = "loom")]
            {
                pmap.prepare(ADDRESS + (1 << 39)).unwrap();
                pmap.prepare(ADDRESS + (1 << 30)).unwrap();
                pmap.prepare(ADDRESS + (2 << 20)).unwrap();
                pmap.prepare(ADDRESS).unwrap();
            }
            for number in 0..2 {
                machine.start(number, move |_| {
                    let address = ADDRESS + number as u64 * PAGE;
                    pmap.prepare(address).unwrap();
                    let new = Translation::new(PAGE << 20, READ);
                    assert_eq!(pmap.exchange(address, Some(new)), None);
                });
            }
            machine.join();
            assert_eq!(pmap.resident_pages(), 2);
            assert_eq!(frames.taken(), pmap.tables(), "the loser keeps its table");
            #[cfg(not(feature = "loom"))]
            assert_eq!(pmap.tables(), 4);
        });
    });
}

/// Runs `body` with a processor in a pmap that maps a page with these rights.
fn in_pmap(rights: Rights, body: impl Fn(&Pmap, u64) + Send + Sync + 'static) {
    once(move || {
        run(1, |machine, frames, pmap| {
            let frame = map(frames, pmap, ADDRESS, rights, 7);
            machine.on(0, |may_fault| {
                let guard = preempt::disable(may_fault);
                pmap.activate(guard.atomic());
                assert!(pmap.is_active());
                body(pmap, frame);
                pmap.deactivate(guard.atomic());
                assert!(!pmap.is_active());
            });
        });
    });
}

const MISSING: Fault = Fault { address: ADDRESS, write: false, present: false };
const NOT_WRITABLE: Fault = Fault { address: ADDRESS, write: true, present: true };

fn bits(pmap: &Pmap) -> (bool, bool) {
    let now = pmap.lookup(ADDRESS).unwrap();
    (now.accessed, now.dirty)
}

#[test]
fn a_processor_sets_the_accessed_and_dirty_bits() {
    in_pmap(read_write(), |pmap, frame| {
        assert_eq!(bits(pmap), (false, false));
        assert_eq!(user::load(ADDRESS), Ok(7));
        assert_eq!(bits(pmap), (true, false));
        assert_eq!(user::store(ADDRESS, 8), Ok(()));
        assert_eq!(bits(pmap), (true, true));
        assert_eq!(user::fetch_add(ADDRESS, 2), Ok(8));
        assert_eq!(physical::load(frame), 10);
        let old = pmap.exchange(ADDRESS, None).unwrap();
        assert!(old.accessed && old.dirty);
    });
}

#[test]
fn a_copy_sets_no_bits_until_it_is_forgotten() {
    in_pmap(read_write(), |pmap, _| {
        user::load(ADDRESS).unwrap();
        assert!(pmap.clear_accessed(ADDRESS));
        assert!(!pmap.clear_accessed(ADDRESS));
        user::load(ADDRESS).unwrap();
        assert!(!pmap.clear_accessed(ADDRESS), "the entry was read again");
        pmap.shoot_down(ADDRESS..ADDRESS + PAGE);
        user::load(ADDRESS).unwrap();
        assert!(pmap.clear_accessed(ADDRESS));
    });
}

#[test]
fn a_poorer_copy_faults_once() {
    in_pmap(READ, |pmap, frame| {
        assert_eq!(user::store(ADDRESS, 8), Err(NOT_WRITABLE));
        assert_eq!(user::load(ADDRESS), Ok(7));
        assert!(pmap.permit(ADDRESS, frame, Rights::WRITE));
        assert_eq!(user::store(ADDRESS, 8), Err(NOT_WRITABLE));
        assert_eq!(user::store(ADDRESS, 8), Ok(()));
    });
}

#[test]
fn what_is_not_permitted_faults() {
    in_pmap(Rights::NONE, |pmap, frame| {
        assert_eq!(user::load(ADDRESS), Err(MISSING));
        assert!(pmap.permit(ADDRESS, frame, READ));
        assert_eq!(user::load(ADDRESS), Ok(7));
        let beyond = ADDRESS + (1 << 39);
        assert_eq!(user::load(beyond), Err(Fault { address: beyond, ..MISSING }));
        assert_eq!(bits(pmap), (true, false));
    });
}

#[test]
fn a_frame_is_garbage_until_it_is_filled() {
    once(|| {
        sim::run(1, Quiet, |machine| {
            machine.on(0, |_| {
                let [first, second] = [PAGE, 2 * PAGE];
                let garbage = physical::load(first + 8);
                assert!(garbage != 0 && garbage != physical::load(second + 8));
                physical::store(first, 1);
                physical::store(second + 16, 2);
                // SAFETY: there is one processor; frames of the simulated memory, which nobody else uses.
                unsafe { vector_unit::copy(first, second) };
                for offset in (0..PAGE).step_by(8) {
                    assert_eq!(physical::load(first + offset), physical::load(second + offset));
                }
                // SAFETY: as above.
                unsafe { vector_unit::clear(first) };
                assert!((0..PAGE).step_by(8).all(|offset| physical::load(first + offset) == 0));
                assert_eq!(physical::load(second), 1);
            });
        });
    });
}
