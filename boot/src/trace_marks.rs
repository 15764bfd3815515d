//! From the events of a processor to what is drawn of them: slices that nest, and moments.
//!
//! An end ends the innermost open slice of its group. What is still open inside ends with it: a call
//! that does not return is over with its program. So slices always nest, as the viewers expect. A
//! ring may start or stop anywhere: an end without a beginning is left out, and a beginning without
//! an end lasts until the end of the trace.

use crate::trace_log::{Event, Phase, is_detail};

/// Something to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The event, or the one that it begins with.
    pub event: &'a Event,
    /// Until when it lasts; `None` for a moment.
    pub until: Option<u64>,
    /// The event that ended it, if one did.
    pub end: Option<&'a Event>,
    /// In how many slices it lies.
    pub depth: usize,
}

/// The marks of one processor, in the order in which they begin; `last` is when the trace ends.
pub fn marks(lane: &[Event], last: u64) -> Vec<Mark<'_>> {
    let mut marks: Vec<Mark<'_>> = Vec::new();
    // Places in `marks` of the slices that are open, outermost first.
    let mut open: Vec<usize> = Vec::new();
    for event in lane.iter().filter(|event| !is_detail(event)) {
        let group = event.kind.group();
        let until = match event.kind.phase() {
            Phase::Moment => None,
            Phase::Begin => Some(last.max(event.stamp)),
            Phase::End => {
                let same = |place: &usize| marks[*place].event.kind.group() == group;
                if let Some(level) = open.iter().rposition(same) {
                    marks[open[level]].end = Some(event);
                    for place in open.drain(level..) {
                        marks[place].until = Some(event.stamp);
                    }
                }
                continue;
            }
        };
        let depth = open.len();
        open.extend(until.map(|_| marks.len()));
        marks.push(Mark { event, until, end: None, depth });
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::marks;
    use crate::trace_log::tests::{SMALL, trace};

    /// Number, length, number of the end, and depth of each mark of a lane.
    fn drawn(text: &str, processor: usize) -> Vec<(u64, Option<u64>, Option<u64>, usize)> {
        let trace = trace(text);
        let (_, lane) = trace.lanes().nth(processor).unwrap();
        let all = marks(lane, trace.last_stamp()).into_iter();
        all.map(|mark| {
            let length = mark.until.map(|until| until - mark.event.stamp);
            let end = mark.end.map(|event| event.id.number());
            (mark.event.id.number(), length, end, mark.depth)
        })
        .collect()
    }

    #[test]
    fn a_call_that_does_not_return_ends_with_its_program() {
        let expected = [
            (1, Some(4000), Some(6), 0),
            (2, Some(1000), Some(4), 1),
            (3, None, None, 2),
            (5, Some(1000), None, 1),
        ];
        assert_eq!(drawn(SMALL, 0), expected);
    }

    #[test]
    fn an_end_without_a_beginning_is_left_out() {
        let expected =
            [(9, Some(600), Some(13), 0), (10, Some(200), Some(12), 1), (11, None, None, 2)];
        assert_eq!(drawn(SMALL, 1), expected);
    }

    #[test]
    fn a_beginning_without_an_end_lasts() {
        let text = "value trace.hertz hertz 1\nevent 0 1 10 idle 0 0 0\nevent 1 1 50 idle 0 0 0\n";
        assert_eq!(drawn(text, 0), [(1, Some(40), None, 0)]);
        assert_eq!(drawn(text, 1), [(1, Some(0), None, 0)]);
    }

    #[test]
    fn interrupts_interrupt_interrupts() {
        let text = "value trace.hertz hertz 1\nevent 0 1 1 interrupt 160 0 0\n\
                    event 0 2 2 interrupt 176 0 0\nevent 0 3 3 interrupt-end 176 0 0\n\
                    event 0 4 4 interrupt-end 160 0 0\n";
        assert_eq!(drawn(text, 0), [(1, Some(3), Some(4), 0), (2, Some(1), Some(3), 1)]);
    }
}
