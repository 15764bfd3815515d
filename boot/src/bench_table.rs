//! What is measured: names, what one operation is, goals, and what others need for the same.
//!
//! Instructions, unless the unit says otherwise; smaller is better everywhere. The peers' figures are
//! minima on the same QEMU, counted the same way, on one processor: Linux 6.1 with its mitigations,
//! auditing and preemption off, and Go 1.19 with one processor. Linux does more per operation
//! (control groups, accounting, auditing hooks) than this kernel does. Names never change.

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, for ever.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// What may be needed at most, if that has been said.
    pub goal: Option<u64>,
    /// What Linux needs.
    pub linux: Option<u64>,
    /// What Go needs.
    pub go: Option<u64>,
}

/// Unit of a row, unless it is about memory.
pub const INSTRUCTIONS: &str = "instructions";

/// Unit of the rows about memory.
pub const BYTES: &str = "bytes";

const fn row(name: &'static str, operation: &'static str, goal: u64) -> Row {
    Row { goal: Some(goal), ..without_goal(name, operation) }
}

const fn without_goal(name: &'static str, operation: &'static str) -> Row {
    Row { name, operation, goal: None, linux: None, go: None }
}

impl Row {
    const fn linux(self, figure: u64) -> Row {
        Row { linux: Some(figure), ..self }
    }

    const fn go(self, figure: u64) -> Row {
        Row { go: Some(figure), ..self }
    }
}

/// The row with this name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Every row.
pub const ROWS: &[Row] = &[
    row("boot.kernel_to_user", "kernel's first instruction to the first program's", 5_000_000),
    row("syscall.null", "system call that does nothing", 50).linux(212),
    without_goal("syscall.traced", "the same, noted in the trace"),
    row("disp.lock", "dispatcher lock taken and released", 20),
    row("disp.thread_lock", "thread lock taken and released", 20),
    row("disp.enqueue_select", "thread put on a run queue and selected", 60),
    row("disp.switch", "switch to another kernel thread", 120),
    row("disp.cv_pingpong", "two kernel threads wake each other once", 800),
    row("disp.weakbind", "thread bound weakly and let go", 25).linux(2_253),
    row("disp.weakbind_nested", "the same inside another weak binding", 8),
    row("disp.create_join", "kernel thread created, run, joined", 1_500),
    without_goal("smp.cross_wake", "two threads on two processors wake each other once"),
    row("vm.fault_zero", "first write to a page, zeroing included", 650).linux(3_124),
    row("vm.fault_software", "page fault, the software's part", 120).linux(1_259),
    row("vm.fault_file", "fault on a page of a file in memory", 200),
    row("vm.fault_cow", "write to a shared page, copy included", 750).linux(3_802),
    row("vm.fault_cow_last", "write to a page whose other owner is gone", 150),
    row("vm.fault_stack", "stack grows by a page", 750).linux(6_104),
    row("vm.fork_base", "fork, exit and wait of a small process", 15_000).linux(155_172),
    row("vm.fork_page", "the same, per dirty page", 40).linux(406),
    row("vm.map_touch_unmap", "page mapped, touched, unmapped", 2_000),
    row("proc.signal", "signal raised, handled, returned from", 800).linux(3_878),
    row("proc.fork_exec_wait", "fork, exec and wait", 40_000).linux(121_447),
    row("proc.pipe_roundtrip", "byte through two pipes and back", 1_500).linux(10_519),
    row("lwp.create_join", "LWP created, run, joined", 2_000).linux(28_795),
    row("lwp.park_roundtrip", "two LWPs park and unpark each other", 600).linux(7_031),
    row("sa.create", "user thread created on a pooled stack", 60),
    row("sa.create_join", "user thread created, run, joined", 150).linux(28_795).go(2_669),
    row("sa.yield_roundtrip", "two user threads yield to each other", 100).linux(4_069).go(952),
    row("sa.mutex", "mutex locked and unlocked", 12).linux(62).go(19),
    row("sa.mutex_handoff", "mutex handed to a waiting thread", 90),
    row("sa.cond_roundtrip", "two threads signal each other once", 250).linux(11_772).go(2_002),
    row("sa.channel_roundtrip", "message there and back", 300).linux(10_471).go(2_136),
    row("sa.block_roundtrip", "BLOCKED and UNBLOCKED upcalls of a thread", 900).linux(5_236),
    row("sa.block_roundtrip_batched", "the same, per further event of a batch", 250),
    row("sa.preempted", "PREEMPTED upcall to another thread running", 400).linux(3_878),
    row("sa.memory_parked", "memory of a parked thread", 4_608).linux(30_208).go(2_700),
    without_goal("sa.null_fork", "Anderson's: thread made, run, over"),
    without_goal("sa.signal_wait", "Anderson's: a waiting thread signalled, then waiting itself"),
    without_goal("sa.lwp.create", "an LWP for each thread: created"),
    without_goal("sa.lwp.create_join", "likewise: created, run, joined"),
    without_goal("sa.lwp.null_fork", "likewise: made, run, over"),
    without_goal("sa.lwp.yield_roundtrip", "likewise: two yield to each other"),
    without_goal("sa.lwp.mutex", "likewise: mutex locked and unlocked"),
    without_goal("sa.lwp.mutex_handoff", "likewise: mutex handed to a waiting thread"),
    without_goal("sa.lwp.cond_roundtrip", "likewise: two signal each other once"),
    without_goal("sa.lwp.signal_wait", "likewise: one signalled, then waiting itself"),
    without_goal("sa.lwp.channel_roundtrip", "likewise: message there and back"),
    without_goal(
        "sa.lwp.block_roundtrip",
        "likewise: a thread sleeps in the kernel and comes back",
    ),
    without_goal(
        "sa.mux.block_roundtrip",
        "no upcalls: a thread sleeps, and a virtual processor with it",
    ),
    row("door.roundtrip", "door call and return", 300).linux(8_949),
];

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn names_are_words_and_occur_once() {
        for (place, row) in ROWS.iter().enumerate() {
            assert!(row.name.contains('.') && !row.name.contains(' '), "{}", row.name);
            assert!(ROWS[..place].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
