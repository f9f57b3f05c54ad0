//! The choice among the backends compiled in.

use std::io;
use std::time::Duration;

use crate::config::Config;
use crate::{Backend, Change, Features, Readiness, Tag, UpdateError, Waiter};

/// A backend that [`Config::open`] may choose.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) features: Features,
    pub(crate) open: fn(&Config) -> io::Result<(AnyBackend, AnyWaiter)>,
}

/// Makes the enums and their traits of one line a backend, and the list of candidates, in the order of preference, of
/// those that tell how they are opened.
macro_rules! backends {
    ($(
        #[cfg $cfg:tt]
        $name:literal: $variant:ident($backend:path, $waiter:path) $(= $open:expr)?;
    )*) => {
        /// The candidates, best first.
        pub(crate) const CANDIDATES: &[Candidate] = &[$($(
            #[cfg $cfg]
            Candidate {
                name: $name,
                features: <$backend>::FEATURES,
                open: |config| {
                    let open: fn(&Config) -> io::Result<($backend, $waiter)> = $open;
                    let (backend, waiter) = open(config)?;
                    Ok((AnyBackend::$variant(backend), AnyWaiter::$variant(waiter)))
                },
            },
        )?)*];

        /// One of the backends compiled in, chosen at run time by [`Config::open`]; or the simulation, which is never
        /// chosen but given.
        ///
        /// Each call costs one predictable branch more than a backend of known type.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum AnyBackend {
            $(
                #[doc = concat!("`", $name, "`.")]
                #[cfg $cfg]
                $variant($backend),
            )*
        }

        /// The half of [`AnyBackend`] that sleeps.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum AnyWaiter {
            $(
                #[doc = concat!("`", $name, "`.")]
                #[cfg $cfg]
                $variant($waiter),
            )*
        }

        #[allow(unused_variables, unreachable_patterns, reason = "there may be one backend, or none, to choose from")]
        impl Backend for AnyBackend {
            type Waiter = AnyWaiter;

            fn name(&self) -> &'static str {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref backend) => backend.name(),)*
                }
            }

            fn features(&self) -> Features {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref backend) => backend.features(),)*
                }
            }

            fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut backend) => backend.update(change),)*
                }
            }

            /// # Errors
            ///
            /// As the chosen backend's; `InvalidInput` for the waiter of another kind of backend.
            fn prepare(&mut self, waiter: &mut AnyWaiter) -> io::Result<()> {
                match (self, waiter) {
                    $(#[cfg $cfg] (Self::$variant(backend), AnyWaiter::$variant(waiter)) => backend.prepare(waiter),)*
                    _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the waiter of another backend")),
                }
            }

            fn reset(&mut self) -> io::Result<()> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut backend) => backend.reset(),)*
                }
            }
        }

        #[allow(unused_variables, reason = "there may be no backend to choose from")]
        impl Waiter for AnyWaiter {
            fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut waiter) => waiter.wait(timeout),)*
                }
            }

            #[inline]
            fn next_report(&mut self) -> Option<(Tag, Readiness)> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut waiter) => waiter.next_report(),)*
                }
            }
        }
    };
}

backends! {
    #[cfg(all(feature = "epoll", any(target_os = "linux", target_os = "android")))]
    "epoll": Epoll(crate::Epoll, crate::EpollWaiter) = Config::open_epoll;

    #[cfg(all(
        feature = "kqueue",
        target_pointer_width = "64",
        any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            all(target_os = "linux", feature = "libkqueue")
        )
    ))]
    "kqueue": Kqueue(crate::Kqueue, crate::KqueueWaiter) = |_| crate::Kqueue::new();

    #[cfg(feature = "poll")]
    "poll": Poll(crate::Poll, crate::PollWaiter) = |_| crate::Poll::new();

    #[cfg(feature = "select")]
    "select": Select(crate::Select, crate::SelectWaiter) = |_| crate::Select::new();

    #[cfg(feature = "sim")]
    "sim": Sim(crate::sim::Sim, crate::sim::SimWaiter);
}

/// The names of the backends compiled in, best first: the order in which [`Config::open`] tries them.
///
/// ```
/// # #[cfg(feature = "poll")]
/// assert!(ev_backend::supported().contains(&"poll"));
/// ```
#[doc(alias = "event_get_supported_methods")]
pub const fn supported() -> &'static [&'static str] {
    const NAMES: [&str; CANDIDATES.len()] = {
        let mut names = [""; CANDIDATES.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = CANDIDATES[i].name;
            i += 1;
        }
        names
    };
    &NAMES
}
