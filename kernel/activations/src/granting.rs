//! What the allocator of processors ([`crate::allocator`]) asks of a process, and does to it.
//!
//! A virtual processor that has no processor wants one if it had something to do when it lost the last, if somebody asks for
//! it, or if there is an event and nobody to hear it. What idles is taken at once; for the others there is a number,
//! [`Protocol::owed`]: the library gives so many back, by `sa_yield`, and chooses which. What it has not given back is
//! taken: where a virtual processor comes to the border and is not in the library.
//!
//! One that is stalled is not taken: its thread may be in the library. It uses no processor while it sleeps; the dispatcher
//! lends that on.

use crate::allocator::Demand;
use crate::deliver::{Nudge, Posted};
use crate::lent::Returns;
use crate::numbers::{Activation, VirtualProcessor};
use crate::protocol::{Protocol, Use};

impl Protocol {
    /// What the process has and wants.
    pub fn demand(&self) -> Demand {
        let mut demand = Demand { owed: self.owed, ..Demand::default() };
        for processor in &self.processors {
            match processor.used {
                Use::Absent => {}
                Use::Waiting => demand.wanted += u32::from(processor.wants),
                Use::Idle(_) => {
                    demand.granted += 1;
                    demand.idle += 1;
                }
                Use::Starting(_) | Use::Running(_) | Use::Stalled(_) => {
                    demand.granted += 1;
                    demand.wanted += 1;
                }
            }
        }
        demand
    }

    /// Whether a virtual processor wants a processor.
    pub fn is_short(&self) -> bool {
        self.waiting != 0
    }

    /// Whether the process wants a processor more than when this was asked the last time, or has given one back.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news.0)
    }

    /// How many processors the program has been told to give back, and has not.
    pub fn owed(&self) -> u32 {
        self.owed
    }

    /// One that wants a processor gets it. `Nobody` if there is none, or a stack is missing; or an activation: those that
    /// run need one each when they block.
    pub fn grant(&mut self, returns: &mut impl Returns) -> Nudge {
        if self.cache.count() <= self.at_work() {
            return Nudge::Nobody;
        }
        let wanting = self.first_that_wants();
        wanting.map_or(Nudge::Nobody, |home| self.begin_on(home, returns))
    }

    /// One that idles loses its processor. Says whether there is one.
    pub fn take_idle(&mut self) -> bool {
        let idle = self.find_idle();
        if let Some((home, activation)) = idle {
            self.leave_processor(home, false);
            self.put_into_cache(activation);
            self.counts.taken_idle += 1;
        }
        idle.is_some()
    }

    /// The program is to give so many processors back, from now on. It hears of that on a virtual processor that runs.
    pub fn notice(&mut self, owed: u32, returns: &mut impl Returns) -> Nudge {
        self.owed = owed;
        self.forgive();
        let runs = self.processors.iter().position(|processor| {
            matches!(processor.used, Use::Running(_)) && !processor.is_revoked
        });
        match runs {
            Some(place) if owed != 0 => {
                self.post(Posted::USER, Some(VirtualProcessor::new(place as u32)), returns)
            }
            _ => Nudge::Nobody,
        }
    }

    /// As many as are owed lose their processors where they come to the border outside of the library. Says who is to come
    /// there, a bit for each virtual processor.
    pub fn force(&mut self) -> u64 {
        let is_revoked = self.processors.iter().filter(|processor| processor.is_revoked);
        let mut more = self.owed.saturating_sub(is_revoked.count() as u32);
        let mut poked = 0;
        // The last ones first: the first is where programs begin.
        for (place, processor) in self.processors.iter_mut().enumerate().rev() {
            let Use::Running(_) = processor.used else { continue };
            if !processor.is_revoked && more != 0 {
                more -= 1;
                processor.is_revoked = true;
            }
            if processor.is_revoked {
                processor.is_poked = true;
                poked |= 1 << place;
            }
        }
        poked
    }

    /// Whose activation runs on a virtual processor, or idles there.
    pub fn activation_on(&self, home: VirtualProcessor) -> Option<Activation> {
        match self.processors[home.place()].used {
            Use::Idle(on) | Use::Starting(on) | Use::Running(on) | Use::Stalled(on) => Some(on),
            Use::Absent | Use::Waiting => None,
        }
    }

    /// An activation gives its processor back; `wants` says that it has something to do all the same.
    pub(crate) fn gives_back(
        &mut self,
        activation: Activation,
        home: VirtualProcessor,
        wants: bool,
        returns: &mut impl Returns,
    ) -> Nudge {
        let is_owed = self.owed != 0;
        self.leave_processor(home, wants);
        self.pay();
        self.put_into_cache(activation);
        self.counts.given_back += u64::from(is_owed);
        if !is_owed && wants {
            // Somebody else was faster: it goes on here.
            return self.begin_on(home, returns);
        }
        self.nudge(home, returns)
    }

    /// A virtual processor could use a processor that it does not have.
    pub(crate) fn want(&mut self, home: VirtualProcessor) {
        let processor = self.processor(home);
        if processor.used == Use::Waiting && !processor.wants {
            processor.wants = true;
            self.waiting += 1;
            self.news.0 = true;
        }
    }

    /// Somebody could, if nobody does so far.
    pub(crate) fn want_any(&mut self) {
        let waits = self.processors.iter().position(|processor| processor.used == Use::Waiting);
        if let Some(place) = waits
            && self.waiting == 0
        {
            self.want(VirtualProcessor::new(place as u32));
        }
    }

    /// One that idles hands its processor to this one, which has something to do.
    pub(crate) fn hand_over(
        &mut self,
        home: VirtualProcessor,
        returns: &mut impl Returns,
    ) -> Nudge {
        let Some((idle, activation)) = self.find_idle() else { return Nudge::Nobody };
        self.leave_processor(idle, false);
        self.put_into_cache(activation);
        self.begin_on(home, returns)
    }

    /// The virtual processor has no activation any longer, and no processor; `wants` says whether it could use one.
    pub(crate) fn leave_processor(&mut self, home: VirtualProcessor, wants: bool) {
        let processor = self.processor(home);
        processor.used = Use::Waiting;
        (processor.is_revoked, processor.is_poked) = (false, false);
        if wants || !processor.posted.is_empty() {
            self.want(home);
        }
    }

    pub(crate) fn first_that_wants(&self) -> Option<VirtualProcessor> {
        if self.waiting == 0 {
            return None;
        }
        let place = self.processors.iter().position(|processor| processor.wants)?;
        Some(VirtualProcessor::new(place as u32))
    }

    fn find_idle(&self) -> Option<(VirtualProcessor, Activation)> {
        self.processors.iter().enumerate().find_map(|(place, processor)| match processor.used {
            Use::Idle(activation) => Some((VirtualProcessor::new(place as u32), activation)),
            _ => None,
        })
    }

    /// One processor has come back.
    pub(crate) fn pay(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.news.0 = true;
        self.forgive();
    }

    /// No more are to lose their processors than are owed.
    fn forgive(&mut self) {
        let mut left = self.owed;
        for processor in self.processors.iter_mut().filter(|processor| processor.is_revoked) {
            processor.is_revoked = left != 0;
            left = left.saturating_sub(1);
        }
    }
}
