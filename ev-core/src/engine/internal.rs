//! The library's own events: the pipe that signals come through, and the notifier that other threads wake the loop by.
//!
//! They are I/O events without a payload that are never queued: a turn handles them itself, before it calls the first event.
//! They are not counted: a loop with nothing else ends.

use ev_backend::Backend;
#[cfg(any(feature = "signals", feature = "threads"))]
use ev_backend::Mode;

use super::Engine;
use crate::Error;

impl<B: Backend, P> Engine<B, P> {
    /// Handles the internal events that became active.
    #[cfg_attr(
        not(any(feature = "signals", feature = "threads")),
        expect(clippy::unused_self, reason = "there is nothing internal then")
    )]
    pub(super) fn run_internals(&mut self) {
        #[cfg(feature = "threads")]
        if let Some((waker, event)) = &self.waker {
            let slot = self.slots.get_mut(*event);
            if slot.activation.take_internal() && slot.mode == Mode::Level {
                // A notifier that cannot be read has nothing to drain.
                let _ = waker.notifier().drain();
            }
        }
        #[cfg(feature = "signals")]
        if let Some(event) = self.signals.receiver_event()
            && self.slots.get_mut(event).activation.take_internal()
        {
            self.deliver_signals();
        }
    }

    /// Gives the child of a `fork` a signal pipe and a notifier of its own, under the same descriptors.
    #[cfg_attr(
        not(any(feature = "signals", feature = "threads")),
        expect(
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "there is nothing internal then"
        )
    )]
    pub(super) fn reinit_internals(&mut self) -> Result<(), Error> {
        #[cfg(feature = "threads")]
        if let Some((waker, _)) = &self.waker {
            waker.notifier().renew()?;
        }
        #[cfg(feature = "signals")]
        self.signals.reinit()?;
        Ok(())
    }

    /// Inserts and adds an internal event on a descriptor that lives as long as the engine.
    #[cfg(any(feature = "signals", feature = "threads"))]
    pub(super) fn insert_internal(&mut self, source: &impl std::os::fd::AsFd, mode: Mode) -> Result<u32, Error> {
        use std::os::fd::AsRawFd;

        use ev_backend::Interest;

        use super::slots::Flags;

        let index = self.slots.reserve()?;
        self.active.try_reserve(index).map_err(|_| Error::OutOfMemory)?;
        let flags = Flags::IO | Flags::OWNED | Flags::PERSISTENT | Flags::INTERNAL;
        self.slots
            .occupy(index, source.as_fd().as_raw_fd(), flags, Interest::READ, mode);
        if let Err(error) = self.register(index) {
            self.slots.vacate(index);
            return Err(error);
        }
        self.slots.get_mut(index).activation.set_internal();
        self.internal += 1;
        Ok(index)
    }

    /// Lets `waker` interrupt the wait. The driver goes through its gate around each wait.
    ///
    /// # Errors
    ///
    /// The backend's; nothing has changed.
    #[cfg(feature = "threads")]
    #[doc(alias = "evthread_make_base_notifiable")]
    pub fn set_waker(&mut self, waker: std::sync::Arc<ev_thread::Waker>) -> Result<(), Error> {
        // Where every write is an edge there is nothing to drain: a wake-up is one system call less.
        let has_edges = self.features().contains(ev_backend::Features::EDGE) && waker.notifier().has_edges();
        let mode = if has_edges { Mode::Edge } else { Mode::Level };
        let index = self.insert_internal(waker.notifier(), mode)?;
        self.holds.set_waker(std::sync::Arc::clone(&waker));
        self.waker = Some((waker, index));
        Ok(())
    }
}
