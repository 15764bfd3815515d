//! Virtual processors that are asked for, and what each of them is sure to have.

mod common;

use activations::{Activation, AtBorder, Limits, Nudge, Posted, Protocol, VirtualProcessor};
use common::Words;

/// An activation begins on a virtual processor, hears what there is, and has nothing to do.
fn begins_and_idles(protocol: &mut Protocol, activation: Activation, words: &mut Words) {
    let upcall = protocol.upcall(activation, words).expect("it begins");
    while protocol.next_event(&upcall, words).is_some() {}
    assert_eq!(protocol.all_told(&upcall, words), Nudge::Nobody);
    protocol.yields(activation, Some(upcall.stack), false, words).expect("it may idle");
}

/// One more virtual processor is asked for, and a processor granted.
fn one_more(protocol: &mut Protocol, words: &mut Words) -> Activation {
    let added = protocol.add_processor(words).expect("there is one more");
    for _ in 0..protocol.wanted_activations() {
        let made = protocol.make_activation().unwrap();
        protocol.cache_activation(made);
    }
    let granted = if added == Nudge::Nobody { protocol.grant(words) } else { added };
    let Nudge::Start(started) = granted else { panic!("one begins") };
    started
}

/// Whoever asks for more while one idles gets one more; that one begins again only when all are there.
#[test]
fn one_that_is_not_there_comes_before_one_that_idles() {
    let words = &mut Words::default();
    let limits = Limits { processors: 3, stacks: 6, slots: 3, scheduler: 0..0 };
    let mut protocol = Protocol::new(limits).unwrap();
    for stack in 0..6 {
        protocol.add_stack(stack * 16..stack * 16 + 8).unwrap();
    }
    protocol.enable(words).unwrap().expect("there are a stack and a slot");
    let mut homes = Vec::new();
    for _ in 0..3 {
        let started = one_more(&mut protocol, words);
        homes.extend(protocol.processor_of(started));
        begins_and_idles(&mut protocol, started, words);
    }
    assert_eq!(homes, [1, 2, 1].map(VirtualProcessor::new));
}

/// However many upcalls interrupt each other: a slot stays for a thread that holds locks.
#[test]
fn not_all_slots_are_lent_for_events() {
    let words = &mut Words::default();
    let limits = Limits { processors: 1, stacks: 16, slots: 8, scheduler: 0..0 };
    let mut protocol = Protocol::new(limits).unwrap();
    for stack in 0..16 {
        protocol.add_stack(stack * 16..stack * 16 + 8).unwrap();
    }
    let (first, mut upcall) =
        protocol.enable(words).unwrap().expect("there are a stack and a slot");
    let mut slots = 1;
    loop {
        while protocol.next_event(&upcall, words).is_some() {}
        protocol.all_told(&upcall, words);
        let home = Some(VirtualProcessor::new(0));
        assert_eq!(protocol.post(Posted::USER, home, words), Nudge::Poke(first));
        assert_eq!(protocol.border(first, false, words), AtBorder::Deliver);
        let Some(next) = protocol.upcall(first, words) else { break };
        upcall = next;
        slots += 1;
    }
    assert_eq!(slots, 7);
}

/// All stacks are out while something is posted to those that idle: each hears it when one comes back.
#[test]
fn what_was_posted_without_a_stack_is_told_when_one_comes_back() {
    let words = &mut Words::default();
    let limits = Limits { processors: 3, stacks: 3, slots: 8, scheduler: 0..0 };
    let mut protocol = Protocol::new(limits).unwrap();
    for stack in 0..3 {
        protocol.add_stack(stack * 16..stack * 16 + 8).unwrap();
    }
    let (first, mut upcall) =
        protocol.enable(words).unwrap().expect("there are a stack and a slot");
    let home = VirtualProcessor::new(0);
    while protocol.next_event(&upcall, words).is_some() {}
    protocol.all_told(&upcall, words);
    for _ in 0..2 {
        let started = one_more(&mut protocol, words);
        begins_and_idles(&mut protocol, started, words);
    }
    // Upcalls that interrupt each other take the others.
    let mut taken = vec![upcall.stack];
    for _ in 0..2 {
        assert_eq!(protocol.post(Posted::USER, Some(home), words), Nudge::Poke(first));
        assert_eq!(protocol.border(first, false, words), AtBorder::Deliver);
        upcall = protocol.upcall(first, words).expect("there are a stack and a slot");
        while protocol.next_event(&upcall, words).is_some() {}
        protocol.all_told(&upcall, words);
        taken.push(upcall.stack);
    }
    for other in [1, 2].map(VirtualProcessor::new) {
        assert_eq!(protocol.post(Posted::USER, Some(other), words), Nudge::Nobody);
    }
    assert_eq!(protocol.look_again(home, words), Nudge::Nobody);
    // Two come back, and there is one call.
    for stack in &taken[..2] {
        words.give_stack(*stack, protocol.stack_use(*stack));
    }
    let mut begin = Vec::new();
    while let Nudge::Start(started) = protocol.look_again(home, words) {
        begin.extend(protocol.processor_of(started));
    }
    assert_eq!(begin, [1, 2].map(VirtualProcessor::new));
}

/// The same where one runs that could not be interrupted.
#[test]
fn who_could_not_be_interrupted_is_poked_when_a_stack_comes_back() {
    let words = &mut Words::default();
    let limits = Limits { processors: 1, stacks: 1, slots: 8, scheduler: 0..0 };
    let mut protocol = Protocol::new(limits).unwrap();
    protocol.add_stack(0..8).unwrap();
    let (first, upcall) = protocol.enable(words).unwrap().expect("there are a stack and a slot");
    while protocol.next_event(&upcall, words).is_some() {}
    protocol.all_told(&upcall, words);
    let home = VirtualProcessor::new(0);
    assert_eq!(protocol.post(Posted::USER, Some(home), words), Nudge::Poke(first));
    assert_eq!(protocol.border(first, false, words), AtBorder::Deliver);
    assert_eq!(protocol.upcall(first, words), None);
    words.give_stack(upcall.stack, protocol.stack_use(upcall.stack));
    assert_eq!(protocol.look_again(home, words), Nudge::Poke(first));
    assert_eq!(protocol.look_again(home, words), Nudge::Nobody);
}
