//! Looking at a loop: what events there are and were, by name, in numbers, and as text.

use std::borrow::Cow;
use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use bitflags::Flags;
use ev_backend::{Backend, Mode};
use ev_timer::Time;

use super::slots::{Flags as SlotFlags, Slot};
use super::{Engine, Target};
use crate::event::Persistence;
use crate::{Causes, Error, EventKey};

/// How much there is in a loop. The library's own events are not counted.
///
/// An event with a descriptor and a timeout counts in both, and once more while it is active: libevent's count of added
/// events is `registrations + deadlines + active`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "event_base_get_num_events")]
pub struct Counts {
    /// Events that exist, added or not.
    pub events: usize,
    /// Events that wait for their descriptor or signal.
    pub registrations: usize,
    /// Events that wait for a deadline.
    pub deadlines: usize,
    /// Events that are active.
    #[doc(alias = "EVENT_BASE_COUNT_ACTIVE")]
    pub active: usize,
    /// Existing [`KeepAlive`](crate::KeepAlive)s.
    #[doc(alias = "EVENT_BASE_COUNT_VIRTUAL")]
    pub holds: usize,
    /// `registrations + deadlines + active`. Its maximum is that of the sum.
    #[doc(alias = "EVENT_BASE_COUNT_ADDED")]
    pub memberships: usize,
}

/// All that is known of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "event_get_assignment")]
pub struct EventInfo {
    /// Its key.
    pub key: EventKey,
    /// The name it was given.
    pub name: Option<Cow<'static, str>>,
    /// What it waits for when it is added.
    #[doc(alias = "event_get_fd")]
    pub target: Target,
    /// How often conditions on the target are reported.
    pub mode: Mode,
    /// Whether it survives its activation.
    pub persistence: Persistence,
    /// Its priority.
    #[doc(alias = "event_get_priority")]
    pub priority: u8,
    /// The timeout with which it is added again.
    pub timeout: Option<Duration>,
    /// Whether it waits for its descriptor or signal.
    pub is_registered: bool,
    /// When it times out.
    pub deadline: Option<Time>,
    /// Why it is active, `None` if it is not.
    pub active: Option<Causes>,
    /// Whether its callback is being called.
    pub is_running: bool,
}

impl<B: Backend, P> Engine<B, P> {
    /// How much there is now.
    pub fn counts(&self) -> Counts {
        let active = self.active.len();
        Counts {
            events: self.len(),
            registrations: self.inserted,
            deadlines: self.deadlines(),
            active,
            memberships: self.inserted + self.deadlines() + active,
            holds: self.holds.now(),
        }
    }

    /// The deadlines there are, the driver's included.
    #[inline]
    pub(super) fn deadlines(&self) -> usize {
        self.timers.len() + self.external_deadlines
    }

    /// The most there was of each since the last [`reset_maxima`](Self::reset_maxima).
    #[doc(alias = "event_base_get_max_events")]
    pub fn maxima(&self) -> Counts {
        Counts {
            holds: self.holds.most(),
            ..self.maxima
        }
    }

    /// Lets the maxima start anew from what there is now.
    pub fn reset_maxima(&mut self) {
        self.maxima = self.counts();
        self.noted = Counts::default();
        self.holds.reset_most();
    }

    /// The maxima, to start one of them anew from another number than [`reset_maxima`](Self::reset_maxima) does. That of
    /// holds is not among them.
    pub fn maxima_mut(&mut self) -> &mut Counts {
        self.noted = Counts::default();
        &mut self.maxima
    }

    /// To be called where events may have grown in number.
    #[inline]
    pub(super) fn note_events(&mut self) {
        self.maxima.events = self.maxima.events.max(self.len());
    }

    /// To be called where registrations may have.
    #[inline]
    pub(super) fn note_registrations(&mut self) {
        if self.inserted > self.noted.registrations {
            self.note(|counts| &mut counts.registrations);
        }
    }

    /// To be called where deadlines may have.
    #[inline]
    pub(super) fn note_deadlines(&mut self) {
        if self.deadlines() > self.noted.deadlines {
            self.note(|counts| &mut counts.deadlines);
        }
    }

    /// To be called where active events may have.
    #[inline]
    pub(super) fn note_active(&mut self) {
        if self.active.len() > self.noted.active {
            self.note(|counts| &mut counts.active);
        }
    }

    /// Compares the maxima to what there is now. The number that has grown may go on growing for as long as no maximum is
    /// exceeded by that.
    #[inline(never)]
    fn note(&mut self, grown: fn(&mut Counts) -> &mut usize) {
        let now = self.counts();
        let most = &mut self.maxima;
        most.registrations = most.registrations.max(now.registrations);
        most.deadlines = most.deadlines.max(now.deadlines);
        most.active = most.active.max(now.active);
        most.memberships = most.memberships.max(now.memberships);
        let room = most.memberships - now.memberships;
        self.noted = now;
        let noted = grown(&mut self.noted);
        *noted = (*noted + room).min(*grown(most));
    }

    /// Names an event, for [`describe`](Self::describe) and [`dump`](Self::dump).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn set_name(&mut self, key: EventKey, name: impl Into<Cow<'static, str>>) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.names.insert(index, name.into());
        Ok(())
    }

    /// All that is known of an event.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn describe(&self, key: EventKey) -> Result<EventInfo, Error> {
        let index = self.slots.find(key)?;
        let slot = self.slots.get(index);
        Ok(EventInfo {
            key,
            name: self.names.get(&index).cloned(),
            target: target_of(slot),
            mode: slot.mode,
            persistence: persistence_of(slot.flags),
            priority: slot.activation.priority(),
            timeout: self.remembered_timeout(index),
            is_registered: slot.flags.contains(SlotFlags::INSERTED),
            deadline: self.timers.deadline(index),
            active: slot.activation.causes(),
            is_running: self.running == Some(key),
        })
    }

    /// All events, in the order of their indices: an index is reused, so it says little about age.
    #[doc(alias = "event_base_foreach_event")]
    pub fn events(&self) -> impl Iterator<Item = EventInfo> + '_ {
        self.slots.keys().filter_map(|key| self.describe(key).ok())
    }

    /// The events that are added and wait for a descriptor, newest first: the order in which they are reported.
    pub fn keys_on(&self, fd: RawFd) -> impl Iterator<Item = EventKey> + '_ {
        let user = |&index: &u32| !self.slots.get(index).flags.contains(SlotFlags::INTERNAL);
        self.fds.events_on(fd).filter(user).map(|index| self.slots.key(index))
    }

    /// The events that are added or active, each once, by the place where they are: on descriptors by number and newest
    /// first, on signals likewise, with deadlines by time, active ones in the order in which they will be called.
    ///
    /// Left out are events on negative descriptors that wait for nothing else. Sorts the deadlines.
    pub fn keys_by_place(&self) -> impl Iterator<Item = EventKey> + '_ {
        let mut timed: Vec<(Time, u32)> = self.timers.iter().map(|(index, deadline)| (deadline, index)).collect();
        timed.sort_unstable();
        let registered = self.fds.iter().map(|(_, index)| index);
        #[cfg(feature = "signals")]
        let registered = registered.chain(self.signals.indices());
        let mut seen = vec![false; self.slots.capacity()];
        registered
            .chain(timed.into_iter().map(|(_, index)| index))
            .chain(self.active.iter())
            .filter(move |&index| !std::mem::replace(&mut seen[index as usize], true))
            .map(|index| self.slots.key(index))
            .filter(|&key| self.contains(key))
    }

    /// The loop's state as text for people: a line about the loop, and one for each event. `now` is a reading of the loop's
    /// clock, to which deadlines are related.
    #[doc(alias = "event_base_dump_events")]
    pub fn dump(&self, now: Time) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            let Counts {
                events, active, holds, ..
            } = self.counts();
            let (backend, priorities) = (self.backend_name(), self.priorities());
            writeln!(
                f,
                "{backend}, priorities: {priorities}, events: {events}, active: {active}, holds: {holds}"
            )?;
            self.events().try_for_each(|event| writeln!(f, "  {}", event.at(now)))
        })
    }
}

fn persistence_of(flags: SlotFlags) -> Persistence {
    if flags.contains(SlotFlags::PERSISTENT) {
        Persistence::Persistent
    } else {
        Persistence::Once
    }
}

fn target_of(slot: &Slot) -> Target {
    let (fd, interest) = (slot.target, slot.interest);
    if slot.flags.contains(SlotFlags::IO | SlotFlags::OWNED) {
        return Target::Owned { fd, interest };
    }
    if slot.flags.contains(SlotFlags::IO) {
        return Target::Raw { fd, interest };
    }
    #[cfg(feature = "signals")]
    if slot.flags.contains(SlotFlags::SIGNAL) {
        return Target::Signal(slot.target);
    }
    Target::None
}

/// A set of flags by their names.
struct Bits<T>(T);

impl<T: Flags> fmt::Display for Bits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let mut separator = "";
        self.0
            .iter_names()
            .try_for_each(|(name, _)| write!(f, "{}{name}", std::mem::replace(&mut separator, "|")))
    }
}

impl EventInfo {
    /// Of what waits for neither a descriptor nor a signal: whether it was described as a timer, or has become one.
    fn is_timer(&self) -> bool {
        self.persistence == Persistence::Once || self.timeout.is_some() || self.deadline.is_some()
    }

    /// A line about the event, as of `now`: `#3 "listener": fd 5 READ, persistent, priority 1, waits`.
    pub fn at(&self, now: Time) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            write!(f, "#{}", self.key.index())?;
            if let Some(name) = &self.name {
                write!(f, " {name:?}")?;
            }
            match self.target {
                Target::None if self.is_timer() => write!(f, ": timer")?,
                Target::None => write!(f, ": user event")?,
                Target::Owned { fd, interest } => write!(f, ": fd {fd} {}", Bits(interest))?,
                Target::Raw { fd, interest } => write!(f, ": raw fd {fd} {}", Bits(interest))?,
                #[cfg(feature = "signals")]
                Target::Signal(signal) => write!(f, ": signal {signal}")?,
            }
            if self.mode != Mode::Level {
                write!(f, " {:?}", self.mode)?;
            }
            let persistence = match self.persistence {
                Persistence::Persistent => "persistent",
                Persistence::Once => "once",
            };
            write!(f, ", {persistence}, priority {}", self.priority)?;
            if let Some(timeout) = self.timeout {
                write!(f, ", timeout {timeout:?}")?;
            }
            if self.is_registered {
                write!(f, ", waits")?;
            }
            if let Some(deadline) = self.deadline {
                write!(f, ", due in {:?}", deadline.saturating_duration_since(now))?;
            }
            if let Some(causes) = self.active {
                write!(f, ", active for {}", Bits(causes))?;
            }
            if self.is_running {
                write!(f, ", runs")?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use ev_backend::{AnyBackend, Interest};
    use proptest::prelude::*;

    use super::*;
    use crate::engine::{Deadline, RawChanges, Spec};

    fn engine() -> Engine<AnyBackend, ()> {
        let (backend, _waiter) = ev_backend::Config::new().open().unwrap();
        Engine::new(backend, NonZeroU8::new(2).unwrap(), RawChanges::Immediate)
    }

    fn insert(engine: &mut Engine<AnyBackend, ()>, target: Target, priority: u8) -> EventKey {
        let mut spec = Spec::new(target, Persistence::Once);
        spec.priority = Some(priority);
        engine.insert(&spec).unwrap()
    }

    #[test]
    fn places_come_in_order_and_each_event_once() {
        let mut engine = engine();
        let (one, other) = UnixStream::pair().unwrap();
        let (low, high) = (
            one.as_raw_fd().min(other.as_raw_fd()),
            one.as_raw_fd().max(other.as_raw_fd()),
        );
        let on = |fd| Target::Raw {
            fd,
            interest: Interest::READ,
        };
        let at = |nanos| Some(Deadline::At(Time::from_nanos(nanos)));
        let later = insert(&mut engine, Target::None, 0);
        engine.add(later, at(20)).unwrap();
        let sooner = insert(&mut engine, Target::None, 0);
        engine.add(sooner, at(10)).unwrap();
        let behind = insert(&mut engine, on(high), 0);
        engine.add(behind, at(5)).unwrap();
        let older = insert(&mut engine, on(low), 0);
        engine.add(older, None).unwrap();
        let newer = insert(&mut engine, on(low), 0);
        engine.add(newer, None).unwrap();
        let idle = insert(&mut engine, Target::None, 0);
        let relaxed = insert(&mut engine, Target::None, 1);
        let urgent = insert(&mut engine, Target::None, 0);
        for key in [relaxed, urgent, older] {
            engine.activate(key, Causes::READ).unwrap();
        }

        let places: Vec<_> = engine.keys_by_place().collect();
        assert_eq!(places, [newer, older, behind, sooner, later, urgent, relaxed]);
        assert!(!places.contains(&idle));
        assert_eq!(engine.keys_on(low).collect::<Vec<_>>(), [newer, older]);
        assert_eq!(engine.keys_on(-1).count(), 0);
    }

    #[test]
    fn memberships_are_counted_together() {
        let mut engine = engine();
        let (stream, _peer) = UnixStream::pair().unwrap();
        let fd = stream.as_raw_fd();
        let interest = Interest::READ;
        let key = insert(&mut engine, Target::Raw { fd, interest }, 0);
        engine.add(key, Some(Deadline::At(Time::MAX))).unwrap();
        assert_eq!(engine.counts().memberships, 2);
        engine.activate(key, Causes::READ).unwrap();
        engine.delete(key).unwrap();
        assert_eq!((engine.counts().memberships, engine.maxima().memberships), (0, 3));
        engine.activate(key, Causes::READ).unwrap();
        engine.delete(key).unwrap();
        assert_eq!(engine.maxima().memberships, 3, "not of the sum of the maxima");
        engine.maxima_mut().memberships = 0;
        engine.activate(key, Causes::READ).unwrap();
        assert_eq!(engine.maxima().memberships, 1);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(usize),
        AddWithDeadline(usize),
        Activate(usize),
        Delete(usize),
        Reset,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        const EVENTS: std::ops::Range<usize> = 0..4;
        let op = prop_oneof![
            4 => EVENTS.prop_map(Op::Add),
            4 => EVENTS.prop_map(Op::AddWithDeadline),
            4 => EVENTS.prop_map(Op::Activate),
            12 => EVENTS.prop_map(Op::Delete),
            1 => Just(Op::Reset),
        ];
        proptest::collection::vec(op, 0..200)
    }

    proptest! {
        #[test]
        fn maxima_are_those_of_the_numbers_that_there_were(ops in ops()) {
            let mut engine = engine();
            let (stream, _peer) = UnixStream::pair().unwrap();
            let target = Target::Raw { fd: stream.as_raw_fd(), interest: Interest::READ };
            let keys = [(); 4].map(|()| insert(&mut engine, target, 0));
            let mut most = engine.counts();
            for op in ops {
                match op {
                    Op::Add(i) => engine.add(keys[i], None).unwrap(),
                    Op::AddWithDeadline(i) => engine.add(keys[i], Some(Deadline::At(Time::MAX))).unwrap(),
                    Op::Activate(i) => engine.activate(keys[i], Causes::READ).unwrap(),
                    Op::Delete(i) => engine.delete(keys[i]).unwrap(),
                    Op::Reset => {
                        engine.reset_maxima();
                        most = engine.counts();
                    }
                }
                let now = engine.counts();
                most.registrations = most.registrations.max(now.registrations);
                most.deadlines = most.deadlines.max(now.deadlines);
                most.active = most.active.max(now.active);
                most.memberships = most.memberships.max(now.memberships);
                prop_assert_eq!(engine.maxima(), most);
            }
        }
    }
}
