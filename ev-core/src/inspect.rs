//! Looking at a single-threaded loop.

use std::borrow::Cow;
use std::fmt;
use std::os::fd::RawFd;

use ev_backend::Backend;

#[cfg(feature = "signals")]
use crate::SignalMethod;
use crate::engine::{Counts, EventInfo};
use crate::{Causes, Error, EventKey, Reactor};

/// Looking at the loop, and setting off what waits for the same thing.
impl<S, B: Backend> Reactor<S, B> {
    /// How much there is in the loop now.
    #[doc(alias = "event_base_get_num_events")]
    pub fn counts(&self) -> Counts {
        self.engine.counts()
    }

    /// The most there was of each since the loop was made, or since [`reset_maxima`](Self::reset_maxima).
    #[doc(alias = "event_base_get_max_events")]
    pub fn maxima(&self) -> Counts {
        self.engine.maxima()
    }

    /// Lets the maxima start anew from what there is now.
    pub fn reset_maxima(&mut self) {
        self.engine.reset_maxima();
    }

    /// Names an event, for [`describe`](Self::describe) and [`dump`](Self::dump).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    pub fn set_name(&mut self, key: EventKey, name: impl Into<Cow<'static, str>>) -> Result<(), Error> {
        self.engine.set_name(key, name)
    }

    /// All that is known of an event.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`].
    #[doc(alias = "event_get_assignment")]
    pub fn describe(&self, key: EventKey) -> Result<EventInfo, Error> {
        self.engine.describe(key)
    }

    /// All events, in the order of their keys' indices.
    #[doc(alias = "event_base_foreach_event")]
    pub fn events(&self) -> impl Iterator<Item = EventInfo> + '_ {
        self.engine.events()
    }

    /// The event whose callback runs.
    #[doc(alias = "event_base_get_running_event")]
    pub fn running(&self) -> Option<EventKey> {
        self.engine.running()
    }

    /// The loop's state as text for people, deadlines as of now: a line about the loop, and one for each event.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ev_core::{EventLoop, Timer};
    ///
    /// # fn main() -> Result<(), ev_core::Error> {
    /// let mut lp = EventLoop::<()>::new()?;
    /// let timer = lp.insert(Timer::after(Duration::from_secs(3)), |_, (), _| ())?;
    /// lp.set_name(timer, "heartbeat")?;
    /// assert!(lp.dump().to_string().contains("\"heartbeat\""));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "event_base_dump_events")]
    pub fn dump(&self) -> impl fmt::Display + '_ {
        self.engine.dump(self.read_clock())
    }

    /// How signals are caught.
    #[cfg(feature = "signals")]
    #[doc(alias = "event_base_get_signal_method")]
    pub fn signal_method(&self) -> SignalMethod {
        self.engine.signal_method()
    }

    /// Makes all added events on a descriptor active that wait for one of the causes, with those of them that they wait
    /// for. Answers how many. A negative descriptor has none.
    #[doc(alias = "event_base_active_by_fd")]
    pub fn activate_descriptor(&mut self, fd: RawFd, causes: Causes) -> usize {
        self.engine.activate_descriptor(fd, causes)
    }

    /// Makes all added events on a signal active, each for one call. Answers how many.
    #[cfg(feature = "signals")]
    #[doc(alias = "event_base_active_by_signal")]
    pub fn activate_signal(&mut self, signal: i32) -> usize {
        self.engine.activate_signal(signal)
    }
}
