//! Signal events. The receiver of signals is opened with the first of them, as an internal event.

use std::io;

use ev_backend::{Backend, Mode};
use ev_map::{Sharing, SignalMap};

use ev_signal::{Method, SignalError};

use super::Engine;
use super::kernel::push;
use super::slots::try_grow;
use crate::{Causes, Error};

/// What is known of signals.
#[derive(Default)]
pub(super) struct Signals {
    method: Method,
    events: SignalMap,
    /// The receiver and the index of its event.
    receiver: Option<(ev_signal::Signals, u32)>,
}

impl Signals {
    /// The index of the receiver's event.
    pub(super) fn receiver_event(&self) -> Option<u32> {
        self.receiver.as_ref().map(|(_, event)| *event)
    }

    /// The events that are on signals: by number, newest first.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.events.iter().map(|(_, index)| index)
    }

    pub(super) fn reinit(&mut self) -> io::Result<()> {
        self.receiver.as_mut().map_or(Ok(()), |(receiver, _)| receiver.reinit())
    }
}

impl<B: Backend, P> Engine<B, P> {
    /// How signals are caught. To be set before the first signal event is added.
    pub fn set_signal_method(&mut self, method: Method) {
        self.signals.method = method;
    }

    /// How signals are caught.
    #[doc(alias = "event_base_get_signal_method")]
    pub fn signal_method(&self) -> Method {
        self.signals.method
    }

    /// Puts an event on its signal, and watches the signal if it is the first.
    pub(super) fn register_signal(&mut self, index: u32, signal: i32) -> Result<(), Error> {
        let needed = index as usize + 1;
        if needed > self.deliveries.len() {
            try_grow(&mut self.deliveries, needed).map_err(|_| Error::OutOfMemory)?;
            self.deliveries.resize(needed, 0);
        }
        if self.signals.events.insert(signal, index)? == Sharing::Shared {
            return Ok(());
        }
        let watched = self.watch(signal);
        if watched.is_err() {
            self.signals.events.remove(index);
        }
        watched
    }

    fn watch(&mut self, signal: i32) -> Result<(), Error> {
        if self.signals.receiver.is_none() {
            let receiver = ev_signal::Signals::with_method(self.signals.method)?;
            let index = self.insert_internal(&receiver, Mode::Level)?;
            self.signals.receiver = Some((receiver, index));
        }
        let receiver = self.signals.receiver.as_mut();
        match receiver.map_or(Ok(()), |(receiver, _)| receiver.watch(signal)) {
            // It could not be unwatched when its last event was deleted.
            Err(SignalError::AlreadyWatched(_)) => Ok(()),
            watched => Ok(watched?),
        }
    }

    /// Takes an event off its signal, and stops watching the signal if it was the last.
    pub(super) fn unregister_signal(&mut self, index: u32, signal: i32) -> Result<(), Error> {
        self.deliveries[index as usize] = 0;
        let last = self
            .signals
            .events
            .remove(index)
            .is_some_and(|removed| removed.sharing == Sharing::Alone);
        if last && let Some((receiver, _)) = &mut self.signals.receiver {
            receiver.unwatch(signal)?;
        }
        Ok(())
    }

    /// Makes all added events on a signal active, each for one call. Answers how many.
    #[doc(alias = "event_base_active_by_signal")]
    pub fn activate_signal(&mut self, signal: i32) -> usize {
        let Self {
            signals,
            active,
            slots,
            run,
            ..
        } = self;
        let mut number = 0;
        for index in signals.events.events_on(signal) {
            push(active, slots, run, index, Causes::SIGNAL);
            number += 1;
        }
        self.note_active();
        number
    }

    /// Makes the events of delivered signals active.
    pub(super) fn deliver_signals(&mut self) {
        let Self {
            signals: Signals { events, receiver, .. },
            deliveries,
            active,
            slots,
            ..
        } = self;
        let Some((receiver, _)) = receiver else { return };
        // A pipe that cannot be read has delivered nothing; what was counted before is delivered all the same.
        let _ = receiver.drain(|signal, count| {
            events.matching(signal, |index| {
                let waiting = &mut deliveries[index as usize];
                *waiting = waiting.saturating_add(count);
                active.push(slots, index, Causes::SIGNAL);
            });
        });
        self.note_active();
    }
}
