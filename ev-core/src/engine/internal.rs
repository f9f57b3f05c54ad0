//! The library's own events: the pipe that signals come through, and the notifier that other threads wake the loop by.
//!
//! They are ordinary I/O events of the most urgent priority without a payload; when their turn comes the engine handles
//! them itself. They are not counted: a loop with nothing else ends.

#[cfg(feature = "threads")]
use std::sync::Arc;

use ev_backend::Backend;
#[cfg(feature = "signals")]
use ev_map::Sharing;

use super::Engine;
use crate::Error;

#[derive(Default)]
pub(super) struct Internals {
    /// The receiver of signals and the index of its event.
    #[cfg(feature = "signals")]
    signals: Option<(ev_signal::Signals, u32)>,
    /// Deliveries not yet called, by index of the signal event.
    #[cfg(feature = "signals")]
    counts: Vec<u32>,
    #[cfg(feature = "threads")]
    waker: Option<(Arc<ev_thread::Waker>, u32)>,
}

impl Internals {
    /// The number of internal events.
    pub(super) fn len(&self) -> usize {
        let mut len = 0;
        #[cfg(feature = "signals")]
        {
            len += usize::from(self.signals.is_some());
        }
        #[cfg(feature = "threads")]
        {
            len += usize::from(self.waker.is_some());
        }
        len
    }

    /// The deliveries for which a signal event is to be called.
    #[cfg(feature = "signals")]
    pub(super) fn take_count(&mut self, index: u32) -> u32 {
        self.counts.get_mut(index as usize).map_or(1, std::mem::take)
    }

    #[cfg(not(feature = "signals"))]
    pub(super) fn take_count(&mut self, _index: u32) -> u32 {
        1
    }
}

impl<B: Backend, P> Engine<B, P> {
    /// Inserts and adds an internal event on a descriptor that lives as long as the event.
    #[cfg(any(feature = "signals", feature = "threads"))]
    fn insert_internal(&mut self, fd: std::os::fd::RawFd) -> Result<u32, Error> {
        use ev_backend::{Interest, Mode};

        use super::slots::Flags;

        let index = self.slots.reserve()?;
        self.active.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        let flags = Flags::IO | Flags::OWNED | Flags::PERSISTENT | Flags::INTERNAL;
        self.slots.occupy(fd, flags, 0, Interest::READ, Mode::Level);
        let key = self.slots.key(index);
        if let Err(error) = self.add(key, None) {
            self.slots.vacate(index);
            return Err(error);
        }
        Ok(index)
    }

    /// Handles an internal event that became active.
    pub(super) fn run_internal(&mut self, index: u32) {
        #[cfg(feature = "threads")]
        if let Some((waker, event)) = &self.internals.waker
            && *event == index
        {
            // A notifier that cannot be read has nothing to drain.
            let _ = waker.notifier().drain();
        }
        #[cfg(feature = "signals")]
        if self
            .internals
            .signals
            .as_ref()
            .is_some_and(|(_, event)| *event == index)
        {
            self.deliver_signals();
        }
    }
}

#[cfg(feature = "threads")]
impl<B: Backend, P> Engine<B, P> {
    /// Lets `waker` interrupt the wait. The driver goes through its gate around each wait.
    ///
    /// # Errors
    ///
    /// The backend's; nothing has changed.
    #[doc(alias = "evthread_make_base_notifiable")]
    pub fn set_waker(&mut self, waker: Arc<ev_thread::Waker>) -> Result<(), Error> {
        use std::os::fd::{AsFd, AsRawFd};

        let index = self.insert_internal(waker.notifier().as_fd().as_raw_fd())?;
        self.internals.waker = Some((waker, index));
        Ok(())
    }
}

#[cfg(feature = "signals")]
impl<B: Backend, P> Engine<B, P> {
    pub(super) fn register_signal(&mut self, index: u32, signal: i32) -> Result<(), Error> {
        let counts = &mut self.internals.counts;
        if index as usize >= counts.len() {
            let missing = index as usize + 1 - counts.len();
            counts.try_reserve(missing).map_err(|_| Error::OutOfMemory)?;
            counts.resize(index as usize + 1, 0);
        }
        let first = self.signals.insert(signal, index)?;
        if first == Sharing::Alone
            && let Err(error) = self.watch_signal(signal)
        {
            self.signals.remove(index);
            return Err(error);
        }
        Ok(())
    }

    fn watch_signal(&mut self, signal: i32) -> Result<(), Error> {
        use std::os::fd::{AsFd, AsRawFd};

        if self.internals.signals.is_none() {
            let receiver = ev_signal::Signals::new()?;
            let index = self.insert_internal(receiver.as_fd().as_raw_fd())?;
            self.internals.signals = Some((receiver, index));
        }
        if let Some((receiver, _)) = &mut self.internals.signals {
            receiver.watch(signal)?;
        }
        Ok(())
    }

    pub(super) fn unregister_signal(&mut self, index: u32, signal: i32) -> Result<(), Error> {
        self.internals.counts[index as usize] = 0;
        let last = self
            .signals
            .remove(index)
            .is_some_and(|removed| removed.sharing == Sharing::Alone);
        if last && let Some((receiver, _)) = &mut self.internals.signals {
            receiver.unwatch(signal)?;
        }
        Ok(())
    }

    /// Makes the events of delivered signals active.
    fn deliver_signals(&mut self) {
        let Self {
            internals,
            signals,
            active,
            slots,
            run,
            ..
        } = self;
        let Some((receiver, _)) = &mut internals.signals else {
            return;
        };
        let counts = &mut internals.counts;
        // A pipe that cannot be read has delivered nothing; what was counted before is delivered all the same.
        let _ = receiver.drain(|signal, count| {
            signals.matching(signal, |index| {
                let waiting = &mut counts[index as usize];
                *waiting = waiting.saturating_add(count);
                let priority = slots.get(index).priority;
                active.push(index, priority, crate::Causes::SIGNAL);
                run.notice(priority);
            });
        });
    }
}

impl<B: Backend, P> Engine<B, P> {
    /// Gives the child of a `fork` a signal pipe and a notifier of its own.
    pub(super) fn reinit_internals(&mut self) -> Result<(), Error> {
        #[cfg(feature = "threads")]
        if let Some((waker, _)) = &self.internals.waker {
            waker.notifier().renew()?;
        }
        #[cfg(feature = "signals")]
        if let Some((receiver, _)) = &mut self.internals.signals {
            receiver.reinit()?;
        }
        Ok(())
    }
}
