//! Events that exist only while they are pending or active.
//!
//! They are for a driver whose events are memory of its users', of which the end is not told: what the engine does not
//! know it cannot call. Such an event [enters](Engine::enter) with the first thing that is done with it and
//! [leaves](Engine::leave) when it is deleted; a one-shot event has left by the time it is handed out to be called, and
//! [`finish`](Engine::finish) then gives its payload back as that of an event that was removed. Its key is another one
//! each time. Given the last one it finds the slot where it was, if nobody has needed that meanwhile.

use ev_backend::{Backend, Interest, Mode};

use super::arm::persistence_flags;
use super::slots::{Flags, Slot};
use super::{Deadline, Engine, Spec};
use crate::event::Persistence;
use crate::{Causes, Error, EventKey};

/// Of an event that the maps may know.
const IN_MAPS: Flags = Flags::INSERTED.union(Flags::SIGNAL).union(Flags::OWNED);

/// What may happen to an event next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Whether it waits for its descriptor or signal.
    pub is_registered: bool,
    /// Whether it waits for a deadline.
    pub has_deadline: bool,
    /// Why it is active, `None` if it is not.
    pub active: Option<Causes>,
}

impl<B: Backend, P> Engine<B, P> {
    /// Creates an event that exists only while it is pending or active, not added: make it active before the next turn.
    /// `last` is the key it had before.
    ///
    /// A deadline that it is given does not become its period, as that of other events does.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`] or [`Error::OutOfMemory`]; nothing has changed, and the payload is dropped.
    #[inline]
    pub fn enter(&mut self, last: Option<EventKey>, spec: &Spec, payload: P) -> Result<EventKey, Error> {
        let key = self.take_place(last, spec, payload)?;
        self.note_events();
        Ok(key)
    }

    /// As [`enter`](Self::enter), and [adds](Self::add) it.
    ///
    /// # Errors
    ///
    /// Those of both; nothing has changed, and the payload is dropped.
    #[inline]
    pub fn enter_added(
        &mut self,
        last: Option<EventKey>,
        spec: &Spec,
        payload: P,
        deadline: Option<Deadline>,
    ) -> Result<EventKey, Error> {
        let key = self.take_place(last, spec, payload)?;
        let index = key.index();
        if let Err(error) = self.add_entered(index, deadline) {
            self.slots.vacate(index);
            return Err(error);
        }
        self.note_events();
        self.note_added();
        Ok(key)
    }

    /// As [`enter_added`](Self::enter_added), an event that waits for nothing but this deadline. It has this priority, and
    /// goes or stays when it is called.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`] or [`Error::OutOfMemory`]; nothing has changed, and the payload is dropped.
    #[expect(clippy::inline_always, reason = "as `leave`")]
    #[inline(always)]
    pub fn enter_timer(
        &mut self,
        last: Option<EventKey>,
        persistence: Persistence,
        priority: u8,
        payload: P,
        deadline: Deadline,
    ) -> Result<EventKey, Error> {
        let index = self.reserve_plain(last, priority)?;
        self.timers.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        let key = self.occupy_plain(index, persistence_flags(persistence), priority, payload);
        self.set_timer(index, deadline);
        self.note_deadlines();
        Ok(key)
    }

    /// As [`enter`](Self::enter), and [activates](Self::activate) it: an event that waits for nothing. It has this
    /// priority, and goes or stays when it is called.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`] or [`Error::OutOfMemory`]; nothing has changed, and the payload is dropped.
    #[inline]
    pub fn enter_active(
        &mut self,
        last: Option<EventKey>,
        persistence: Persistence,
        priority: u8,
        payload: P,
        causes: Causes,
    ) -> Result<EventKey, Error> {
        let index = self.reserve_plain(last, priority)?;
        let key = self.occupy_plain(index, persistence_flags(persistence), priority, payload);
        self.push(index, causes);
        self.note_active();
        Ok(key)
    }

    /// A place for an event without descriptor and signal.
    #[inline]
    fn reserve_plain(&mut self, last: Option<EventKey>, priority: u8) -> Result<u32, Error> {
        self.check_priority(Some(priority))?;
        let index = self.slots.reserve_last(last)?;
        self.active.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        Ok(index)
    }

    #[inline]
    fn occupy_plain(&mut self, index: u32, flags: Flags, priority: u8, payload: P) -> EventKey {
        let flags = flags | Flags::TRANSIENT;
        let slot = self.slots.occupy(index, -1, flags, Interest::empty(), Mode::Level);
        slot.activation.set_priority(priority);
        let key = slot.key(index);
        *self.slots.payload(index) = Some(payload);
        self.note_events();
        key
    }

    #[inline]
    fn take_place(&mut self, last: Option<EventKey>, spec: &Spec, payload: P) -> Result<EventKey, Error> {
        let index = self.slots.reserve_last(last)?;
        self.create(index, spec, Flags::TRANSIENT)?;
        *self.slots.payload(index) = Some(payload);
        Ok(self.slots.key(index))
    }

    #[inline]
    fn add_entered(&mut self, index: u32, deadline: Option<Deadline>) -> Result<(), Error> {
        if deadline.is_some() {
            self.timers.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        }
        if self.slots.get(index).flags.intersects(Flags::IO | Flags::SIGNAL) {
            self.register(index)?;
        }
        if let Some(deadline) = deadline {
            self.set_timer(index, deadline);
        }
        Ok(())
    }

    /// Sets the deadline of an event that has entered, as [`set_deadline`](Self::set_deadline) does, and answers what may
    /// happen to it next.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::OutOfMemory`]; nothing has changed then.
    #[inline]
    pub fn renew(&mut self, key: EventKey, deadline: Deadline) -> Result<Standing, Error> {
        let index = self.slots.find(key)?;
        self.timers.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        self.take_back_timeout(index);
        self.set_timer(index, deadline);
        self.note_deadlines();
        Ok(self.standing_of(index))
    }

    /// Deletes the event, ends its life and drops its payload.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; or the backend's refusal to forget the descriptor: the event is gone all the same.
    #[expect(
        clippy::inline_always,
        reason = "a third of what it costs to delete a timer would be the call"
    )]
    #[inline(always)]
    pub fn leave(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        if self.slots.get(index).flags.intersects(IN_MAPS) {
            return self.leave_maps(index);
        }
        self.timers.cancel(index);
        self.active.remove(&mut self.slots, index);
        self.end(index);
        Ok(())
    }

    #[inline(never)]
    fn leave_maps(&mut self, index: u32) -> Result<(), Error> {
        let left = self.retire(index);
        self.end(index);
        left
    }

    /// What may happen to the event next.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[inline]
    pub fn standing(&self, key: EventKey) -> Result<Standing, Error> {
        let index = self.slots.find(key)?;
        Ok(self.standing_of(index))
    }

    #[inline]
    fn standing_of(&self, index: u32) -> Standing {
        let Slot { flags, activation, .. } = self.slots.get(index);
        let has_deadline = self.timers.is_armed(index);
        Standing {
            is_registered: flags.contains(Flags::INSERTED),
            has_deadline,
            active: activation.causes(),
        }
    }

    /// Whether the event has left when it is handed out.
    #[inline]
    pub(super) fn leaves_when_called(flags: Flags) -> bool {
        flags & (Flags::TRANSIENT | Flags::PERSISTENT) == Flags::TRANSIENT
    }

    /// The event, which has just been handed out, is no more: what runs is nobody's callback.
    #[inline]
    pub(super) fn end_called(&mut self, index: u32) {
        self.running = None;
        self.end(index);
    }
}
