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
        let added = protocol.add_processor(words).expect("there is one more");
        for _ in 0..protocol.wanted_activations() {
            let made = protocol.make_activation().unwrap();
            protocol.cache_activation(made);
        }
        let granted = if added == Nudge::Nobody { protocol.grant(words) } else { added };
        let Nudge::Start(started) = granted else { panic!("one begins") };
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
