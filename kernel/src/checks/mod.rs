//! The kernel's own checks, run at boot with `check=all` or `check=NAME,NAME`.
//!
//! A check is a function that looks at the running kernel from inside. Each is reported on the
//! report channel by its own name: one boot runs many. Host tests prove the logic; these prove that
//! the real machine does what the logic assumes, on as many processors as there are.
//!
//! Whoever adds a check writes a function `fn(&mut Run) -> Outcome` in the file of its subject and a
//! line in [`CHECKS`].

mod disks;
mod dispatcher;
mod fault_scale;
mod interrupt_threads;
mod interrupts;
mod memory;
mod paging;
mod pmap;
mod processors;
mod programs;
mod stacks;
mod time;
mod turns;
mod user_memory;
mod user_registers;
mod virtual_memory;
mod way_back;

use crate::kernel::Kernel;
use crate::kernel_space::SlabPages;
use crate::{console, report_channel, threads};
use ::memory::Slab;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use dispatch::callout;
use interrupts::Handlers;
use machine::{MayFault, SpinLock};
use report::Line;

/// What a check has to work with.
pub struct Run<'a> {
    /// The kernel under test.
    pub kernel: &'static Kernel,
    /// The boot thread's right to fault and sleep.
    pub may_fault: &'a mut MayFault,
}

/// What a check found: nothing wrong, or what.
pub type Outcome = Result<(), Wrong>;

/// What is wrong, in words; cut to what fits, because an outcome is passed by value.
pub struct Wrong {
    text: [u8; 112],
    length: usize,
}

impl Wrong {
    /// From a format.
    pub fn new(text: fmt::Arguments<'_>) -> Wrong {
        let mut wrong = Wrong { text: [0; 112], length: 0 };
        // What does not fit is cut.
        let _ = wrong.write_fmt(text);
        wrong
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.text[..self.length]).unwrap_or("(not text)")
    }
}

impl Write for Wrong {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().filter(u8::is_ascii) {
            let place = self.text.get_mut(self.length).ok_or(fmt::Error)?;
            *place = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Ends a check unless something holds; what is then wrong follows, as for `format!`.
macro_rules! ensure {
    ($condition:expr, $($format:tt)+) => {
        if !$condition {
            return Err($crate::checks::Wrong::new(format_args!($($format)+)));
        }
    };
}
pub(crate) use ensure;
pub use interrupts::{LINE, THREAD_LINE};
pub use virtual_memory::at_schedule_point;

/// What checks share between processors, as work for another processor is a bare function.
pub struct Shared {
    /// A counter behind a lock.
    pub locked: SpinLock<u64, 13>,
    /// Counters without one.
    pub counters: [AtomicU64; 4],
    /// A flag.
    pub flag: AtomicBool,
    /// What is done at the interrupts of the check that runs.
    pub handlers: Handlers,
    /// What its handler works with, or null.
    subject: AtomicPtr<()>,
    /// What was its subject, and may be again.
    set_aside: AtomicPtr<()>,
    /// Objects of an odd size.
    pub objects: Slab<memory::Object>,
    /// Whose threads stop at schedule points.
    pub stage: virtual_memory::CurrentStage,
    /// Who is stepped on its way back to user mode.
    pub sweep: way_back::Sweep,
}

impl Shared {
    /// All zero.
    pub fn new() -> Shared {
        Shared {
            locked: SpinLock::new(0),
            counters: [const { AtomicU64::new(0) }; 4],
            flag: AtomicBool::new(false),
            handlers: Handlers::new(),
            subject: AtomicPtr::new(core::ptr::null_mut()),
            set_aside: AtomicPtr::new(core::ptr::null_mut()),
            objects: Slab::new(&SlabPages),
            stage: virtual_memory::CurrentStage::none(),
            sweep: way_back::Sweep::new(),
        }
    }

    fn reset(&self) {
        *self.locked.lock_anywhere() = 0;
        for counter in &self.counters {
            counter.store(0, Ordering::Relaxed);
        }
        self.flag.store(false, Ordering::Release);
        self.handlers.set(None);
        self.handlers.set_on_thread(None);
        self.subject.store(core::ptr::null_mut(), Ordering::Release);
        self.set_aside.store(core::ptr::null_mut(), Ordering::Release);
    }
}

type Check = fn(&mut Run<'_>) -> Outcome;

/// Every check: what it is called, what it does.
const CHECKS: &[(&str, Check)] = &[
    ("frames-are-all-known", memory::frames_are_all_known),
    ("frames-run-out-and-come-back", memory::frames_run_out_and_come_back),
    ("slabs-run-out-and-come-back", memory::slabs_run_out_and_come_back),
    ("heap-runs-out-and-comes-back", memory::heap_runs_out_and_comes_back),
    ("nothing-is-writable-and-executable", paging::nothing_is_writable_and_executable),
    ("kernel-text-is-read-only", paging::kernel_text_is_read_only),
    ("lower-half-is-empty", paging::lower_half_is_empty),
    ("protections-are-on", paging::protections_are_on),
    ("guard-pages-are-absent", paging::guard_pages_are_absent),
    ("every-processor-works", processors::every_processor_works),
    ("every-processor-answers-a-poke", processors::every_processor_answers_a_poke),
    ("pokes-are-never-lost", processors::pokes_are_never_lost),
    ("spin-lock-excludes", processors::spin_lock_excludes),
    ("interrupt-is-held-back", processors::interrupt_is_held_back),
    ("halt-misses-no-interrupt", processors::halt_misses_no_interrupt),
    ("levels-replay-in-order", processors::levels_replay_in_order),
    ("shoot-down-passes-spinners", processors::shoot_down_passes_spinners),
    ("preemption-waits", processors::preemption_waits),
    ("processors-follow-a-pmap", pmap::processors_follow_a_pmap),
    ("pmaps-give-their-tables-back", pmap::pmaps_give_their_tables_back),
    ("shoot-downs-reach-every-processor", pmap::shoot_downs_reach_every_processor),
    ("shoot-downs-cross", pmap::shoot_downs_cross),
    ("shoot-downs-pass-deaf-spinners", pmap::shoot_downs_pass_deaf_spinners),
    ("handlers-run-on-the-threads-stack", interrupts::handlers_run_on_the_threads_stack),
    ("handlers-may-switch", interrupts::handlers_may_switch),
    ("handlers-over-user-mode-may-switch", interrupts::handlers_over_user_mode_may_switch),
    ("interrupts-wait-for-room-on-the-stack", interrupts::interrupts_wait_for_room_on_the_stack),
    ("interrupt-threads-may-block", interrupt_threads::interrupt_threads_may_block),
    ("timer-runs-out", time::timer_runs_out),
    ("timer-can-be-stopped", time::timer_can_be_stopped),
    ("clock-agrees-across-processors", time::clock_agrees_across_processors),
    ("thread-stacks-run-out-and-come-back", stacks::thread_stacks_run_out_and_come_back),
    ("threads-come-and-go", dispatcher::threads_come_and_go),
    ("condvar-ping-pong", dispatcher::condvar_ping_pong),
    ("semaphore-ping-pong", dispatcher::semaphore_ping_pong),
    ("mutex-ping-pong", dispatcher::mutex_ping_pong),
    ("sleeps-end-on-time", dispatcher::sleeps_end_on_time),
    ("time-slices", turns::time_slices),
    ("real-time-preempts-the-kernel", dispatcher::real_time_preempts_the_kernel),
    ("preemption-is-deferred", dispatcher::preemption_is_deferred),
    ("priority-inversion-is-bounded", dispatcher::priority_inversion_is_bounded),
    ("work-spreads", dispatcher::work_spreads),
    ("processors-go-off-and-on-line", dispatcher::processors_go_off_and_on_line),
    ("bound-threads-keep-a-processor", dispatcher::bound_threads_keep_a_processor_on_line),
    ("off-line-waits-for-weak-bindings", dispatcher::off_line_waits_for_weak_bindings),
    ("off-line-gives-up-on-weak-bindings", dispatcher::off_line_gives_up_on_weak_bindings),
    ("archive-is-whole", disks::archive_is_whole),
    ("swap-keeps-what-is-written", disks::swap_keeps_what_is_written),
    ("transfers-beyond-the-end-fail", disks::transfers_beyond_the_end_fail),
    ("many-threads-use-the-disks", disks::many_threads_use_the_disks),
    ("every-processor-uses-the-disks", disks::every_processor_uses_the_disks),
    ("disk-errors-reach-who-asked", disks::disk_errors_reach_who_asked),
    ("a-frozen-disk-stops-nobody", disks::a_frozen_disk_stops_nobody),
    ("faults-go-side-by-side", fault_scale::faults_of_one_process_go_side_by_side),
    ("context-switch", stacks::context_switch),
    ("stack-holes-are-filled", stacks::stack_holes_are_filled),
    ("interrupts-on-stack-holes", stacks::interrupts_on_stack_holes),
    ("user-faults-on-stack-holes", stacks::user_faults_on_stack_holes),
    ("copy-refuses-bad-addresses", user_memory::copy_refuses_bad_addresses),
    ("copy-survives-a-fault-at-any-byte", user_memory::copy_survives_a_fault_at_any_byte),
    ("registers-of-user-mode-move", user_registers::registers_of_user_mode_move),
    ("program-gives-everything-back", programs::program_gives_everything_back),
    ("processes-give-everything-back", programs::processes_give_everything_back),
    ("whoever-makes-a-child-may-have-to-go", programs::whoever_makes_a_child_may_have_to_go),
    ("page-in-errors-reach-who-asked", virtual_memory::page_in_errors_reach_who_asked),
    ("page-out-errors-lose-nothing", virtual_memory::page_out_errors_lose_nothing),
    ("a-frozen-swap-disk-stops-nobody", virtual_memory::a_frozen_swap_disk_stops_nobody),
    ("programs-outlast-a-frozen-swap-disk", virtual_memory::programs_outlast_a_frozen_swap_disk),
    ("page-in-sleeps-can-be-killed", virtual_memory::page_in_sleeps_can_be_killed),
    ("frames-in-caches-are-found", virtual_memory::frames_in_caches_are_found),
    ("programs-start-from-frames-in-caches", virtual_memory::programs_start_from_frames_in_caches),
    ("swap-space-runs-out-and-comes-back", virtual_memory::swap_space_runs_out_and_comes_back),
    ("victims-go-one-at-a-time", virtual_memory::victims_go_one_at_a_time),
    ("history-cow-2019", virtual_memory::history_cow_2019),
    ("history-cow-d23155", virtual_memory::history_cow_d23155),
    ("history-cow-restart", virtual_memory::history_cow_restart),
    ("history-cow-tlb", virtual_memory::history_cow_tlb),
    ("requests-are-seen-at-every-instruction", way_back::requests_are_seen_at_every_instruction),
    ("non-canonical-return-takes-iretq", programs::non_canonical_return_takes_iretq),
    ("a-bad-frame-is-the-programs-fault", programs::a_bad_frame_is_the_programs_fault),
    ("refused-entries-are-counted", programs::refused_entries_are_counted),
    ("damaged-programs-are-refused", programs::damaged_programs_are_refused),
    ("a-failing-disk-is-no-bad-program", programs::a_failing_disk_is_no_bad_program),
    ("program-start-fails-without-memory", programs::program_start_fails_without_memory),
];

/// The check with this name.
pub fn find(name: &str) -> Option<Check> {
    CHECKS.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

/// Runs the checks that `names` names: `all`, or a list with commas.
pub fn run(kernel: &'static Kernel, names: &str, may_fault: &mut MayFault) {
    let (mut passed, mut failed) = (0, 0);
    let chosen = CHECKS
        .iter()
        .filter(|(name, _)| names == "all" || names.split(',').any(|chosen| chosen == *name));
    let value = chosen.clone().count() as u64;
    report_channel::send(Line::Value { name: "checks.count", unit: "checks", value });
    for (name, check) in chosen {
        // No tick hides a lost wake-up, nor comes between what a check does by hand. One that wants ticks
        // turns them on.
        threads::set_tick(kernel, 0);
        report_channel::send(Line::Begin { check: name });
        kernel.shared.reset();
        let begun = kernel.uptime_nanoseconds();
        let outcome = check(&mut Run { kernel, may_fault });
        // It may have set the timer by hand, or stopped it, with a callout waiting: that of a disk's watch, say.
        callout::set_timer_anew(machine::preempt::disable(may_fault).atomic());
        let milliseconds = (kernel.uptime_nanoseconds() - begun) / 1_000_000;
        match outcome {
            Ok(()) => {
                passed += 1;
                console::print(format_args!("ok      {name}  {milliseconds} ms\n"));
                report_channel::send(Line::Passed { check: name });
            }
            Err(wrong) => {
                failed += 1;
                console::print(format_args!("FAILED  {name}: {}\n", wrong.text()));
                report_channel::send(Line::Failed { check: name, why: wrong.text() });
            }
        }
    }
    console::print(format_args!("{passed} passed, {failed} failed\n"));
}
