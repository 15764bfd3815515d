//! What events are called for a person, and what their arguments say.

use std::sync::LazyLock;

use abi::signature::write_call;
use serde_json::{Map, Value, json};

use crate::reference::{self, Call};
use crate::trace_log::{Event, EventId, FaultEnd, Groups, Kind, Trace};

static CALLS: LazyLock<Vec<Call>> = LazyLock::new(reference::calls);

/// A name short enough to stand in a slice.
pub fn title(event: &Event) -> String {
    let argument = event.argument;
    match event.kind {
        Kind::CallBegin => call_name(argument),
        Kind::InterruptBegin | Kind::InterruptHeld => {
            format!("{} {}/{}", event.kind.text(), argument >> 4, argument & 15)
        }
        Kind::PokeSent => format!("poke-sent {argument}"),
        Kind::FaultBegin => format!("fault {argument:#x}"),
        Kind::Collapse | Kind::Bypass | Kind::PageInDone | Kind::PageOutDone => {
            format!("{} {argument}", event.kind.text())
        }
        Kind::Exception => format!("exception {argument}"),
        Kind::Dispatch | Kind::Wake | Kind::Preempt | Kind::Migrate => {
            format!("{} {argument}", event.kind.text())
        }
        Kind::Upcall => format!("upcall {}", upcall_events(argument)),
        kind => kind.text().to_owned(),
    }
}

/// What an upcall tells, by NetBSD's names.
fn upcall_events(argument: u64) -> String {
    const NAMES: [&str; 7] =
        ["NEWPROC", "PREEMPTED", "BLOCKED", "UNBLOCKED", "SIGNAL", "SIGEV", "USER"];
    let told = NAMES.iter().enumerate().filter(|(kind, _)| argument >> kind & 1 != 0);
    let told: Vec<&str> = told.map(|(_, name)| *name).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(" ") }
}

/// What the argument says, by name.
pub fn argument(event: &Event) -> Map<String, Value> {
    let argument = event.argument;
    let address = format!("{argument:#x}");
    let named = match event.kind {
        Kind::InterruptBegin | Kind::InterruptEnd | Kind::InterruptHeld => {
            json!({"level": argument >> 4, "line": argument & 15})
        }
        Kind::PokeSent => json!({"to": format!("cpu {argument}")}),
        Kind::PageFault | Kind::FaultBegin => json!({"address": address}),
        Kind::FaultEnd => match FaultEnd::from_number(argument) {
            Some(end) => json!({"outcome": end.text()}),
            None => json!({"outcome": argument}),
        },
        Kind::PageIn | Kind::PageOut => json!({"first page on the device": argument}),
        Kind::PageInDone | Kind::PageOutDone => json!({"pages": argument}),
        Kind::Collapse | Kind::Bypass => json!({"object": argument}),
        Kind::ShootDownBegin => json!({"processors": format!("{argument:#b}")}),
        Kind::ShootDownDone => json!({"asked by": format!("cpu {argument}")}),
        Kind::Exception => json!({"vector": argument}),
        Kind::CallBegin => json!({"call": call_name(argument), "call number": argument}),
        // An error is a small negative number.
        Kind::CallEnd => json!({"result": argument.cast_signed()}),
        Kind::Switch => json!({"next context": address}),
        Kind::ProgramBegin => json!({"first instruction": address}),
        Kind::ProgramEnd => match argument.checked_sub(256) {
            Some(signal) => json!({"signal": signal}),
            None => json!({"status": argument}),
        },
        Kind::ThreadBegin
        | Kind::ThreadEnd
        | Kind::Dispatch
        | Kind::Wake
        | Kind::Preempt
        | Kind::Migrate
        | Kind::Bind
        | Kind::Unbind => json!({"thread": argument}),
        Kind::Block => json!({"waits for": address}),
        Kind::OffLine | Kind::OnLine => json!({"processor": argument}),
        Kind::ActivationBlocks | Kind::ActivationReturns => {
            json!({"virtual processor": argument >> 16, "activation": argument & 0xffff})
        }
        Kind::Upcall => {
            json!({"virtual processor": argument >> 16, "tells": upcall_events(argument)})
        }
        Kind::ProcessorGranted
        | Kind::ProcessorIdle
        | Kind::ProcessorNotice
        | Kind::ProcessorForced => {
            json!({"process's place": argument >> 16, "processors": argument & 0xffff})
        }
        Kind::CallArgument => json!({"argument": address}),
        Kind::PokeReceived | Kind::IdleBegin | Kind::IdleEnd | Kind::ShootDownEnd => json!({}),
    };
    match named {
        Value::Object(map) => map,
        _ => unreachable!("every arm makes an object"),
    }
}

/// What an event says in its trace: the argument, and of a call how it was made.
pub fn said(trace: &Trace, event: &Event) -> Map<String, Value> {
    let mut all = argument(event);
    let arguments = trace.arguments(event);
    if event.kind == Kind::CallBegin && !arguments.is_empty() {
        let mut text = String::new();
        write_call(&mut text, event.argument, arguments, &mut |_, _, _, _| None)
            .expect("writing to a string does not fail");
        all.insert("made as".to_owned(), json!(text));
    }
    all
}

/// An event's name for a person.
pub fn identity(id: EventId) -> String {
    format!("cpu {} event {}", id.processor(), id.number())
}

/// The name of the group that a kind belongs to.
pub fn group_name(kind: Kind) -> &'static str {
    let named = Groups::NAMED.iter().find(|(_, group)| *group == kind.group());
    named.map_or("", |(name, _)| name)
}

fn call_name(number: u64) -> String {
    let known = CALLS.iter().find(|call| call.number == number);
    known.map_or_else(|| format!("call {number:#x}"), |call| call.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{argument, group_name, said, title};
    use crate::trace_log::tests::trace;
    use crate::trace_log::{Event, EventId, Kind};
    use serde_json::{Value, json};

    fn event(kind: Kind, argument: u64) -> Event {
        Event { id: EventId::new(0, 1), stamp: 0, kind, argument, cause: EventId::NONE }
    }

    #[test]
    fn arguments_are_decoded() {
        let said = |kind, value| Value::Object(argument(&event(kind, value)));
        assert_eq!(said(Kind::InterruptEnd, 176), json!({"level": 11, "line": 0}));
        assert_eq!(said(Kind::CallEnd, (-14_i64).cast_unsigned()), json!({"result": -14}));
        assert_eq!(said(Kind::CallBegin, 1), json!({"call": "write", "call number": 1}));
        assert_eq!(said(Kind::PageFault, 0xffff_8000_0000_0000)["address"], "0xffff800000000000");
        assert_eq!(said(Kind::FaultEnd, 8), json!({"outcome": "a copy"}));
        assert_eq!(said(Kind::ShootDownBegin, 5), json!({"processors": "0b101"}));
        assert_eq!(said(Kind::ProgramEnd, 3), json!({"status": 3}));
        assert_eq!(said(Kind::ProgramEnd, 256 + 11), json!({"signal": 11}));
    }

    /// In the order in which they were noted, whatever processor the LWP was on.
    #[test]
    fn arguments_are_said_with_their_call() {
        let trace = trace(
            "value trace.hertz hertz 1000000000\nevent 0 1 10 call 1 0 0\nevent 0 2 11 call-argument 2 0 1\n\
             event 0 3 14 call 39 0 0\nevent 1 1 13 call-argument 22 0 1\nevent 1 2 12 call-argument 4096 0 1\n",
        );
        let [write, getpid] = [1, 3].map(|number| trace.find(EventId::new(0, number)).unwrap());
        let expected = json!({"call": "write", "call number": 1, "made as": "write(fd=2, buffer=0x1000, length=22)"});
        assert_eq!(Value::Object(said(&trace, write)), expected);
        assert_eq!(said(&trace, getpid), argument(getpid), "it has none");
        assert_eq!(trace.causes().count(), 0);
    }

    #[test]
    fn titles_say_what_matters() {
        assert_eq!(title(&event(Kind::CallBegin, 231)), "exit_group");
        assert_eq!(title(&event(Kind::CallBegin, 0xffff)), "call 0xffff");
        assert_eq!(title(&event(Kind::InterruptBegin, 161)), "interrupt 10/1");
        assert_eq!(title(&event(Kind::IdleBegin, 0)), "idle");
    }

    #[test]
    fn every_kind_has_a_named_group() {
        assert!(Kind::ALL.iter().all(|kind| !group_name(*kind).is_empty()));
    }
}
