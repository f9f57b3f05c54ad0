//! Looking at a shared loop. Each answer is of one moment: other threads go on.

use std::borrow::Cow;
use std::os::fd::RawFd;

use ev_backend::Backend;

use super::LoopHandle;
#[cfg(feature = "signals")]
use crate::SignalMethod;
use crate::engine::{Counts, EventInfo};
use crate::{Causes, Error, EventKey};

/// Looking at the loop, and setting off what waits for the same thing.
impl<B: Backend> LoopHandle<B> {
    /// How much there is in the loop now.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_num_events")]
    pub fn counts(&self) -> Result<Counts, Error> {
        self.read(|engine| Ok(engine.counts()))
    }

    /// The most there was of each since the loop was made, or since [`reset_maxima`](Self::reset_maxima).
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_max_events")]
    pub fn maxima(&self) -> Result<Counts, Error> {
        self.read(|engine| Ok(engine.maxima()))
    }

    /// Lets the maxima start anew from what there is now.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn reset_maxima(&self) -> Result<(), Error> {
        self.with(|engine| {
            engine.reset_maxima();
            Ok(())
        })
    }

    /// Names an event, for [`describe`](Self::describe) and [`dump`](Self::dump).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    pub fn set_name(&self, key: EventKey, name: impl Into<Cow<'static, str>>) -> Result<(), Error> {
        let name = name.into();
        self.with(|engine| engine.set_name(key, name))
    }

    /// All that is known of an event.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`], [`Error::Gone`].
    #[doc(alias = "event_get_assignment")]
    pub fn describe(&self, key: EventKey) -> Result<EventInfo, Error> {
        self.read(|engine| engine.describe(key))
    }

    /// All events, in the order of their keys' indices.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_foreach_event")]
    pub fn events(&self) -> Result<Vec<EventInfo>, Error> {
        self.read(|engine| Ok(engine.events().collect()))
    }

    /// The event whose callback runs.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_get_running_event")]
    pub fn running(&self) -> Result<Option<EventKey>, Error> {
        self.read(|engine| Ok(engine.running()))
    }

    /// The loop's state as text for people; see [`Reactor::dump`](crate::Reactor::dump).
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_dump_events")]
    pub fn dump(&self) -> Result<String, Error> {
        let now = self.now();
        self.read(|engine| Ok(engine.dump(now).to_string()))
    }

    /// How signals are caught.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[cfg(feature = "signals")]
    #[doc(alias = "event_base_get_signal_method")]
    pub fn signal_method(&self) -> Result<SignalMethod, Error> {
        self.read(|engine| Ok(engine.signal_method()))
    }

    /// Makes all added events on a descriptor active that wait for one of the causes; see
    /// [`Reactor::activate_descriptor`](crate::Reactor::activate_descriptor).
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_active_by_fd")]
    pub fn activate_descriptor(&self, fd: RawFd, causes: Causes) -> Result<usize, Error> {
        self.with(|engine| Ok(engine.activate_descriptor(fd, causes)))
    }

    /// Makes all added events on a signal active, each for one call. Answers how many.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[cfg(feature = "signals")]
    #[doc(alias = "event_base_active_by_signal")]
    pub fn activate_signal(&self, signal: i32) -> Result<usize, Error> {
        self.with(|engine| Ok(engine.activate_signal(signal)))
    }
}
