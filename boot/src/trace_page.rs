//! The trace as a page for a browser: one file with everything in it, which needs no network.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::trace_log::{Event, Groups, Trace, missing};
use crate::trace_marks::{Mark, marks};
use crate::trace_words::{group_name, said, title};

/// The page without events.
const PAGE: &str = include_str!("trace_page.html");

/// What stands in the page where the events go.
const PLACE: &str = "\"the events\"";

/// The page for this trace; `name` says what was run.
pub fn to_html(trace: &Trace, name: &str) -> String {
    // No text of ours can end the element that holds it.
    PAGE.replace(PLACE, &data(trace, name).to_string().replace('<', "\\u003c"))
}

/// What the page's script reads. Causes are given by lane and time, so that the arrows need not be
/// looked up there.
fn data(trace: &Trace, name: &str) -> Value {
    let places: HashMap<u16, usize> =
        trace.lanes().enumerate().map(|(place, (processor, _))| (processor, place)).collect();
    let end = |event: &Event| {
        json!([
            places[&event.id.processor()],
            trace.microseconds(event.stamp),
            group_name(event.kind)
        ])
    };
    let lanes: Vec<Value> = trace
        .lanes()
        .map(|(processor, lane)| {
            let all = marks(lane, trace.last_stamp());
            let marks: Vec<Value> = all.iter().map(|mark| drawn(trace, mark)).collect();
            json!({"name": format!("cpu {processor}"), "missing": missing(lane), "marks": marks})
        })
        .collect();
    let arrows: Vec<Value> =
        trace.causes().map(|(cause, effect)| json!([end(cause), end(effect)])).collect();
    let groups: Vec<&str> = Groups::NAMED.iter().map(|(name, _)| *name).collect();
    json!({"name": name, "groups": groups, "lanes": lanes, "arrows": arrows})
}

fn drawn(trace: &Trace, mark: &Mark<'_>) -> Value {
    let event = mark.event;
    let said = [Some(event), mark.end].into_iter().flatten().flat_map(|event| said(trace, event));
    let text: Vec<String> = said
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {value}")
        })
        .collect();
    let mut value = json!({
        "at": trace.microseconds(event.stamp),
        "kind": event.kind.text(),
        "group": group_name(event.kind),
        "number": event.id.number(),
        "title": title(event),
        "text": text.join(", "),
        "depth": mark.depth,
    });
    if let Some(until) = mark.until {
        value["until"] = json!(trace.microseconds(until));
        value["ended"] = json!(mark.end.is_some());
    }
    if !event.cause.is_none() {
        value["cause"] = json!([event.cause.processor(), event.cause.number()]);
        if let Some(cause) = trace.find(event.cause) {
            value["causedBy"] = json!(title(cause));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{PAGE, PLACE, data, to_html};
    use crate::trace_log::tests::{SMALL, trace};
    use serde_json::{Value, json};

    #[test]
    fn the_page_needs_nothing_but_itself() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        for outside in ["http:", "https:", "src=", "href=", "@import", "fetch("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_events_are_in_the_page_as_they_are() {
        let trace = trace(SMALL);
        let page = to_html(&trace, "</script><b>");
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        let (_, rest) = page.split_once("type=\"application/json\">").unwrap();
        let (text, _) = rest.split_once("</script>").unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value, data(&trace, "</script><b>"));
    }

    #[test]
    fn marks_and_arrows_are_what_the_script_expects() {
        let data = data(&trace(SMALL), "hello");
        let write = json!({"at": 2.0, "until": 3.0, "ended": true, "kind": "call",
            "group": "call", "number": 2, "title": "write", "depth": 1,
            "text": "call write, call number 1, result 22"});
        assert_eq!(data["lanes"][0]["marks"][1], write);
        let received = json!({"at": 2.7, "kind": "poke-received", "group": "poke", "number": 11,
            "title": "poke-received", "text": "", "depth": 2, "cause": [0, 3],
            "causedBy": "poke-sent 1"});
        assert_eq!(data["lanes"][1]["marks"][2], received);
        assert_eq!(data["lanes"][1]["missing"], 7);
        assert_eq!(data["arrows"][1], json!([[0, 2.5, "poke"], [1, 2.7, "poke"]]));
    }
}
