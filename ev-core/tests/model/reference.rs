//! The engine's rules once more, in the plainest way: everything is looked for where it stands.

use std::collections::VecDeque;

use ev_core::engine::{Held, Limits, Outcome, RunMode, Step, Stop};
use ev_core::{Causes, Interest, Persistence, Readiness};

pub const PRIORITIES: u8 = 3;
const MOST_DEFERRED: u32 = 33;

/// What is known of an event.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the plainest way")]
pub struct Event {
    pub fd: Option<usize>,
    pub interest: Interest,
    pub persistence: Persistence,
    pub priority: u8,
    pub timeout: Option<u64>,
    /// With the place in the order of armings.
    pub deadline: Option<(u64, u64)>,
    /// It became active by its deadline, and the next one is set.
    rearmed: bool,
    deferred: bool,
    causes: Causes,
    removed: bool,
    is_final: bool,
}

impl Event {
    pub fn new(
        fd: Option<usize>,
        interest: Interest,
        persistence: Persistence,
        priority: u8,
        timeout: Option<u64>,
    ) -> Self {
        Self {
            fd,
            interest,
            persistence,
            priority,
            timeout,
            deadline: None,
            rearmed: false,
            deferred: false,
            causes: Causes::empty(),
            removed: false,
            is_final: false,
        }
    }

    fn period(&self) -> Option<u64> {
        let is_periodic = self.persistence == Persistence::Persistent;
        self.timeout.filter(|_| is_periodic).map(|timeout| timeout.max(1))
    }
}

/// A limit on turns, as [`Limits`] has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub callbacks: Option<u32>,
    pub from_priority: u8,
    pub patience: Option<u32>,
}

impl Bounds {
    pub fn to_limits(self) -> Limits {
        let mut limits = Limits::new().from_priority(self.from_priority);
        if let Some(most) = self.callbacks {
            limits = limits.callbacks(most.try_into().unwrap());
        }
        if let Some(turns) = self.patience {
            limits = limits.patience(turns.try_into().unwrap());
        }
        limits
    }
}

/// The loop.
#[derive(Debug, Default)]
pub struct Reference {
    pub events: Vec<Event>,
    /// The added events on each descriptor, newest first.
    pub on: [Vec<usize>; 4],
    pub level: [Readiness; 4],
    queues: [VecDeque<usize>; PRIORITIES as usize],
    later: VecDeque<usize>,
    armings: u64,
    now: u64,
    mode: RunMode,
    stop: Option<Stop>,
    restart: bool,
    priority: Option<u8>,
    called: u32,
    found: bool,
    deferred: u32,
    bounds: Bounds,
    passed_over: [u32; PRIORITIES as usize],
}

impl Reference {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    pub fn exists(&self, id: usize) -> bool {
        !self.events[id].removed
    }

    fn is_added(&self, id: usize) -> bool {
        self.events[id].fd.is_some_and(|fd| self.on[fd].contains(&id))
    }

    pub fn is_pending(&self, id: usize) -> bool {
        self.is_added(id) || self.events[id].deadline.is_some()
    }

    fn is_in_turn(&self, id: usize) -> bool {
        self.queues.iter().any(|queue| queue.contains(&id))
    }

    pub fn active(&self, id: usize) -> Option<Causes> {
        (self.is_in_turn(id) || self.later.contains(&id)).then_some(self.events[id].causes)
    }

    pub fn has_active(&self) -> bool {
        !self.later.is_empty() || self.queues.iter().any(|queue| !queue.is_empty())
    }

    fn arm(&mut self, id: usize, deadline: u64) {
        self.armings += 1;
        self.events[id].deadline = Some((deadline, self.armings));
    }

    pub fn add(&mut self, id: usize, deadline: Option<u64>, timeout_from: Option<(u64, u64)>) {
        if let Some(fd) = self.events[id].fd.filter(|_| !self.is_added(id)) {
            self.on[fd].insert(0, id);
        }
        self.set_deadline(id, deadline, timeout_from);
    }

    pub fn set_deadline(&mut self, id: usize, deadline: Option<u64>, timeout_from: Option<(u64, u64)>) {
        let deadline = deadline.or(timeout_from.map(|(now, timeout)| now + timeout));
        let Some(deadline) = deadline else { return };
        match self.active(id) {
            Some(Causes::TIMEOUT) => self.deactivate(id),
            Some(causes) if causes.contains(Causes::TIMEOUT) => {
                self.events[id].causes -= Causes::TIMEOUT;
                self.events[id].rearmed = false;
            }
            _ => {}
        }
        if let Some((_, timeout)) = timeout_from {
            self.events[id].timeout = Some(timeout);
        }
        self.arm(id, deadline);
    }

    fn deactivate(&mut self, id: usize) {
        for queue in self.queues.iter_mut().chain([&mut self.later]) {
            queue.retain(|&other| other != id);
        }
        self.events[id].rearmed = false;
    }

    pub fn delete(&mut self, id: usize) {
        self.deactivate(id);
        self.events[id].deadline = None;
        for on in &mut self.on {
            on.retain(|&other| other != id);
        }
    }

    pub fn remove(&mut self, id: usize) {
        self.delete(id);
        self.events[id].removed = true;
    }

    pub fn finalize(&mut self, id: usize) {
        self.remove(id);
        self.events[id].is_final = true;
        self.events[id].persistence = Persistence::Once;
        self.activate(id, Causes::empty());
    }

    pub fn activate(&mut self, id: usize, causes: Causes) {
        if self.is_in_turn(id) {
            self.events[id].causes |= causes;
            return;
        }
        let merged = if self.later.contains(&id) {
            self.events[id].causes
        } else {
            Causes::empty()
        };
        self.later.retain(|&other| other != id);
        self.events[id].causes = merged | causes;
        let priority = self.events[id].priority;
        self.queues[usize::from(priority)].push_back(id);
        self.restart |= self.priority.is_some_and(|current| priority < current);
    }

    pub fn activate_later(&mut self, id: usize, causes: Causes) {
        if self.active(id).is_some() {
            self.events[id].causes |= causes;
        } else {
            self.events[id].causes = causes;
            self.later.push_back(id);
        }
    }

    pub fn defer(&mut self, id: usize) {
        self.events[id].deferred = true;
        if self.active(id).is_some() {
            return;
        }
        self.deferred += 1;
        if self.deferred <= MOST_DEFERRED {
            self.activate(id, Causes::empty());
        } else {
            self.activate_later(id, Causes::empty());
        }
    }

    pub fn set_interest(&mut self, id: usize, interest: Interest) {
        if self.events[id].interest == interest {
            return;
        }
        self.events[id].interest = interest;
        if let Some(fd) = self.events[id].fd.filter(|_| self.is_added(id)) {
            self.on[fd].retain(|&other| other != id);
            self.on[fd].insert(0, id);
        }
    }

    /// Whether the priority could change.
    pub fn set_priority(&mut self, id: usize, priority: u8) -> bool {
        let changes = !self.is_in_turn(id);
        if changes {
            self.events[id].priority = priority;
        }
        changes
    }

    pub fn stop(&mut self, stop: Stop) {
        self.stop = self.stop.max(Some(stop));
    }

    pub fn restart(&mut self) {
        self.restart = true;
    }

    pub fn begin_run(&mut self, mode: RunMode) {
        self.mode = mode;
        self.found = false;
    }

    /// What a turn begins with; a wait may be shorter than this.
    pub fn begin_turn(&mut self, now: u64, held: Held) -> Step {
        (self.restart, self.priority, self.called, self.deferred) = (false, None, 0, 0);
        if self.stop == Some(Stop::Now) {
            self.stop = None;
            return Step::Leave(Outcome::Stopped);
        }
        let busy = held == Held::Work || self.stop.is_some();
        let idle = (0..self.events.len()).all(|id| !self.is_pending(id)) && !self.has_active();
        if idle && !busy && !self.mode.contains(RunMode::FOREVER) {
            return Step::Leave(Outcome::Empty);
        }
        let deadlines = self.events.iter().filter_map(|event| event.deadline);
        let first = deadlines.map(|(deadline, _)| deadline).min();
        let poll = busy || self.has_active() || self.mode.contains(RunMode::NON_BLOCKING);
        let timeout = if poll {
            Some(0)
        } else {
            first.map(|first| first.saturating_sub(now))
        };
        for id in std::mem::take(&mut self.later) {
            self.deferred += u32::from(self.events[id].deferred);
            self.queues[usize::from(self.events[id].priority)].push_back(id);
        }
        Step::Wait(timeout.map(std::time::Duration::from_nanos))
    }

    /// The descriptors that are ready, and for what.
    pub fn ready(&self) -> Vec<usize> {
        let is_ready = |fd: &usize| self.on[*fd].iter().any(|&id| !self.hit(*fd, id).is_empty());
        (0..4).filter(is_ready).collect()
    }

    fn hit(&self, fd: usize, id: usize) -> Causes {
        let wanted = Readiness::from_bits_retain(self.events[id].interest.bits());
        (self.level[fd] & wanted).into()
    }

    pub fn harvest(&mut self) {
        for fd in self.ready() {
            for id in self.on[fd].clone() {
                let hit = self.hit(fd, id);
                if !hit.is_empty() {
                    self.activate(id, hit);
                }
            }
        }
    }

    pub fn expire(&mut self, now: u64) {
        self.now = now;
        loop {
            let due = |id: &usize| self.events[*id].deadline.is_some_and(|(deadline, _)| deadline <= now);
            let ids = (0..self.events.len()).filter(due);
            let Some(id) = ids.min_by_key(|&id| self.events[id].deadline) else {
                return;
            };
            let (deadline, _) = self.events[id].deadline.take().unwrap();
            if let Some(period) = self.events[id].period() {
                self.arm(id, next_in_phase(deadline, period, now));
                self.events[id].rearmed = true;
            } else if self.events[id].persistence != Persistence::Persistent && self.active(id).is_none() {
                self.delete(id);
            }
            self.activate(id, Causes::TIMEOUT);
        }
    }

    /// The event that is called next, with why, and whether it is the end of it.
    pub fn next(&mut self) -> Option<(usize, Causes, bool)> {
        let bounds = self.bounds;
        let limited = self.priority >= Some(bounds.from_priority);
        let spent = limited && bounds.callbacks.is_some_and(|most| self.called >= most);
        if self.stop == Some(Stop::Now) || self.restart && self.called > 0 || spent {
            return None;
        }
        let priority = match self.priority {
            Some(priority) => priority,
            None => self.overdue().or_else(|| self.most_urgent())?,
        };
        self.priority = Some(priority);
        self.found = true;
        let id = *self.queues[usize::from(priority)].front()?;
        let (causes, rearmed) = (self.events[id].causes, self.events[id].rearmed);
        if self.events[id].persistence == Persistence::Once {
            self.delete(id);
        } else {
            self.deactivate(id);
            if !rearmed && (self.events[id].fd.is_none() || self.is_added(id)) {
                self.push_back(id, causes);
            }
        }
        self.called += 1;
        Some((id, causes, std::mem::take(&mut self.events[id].is_final)))
    }

    fn push_back(&mut self, id: usize, causes: Causes) {
        let Some(period) = self.events[id].period() else { return };
        let next = match self.events[id].deadline {
            Some((deadline, _)) if causes.contains(Causes::TIMEOUT) => next_in_phase(deadline, period, self.now),
            _ => self.now + period,
        };
        self.arm(id, next);
    }

    fn most_urgent(&self) -> Option<u8> {
        (0..PRIORITIES).find(|&priority| !self.queues[usize::from(priority)].is_empty())
    }

    fn overdue(&self) -> Option<u8> {
        let patience = self.bounds.patience?;
        let turns = |priority: &u8| self.passed_over[usize::from(*priority)];
        let waiting = (0..PRIORITIES).filter(|&priority| !self.queues[usize::from(priority)].is_empty());
        let overdue = waiting.filter(|priority| turns(priority) >= patience);
        overdue.rev().max_by_key(turns)
    }

    pub fn end_turn(&mut self) -> Option<Outcome> {
        let processed = self.priority.take();
        for priority in 0..PRIORITIES {
            let waits = processed != Some(priority) && !self.queues[usize::from(priority)].is_empty();
            let turns = &mut self.passed_over[usize::from(priority)];
            *turns = if waits {
                *turns + u32::from(processed.is_some())
            } else {
                0
            };
        }
        if self.stop.take().is_some() {
            return Some(Outcome::Stopped);
        }
        let over = if std::mem::take(&mut self.found) {
            self.mode.contains(RunMode::ONCE) && self.called > 0 && !self.has_active()
        } else {
            self.mode.contains(RunMode::NON_BLOCKING)
        };
        over.then_some(Outcome::Passed)
    }
}

fn next_in_phase(deadline: u64, period: u64, now: u64) -> u64 {
    if deadline + period < now {
        now + period
    } else {
        deadline + period
    }
}
