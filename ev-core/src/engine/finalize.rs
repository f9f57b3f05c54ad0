//! Ends that are told: a payload that is handed out once, after which nothing of the event is left.

use ev_backend::Backend;

use super::Engine;
use super::active::Pushed;
use super::slots::Flags;
use crate::{Causes, Error, EventKey};

impl<B: Backend, P> Engine<B, P> {
    /// Removes an event and hands out a last payload in its place, at its priority and after the callback that may be
    /// running; the loop does not end before that. `last` makes that payload of the one the event had, `None` if its
    /// callback runs or it had none.
    ///
    /// The key is stale from now on. As with [`remove`](Self::remove), the backend has forgotten an owned descriptor when
    /// this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`]; `last` is not called.
    #[doc(alias = "event_finalize")]
    pub fn finalize(&mut self, key: EventKey, last: impl FnOnce(Option<P>) -> P) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        let _ = self.retire(index);
        let payload = self.slots.payload(index);
        *payload = Some(last(payload.take()));
        self.slots.get_mut(index).flags = Flags::OCCUPIED | Flags::FINALIZING;
        self.finalizing += 1;
        self.names.remove(&index);
        self.push(index, Causes::empty());
        self.note_active();
        Ok(())
    }

    /// The finalizer has been handed out: the slot is free.
    pub(super) fn end_finalizing(&mut self, index: u32) {
        self.disown_call();
        self.finalizing -= 1;
        self.slots.vacate(index);
    }

    /// Makes an event active as work that was put off: in this turn, unless that has been given its share already, else
    /// in the next.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_deferred_cb_schedule_")]
    pub fn defer_event(&mut self, key: EventKey) -> Result<(), Error> {
        let index = self.slots.find(key)?;
        let slot = self.slots.get_mut(index);
        slot.flags |= Flags::DEFERRED;
        if slot.activation.causes().is_some() {
            return Ok(());
        }
        if self.run.takes_deferred() {
            self.push(index, Causes::empty());
        } else {
            let pushed = self.active.push_later(&mut self.slots, index, Causes::empty());
            debug_assert_eq!(pushed, Pushed::Queued, "it was not active");
        }
        self.note_active();
        Ok(())
    }
}
