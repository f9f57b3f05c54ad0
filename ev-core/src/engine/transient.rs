//! Events that exist only while they are pending or active.
//!
//! They are for a driver whose events are memory of its users', of which the end is not told: what the engine does not
//! know it cannot call. Such an event [enters](Engine::enter) with the first thing that is done with it and
//! [leaves](Engine::leave) when it is deleted; a one-shot event has left by the time it is handed out to be called, and
//! [`finish`](Engine::finish) then gives its payload back as that of an event that was removed. Its key is another one
//! each time. Given the last one, an event with a descriptor or a signal finds the slot where it was, if nobody has needed that
//! meanwhile.
//!
//! Such a driver keeps the deadlines as well, where its users' memory has room for what is to be known of them, and
//! [tells](Engine::set_external_deadlines) how many there are.

use ev_backend::{Backend, Interest, Mode};

use super::slots::{Flags, Slot};
use super::{Engine, Spec, Taken};
use crate::{Causes, Error, EventKey};

/// Those of a one-shot event that waits for nothing.
pub(super) const WAITS_FOR_NOTHING: Flags = Flags::OCCUPIED.union(Flags::TRANSIENT);

/// What may happen to an event next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Whether it waits for its descriptor or signal.
    pub is_registered: bool,
    /// Why it is active, `None` if it is not.
    pub active: Option<Causes>,
}

impl<B: Backend, P> Engine<B, P> {
    /// Creates an event that exists only while it is pending or active, not added: make it active before the next turn.
    /// `last` is the key it had before.
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

    /// As [`enter`](Self::enter), an event with a descriptor or a signal, and [adds](Self::add) it.
    ///
    /// # Errors
    ///
    /// Those of both; nothing has changed, and the payload is dropped.
    #[inline]
    pub fn enter_added(&mut self, last: Option<EventKey>, spec: &Spec, payload: P) -> Result<EventKey, Error> {
        let key = self.take_place(last, spec, payload)?;
        let index = key.index();
        if let Err(error) = self.register(index) {
            self.slots.vacate(index);
            return Err(error);
        }
        self.note_events();
        self.note_registrations();
        Ok(key)
    }

    /// As [`enter`](Self::enter), and [activates](Self::activate) it: an event that waits for nothing. It has this
    /// priority, and has left when it is handed out.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`] or [`Error::OutOfMemory`]; nothing has changed, and the payload is dropped.
    #[inline]
    pub fn enter_active(&mut self, priority: u8, payload: P, causes: Causes) -> Result<EventKey, Error> {
        let key = self.enter_and_push(priority, payload, causes)?;
        self.note_active();
        Ok(key)
    }

    /// As [`enter_active`](Self::enter_active), an event of which a deadline has passed that the driver
    /// [keeps](Self::set_external_deadlines): there is one less of those.
    ///
    /// # Errors
    ///
    /// Those of `enter_active`.
    #[inline]
    pub fn enter_due(&mut self, priority: u8, payload: P) -> Result<EventKey, Error> {
        let key = self.enter_and_push(priority, payload, Causes::TIMEOUT)?;
        self.external_deadlines = self.external_deadlines.saturating_sub(1);
        // It was a member before.
        self.maxima.active = self.maxima.active.max(self.active.len());
        Ok(key)
    }

    #[inline]
    fn enter_and_push(&mut self, priority: u8, payload: P, causes: Causes) -> Result<EventKey, Error> {
        self.check_priority(Some(priority))?;
        let index = self.slots.reserve()?;
        self.active.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        let slot = self
            .slots
            .occupy(index, -1, Flags::TRANSIENT, Interest::empty(), Mode::Level);
        slot.activation.set_priority(priority);
        let key = slot.key(index);
        *self.slots.payload(index) = Some(payload);
        self.note_events();
        self.push(index, causes);
        Ok(key)
    }

    #[inline]
    fn take_place(&mut self, last: Option<EventKey>, spec: &Spec, payload: P) -> Result<EventKey, Error> {
        let index = self.slots.reserve_last(last)?;
        self.create(index, spec, Flags::TRANSIENT)?;
        *self.slots.payload(index) = Some(payload);
        Ok(self.slots.key(index))
    }

    /// Takes back that the event is active because of its deadline, as giving it another one does.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn withdraw_timeout(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        self.take_back_timeout(index);
        Ok(())
    }

    /// Tells how many deadlines the driver keeps by itself: as long as there are any the engine is not
    /// [idle](Self::is_idle), and they [count](Self::counts).
    #[inline]
    pub fn set_external_deadlines(&mut self, number: usize) {
        let grows = number > self.external_deadlines;
        self.external_deadlines = number;
        if grows {
            self.note_deadlines();
        }
    }

    /// Deletes the event, ends its life and drops its payload.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; or the backend's refusal to forget the descriptor: the event is gone all the same.
    pub fn leave(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
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
        Standing {
            is_registered: flags.contains(Flags::INSERTED),
            active: activation.causes(),
        }
    }

    /// Takes an event that waits for no descriptor and no signal, and has left by that; so has a deadline that it may have been
    /// given.
    #[inline]
    pub(super) fn take_transient(&mut self, index: u32, causes: Causes) -> Option<Taken<P>> {
        let key = self.slots.key(index);
        self.timers.cancel(index);
        let payload = self.end(index)?;
        let taken = self.call(key, causes, payload);
        self.disown_call();
        Some(taken)
    }

    /// Whether the event has left when it is handed out.
    #[inline]
    pub(super) fn leaves_when_called(flags: Flags) -> bool {
        flags & (Flags::TRANSIENT | Flags::PERSISTENT) == Flags::TRANSIENT
    }

    /// The event, which has just been handed out, is no more.
    #[inline]
    pub(super) fn end_called(&mut self, index: u32) {
        self.disown_call();
        self.end(index);
    }
}
