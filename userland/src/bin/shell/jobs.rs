//! Pipelines that have not ended.

use userland::text::Text;

/// Most processes of a job.
const PROCESSES_MAX: usize = 16;
/// Most jobs.
const JOBS_MAX: usize = 16;

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// A signal has stopped it.
    Stopped(i32),
    /// It has ended by itself.
    Exited(i32),
    /// A signal has ended it.
    Killed(i32),
}

impl State {
    /// What `wait4` says.
    pub fn from_wait(status: i32) -> State {
        const CONTINUED: i32 = 0xffff;
        match (status, status & 0x7f) {
            (CONTINUED, _) => State::Running,
            (_, 0) => State::Exited(status >> 8 & 0xff),
            (_, 0x7f) => State::Stopped(status >> 8 & 0xff),
            (_, signal) => State::Killed(signal),
        }
    }

    /// As a command's status.
    pub fn status(self) -> i32 {
        match self {
            State::Running => 0,
            State::Exited(status) => status,
            State::Stopped(signal) | State::Killed(signal) => 128 + signal,
        }
    }
}

/// A pipeline.
#[derive(Clone)]
pub struct Job {
    /// The number of its group: its first process's.
    pub group: u64,
    /// Its number for people; 0: it has none yet.
    pub number: usize,
    /// What was typed.
    pub text: Text<80>,
    /// How it was when somebody was told last.
    pub told: Option<State>,
    processes: [Option<(u64, State)>; PROCESSES_MAX],
}

impl Job {
    /// One without processes.
    pub fn new(text: &[u8]) -> Job {
        let text = Text::new(format_args!("{}", userland::tool::readable(text)));
        Job { group: 0, number: 0, text, told: None, processes: [None; PROCESSES_MAX] }
    }

    /// Whether it has no processes.
    pub fn is_empty(&self) -> bool {
        self.processes[0].is_none()
    }

    /// A process more; says whether there was room.
    pub fn add(&mut self, process: u64) -> bool {
        let room = self.processes.iter_mut().find(|room| room.is_none());
        room.map(|room| *room = Some((process, State::Running))).is_some()
    }

    /// Notes how a process is; says whether it is one of these.
    pub fn note(&mut self, process: u64, state: State) -> bool {
        let found = self.processes.iter_mut().flatten().find(|(number, _)| *number == process);
        found.map(|(_, now)| *now = state).is_some()
    }

    /// All its processes are gone, nobody knows how.
    pub fn lose(&mut self) {
        for (_, state) in self.processes.iter_mut().flatten() {
            if matches!(state, State::Running | State::Stopped(_)) {
                *state = State::Exited(0);
            }
        }
    }

    /// They go on.
    pub fn go_on(&mut self) {
        for (_, state) in self.processes.iter_mut().flatten() {
            if matches!(state, State::Stopped(_)) {
                *state = State::Running;
            }
        }
        self.told = Some(State::Running);
    }

    /// How it is: it runs while one of its processes does, then it is stopped if one is; it ended as its last one did.
    pub fn state(&self) -> State {
        let states = || self.processes.iter().flatten().map(|(_, state)| *state);
        let is_stopped = |state: &State| matches!(state, State::Stopped(_));
        states()
            .find(|state| *state == State::Running)
            .or_else(|| states().find(is_stopped))
            .or_else(|| states().next_back())
            .unwrap_or(State::Exited(0))
    }
}

/// Jobs, each with a number.
pub struct Jobs {
    jobs: [Option<Job>; JOBS_MAX],
    /// The numbers of the one that was stopped or put into the background last, and of the one before it.
    recent: [usize; 2],
}

impl Jobs {
    /// None.
    pub fn new() -> Jobs {
        Jobs { jobs: [const { None }; JOBS_MAX], recent: [0; 2] }
    }

    /// All of them, in the order of their numbers.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Job> {
        self.jobs.iter_mut().flatten()
    }

    /// Adds one, or puts it back: it is the one that is meant if none is named. Returns its number; `None`: there is no
    /// room.
    pub fn add(&mut self, mut job: Job) -> Option<usize> {
        let place = match job.number {
            0 => self.jobs.iter().position(Option::is_none)?,
            number => number - 1,
        };
        job.number = place + 1;
        *self.jobs.get_mut(place)? = Some(job);
        self.make_current(place + 1);
        Some(place + 1)
    }

    fn make_current(&mut self, number: usize) {
        if self.recent[0] != number {
            self.recent = [number, self.recent[0]];
        }
    }

    /// Takes one out.
    pub fn take(&mut self, number: usize) -> Option<Job> {
        let job = self.jobs.get_mut(number.checked_sub(1)?)?.take();
        if self.recent[1] == number {
            self.recent[1] = 0;
        }
        if self.recent[0] == number {
            let newest = self.jobs.iter().flatten().map(|job| job.number).max();
            self.recent =
                [if self.recent[1] > 0 { self.recent[1] } else { newest.unwrap_or(0) }, 0];
        }
        job
    }

    /// The sign behind a job's number: `+` for the one that is meant if none is named.
    pub fn sign(&self, number: usize) -> char {
        match number {
            number if number == self.recent[0] => '+',
            number if number == self.recent[1] => '-',
            _ => ' ',
        }
    }

    /// The number of the job that a word names: `%N`, `N`, `%+`, `%%`, `%-`; without one the one that is meant then.
    pub fn named(&self, word: Option<&str>) -> Option<usize> {
        let number = match word.map(|word| word.strip_prefix('%').unwrap_or(word)) {
            None | Some("" | "+" | "%") => self.recent[0],
            Some("-") => self.recent[1],
            Some(number) => number.parse().ok()?,
        };
        let job = self.jobs.get(number.checked_sub(1)?)?.as_ref()?;
        Some(job.number)
    }

    /// The group of the job that a word names.
    pub fn group(&self, word: &str) -> Option<u64> {
        let number = self.named(Some(word))?;
        self.jobs[number - 1].as_ref().map(|job| job.group)
    }

    /// None of them is this process's.
    pub fn forget(&mut self) {
        *self = Jobs::new();
    }
}
