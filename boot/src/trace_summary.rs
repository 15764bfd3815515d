//! What the tool says about a trace: how many events of each kind each processor has left.

use crate::trace_log::{Kind, Trace, missing};

/// A line per processor that has events, a column per kind that occurs.
pub fn table(trace: &Trace) -> String {
    let occurs = |kind: &&Kind| trace.events().any(|event| event.kind == **kind);
    let kinds: Vec<Kind> = Kind::ALL.iter().filter(occurs).copied().collect();
    if kinds.is_empty() {
        return "no events\n".to_owned();
    }
    let heading = ["processor"].into_iter().chain(kinds.iter().map(|kind| kind.text()));
    let mut lines: Vec<Vec<String>> = vec![heading.map(str::to_owned).collect()];
    for (processor, lane) in trace.lanes().filter(|(_, lane)| !lane.is_empty()) {
        let count = |kind: &Kind| lane.iter().filter(|event| event.kind == *kind).count();
        let name = format!("cpu {processor}");
        let counts = kinds.iter().map(|kind| count(kind).to_string());
        lines.push([name].into_iter().chain(counts).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=kinds.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        text += &cells.join("  ");
        text.push('\n');
    }
    text + &overwritten(trace)
}

/// What the rings have forgotten; nothing if they have not.
fn overwritten(trace: &Trace) -> String {
    let counts = trace.lanes().map(|(processor, lane)| (processor, missing(lane)));
    let mut counts: Vec<String> = counts
        .filter(|(_, count)| *count > 0)
        .map(|(processor, count)| format!("{count} of cpu {processor}"))
        .collect();
    if let Some(first) = counts.first_mut() {
        first.insert_str(0, "overwritten by later events: ");
    }
    let text = counts.join(", ");
    if text.is_empty() { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::trace_log::tests::{SMALL, trace};

    #[test]
    fn kinds_are_counted_and_what_is_missing_is_said() {
        let text = table(&trace(SMALL));
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0][..4], ["processor", "interrupt", "interrupt-end", "poke-sent"]);
        assert_eq!(lines[1], ["cpu", "0", "0", "0", "1", "0", "2", "1", "0", "0", "1", "1"]);
        assert_eq!(lines[2], ["cpu", "1", "1", "2", "0", "1", "0", "0", "1", "1", "0", "0"]);
        assert_eq!(text.lines().last(), Some("overwritten by later events: 7 of cpu 1"));
    }

    #[test]
    fn a_trace_may_be_empty() {
        assert_eq!(table(&trace("value trace.hertz hertz 1\n")), "no events\n");
    }
}
