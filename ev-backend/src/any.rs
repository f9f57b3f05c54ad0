//! The choice among the backends compiled in.

use std::convert::Infallible;
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
        #[repr(u8)]
        pub enum AnyBackend {
            $(
                #[doc = concat!("`", $name, "`.")]
                #[cfg $cfg]
                $variant($backend),
            )*
            /// Never: so that the choice is a byte of its own, which only an enumeration with variants may have, however few
            /// backends are compiled in.
            #[doc(hidden)]
            None(Infallible),
        }

        /// The half of [`AnyBackend`] that sleeps.
        #[derive(Debug)]
        #[non_exhaustive]
        #[repr(u8)]
        #[allow(clippy::large_enum_variant, reason = "a loop has one of them")]
        pub enum AnyWaiter {
            $(
                #[doc = concat!("`", $name, "`.")]
                #[cfg $cfg]
                $variant($waiter),
            )*
            #[doc(hidden)]
            None(Infallible),
        }

        #[allow(unused_variables, reason = "there may be no backend to choose from")]
        impl Backend for AnyBackend {
            type Waiter = AnyWaiter;

            fn name(&self) -> &'static str {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref backend) => backend.name(),)*
                    Self::None(none) => match none {},
                }
            }

            fn features(&self) -> Features {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref backend) => backend.features(),)*
                    Self::None(none) => match none {},
                }
            }

            fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut backend) => backend.update(change),)*
                    Self::None(none) => match none {},
                }
            }

            /// # Errors
            ///
            /// As the chosen backend's; `InvalidInput` for the waiter of another kind of backend.
            #[inline]
            fn prepare(&mut self, waiter: &mut AnyWaiter) -> io::Result<()> {
                match (self, waiter) {
                    $(#[cfg $cfg] (Self::$variant(backend), AnyWaiter::$variant(waiter)) => backend.prepare(waiter),)*
                    _ => Err(foreign_waiter()),
                }
            }

            fn reset(&mut self) -> io::Result<()> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut backend) => backend.reset(),)*
                    Self::None(none) => match none {},
                }
            }
        }

        #[allow(unused_variables, reason = "there may be no backend to choose from")]
        impl Waiter for AnyWaiter {
            #[inline(always)]
            fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut waiter) => waiter.wait(timeout),)*
                    Self::None(none) => match none {},
                }
            }

            #[inline]
            fn next_report(&mut self) -> Option<(Tag, Readiness)> {
                match *self {
                    $(#[cfg $cfg] Self::$variant(ref mut waiter) => waiter.next_report(),)*
                    Self::None(none) => match none {},
                }
            }

            /// Epoll's reports are gone through as the array that they are, the others' are asked for one by one. There is one
            /// loop for both, as `each` is in line: where it is more than once, compilers take it out of line.
            #[cfg(all(feature = "epoll", any(target_os = "linux", target_os = "android")))]
            #[inline]
            fn for_each(&mut self, mut each: impl FnMut(Tag, Readiness)) {
                let (array, mut others) = match self {
                    Self::Epoll(waiter) => (waiter.take_events(), None),
                    others => (&[][..], Some(others)),
                };
                let mut array = array.iter();
                let next = || match array.next() {
                    Some(event) => Some(crate::epoll::report(event)),
                    None => others.as_mut()?.next_report(),
                };
                std::iter::from_fn(next).for_each(|(tag, readiness)| each(tag, readiness));
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

#[cold]
fn foreign_waiter() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the waiter of another backend")
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
