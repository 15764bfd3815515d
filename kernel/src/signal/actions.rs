//! What signals do in a process, and which are pending for it as a whole.

use super::pending::Pending;
use super::{ByItself, SIGCHLD, UNSTOPPABLE, bit, default_of};
use abi::signals::{SA_NOCLDSTOP, SA_RESETHAND, SIG_DFL, SIG_IGN, SIGNALS, SigAction};
use core::sync::atomic::{AtomicU64, Ordering};
use machine::SpinLock;

/// Information that a process keeps; of more signals at once only that they are pending.
const KEPT: usize = 16;

/// A process's part: its actions and its pending signals.
pub struct OfProcess {
    actions: SpinLock<[SigAction; SIGNALS], 13>,
    /// The signals that are ignored, by wish or by themselves; kept beside the actions, for who sends.
    ignored: AtomicU64,
    /// Pending for whichever LWP takes them.
    pub pending: Pending<KEPT>,
}

/// What is to be done about a signal.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// What it does by itself.
    ByItself(ByItself),
    /// A handler.
    Handler(SigAction),
}

const DEFAULTS: [SigAction; SIGNALS] =
    [SigAction { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0 }; SIGNALS];

fn is_ignored(signal: u8, action: &SigAction) -> bool {
    match action.handler {
        SIG_IGN => true,
        SIG_DFL => default_of(signal) == ByItself::Ignore,
        _ => false,
    }
}

fn ignored_of(actions: &[SigAction; SIGNALS]) -> u64 {
    let ignored = (1..).zip(actions).filter(|(signal, action)| is_ignored(*signal, action));
    ignored.fold(0, |set, (signal, _)| set | bit(signal))
}

impl OfProcess {
    /// Everything by itself, nothing pending.
    pub fn new() -> OfProcess {
        OfProcess {
            ignored: AtomicU64::new(ignored_of(&DEFAULTS)),
            actions: SpinLock::new(DEFAULTS),
            pending: Pending::new(),
        }
    }

    /// A child's: as its parent's, with nothing pending.
    pub fn inherit(&self, parent: &OfProcess) {
        let actions = *parent.actions.lock_anywhere();
        self.set_all(&actions);
    }

    /// For a new program: no handlers.
    pub fn forget_handlers(&self) {
        let mut actions = *self.actions.lock_anywhere();
        for action in &mut actions {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { handler, ..SigAction::default() };
        }
        self.set_all(&actions);
    }

    fn set_all(&self, actions: &[SigAction; SIGNALS]) {
        let mut own = self.actions.lock_anywhere();
        *own = *actions;
        self.ignored.store(ignored_of(actions), Ordering::Relaxed);
    }

    /// What a signal does.
    pub fn get(&self, signal: u8) -> SigAction {
        self.actions.lock_anywhere()[usize::from(signal) - 1]
    }

    /// Changes what a signal does. One that is ignored from now on is not pending any longer.
    pub fn set(&self, signal: u8, action: SigAction) {
        let mut actions = self.actions.lock_anywhere();
        let action = SigAction { mask: action.mask & !UNSTOPPABLE, ..action };
        actions[usize::from(signal) - 1] = action;
        self.ignored.store(ignored_of(&actions), Ordering::Relaxed);
        drop(actions);
        if is_ignored(signal, &action) {
            self.pending.remove(bit(signal));
        }
    }

    /// Whether a signal is ignored.
    pub fn is_ignored(&self, signal: u8) -> bool {
        self.ignored.load(Ordering::Relaxed) & bit(signal) != 0
    }

    /// What is to be done about a signal that is taken now.
    pub fn take_action(&self, signal: u8) -> Action {
        let mut actions = self.actions.lock_anywhere();
        let action = &mut actions[usize::from(signal) - 1];
        match action.handler {
            SIG_DFL => Action::ByItself(default_of(signal)),
            SIG_IGN => Action::ByItself(ByItself::Ignore),
            _ => {
                let taken = *action;
                if taken.flags & SA_RESETHAND != 0 {
                    action.handler = SIG_DFL;
                    self.ignored.store(ignored_of(&actions), Ordering::Relaxed);
                }
                Action::Handler(taken)
            }
        }
    }

    /// What a signal does from now on is what it does by itself.
    pub fn reset(&self, signal: u8) {
        self.set(signal, SigAction::default());
    }

    /// Whether it does not want to hear of children that stop and go on.
    pub fn wants_no_stops(&self) -> bool {
        self.get(SIGCHLD).flags & SA_NOCLDSTOP != 0
    }
}
