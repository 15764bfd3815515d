//! Descriptions of address spaces: what they say of a known family of programs, in one go and in pieces, and that they
//! notice when what they describe changes.

#![cfg(not(feature = "loom"))]

mod common;

use common::program::{BASE, page};
use common::swapped::{attach, swap_all_out};
use common::{PAGE_SIZE, Program, model, run, single};
use machine::MayFault;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use vm::Space;
use vm::describe::print::{Format, STEP_MAX};
use vm::describe::{Changed, Description, Step};
use vm::entry::Inheritance;

/// The tests' memory.
fn everything() -> Description {
    Description::new(BASE..BASE + (1 << 30))
}

/// A whole description; between two steps it is taken apart into words and put together again.
fn write(space: &Space, format: Format, may_fault: &mut MayFault) -> Result<String, Changed> {
    let mut all = String::new();
    let mut description = everything();
    while !description.is_over() {
        let mut copy = Description::from_words(description.to_words()).expect("its own words");
        assert_eq!(copy, description);
        let step = copy.next(space, may_fault)?;
        let before = all.len();
        copy.print(&step, format, &mut all).expect("there is room");
        assert!(all.len() - before <= STEP_MAX, "{step:?}");
        description = copy;
    }
    Ok(all)
}

fn json(space: &Space, may_fault: &mut MayFault) -> Value {
    let text = write(space, Format::Json, may_fault).expect("nobody changes anything");
    assert_eq!(text.lines().count(), 1);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Frames have numbers that do not matter.
fn without_frames(text: &str) -> String {
    let mut parts = text.split(" frame 0x");
    let mut all = parts.next().unwrap_or("").to_owned();
    for part in parts {
        all.push_str(" frame F");
        all.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()));
    }
    all
}

/// Three generations, each of which has written: a chain of three objects under the last.
fn family(may_fault: &mut MayFault) -> [Program; 3] {
    let first = Program::new();
    first.map(0, 4, may_fault);
    first.map(8, 2, may_fault);
    first.inherit(8, 2, Inheritance::None, may_fault);
    let writes = |program: &Program, number: u64, may_fault: &mut MayFault| {
        program.act(move |user, may_fault| user.write(number, 7, may_fault).unwrap(), may_fault);
    };
    writes(&first, 0, may_fault);
    writes(&first, 1, may_fault);
    let second = first.fork(may_fault);
    writes(&second, 1, may_fault);
    let third = second.fork(may_fault);
    writes(&third, 3, may_fault);
    third.act(|user, may_fault| assert_eq!(user.read(1, may_fault), Ok(7)), may_fault);
    [first, second, third]
}

fn exit_all(programs: impl IntoIterator<Item = Program>, may_fault: &mut MayFault) {
    for program in programs {
        program.exit(may_fault);
    }
}

#[test]
fn a_chain_is_described_with_every_page() {
    single(1, 64, |may_fault| {
        let all = family(may_fault);
        let text = write(all[2].space(), Format::Text, may_fault).unwrap();
        let expected = "\
map: entries 1, pages mapped 2, page tables 4
0x000000400000-0x000000404000 rw- pages 4, child: copy
  object 3, anonymous: pages 4, seen from 0, references 1 (shadows 0), in memory 1, in swap 0; shadow of 2, from its place 0
      place 3 (0x403000): frame F, mapped 1, dirty, queue active
    object 2, anonymous: pages 4, seen from 0, references 2 (shadows 1), in memory 1, in swap 0; shadow of 1, from its place 0
      place 1 (0x401000): frame F, mapped 2, dirty, queue active
      object 1, anonymous: pages 4, seen from 0, references 2 (shadows 1), in memory 2, in swap 0
      place 0 (0x400000): frame F, mapped 1, dirty, queue active
      place 1 (0x401000): frame F, mapped 1, dirty, queue active
";
        assert_eq!(without_frames(&text), expected);
        let text = write(all[0].space(), Format::Text, may_fault).unwrap();
        let expected = "\
map: entries 2, pages mapped 2, page tables 4
0x000000400000-0x000000404000 rw- pages 4, child: copy, needs copy
  object 1, anonymous: pages 4, seen from 0, references 2 (shadows 1), in memory 2, in swap 0
      place 0 (0x400000): frame F, mapped 1, dirty, queue active
      place 1 (0x401000): frame F, mapped 1, dirty, queue active
0x000000408000-0x00000040a000 rw- pages 2, child: none, never touched
";
        assert_eq!(without_frames(&text), expected);
        exit_all(all, may_fault);
    });
}

#[test]
fn a_shadow_of_a_part_shows_that_part() {
    single(1, 64, |may_fault| {
        let parent = Program::new();
        parent.map(0, 4, may_fault);
        for number in 0..4 {
            parent.act(move |user, may_fault| user.write(number, 7, may_fault).unwrap(), may_fault);
        }
        let child = parent.fork(may_fault);
        child.unmap(0, 1, may_fault);
        child.unmap(3, 1, may_fault);
        child.act(|user, may_fault| user.write(1, 8, may_fault).unwrap(), may_fault);
        let said = json(child.space(), may_fault);
        assert_eq!(said["entries"].as_array().unwrap().len(), 1);
        let objects = said["entries"][0]["objects"].as_array().unwrap();
        assert_eq!((&objects[0]["size"], &objects[0]["backing_offset"]), (&2.into(), &1.into()));
        assert_eq!((&objects[1]["first"], &objects[1]["resident"]), (&1.into(), &4.into()));
        let pages = |object: &Value| -> Vec<(u64, u64)> {
            let pages = object["pages"].as_array().unwrap().iter();
            let numbers = |page: &Value| (page["place"].as_u64(), page["address"].as_u64());
            pages.map(numbers).map(|(place, at)| (place.unwrap(), at.unwrap())).collect()
        };
        assert_eq!(pages(&objects[0]), [(0, page(1))]);
        assert_eq!(pages(&objects[1]), [(1, page(1)), (2, page(2))]);
        exit_all([parent, child], may_fault);
    });
}

#[test]
fn json_says_the_same() {
    single(1, 64, |may_fault| {
        let all = family(may_fault);
        let said = json(all[2].space(), may_fault);
        let objects = said["entries"][0]["objects"].as_array().unwrap();
        let numbers: Vec<_> = objects.iter().map(|object| object["object"].as_u64()).collect();
        assert_eq!(numbers, [Some(3), Some(2), Some(1)]);
        let places = |object: &Value| -> Vec<u64> {
            let pages = object["pages"].as_array().unwrap().iter();
            pages.map(|page| page["place"].as_u64().unwrap()).collect()
        };
        let places: Vec<_> = objects.iter().map(places).collect();
        assert_eq!(places, [vec![3], vec![1], vec![0, 1]]);
        assert_eq!((&objects[1]["backing"], &objects[2]["backing"]), (&1.into(), &Value::Null));
        assert_eq!(objects[1]["pages"][0]["mapped"], 2);
        assert_eq!(objects[1]["pages"][0]["address"], page(1));
        let said = json(all[0].space(), may_fault);
        assert_eq!((&said["count"], &said["mapped"]), (&2.into(), &2.into()));
        assert_eq!(said["entries"][0]["needs_copy"], true);
        assert_eq!(said["entries"][1]["start"], page(8));
        assert_eq!(said["entries"][1]["objects"], Value::Array(Vec::new()));
        // Nothing at all, and many pages, which take several steps.
        let empty = Program::new();
        assert_eq!(json(empty.space(), may_fault)["entries"], Value::Array(Vec::new()));
        empty.map(0, 40, may_fault);
        let touch = |number: u64| {
            move |user: &common::program::User, may_fault: &mut MayFault| {
                user.write(number, 1, may_fault).unwrap();
            }
        };
        for number in 0..21 {
            empty.act(touch(number), may_fault);
        }
        let said = json(empty.space(), may_fault);
        assert_eq!(said["entries"][0]["objects"][0]["resident"], 21);
        assert_eq!(said["entries"][0]["objects"][0]["pages"].as_array().unwrap().len(), 21);
        empty.exit(may_fault);
        exit_all(all, may_fault);
    });
}

#[test]
#[cfg_attr(feature = "shuttle", ignore = "the daemon of this test waits for real time")]
fn pages_in_swap_space_have_slots() {
    single(1, 64, |may_fault| {
        attach(32);
        let program = Program::new();
        program.map(0, 3, may_fault);
        program.act(|user, may_fault| user.write(2, 7, may_fault).unwrap(), may_fault);
        swap_all_out(1, may_fault);
        let said = json(program.space(), may_fault);
        let object = &said["entries"][0]["objects"][0];
        assert_eq!((&object["resident"], &object["swapped"]), (&0.into(), &1.into()));
        let swapped = &object["pages"][0];
        assert_eq!(swapped["place"], 2);
        assert!(swapped["slot"].is_u64() && swapped["frame"].is_null(), "{swapped}");
        let text = write(program.space(), Format::Text, may_fault).unwrap();
        assert!(text.contains("place 2 (0x402000): in swap, slot "), "{text}");
        program.act(|user, may_fault| assert_eq!(user.read(2, may_fault), Ok(7)), may_fault);
        let text = write(program.space(), Format::Text, may_fault).unwrap();
        assert!(text.contains("mapped 1, queue") && text.contains(", slot "), "{text}");
        program.exit(may_fault);
    });
}

/// Steps until one that `is` so.
fn go_to(
    description: &mut Description,
    space: &Space,
    is: impl Fn(&Step) -> bool,
    may_fault: &mut MayFault,
) {
    while !is(&description.next(space, may_fault).expect("nothing has changed")) {}
}

#[test]
fn what_changes_meanwhile_is_noticed() {
    single(1, 64, |may_fault| {
        let [first, second, third] = family(may_fault);
        let space = third.space();
        // The map.
        let mut description = everything();
        go_to(&mut description, space, |step| matches!(step, Step::Entry(_)), may_fault);
        third.map(20, 1, may_fault);
        assert_eq!(description.next(space, may_fault), Err(Changed));
        // A page comes: that is no change of what has been said.
        let mut description = everything();
        go_to(&mut description, space, |step| matches!(step, Step::Pages(_)), may_fault);
        third.act(|user, may_fault| user.write(2, 9, may_fault).unwrap(), may_fault);
        go_to(&mut description, space, |step| *step == Step::End, may_fault);
        // The chain: between the object that is said to be a shadow and the one below, and in the middle of that.
        let below = |step: &Step| matches!(step, Step::Object(object) if object.number == 2);
        let above = |step: &Step| matches!(step, Step::Object(object) if object.number == 3);
        let mut before = everything();
        go_to(&mut before, space, above, may_fault);
        let mut within = everything();
        go_to(&mut within, space, below, may_fault);
        second.exit(may_fault);
        let mut ended = None;
        while ended.is_none() {
            ended = before.next(space, may_fault).err();
        }
        assert_eq!(within.next(space, may_fault), Err(Changed));
        exit_all([first, third], may_fault);
    });
}

/// Who describes may hold something meanwhile: a step counts so many pages and no more.
#[test]
fn many_pages_are_counted_in_several_steps() {
    const PAGES: u64 = 2500;
    single(1, 3000, |may_fault| {
        let program = Program::new();
        program.map(0, PAGES, may_fault);
        let write_all = |user: &common::program::User, may_fault: &mut MayFault| {
            (0..PAGES).for_each(|number| user.write(number, 7, may_fault).unwrap());
        };
        program.act(write_all, may_fault);
        let mut description = everything();
        let (mut counting, mut resident) = (0, None);
        while resident.is_none() {
            match description.next(program.space(), may_fault).expect("nothing has changed") {
                Step::Counting => counting += 1,
                Step::Object(object) => resident = Some(object.resident),
                _ => {}
            }
        }
        assert_eq!((counting, resident), (2, Some(PAGES)));
        // A count that is interrupted begins anew, and comes to the same.
        let mut description = everything();
        let is_counting = |step: &Step| *step == Step::Counting;
        go_to(&mut description, program.space(), is_counting, may_fault);
        let mut again = Description::from_words(description.to_words()).expect("its own words");
        let is_whole = |step: &Step| matches!(step, Step::Object(said) if said.resident == PAGES);
        go_to(&mut again, program.space(), is_whole, may_fault);
        program.exit(may_fault);
    });
}

#[test]
fn whatever_words_it_is_made_of_it_comes_to_an_end() {
    single(1, 64, |may_fault| {
        let all = family(may_fault);
        let space = all[2].space();
        let version = everything().to_words()[3];
        let numbers = [0, 1, 2, 3, 4, 7, BASE, BASE + PAGE_SIZE, 1 << 32, u64::MAX, version];
        let mut state = 1u64;
        let mut good = 0;
        for _ in 0..20_000 {
            let mut words = [0; 7];
            for word in &mut words {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *word = numbers[(state >> 33) as usize % numbers.len()];
            }
            let Some(mut description) = Description::from_words(words) else { continue };
            good += 1;
            let mut text = String::new();
            for steps in 0.. {
                assert!(steps < 100, "{words:?}");
                let Ok(step) = description.next(space, may_fault) else { break };
                description.print(&step, Format::Json, &mut text).unwrap();
                if step == Step::End {
                    break;
                }
            }
        }
        assert!(good > 100, "{good}");
        exit_all(all, may_fault);
    });
}

/// Who describes beside others that fork, write and exit gets a description or hears that it is none.
#[test]
fn beside_others_it_is_whole_or_says_so() {
    model(|| {
        run(2, 64, |may_fault| {
            let [first, second, third] = family(may_fault);
            let looked = Arc::new(Mutex::new(0));
            let looks = Arc::clone(&looked);
            let describer = third.run(common::system(60), move |user, may_fault| {
                for _ in 0..3 {
                    if let Ok(text) = write(user.program().space(), Format::Json, may_fault) {
                        let said: Value = serde_json::from_str(&text).expect("it is JSON");
                        assert!(!said["entries"][0]["objects"].as_array().unwrap().is_empty());
                    }
                    *looks.lock().unwrap() += 1;
                }
            });
            let writer = third.run(common::system(60), |user, may_fault| {
                for number in 0..4 {
                    user.write(number, 5, may_fault).unwrap();
                }
            });
            second.exit(may_fault);
            let child = third.fork(may_fault);
            writer.join(may_fault);
            describer.join(may_fault);
            assert_eq!(*looked.lock().unwrap(), 3);
            exit_all([first, third, child], may_fault);
        });
    });
}
