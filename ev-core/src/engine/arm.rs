//! Creating and destroying events, adding and deleting them.

use std::os::fd::RawFd;
use std::time::Duration;

use ev_backend::{Backend, Interest, Mode, Registration};
use ev_timer::Time;

use super::kernel::push;
use super::slots::{Flags, try_grow};
use super::{Arming, Deadline, Engine, NOWHERE, Removed, Spec, Target};
use crate::event::Persistence;
use crate::{Causes, Error, EventKey};

/// The event waits for a descriptor or a signal.
const HAS_TARGET: Flags = Flags::IO.union(Flags::SIGNAL);

impl<B: Backend, P> Engine<B, P> {
    /// Creates an event, not added and without payload; give it one with [`fill`](Self::fill) before the next turn.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`] or [`Error::OutOfMemory`]; nothing has changed.
    #[doc(alias = "event_assign")]
    pub fn insert(&mut self, spec: &Spec) -> Result<EventKey, Error> {
        let index = self.slots.reserve()?;
        self.create(index, spec, Flags::empty())?;
        self.note_events();
        Ok(self.slots.key(index))
    }

    /// Puts a new event, with these flags as well, in the slot that was reserved for it.
    #[inline]
    pub(super) fn create(&mut self, index: u32, spec: &Spec, more: Flags) -> Result<(), Error> {
        let priority = self.check_priority(spec.priority)?;
        let (target, mut flags, interest) = match spec.target {
            Target::None => (-1, Flags::empty(), Interest::empty()),
            Target::Raw { fd, interest } => (fd, Flags::IO, interest),
            Target::Owned { fd, interest } => (fd, Flags::IO | Flags::OWNED, interest),
            #[cfg(feature = "signals")]
            Target::Signal(signal) => (signal, Flags::SIGNAL, Interest::empty()),
        };
        flags |= more;
        flags |= persistence_flags(spec.persistence);
        self.active.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        if let Some(timeout) = spec.timeout {
            self.reserve_timeout(index)?;
            self.timeouts[index as usize] = nanoseconds(timeout);
            flags |= Flags::TIMEOUT;
        }
        let slot = self.slots.occupy(index, target, flags, interest, spec.mode);
        slot.activation.set_priority(priority);
        Ok(())
    }

    /// Creates an event and adds it as `arming` says; undoes the one if the other fails.
    pub(crate) fn insert_armed(
        &mut self,
        spec: &Spec,
        arming: Option<Arming>,
        now: impl FnOnce() -> Time,
    ) -> Result<EventKey, Error> {
        let maxima = self.maxima;
        let key = self.insert(spec)?;
        let Some(arming) = arming else { return Ok(key) };
        let deadline = match (arming, spec.timeout) {
            (Arming::At(deadline), _) => Some(Deadline::At(deadline)),
            (Arming::Remembered, Some(timeout)) => Some(Deadline::After { now: now(), timeout }),
            (Arming::Remembered | Arming::Registration, _) => None,
        };
        if let Err(error) = self.add(key, deadline) {
            // It was made just now, so it exists, and has no payload.
            let _ = self.remove(key);
            self.maxima = maxima;
            return Err(error);
        }
        Ok(key)
    }

    /// Adds an event with its remembered timeout, if it has one.
    #[inline]
    pub(crate) fn add_again(&mut self, key: EventKey, now: impl FnOnce() -> Time) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        let has_timeout = self.slots.get(index).flags.contains(Flags::TIMEOUT);
        if !has_timeout && self.register_again(index) {
            self.note_registrations();
            return Ok(());
        }
        let timeout = self.remembered_timeout(index);
        self.add_index(index, timeout.map(|timeout| Deadline::After { now: now(), timeout }))
    }

    /// Gives an event its payload, and returns the one it had.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; the payload is dropped.
    pub fn fill(&mut self, key: EventKey, payload: P) -> Result<Option<P>, Error> {
        let index = self.slots.find(key)?;
        Ok(self.slots.payload(index).replace(payload))
    }

    /// Adds the event: its descriptor or signal, if it has one, and a deadline, if one is given.
    ///
    /// Adding an added event changes its deadline if one is given, and nothing otherwise; except that one in
    /// [`Mode::OneShot`] is armed again, and then counts as the newest on its descriptor. If the event is active because of
    /// its earlier deadline, a new one takes that activation back.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Map`], [`Error::Update`], [`Error::Signal`], [`Error::OutOfMemory`]; nothing has
    /// changed then.
    #[doc(alias = "event_add")]
    #[inline]
    pub fn add(&mut self, key: EventKey, deadline: Option<Deadline>) -> Result<(), Error> {
        if let Some(Deadline::At(deadline)) = deadline
            && self.slots.is_idle_without(key, HAS_TARGET)
        {
            let set = self.timers.try_set(key.index(), deadline);
            set.map_err(|_| Error::OutOfMemory)?;
            self.note_deadlines();
            return Ok(());
        }
        self.add_any(key, deadline)
    }

    #[inline(never)]
    fn add_any(&mut self, key: EventKey, deadline: Option<Deadline>) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.add_index(index, deadline)
    }

    #[inline]
    fn add_index(&mut self, index: u32, deadline: Option<Deadline>) -> Result<(), Error> {
        let flags = self.slots.get(index).flags;
        if let Some(deadline) = deadline {
            self.reserve_deadline(index, deadline)?;
        }
        if flags.intersects(HAS_TARGET) {
            if !flags.contains(Flags::INSERTED) {
                self.register(index)?;
                self.note_registrations();
            } else if self.slots.get(index).mode == Mode::OneShot {
                self.register_once_more(index)?;
            }
        }
        if let Some(deadline) = deadline {
            self.arm(index, deadline);
        }
        Ok(())
    }

    /// Sets the event's deadline, in place of the one it has, and nothing else: whether it waits for its descriptor or
    /// signal stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::OutOfMemory`]; nothing has changed then.
    pub fn set_deadline(&mut self, key: EventKey, deadline: Deadline) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.reserve_deadline(index, deadline)?;
        self.arm(index, deadline);
        Ok(())
    }

    /// Deletes the event: it waits for nothing any more, and if it was active its callback is not called for that.
    /// It can be added again. Deleting an event that is not added changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; or the backend's refusal to forget the descriptor: the event is deleted all the same.
    #[doc(alias = "event_del")]
    #[inline]
    pub fn delete(&mut self, key: EventKey) -> Result<(), Error> {
        // Most of what is deleted waits for a deadline at most.
        if self.slots.is_idle_without(key, Flags::INSERTED | Flags::SIGNAL) {
            self.timers.cancel(key.index());
            return Ok(());
        }
        self.delete_any(key)
    }

    #[inline(never)]
    fn delete_any(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.disarm(index)
    }

    /// Deletes the event and ends its life; its key is stale from now on. The backend has forgotten an owned descriptor
    /// when this returns, so that the payload may close it.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_free")]
    pub fn remove(&mut self, key: EventKey) -> Result<Removed<P>, Error> {
        let index = self.slots.find(key)?;
        // The event goes in any case; a backend that refuses to forget it reports it as stale, which is harmless.
        let _ = self.retire(index);
        Ok(match self.end(index) {
            Some(payload) => Removed::Payload(payload),
            None => Removed::Running,
        })
    }

    /// Deletes an event for good: an owned descriptor may be closed afterwards.
    #[inline]
    pub(super) fn retire(&mut self, index: u32) -> Result<(), Error> {
        let disarmed = self.disarm(index);
        let slot = self.slots.get(index);
        let (flags, fd) = (slot.flags, slot.target);
        if flags.contains(Flags::OWNED) {
            let _ = self.tell(fd);
        }
        if self.home == index {
            self.home = NOWHERE;
        }
        disarmed
    }

    /// Ends the life of an event that waits for nothing any more.
    #[inline]
    pub(super) fn end(&mut self, index: u32) -> Option<P> {
        if !self.names.is_empty() {
            self.names.remove(&index);
        }
        self.slots.vacate(index)
    }

    /// Makes the event active, whether it is added or not: its callback is called in this turn if the turn has not yet
    /// come past its priority. On an event that is active already the causes are added to and nothing else changes.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_active")]
    pub fn activate(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.push(index, causes);
        self.note_active();
        Ok(())
    }

    /// Makes the event active in the next turn; only adds to the causes if it is active already.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn activate_later(&mut self, key: EventKey, causes: Causes) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.active.push_later(&mut self.slots, index, causes);
        self.note_active();
        Ok(())
    }

    /// Makes all added events on a descriptor active that wait for one of the causes, with those of them that they wait
    /// for. Answers how many.
    #[doc(alias = "event_base_active_by_fd")]
    pub fn activate_descriptor(&mut self, fd: RawFd, causes: Causes) -> usize {
        let Self {
            fds,
            slots,
            active,
            run,
            ..
        } = self;
        let mut number = 0;
        for index in fds.events_on(fd) {
            let slot = slots.get(index);
            let wanted = Causes::from_bits_retain(u16::from(slot.interest.bits())) & causes;
            if !wanted.is_empty() && !slot.flags.contains(Flags::INTERNAL) {
                push(active, slots, run, index, wanted);
                number += 1;
            }
        }
        self.note_active();
        number
    }

    /// Changes the conditions that an I/O event waits for, whether it is added or not. Of several events on a descriptor
    /// it then counts as the newest. One in [`Mode::OneShot`] is armed again by that, also if it has the interest already.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Kind`], [`Error::Map`], [`Error::Update`]; the event is then as it was.
    pub fn set_interest(&mut self, key: EventKey, interest: Interest) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        let slot = self.slots.get(index);
        if !slot.flags.contains(Flags::IO) {
            return Err(Error::Kind("interest"));
        }
        let (fd, mode) = (slot.target, slot.mode);
        self.backend.supports(Registration { interest, mode })?;
        let slot = self.slots.get_mut(index);
        let old = std::mem::replace(&mut slot.interest, interest);
        // In one-shot mode the kernel may have become silent since it was told.
        let is_told = old == interest && mode != Mode::OneShot;
        if is_told || !slot.flags.contains(Flags::INSERTED) {
            return Ok(());
        }
        let changed = self.remap(index, fd, Registration { interest, mode });
        if changed.is_err() {
            self.slots.get_mut(index).interest = old;
        }
        changed
    }

    /// Changes the priority of an event that is not active.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Active`], [`Error::Priority`]; the priority is as it was.
    #[doc(alias = "event_priority_set")]
    pub fn set_priority(&mut self, key: EventKey, priority: u8) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        let priority = self.check_priority(Some(priority))?;
        let activation = &mut self.slots.get_mut(index).activation;
        if activation.is_in_turn() {
            return Err(Error::Active);
        }
        activation.set_priority(priority);
        Ok(())
    }

    /// Changes the timeout with which the event is added again, the period of a persistent one. A deadline that is
    /// already set stays. `None`: no timeout.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::OutOfMemory`]; the timeout is as it was.
    pub fn set_timeout(&mut self, key: EventKey, timeout: Option<Duration>) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        match timeout {
            Some(timeout) => {
                self.reserve_timeout(index)?;
                self.remember_timeout(index, timeout);
            }
            None => self.slots.get_mut(index).flags.remove(Flags::TIMEOUT),
        }
        Ok(())
    }

    /// Takes the deadline away and forgets the timeout; the rest of the event stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_remove_timer")]
    pub fn clear_timeout(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.timers.cancel(index);
        self.slots.get_mut(index).flags.remove(Flags::TIMEOUT);
        Ok(())
    }

    #[inline]
    pub(super) fn check_priority(&self, asked: Option<u8>) -> Result<u8, Error> {
        let available = self.active.priorities();
        match asked {
            None => Ok(available / 2),
            Some(asked) if asked < available => Ok(asked),
            Some(asked) => Err(Error::Priority { asked, available }),
        }
    }

    /// Makes sure that setting the deadline, and remembering its timeout if it has one, does not fail for want of memory.
    #[inline]
    fn reserve_deadline(&mut self, index: u32, deadline: Deadline) -> Result<(), Error> {
        match deadline {
            Deadline::At(_) => self.timers.try_reserve(index).map_err(|_| Error::OutOfMemory),
            Deadline::After { .. } | Deadline::In { .. } => self.reserve_timeout(index),
        }
    }

    /// Makes sure that neither remembering a timeout nor setting a deadline by it fails for want of memory.
    #[inline]
    fn reserve_timeout(&mut self, index: u32) -> Result<(), Error> {
        self.timers.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        let needed = index as usize + 1;
        if needed > self.timeouts.len() {
            try_grow(&mut self.timeouts, needed).map_err(|_| Error::OutOfMemory)?;
            self.timeouts.resize(needed, 0);
        }
        Ok(())
    }

    /// The timeout with which an event is added again.
    #[inline]
    pub(super) fn remembered_timeout(&self, index: u32) -> Option<Duration> {
        let timed = self.slots.get(index).flags.contains(Flags::TIMEOUT);
        timed.then(|| Duration::from_nanos(self.timeouts[index as usize]))
    }

    fn remember_timeout(&mut self, index: u32, timeout: Duration) {
        self.timeouts[index as usize] = nanoseconds(timeout);
        self.slots.get_mut(index).flags |= Flags::TIMEOUT;
    }

    /// Sets the deadline; room for it was reserved.
    fn arm(&mut self, index: u32, deadline: Deadline) {
        self.take_back_timeout(index);
        match deadline {
            Deadline::At(_) => {}
            Deadline::After { timeout, .. } => self.remember_timeout(index, timeout),
            Deadline::In { queue, .. } => self.remember_timeout(index, queue.timeout()),
        }
        self.set_timer(index, deadline);
        self.note_deadlines();
    }

    #[inline]
    pub(super) fn set_timer(&mut self, index: u32, deadline: Deadline) {
        match deadline {
            Deadline::At(deadline) => self.timers.set(index, deadline),
            Deadline::After { now, timeout } => self.timers.set_after(index, now, timeout),
            Deadline::In { now, queue } => self.timers.set_in(index, now, queue),
        }
    }

    /// Takes back an activation by the deadline that is about to be replaced; what else the event is active for stays.
    #[inline]
    pub(super) fn take_back_timeout(&mut self, index: u32) {
        let slot = self.slots.get_mut(index);
        match slot.activation.causes() {
            Some(Causes::TIMEOUT) => self.deactivate(index),
            Some(_) => {
                slot.activation.take_back(Causes::TIMEOUT);
                slot.flags.remove(Flags::EXPIRED);
            }
            None => {}
        }
    }

    /// Deletes the event from wherever it is.
    pub(super) fn disarm(&mut self, index: u32) -> Result<(), Error> {
        self.run.cancel_repeat(index);
        self.timers.cancel(index);
        self.deactivate(index);
        self.unregister(index)
    }

    #[inline]
    pub(super) fn deactivate(&mut self, index: u32) {
        if self.active.remove(&mut self.slots, index).is_some() {
            self.slots.get_mut(index).flags.remove(Flags::EXPIRED);
        }
    }
}

#[inline]
fn persistence_flags(persistence: Persistence) -> Flags {
    match persistence {
        Persistence::Persistent => Flags::PERSISTENT,
        Persistence::Once => Flags::empty(),
    }
}

/// As long as a `Time` can tell.
fn nanoseconds(duration: Duration) -> u64 {
    Time::ZERO.saturating_add(duration).as_nanos()
}
