//! The kernel's trace: what it says of a run must be what happened, in order, with its causes.

use std::collections::BTreeMap;

use abi::ending::Ending;
use abi::signature::count_of;
use boot::report_log::ReportLog;
use boot::trace_log::{Event, FaultEnd, Kind, Phase, Trace, missing};

use crate::scenario::{Scenario, Want};

/// Processors of the machine on which pokes are traced.
const CPUS: u32 = 4;

/// Processors of the machine on which the dispatcher is traced.
const DISPATCH_CPUS: u32 = 2;

/// System calls that `hello` must have made.
const WRITE: u64 = 1;
const EXIT_GROUP: u64 = 231;

pub fn scenarios() -> Vec<Scenario> {
    let traced = |name: &str, program: &[&str], groups: &str| {
        Scenario::new(format!("trace/{name}"), program)
            .option(&format!("trace={groups}"))
            .option("trace-dump=1")
    };
    let checked = |name: &str, check: &str, groups: &str, cpus: u32| {
        traced(name, &[], groups)
            .cpus(cpus)
            .option(&format!("check={check}"))
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed)
    };
    // Where QEMU's processors run freely, the host decides which of them halt and which threads meet.
    let counted = |name: &str, check: &str, groups: &str| {
        let scenario = checked(name, check, groups, DISPATCH_CPUS).counted();
        scenario.cpus(DISPATCH_CPUS).option("counted=1")
    };
    vec![
        checked("cause-of-a-poke", "every-processor-answers-a-poke", "poke", CPUS)
            .wants(Want::Report(pokes_have_causes)),
        counted("wake-ups", "condvar-ping-pong", "dispatch,poke")
            .wants(Want::Report(wake_ups_are_causes)),
        counted("moves", "work-spreads", "dispatch").wants(Want::Report(who_moves_was_elsewhere)),
        checked("preemptions", "real-time-preempts-the-kernel", "dispatch", DISPATCH_CPUS)
            .wants(Want::Report(preemptions_make_way)),
        checked("off-line", "processors-go-off-and-on-line", "bind", DISPATCH_CPUS)
            .wants(Want::Report(processors_go_and_come)),
        traced("calls", &["hello"], "call,program").cpus(1).wants(Want::Report(calls_are_in_order)),
        traced("faults", &["maps", "chain"], "memory")
            .counted()
            .wants(Want::Report(faults_are_helped)),
        checked("shoot-downs", "shoot-downs-cross", "memory", CPUS)
            .wants(Want::Report(shoot_downs_are_answered)),
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

/// Two threads that wake each other block about as often as they are woken; a thread that is dispatched names
/// the wake-up that made it runnable, and hardly a wake-up is without effect.
fn wake_ups_are_causes(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, DISPATCH_CPUS)?;
    // From here on no processor's events are lost.
    let begin = trace.lanes().filter_map(|(_, lane)| lane.first()).map(|event| event.stamp).max();
    let begin = begin.ok_or("nothing was traced")?;
    let of = |kind| trace.events().filter(move |event| event.kind == kind && event.stamp >= begin);
    for dispatch in of(Kind::Dispatch) {
        let fits = |cause: &Event| {
            cause.kind == Kind::Wake
                && cause.argument == dispatch.argument
                && cause.stamp <= dispatch.stamp
        };
        if trace.find(dispatch.cause).is_some_and(|cause| !fits(cause)) {
            return Err(format!("this names the wrong cause: {dispatch:?}"));
        }
    }
    for received in of(Kind::PokeReceived) {
        let to = u64::from(received.id.processor());
        let fits = |cause: &Event| cause.kind == Kind::PokeSent && cause.argument == to;
        if trace.find(received.cause).is_some_and(|cause| !fits(cause)) {
            return Err(format!("this names the wrong cause: {received:?}"));
        }
    }
    let causes: Vec<_> = of(Kind::Dispatch).map(|dispatch| dispatch.cause).collect();
    let effective = of(Kind::Wake).filter(|wake| causes.contains(&wake.id)).count();
    let count = |kind| of(kind).count();
    let [wakes, blocks] = [Kind::Wake, Kind::Block].map(count);
    let [sent, received] = [Kind::PokeSent, Kind::PokeReceived].map(count);
    // A thread may be woken before it has left its processor, and then is not dispatched again.
    let is_plausible = wakes >= 50
        && wakes.abs_diff(blocks) <= wakes / 4
        && effective >= wakes / 4 * 3
        && sent > 0
        && received > 0;
    if is_plausible {
        return Ok(());
    }
    Err(format!(
        "{blocks} blocks, {wakes} wake-ups, {effective} of them with an effect, {sent} pokes sent, {received} \
         received"
    ))
}

/// A thread that is said to come from another processor is the next to run here, and ran there before.
fn who_moves_was_elsewhere(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, DISPATCH_CPUS)?;
    let ran_elsewhere = |moved: &Event| {
        let before = |event: &&Event| {
            event.kind == Kind::Dispatch
                && event.argument == moved.argument
                && event.stamp < moved.stamp
        };
        let last = trace.events().filter(before).max_by_key(|event| event.stamp);
        last.is_none_or(|last| last.id.processor() != moved.id.processor())
    };
    let mut count = 0;
    for (moved, next) in before_dispatches(&trace, Kind::Migrate) {
        count += 1;
        if next.is_none_or(|next| next.argument != moved.argument) {
            return Err(format!("after {moved:?} came {next:?}"));
        }
        if !ran_elsewhere(moved) {
            return Err(format!("it ran here before: {moved:?}"));
        }
    }
    if count < 3 { Err(format!("{count} threads moved")) } else { Ok(()) }
}

/// The events of a kind, each with what its processor dispatches next.
fn before_dispatches(trace: &Trace, kind: Kind) -> impl Iterator<Item = (&Event, Option<&Event>)> {
    trace.lanes().flat_map(move |(_, lane)| {
        let of_kind = lane.iter().enumerate().filter(move |(_, event)| event.kind == kind);
        of_kind.map(|(place, event)| {
            (event, lane[place..].iter().find(|event| event.kind == Kind::Dispatch))
        })
    })
}

/// When a thread's processor is taken away, the processor goes to another thread.
fn preemptions_make_way(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, DISPATCH_CPUS)?;
    let mut count = 0;
    for (preempted, next) in before_dispatches(&trace, Kind::Preempt) {
        count += 1;
        if next.is_none_or(|next| next.argument == preempted.argument) {
            return Err(format!("after {preempted:?} came {next:?}"));
        }
    }
    if count < 5 { Err(format!("{count} preemptions")) } else { Ok(()) }
}

/// The second processor goes off line and on line in turn, as the first says; and who was bound meanwhile was
/// let go.
fn processors_go_and_come(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, DISPATCH_CPUS)?;
    if trace.lanes().any(|(_, lane)| missing(lane) > 0) {
        return Err("the first events are missing".to_owned());
    }
    let mut events: Vec<_> = trace.events().collect();
    events.sort_by_key(|event| event.stamp);
    let (mut is_online, mut times) = (true, 0);
    let mut bindings = BTreeMap::<u64, u32>::new();
    let mut bound = 0;
    for event in events {
        let is_by_the_first = event.id.processor() == 0 && event.argument == 1;
        let ordered = match event.kind {
            Kind::OffLine => {
                times += 1;
                is_by_the_first && std::mem::replace(&mut is_online, false)
            }
            Kind::OnLine => is_by_the_first && !std::mem::replace(&mut is_online, true),
            Kind::Bind => {
                bound += 1;
                *bindings.entry(event.argument).or_default() += 1;
                true
            }
            Kind::Unbind => match bindings.get_mut(&event.argument) {
                Some(count @ 1..) => {
                    *count -= 1;
                    true
                }
                _ => false,
            },
            _ => return Err(format!("this was not to be traced: {event:?}")),
        };
        if !ordered {
            return Err(format!("this is out of order: {event:?}"));
        }
    }
    if !is_online || times < 5 || bound < times || bindings.values().any(|count| *count > 0) {
        return Err(format!(
            "off line {times} times; bindings that lasted: {bindings:?} of {bound}"
        ));
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
            // Of the call that has begun.
            Kind::CallArgument => {
                let begin = trace.find(event.cause);
                begin.is_some_and(|begin| {
                    Some(begin.argument) == open && begin.kind == Kind::CallBegin
                })
            }
            _ => return Err(format!("this was not to be traced: {event:?}")),
        };
        if !ordered {
            return Err(format!("this is out of order: {event:?}; calls so far: {calls:?}"));
        }
    }
    if program != Some(Phase::End) || open.is_some() {
        return Err(format!("program or call did not end; calls: {calls:?}"));
    }
    for call in trace.events().filter(|event| event.kind == Kind::CallBegin) {
        let (expected, found) = (count_of(call.argument), trace.arguments(call));
        if found.len() != expected {
            return Err(format!(
                "{call:?} has {expected} arguments, and these are noted: {found:?}"
            ));
        }
        if call.argument == WRITE && !matches!(found, [1, _, 1..=256]) {
            return Err(format!("this is no line on standard output: {found:?}"));
        }
    }
    match [WRITE, EXIT_GROUP].iter().find(|call| !calls.contains(call)) {
        Some(call) => Err(format!("call {call} is not in the trace; there are {calls:?}")),
        None => Ok(()),
    }
}

/// Each attempt to help a fault ends, and says how; what a fault waits for ends too, and is what it goes on after. The
/// demonstration of chains has most kinds of faults, and in the end its chains are taken apart.
fn faults_are_helped(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, 1)?;
    if trace.lanes().any(|(_, lane)| missing(lane) > 0) {
        return Err("the first events are missing".to_owned());
    }
    let mut outcomes = BTreeMap::<u64, u32>::new();
    let (mut open, mut begun, mut waited, mut done) = (0, 0, 0, 0);
    for event in trace.events() {
        let cause = trace.find(event.cause);
        let is_caused_by = |kind| cause.is_some_and(|cause| cause.kind == kind);
        let waits = |cause: &Event| {
            cause.kind == Kind::FaultEnd && cause.argument == FaultEnd::WaitsForDevice as u64
        };
        let fits = match event.kind {
            Kind::FaultBegin => {
                open += 1;
                // It goes on after a page-in, or after an attempt that did not wait for one.
                cause.is_none_or(|cause| {
                    let went_on = cause.kind == Kind::FaultEnd && !waits(cause);
                    went_on || cause.kind == Kind::PageInDone
                })
            }
            Kind::FaultEnd => {
                open -= 1;
                *outcomes.entry(event.argument).or_default() += 1;
                is_caused_by(Kind::FaultBegin)
            }
            // The kernel reads on its own account too.
            Kind::PageIn => {
                waited += u32::from(cause.is_some());
                begun += 1;
                cause.is_none_or(waits)
            }
            Kind::PageInDone => {
                done += 1;
                is_caused_by(Kind::PageIn) && event.argument > 0
            }
            Kind::Collapse | Kind::Bypass => cause.is_none(),
            _ => false,
        };
        if !fits || !(0..=1).contains(&open) {
            return Err(format!("this does not fit: {event:?}, caused by {cause:?}"));
        }
    }
    let of = |end: FaultEnd| outcomes.get(&(end as u64)).copied().unwrap_or(0);
    let wanted = [FaultEnd::Zeros, FaultEnd::Copied, FaultEnd::File];
    if let Some(never) = wanted.into_iter().find(|end| of(*end) == 0) {
        return Err(format!("no fault came to this: {}; there are {outcomes:?}", never.text()));
    }
    let collapses = trace.events().filter(|event| event.kind == Kind::Collapse).count();
    let is_whole = open == 0 && begun == done && waited == of(FaultEnd::WaitsForDevice);
    if !is_whole || of(FaultEnd::Failed) != 0 || collapses < 2 {
        return Err(format!(
            "{open} attempts did not end; {done} of {begun} page-ins ended, {waited} for faults; {collapses} collapses; {outcomes:?}"
        ));
    }
    Ok(())
}

/// Who asks others to forget waits until each of them has: their answers lie between the request's beginning and end.
fn shoot_downs_are_answered(report: &ReportLog) -> Result<(), String> {
    let trace = read(report, CPUS)?;
    // From here on no processor's events are lost.
    let begin = trace.lanes().filter_map(|(_, lane)| lane.first()).map(|event| event.stamp).max();
    let begin = begin.ok_or("nothing was traced")?;
    let of = |kind| trace.events().filter(move |event| event.kind == kind && event.stamp >= begin);
    let mut whole = 0;
    for end in of(Kind::ShootDownEnd) {
        let Some(asked) = trace.find(end.cause) else { continue };
        if asked.kind != Kind::ShootDownBegin || asked.stamp < begin {
            continue;
        }
        let answers = of(Kind::ShootDownDone).filter(|done| done.cause == asked.id);
        let mut answered = 0;
        for done in answers {
            let bit = 1 << done.id.processor();
            let is_in_time = (asked.stamp..=end.stamp).contains(&done.stamp);
            let by = u64::from(asked.id.processor());
            if asked.argument & bit == 0 || !is_in_time || done.argument != by {
                return Err(format!(
                    "{done:?} does not answer {asked:?}, which ended with {end:?}"
                ));
            }
            answered |= bit;
        }
        // From a processor that has left the address space meanwhile the request was taken back.
        whole += u32::from(answered == asked.argument);
    }
    if whole < 5 { Err(format!("{whole} requests were answered by all")) } else { Ok(()) }
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
    use super::{
        calls_are_in_order, faults_are_helped, pokes_have_causes, preemptions_make_way,
        processors_go_and_come, shoot_downs_are_answered, wake_ups_are_causes,
        who_moves_was_elsewhere,
    };
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
        let [exit, status, end] = ["call 231 0 0", "call-argument 0 0 7", "program-end 0 0 0"];
        let [fd, buffer, length] =
            ["call-argument 1 0 2", "call-argument 64 0 2", "call-argument 9 0 2"];
        let good = [begin, write, fd, buffer, length, back, exit, "call-argument 0 0 7", end];
        // The exit is the seventh event.
        assert_eq!(judge(&good), Ok(()));
        let returned = [begin, write, fd, buffer, length, back, exit, status, back, end];
        assert_eq!(judge(&returned), Ok(()));
        for wrong in [
            &[begin, write, fd, buffer, length, exit, end] as &[_],
            &[begin, write, fd, buffer, length, back, end],
            &[begin, write, fd, buffer, length, back, exit, status],
            &[begin, back, write, back, exit, end],
            &[write, back, begin, exit, end],
            &[begin, write, end],
            &[begin, write, fd, buffer, back, exit, "call-argument 0 0 6", end],
            &[begin, write, buffer, fd, length, back, exit, status, end],
            &[begin, write, fd, buffer, length, back, exit, "call-argument 0 0 2", end],
            &[begin, write, fd, buffer, length, back, exit, end],
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

    #[test]
    fn wake_ups_that_are_nobodys_cause_are_noticed() {
        // Thread 7 on processor 0 wakes thread 8 on processor 1, blocks, and is woken.
        let round = |round: usize| {
            let (wake, back) = (5 * round + 2, 5 * round + 3);
            [
                (1, "block 99 0 0".to_owned()),
                (0, "poke-sent 1 0 0".to_owned()),
                (0, "wake 8 0 0".to_owned()),
                (0, "block 99 0 0".to_owned()),
                (1, format!("poke-received 0 0 {}", wake - 1)),
                (1, format!("dispatch 8 0 {wake}")),
                (1, "wake 7 0 0".to_owned()),
                (1, "poke-sent 0 0 0".to_owned()),
                (0, format!("poke-received 0 1 {}", back + 2)),
                (0, format!("dispatch 7 1 {}", back + 1)),
            ]
        };
        // With what begins with a word replaced.
        let judge = |word: &str, other: &str| {
            let change = |what: String| {
                if what.starts_with(word) { other.to_owned() } else { what }
            };
            let events: Vec<_> = (0..40)
                .flat_map(round)
                .map(|(processor, what)| (processor, change(what)))
                .collect();
            let events: Vec<_> =
                events.iter().map(|(processor, what)| (*processor, &what[..])).collect();
            wake_ups_are_causes(&report(&events))
        };
        assert_eq!(judge("nothing", ""), Ok(()));
        for (word, other) in [
            ("wake", "thread 8 0 0"),
            ("block", "thread 8 0 0"),
            ("dispatch", "dispatch 8 0 0"),
            ("dispatch", "dispatch 8 0 1"),
            ("poke-received", "poke-received 0 0 2"),
            ("poke-sent", "thread 8 0 0"),
        ] {
            assert!(judge(word, other).is_err(), "{other} for {word}");
        }
    }

    #[test]
    fn faults_that_are_not_helped_are_noticed() {
        let good = [
            "fault 4096 0 0",
            "fault-end 4 0 1",
            "page-in 7 0 2",
            "page-in-done 2 0 3",
            "fault 4096 0 4",
            "fault-end 10 0 5",
            "fault 8192 0 0",
            "fault-end 1 0 7",
            "fault 8192 0 8",
            "fault-end 7 0 9",
            "fault 8192 0 0",
            "fault-end 8 0 11",
            "fault 8192 0 0",
            "fault-end 9 0 13",
            "fault 8192 0 0",
            "fault-end 6 0 15",
            "collapse 3 0 0",
            "collapse 4 0 0",
        ];
        let judge = |events: &[&str]| {
            let events: Vec<_> = events.iter().map(|what| (0, *what)).collect();
            faults_are_helped(&report(&events))
        };
        assert_eq!(judge(&good), Ok(()));
        for (place, wrong) in [
            (1, "fault-end 4 0 0"),
            (2, "page-in 7 0 0"),
            (3, "page-in-done 0 0 3"),
            (4, "fault 4096 0 2"),
            (11, "fault-end 7 0 11"),
            (7, "fault-end 0 0 7"),
            (9, "collapse 1 0 0"),
            (17, "idle 0 0 0"),
            (17, "fault 4096 0 0"),
        ] {
            let mut events = good;
            events[place] = wrong;
            assert!(judge(&events).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shoot_downs_without_answers_are_noticed() {
        // Processor 0 asks 1 and 2.
        let round = |round: usize, answer: &str| {
            let (begin, end) = (2 * round + 2, 2 * round + 2);
            [
                (0, "shoot-down 6 0 0".to_owned()),
                (1, format!("{answer} {begin}")),
                (2, format!("shoot-down-done 0 0 {begin}")),
                (0, format!("shoot-down-end 0 0 {end}")),
            ]
        };
        let judge = |rounds: usize, answer: &str| {
            let first = (0..4).map(|processor| (processor, "fault 0 0 0".to_owned()));
            let rounds = (0..rounds).flat_map(|number| round(number, answer));
            let events: Vec<_> = first.chain(rounds).collect();
            let events: Vec<_> =
                events.iter().map(|(processor, what)| (*processor, &what[..])).collect();
            shoot_downs_are_answered(&report(&events))
        };
        assert_eq!(judge(5, "shoot-down-done 0 0"), Ok(()));
        assert!(judge(4, "shoot-down-done 0 0").is_err());
        assert!(judge(5, "shoot-down-done 3 0").is_err());
        assert!(judge(5, "fault 3 0").is_err());
    }

    #[test]
    fn a_thread_that_moves_without_moving_is_noticed() {
        let judge = |first: u16, next: &str, rounds: usize| {
            let events: Vec<_> = [(first, "dispatch 7 0 0"), (1, "migrate 7 0 0"), (1, next)]
                .into_iter()
                .cycle()
                .take(3 * rounds)
                .collect();
            who_moves_was_elsewhere(&report(&events))
        };
        assert_eq!(judge(0, "dispatch 7 0 0", 3), Ok(()));
        assert!(judge(0, "dispatch 7 0 0", 2).is_err());
        assert!(judge(0, "dispatch 8 0 0", 3).is_err());
        assert!(judge(1, "dispatch 7 0 0", 3).is_err());
        assert!(judge(0, "block 7 0 0", 3).is_err());
    }

    #[test]
    fn a_preemption_without_effect_is_noticed() {
        let judge = |next: &str, rounds: usize| {
            let events: Vec<_> =
                [(1, "preempt 7 0 0"), (1, next)].into_iter().cycle().take(2 * rounds).collect();
            preemptions_make_way(&report(&events))
        };
        assert_eq!(judge("dispatch 8 0 0", 5), Ok(()));
        assert!(judge("dispatch 8 0 0", 4).is_err());
        assert!(judge("dispatch 7 0 0", 5).is_err());
        assert!(judge("block 8 0 0", 5).is_err());
    }

    #[test]
    fn processors_that_do_not_come_back_are_noticed() {
        let good = [
            "off-line 1 0 0",
            "bind 7 0 0",
            "bind 7 0 0",
            "unbind 7 0 0",
            "on-line 1 0 0",
            "unbind 7 0 0",
        ];
        let judge = |round: &[&str], rounds: usize| {
            let count = round.len() * rounds;
            let events: Vec<_> = round.iter().cycle().take(count).map(|what| (0, *what)).collect();
            processors_go_and_come(&report(&events))
        };
        assert_eq!(judge(&good, 5), Ok(()));
        assert!(judge(&good, 4).is_err());
        for place in 0..good.len() {
            let mut wrong = good.to_vec();
            wrong.remove(place);
            assert!(judge(&wrong, 5).is_err(), "without {}", good[place]);
        }
        assert!(
            judge(&["off-line 0 0 0", "bind 7 0 0", "unbind 7 0 0", "on-line 0 0 0"], 5).is_err()
        );
    }
}
