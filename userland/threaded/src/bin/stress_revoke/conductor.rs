//! The process that starts the others and tells them what to want. It has an LWP and no virtual processor, so that it
//! takes no part itself.

use abi::errno::Errno;
use core::ptr;
use userland::child;
use userland::fail;
use userland::files;
use userland::println;
use userland::processor;
use userland::report::{Checks, Why};
use userland::stream::Reader;
use userland::system::raw;
use userland::text::Text;

/// Most processes.
pub const PARTS_MAX: usize = 8;

/// Becomes this program anew, in the mode in which a thread is an LWP.
pub fn begin_anew(processes: usize, rounds: usize) -> Errno {
    let processes = Text::<32>::new(format_args!("{processes}\0"));
    let rounds = Text::<32>::new(format_args!("{rounds}\0"));
    let words = [
        c"stress_revoke".as_ptr().cast(),
        processes.as_str().as_ptr(),
        rounds.as_str().as_ptr(),
        ptr::null(),
    ];
    become_this(&words, c"LIBSA=lwp")
}

fn become_this(words: &[*const u8], mode: &core::ffi::CStr) -> Errno {
    let environment = [mode.as_ptr().cast::<u8>(), ptr::null()];
    let path = c"/bin/stress_revoke".as_ptr().cast();
    // SAFETY: all are strings with a null byte behind each.
    match unsafe { raw::execve(path, words.as_ptr(), environment.as_ptr()) } {
        Err(error) => error,
        Ok(_) => unreachable!("execve returned to the old program"),
    }
}

/// One of the processes.
struct Part {
    child: u64,
    to: i32,
    from: Reader,
    from_descriptor: i32,
    /// How many processors it could use.
    wants: u32,
}

impl Part {
    fn start() -> Result<Part, Why> {
        let pipe =
            || files::pipe(0).map_err(|error| Why::new(format_args!("a pipe: {}", error.text())));
        let ([input, to], [from, output]) = (pipe()?, pipe()?);
        let child = child::start(|| {
            for (descriptor, standard) in [(input, 0), (output, 1)] {
                let _ = files::dup2(descriptor, standard);
            }
            // What is behind the standard ones belongs to others: their ends are to be seen.
            (3..64).for_each(|descriptor| {
                let _ = files::close(descriptor);
            });
            let words = [c"stress_revoke".as_ptr().cast(), c"part".as_ptr().cast(), ptr::null()];
            let error = become_this(&words, c"LIBSA=sa");
            println!("stress_revoke: {}", error.text());
            1
        })?;
        for descriptor in [input, output] {
            let _ = files::close(descriptor);
        }
        Ok(Part { child, to, from: Reader::new(from), from_descriptor: from, wants: 0 })
    }

    fn tell(&self, what: core::fmt::Arguments) -> Result<(), Why> {
        let text = Text::<64>::new(format_args!("{what}\n"));
        match files::write(self.to, text.as_str().as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => fail!("telling {what}: {}", error.text()),
        }
    }

    /// What it says to that.
    fn hear(&mut self) -> Result<Text<64>, Why> {
        let mut place = [0; 64];
        match self.from.line(&mut place) {
            Ok(Some((line, true))) => {
                Ok(Text::new(format_args!("{}", core::str::from_utf8(line).unwrap_or("?"))))
            }
            Ok(_) => fail!("process {} has ended", self.child),
            Err(error) => fail!("hearing: {}", error.text()),
        }
    }

    fn hear_yes(&mut self) -> Result<(), Why> {
        let said = self.hear()?;
        if said.as_str() == "yes" {
            Ok(())
        } else {
            fail!("process {}: {}", self.child, said.as_str())
        }
    }

    /// Given back, taken, spared, taken while it idled.
    fn counts(&mut self) -> Result<[u64; 4], Why> {
        self.tell(format_args!("counts"))?;
        let said = self.hear()?;
        let mut numbers = said.as_str().split(' ').map(|word| word.parse().unwrap_or(0));
        Ok(core::array::from_fn(|_| numbers.next().unwrap_or(0)))
    }

    fn end(self) -> Result<(), Why> {
        let _ = files::close(self.to);
        let status = child::wait(self.child)?;
        let _ = files::close(self.from_descriptor);
        if status == 0 { Ok(()) } else { fail!("process {} ended with {status:#x}", self.child) }
    }
}

/// All of them.
struct Parts {
    parts: [Option<Part>; PARTS_MAX],
    processors: u32,
}

impl Parts {
    fn each(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().flatten()
    }

    fn part(&mut self, number: usize) -> Result<&mut Part, Why> {
        match &mut self.parts[number] {
            Some(part) => Ok(part),
            None => fail!("there is no process {number}"),
        }
    }

    fn want(&mut self, number: usize, threads: u32) -> Result<(), Why> {
        let processors = self.processors;
        let part = self.part(number)?;
        part.wants = threads.min(processors);
        part.tell(format_args!("want {threads}"))?;
        part.hear_yes()
    }

    fn all_want_all(&mut self) -> Result<(), Why> {
        let threads = 2 * self.processors;
        (0..PARTS_MAX).try_for_each(|number| {
            if self.parts[number].is_some() { self.want(number, threads) } else { Ok(()) }
        })
    }

    /// What everybody is to have: at least, at most.
    fn shares(&mut self) -> [(u32, u32); PARTS_MAX] {
        let wants: [u32; PARTS_MAX] =
            core::array::from_fn(|number| self.parts[number].as_ref().map_or(0, |part| part.wants));
        let mut share = [0; PARTS_MAX];
        let mut left = self.processors;
        loop {
            let hungry =
                (0..PARTS_MAX).filter(|&number| share[number] < wants[number]).count() as u32;
            if hungry == 0 || left < hungry {
                let more = u32::from(left != 0);
                return core::array::from_fn(|number| {
                    let is_hungry = share[number] < wants[number];
                    (share[number], share[number] + if is_hungry { more } else { 0 })
                });
            }
            for number in 0..PARTS_MAX {
                if share[number] < wants[number] {
                    share[number] += 1;
                    left -= 1;
                }
            }
        }
    }

    /// Everybody waits until it has its share.
    fn have_their_shares(&mut self) -> Result<(), Why> {
        let shares = self.shares();
        for (part, (low, high)) in self.parts.iter().zip(shares) {
            let Some(part) = part else { continue };
            // It is at work itself while it looks.
            part.tell(format_args!("share {low} {}", high.max(1)))?;
        }
        self.each().try_for_each(Part::hear_yes)
    }
}

/// Starts so many processes and has them compete.
pub fn conduct(processes: usize, rounds: usize) -> i32 {
    let mut checks = Checks::new("stress_revoke");
    let processors = processor::all().filter(|info| info.on_line != 0).count() as u32;
    let mut parts = Parts { parts: [const { None }; PARTS_MAX], processors };
    println!("{processes} processes on {processors} processors");
    let mut started = Ok(());
    for part in &mut parts.parts[..processes] {
        match Part::start() {
            Ok(made) => *part = Some(made),
            Err(why) => started = Err(why),
        }
    }
    checks.check(format_args!("processes-start"), || started);
    checks.check(format_args!("everybody-gets-an-equal-share"), || {
        parts.all_want_all()?;
        parts.have_their_shares()
    });
    checks.check(format_args!("what-one-does-not-want-is-the-others"), || {
        parts.want(0, 1)?;
        parts.have_their_shares()?;
        parts.want(0, 0)?;
        parts.have_their_shares()
    });
    checks.check(format_args!("who-does-not-listen-loses-processors"), || loses(&mut parts));
    checks
        .check(format_args!("who-stays-in-the-library-keeps-nobody-waiting"), || stays(&mut parts));
    checks.check(format_args!("processors-come-and-go"), || {
        for round in 0..rounds {
            for number in 0..processes {
                parts.part(number)?.tell(format_args!("burst {}", 1 + (round + number) % 4))?;
            }
            parts.each().try_for_each(Part::hear_yes)?;
        }
        Ok(())
    });
    println!("process   given back    taken   spared   taken while idle");
    checks.check(format_args!("what-has-happened-can-be-told"), || {
        for number in 0..processes {
            let [given_back, taken, spared, idle] = parts.part(number)?.counts()?;
            println!("{number:>7} {given_back:>12} {taken:>8} {spared:>8} {idle:>18}");
        }
        Ok(())
    });
    checks.check(format_args!("what-one-leaves-is-the-others"), || {
        parts.all_want_all()?;
        for number in 1..processes {
            let part = parts.parts[number].take();
            part.map_or(Ok(()), Part::end)?;
            parts.have_their_shares()?;
        }
        parts.parts[0].take().map_or(Ok(()), Part::end)
    });
    checks.finish()
}

/// The first listens to no notice: what it has not given back is taken.
fn loses(parts: &mut Parts) -> Result<(), Why> {
    for number in 1..PARTS_MAX {
        if parts.parts[number].is_some() {
            parts.want(number, 0)?;
        }
    }
    parts.want(0, 2 * parts.processors)?;
    parts.have_their_shares()?;
    let first = parts.part(0)?;
    let before = first.counts()?;
    first.tell(format_args!("deaf 1"))?;
    first.hear_yes()?;
    parts.all_want_all()?;
    parts.have_their_shares()?;
    let first = parts.part(0)?;
    let after = first.counts()?;
    first.tell(format_args!("deaf 0"))?;
    first.hear_yes()?;
    if after[1] == before[1] {
        fail!("nothing was taken: {before:?}, then {after:?}");
    }
    Ok(())
}

/// All that the first has is in the library for a while: the others get their shares all the same.
fn stays(parts: &mut Parts) -> Result<(), Why> {
    for number in 1..PARTS_MAX {
        if parts.parts[number].is_some() {
            parts.want(number, 0)?;
        }
    }
    parts.want(0, 0)?;
    let first = parts.part(0)?;
    let before = first.counts()?;
    first.tell(format_args!("stay"))?;
    first.hear_yes()?;
    for number in 1..PARTS_MAX {
        if parts.parts[number].is_some() {
            parts.want(number, 2 * parts.processors)?;
        }
    }
    parts.part(0)?.wants = parts.processors;
    let shares = parts.shares();
    for (part, (low, _)) in parts.parts.iter().zip(shares).skip(1) {
        if let Some(part) = part {
            part.tell(format_args!("share {low} {}", parts.processors))?;
        }
    }
    parts.each().skip(1).try_for_each(Part::hear_yes)?;
    let after = parts.part(0)?.counts()?;
    if after[2] == before[2] {
        fail!("nobody was spared: {before:?}, then {after:?}");
    }
    Ok(())
}
