//! The trace as Chrome's trace events, which ui.perfetto.dev and others read.
//!
//! One process, one thread per processor. Every cause is a flow, drawn as an arrow. A flow's ends
//! must lie in slices, so an event that is no slice of its own and takes part in a cause gets a very
//! short one. Where it would reach beyond the next event, it is cut: slices of a thread must nest.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::trace_log::{Event, EventId, Phase, Trace};
use crate::trace_marks::{Mark, marks};
use crate::trace_words::{argument, group_name, identity, said, title};

/// The process that all processors belong to in the viewer.
const PROCESS: u32 = 1;

/// Length of the short slices, in microseconds: what the viewers can tell from nothing.
const SHORT: f64 = 0.001;

/// The content of the file.
pub fn to_json(trace: &Trace) -> String {
    let lines: Vec<String> = events(trace).iter().map(Value::to_string).collect();
    format!("{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{}\n]}}\n", lines.join(",\n"))
}

fn events(trace: &Trace) -> Vec<Value> {
    let mut all = vec![name(0, "process_name", "upcall")];
    let mut bound: HashSet<EventId> = HashSet::new();
    for (cause, effect) in trace.causes() {
        bound.extend([cause.id, effect.id]);
    }
    for (processor, lane) in trace.lanes() {
        all.push(name(processor, "thread_name", &format!("cpu {processor}")));
        all.push(json!({
            "ph": "M", "name": "thread_sort_index", "pid": PROCESS, "tid": processor,
            "args": {"sort_index": processor},
        }));
        for mark in marks(lane, trace.last_stamp()) {
            match mark.until {
                Some(until) => all.push(slice(trace, &mark, until)),
                None if bound.contains(&mark.event.id) => {}
                None => all.push(moment(trace, mark.event)),
            }
        }
        let next = |place: usize| lane.get(place + 1).map(|event| event.stamp);
        for (place, event) in lane.iter().enumerate() {
            if bound.contains(&event.id) && event.kind.phase() != Phase::Begin {
                all.push(short_slice(trace, event, next(place)));
            }
        }
    }
    for (index, (cause, effect)) in trace.causes().enumerate() {
        let arrow = |phase: &str, event: &Event| {
            json!({
                "ph": phase, "id": index + 1, "name": "cause", "cat": "cause",
                "pid": PROCESS, "tid": event.id.processor(), "ts": trace.microseconds(event.stamp),
            })
        };
        all.push(arrow("s", cause));
        let mut end = arrow("f", effect);
        end["bp"] = json!("e");
        all.push(end);
    }
    all
}

/// What a process or thread is called.
fn name(thread: u16, what: &str, text: &str) -> Value {
    json!({"ph": "M", "name": what, "pid": PROCESS, "tid": thread, "args": {"name": text}})
}

/// What all kinds of events have.
fn common(trace: &Trace, phase: &str, event: &Event) -> Value {
    let mut arguments = said(trace, event);
    arguments.insert("event".to_owned(), json!(event.id.number()));
    if !event.cause.is_none() {
        arguments.insert("cause".to_owned(), json!(identity(event.cause)));
    }
    json!({
        "ph": phase, "name": title(event), "cat": group_name(event.kind),
        "pid": PROCESS, "tid": event.id.processor(), "ts": trace.microseconds(event.stamp),
        "args": arguments,
    })
}

fn slice(trace: &Trace, mark: &Mark<'_>, until: u64) -> Value {
    let mut value = common(trace, "X", mark.event);
    value["dur"] = json!(length(trace, mark.event.stamp, until));
    match mark.end {
        Some(end) => {
            for (name, said) in argument(end) {
                value["args"][name] = said;
            }
        }
        None => value["args"]["end"] = json!("not seen"),
    }
    value
}

fn short_slice(trace: &Trace, event: &Event, next: Option<u64>) -> Value {
    let room = next.filter(|next| *next > event.stamp);
    let room = room.map_or(SHORT, |next| length(trace, event.stamp, next));
    let mut value = common(trace, "X", event);
    value["dur"] = json!(room.min(SHORT));
    value
}

fn moment(trace: &Trace, event: &Event) -> Value {
    let mut value = common(trace, "i", event);
    value["s"] = json!("t");
    value
}

/// From one stamp to another, in microseconds.
fn length(trace: &Trace, from: u64, until: u64) -> f64 {
    // The difference of two rounded numbers has digits that mean nothing.
    let difference = trace.microseconds(until) - trace.microseconds(from);
    ((difference * 1e4).round() / 1e4).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::to_json;
    use crate::trace_log::tests::{SMALL, trace};
    use serde_json::{Value, json};

    fn events(text: &str) -> Vec<Value> {
        let value: Value = serde_json::from_str(&to_json(&trace(text))).unwrap();
        value["traceEvents"].as_array().unwrap().clone()
    }

    /// The example as it should be, to the last field.
    #[test]
    fn the_small_example() {
        let slice = |name: &str, group: &str, processor: u16, ts: f64, dur: f64, args: Value| {
            json!({"ph": "X", "name": name, "cat": group, "pid": 1, "tid": processor, "ts": ts,
                "dur": dur, "args": args})
        };
        let arrow = |phase: &str, id: u32, processor: u16, ts: f64| {
            json!({"ph": phase, "id": id, "name": "cause", "cat": "cause", "pid": 1,
                "tid": processor, "ts": ts})
        };
        let to = |id, ts| {
            let mut end = arrow("f", id, 1, ts);
            end["bp"] = json!("e");
            end
        };
        let name = |processor: u16, what: &str, key: &str, value: Value| json!({"ph": "M", "name": what, "pid": 1, "tid": processor, "args": {key: value}});
        let from = "cpu 0 event 3";
        let expected = vec![
            name(0, "process_name", "name", json!("upcall")),
            name(0, "thread_name", "name", json!("cpu 0")),
            name(0, "thread_sort_index", "sort_index", json!(0)),
            slice(
                "program",
                "program",
                0,
                1.0,
                4.0,
                json!({"event": 1, "first instruction": "0x401000", "status": 0}),
            ),
            slice(
                "write",
                "call",
                0,
                2.0,
                1.0,
                json!({"event": 2, "call": "write", "call number": 1, "result": 22}),
            ),
            slice(
                "exit_group",
                "call",
                0,
                4.0,
                1.0,
                json!({"event": 5, "call": "exit_group", "call number": 231, "end": "not seen"}),
            ),
            slice("poke-sent 1", "poke", 0, 2.5, 0.001, json!({"event": 3, "to": "cpu 1"})),
            name(1, "thread_name", "name", json!("cpu 1")),
            name(1, "thread_sort_index", "sort_index", json!(1)),
            // Its cause has been overwritten: it is named, and there is no arrow.
            slice("idle", "idle", 1, 2.3, 0.6, json!({"event": 9})),
            slice(
                "interrupt 11/0",
                "interrupt",
                1,
                2.6,
                0.2,
                json!({"event": 10, "level": 11, "line": 0, "cause": from}),
            ),
            slice("poke-received", "poke", 1, 2.7, 0.001, json!({"event": 11, "cause": from})),
            arrow("s", 1, 0, 2.5),
            to(1, 2.6),
            arrow("s", 2, 0, 2.5),
            to(2, 2.7),
        ];
        assert_eq!(events(SMALL), expected);
    }

    #[test]
    fn a_moment_without_a_cause_is_an_instant() {
        let text = "value trace.hertz hertz 1000000\nevent 0 1 5 page-fault 4096 1 7\n";
        let all = events(text);
        let moment = all.iter().find(|event| event["ph"] == "i").unwrap();
        assert_eq!(moment["s"], "t");
        assert_eq!(moment["args"]["address"], "0x1000");
        assert_eq!(moment["args"]["cause"], "cpu 1 event 7");
        assert!(all.iter().all(|event| event["ph"] != "s" && event["ph"] != "f"));
    }

    #[test]
    fn an_end_that_takes_part_in_a_cause_has_a_slice() {
        let text = "value trace.hertz hertz 1000000000\nevent 0 1 5 poke-sent 1 0 0\n\
                    event 1 1 3 idle 0 0 0\nevent 1 2 9 idle-end 0 0 1\n";
        let all = events(text);
        let end = all.iter().find(|event| event["name"] == "idle-end").unwrap();
        assert_eq!((&end["ph"], &end["dur"]), (&json!("X"), &json!(0.001)));
    }
}
