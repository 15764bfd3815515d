//! The kernel's trace: what it says of a run must be what happened, in order, with its causes.

use abi::ending::Ending;
use boot::report_log::ReportLog;
use boot::trace_log::{Event, Kind, Phase, Trace};

use crate::scenario::{Scenario, Want};

/// Processors of the machine on which pokes are traced.
const CPUS: u32 = 4;

/// System calls that `hello` must have made.
const WRITE: u64 = 1;
const EXIT_GROUP: u64 = 231;

pub fn scenarios() -> Vec<Scenario> {
    let traced = |name: &str, program: &[&str], groups: &str| {
        Scenario::new(format!("trace/{name}"), program)
            .option(&format!("trace={groups}"))
            .option("trace-dump=1")
    };
    vec![
        traced("cause-of-a-poke", &[], "poke")
            .cpus(CPUS)
            .option("check=every-processor-answers-a-poke")
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed)
            .wants(Want::Report(pokes_have_causes)),
        traced("calls", &["hello"], "call,program").cpus(1).wants(Want::Report(calls_are_in_order)),
    ]
}

/// Each processor but the first was poked by the first, and its trace says so.
fn pokes_have_causes(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, CPUS)?;
    for (processor, lane) in trace.lanes().skip(1) {
        let by_the_first = |event: &&Event| {
            event.kind == Kind::PokeReceived
                && trace.find(event.cause).is_some_and(|cause| {
                    cause.kind == Kind::PokeSent
                        && cause.id.processor() == 0
                        && cause.argument == u64::from(processor)
                        && cause.stamp <= event.stamp
                })
        };
        if lane.iter().find(by_the_first).is_none() {
            return Err(format!("no poke from cpu 0 in the trace of cpu {processor}: {lane:?}"));
        }
    }
    Ok(())
}

/// The program begins, makes its calls one after the other, and ends.
fn calls_are_in_order(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, 1)?;
    let mut program = None;
    let mut open = None;
    let mut calls = Vec::new();
    for event in trace.events() {
        let ordered = match event.kind {
            Kind::ProgramBegin => program.replace(Phase::Begin).is_none(),
            // The call that ends a program does not return to it.
            Kind::ProgramEnd => {
                open.take().is_none_or(|call| call == EXIT_GROUP)
                    && program.replace(Phase::End) == Some(Phase::Begin)
            }
            Kind::CallBegin => {
                calls.push(event.argument);
                program == Some(Phase::Begin) && open.replace(event.argument).is_none()
            }
            Kind::CallEnd => open.take().is_some(),
            _ => return Err(format!("this was not to be traced: {event:?}")),
        };
        if !ordered {
            return Err(format!("this is out of order: {event:?}; calls so far: {calls:?}"));
        }
    }
    if program != Some(Phase::End) || open.is_some() {
        return Err(format!("program or call did not end; calls: {calls:?}"));
    }
    match [WRITE, EXIT_GROUP].iter().find(|call| !calls.contains(call)) {
        Some(call) => Err(format!("call {call} is not in the trace; there are {calls:?}")),
        None => Ok(()),
    }
}

/// The trace, in which no number may be missing between two others, and time passes.
fn read(report: &ReportLog, processors: u32) -> Result<Trace, String> {
    let trace = Trace::read(report, processors).map_err(|error| format!("{error:#}"))?;
    for (_, lane) in trace.lanes() {
        for pair in lane.windows(2) {
            let (one, next) = (&pair[0], &pair[1]);
            if next.id.number() != one.id.number() + 1 || next.stamp < one.stamp {
                return Err(format!("{next:?} does not follow {one:?}"));
            }
        }
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::{calls_are_in_order, pokes_have_causes};
    use boot::report_log::ReportLog;

    /// A report with these events, which are numbered and stamped here.
    fn report(events: &[(u16, &str)]) -> ReportLog {
        let mut text = "value trace.hertz hertz 1\n".to_owned();
        let mut numbers = [0; 4];
        for (stamp, (processor, what)) in events.iter().enumerate() {
            let number = &mut numbers[usize::from(*processor)];
            *number += 1;
            text += &format!("event {processor} {number} {stamp} {what}\n");
        }
        ReportLog::new(text.as_bytes())
    }

    #[test]
    fn calls_out_of_order_are_noticed() {
        let judge = |events: &[&str]| {
            let events: Vec<_> = events.iter().map(|what| (0, *what)).collect();
            calls_are_in_order(&report(&events))
        };
        let [begin, write, back] = ["program 1 0 0", "call 1 0 0", "call-end 1 0 0"];
        let [exit, end] = ["call 231 0 0", "program-end 0 0 0"];
        assert_eq!(judge(&[begin, write, back, exit, end]), Ok(()));
        assert_eq!(judge(&[begin, write, back, exit, back, end]), Ok(()));
        for wrong in [
            &[begin, write, exit, end] as &[_],
            &[begin, write, back, end],
            &[begin, write, back, exit],
            &[begin, back, write, back, exit, end],
            &[write, back, begin, exit, end],
            &[begin, write, end],
            &[],
        ] {
            assert!(judge(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pokes_without_their_cause_are_noticed() {
        let good = [
            (0, "poke-sent 1 0 0"),
            (0, "poke-sent 2 0 0"),
            (0, "poke-sent 3 0 0"),
            (1, "poke-received 0 0 1"),
            (2, "poke-received 0 0 2"),
            (3, "poke-received 0 0 3"),
        ];
        assert_eq!(pokes_have_causes(&report(&good)), Ok(()));
        for (place, wrong) in
            [(3, "poke-received 0 0 2"), (4, "poke-received 0 0 0"), (2, "poke-sent 1 0 0")]
        {
            let mut events = good;
            events[place].1 = wrong;
            assert!(pokes_have_causes(&report(&events)).is_err(), "{wrong}");
        }
        let mut late = good;
        late.swap(0, 3);
        assert!(pokes_have_causes(&report(&late)).is_err());
    }
}
