//! Choosing a backend at run time.

use std::{env, error, fmt, io};

use ev_sys::{errno, process};
use thiserror::Error;

use crate::Features;
use crate::any::{AnyBackend, AnyWaiter, CANDIDATES, Candidate};

/// What the backend to be opened must be and must not be.
///
/// [`open`](Self::open) takes the first of [`supported`](crate::supported) that is not avoided, not excluded by the
/// environment, has all required features, and starts. One that does not start is passed over if the system lacks it, or
/// forbids it. If only descriptors or memory are lacking, nothing is opened: see [`make_do`](Self::make_do).
///
/// # Environment
///
/// The variable `EVENT_NOEPOLL`, `EVENT_NOKQUEUE`, `EVENT_NOPOLL` or `EVENT_NOSELECT`, with any value or none, excludes
/// that backend: to see whether a fault is the backend's without building anew. It is not looked at after
/// [`ignore_environment`](Self::ignore_environment), nor in a process with rights that its user lacks (set-user-id).
///
/// ```
/// use ev_backend::{Backend, Config, Features};
///
/// # #[cfg(feature = "poll")] {
/// let (backend, _waiter) = Config::new().avoid("epoll").require(Features::ANY_FILE).ignore_environment().open()?;
/// assert_ne!(backend.name(), "epoll");
/// # }
/// # Ok::<(), ev_backend::OpenError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias = "event_config")]
pub struct Config {
    avoided: Vec<String>,
    only: Option<String>,
    required: Features,
    environment: Environment,
    precision: Precision,
    shortage: Shortage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Environment {
    #[default]
    Heeded,
    Ignored,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Precision {
    #[default]
    AsCheap,
    Always,
}

/// What is done when a backend does not start for want of descriptors or memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shortage {
    #[default]
    Fails,
    PassesOver,
}

impl Config {
    /// Whatever is best here.
    #[doc(alias = "event_config_new")]
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes over the backend of this name, in lower case. A name that no backend has excludes nothing, so that a
    /// program need not know what was compiled in.
    #[must_use]
    #[doc(alias = "event_config_avoid_method")]
    pub fn avoid(mut self, name: impl Into<String>) -> Self {
        self.avoided.push(name.into());
        self
    }

    /// Passes over every backend but the one of this name. For tests. If no backend has it, [`open`](Self::open) says so.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only = Some(name.into());
        self
    }

    /// Passes over the backends that lack one of these features. Adds to what was required before.
    #[must_use]
    #[doc(alias = "event_config_require_features")]
    pub fn require(mut self, features: Features) -> Self {
        self.required |= features;
        self
    }

    /// Does not look at the environment.
    #[must_use]
    #[doc(alias = "EVENT_BASE_FLAG_IGNORE_ENV")]
    pub fn ignore_environment(mut self) -> Self {
        self.environment = Environment::Ignored;
        self
    }

    /// Counts timeouts more finely than milliseconds even where that costs a second system call a wait: epoll on Linux
    /// before 5.11 then uses a timer. The other backends are precise anyway, except `poll` on Apple's systems.
    #[must_use]
    #[doc(alias = "EVENT_BASE_FLAG_PRECISE_TIMER")]
    pub fn precise(mut self) -> Self {
        self.precision = Precision::Always;
        self
    }

    /// Also passes over a backend that does not start for want of descriptors or memory (`EMFILE`, `ENFILE`, `ENOMEM`),
    /// and goes on to a lesser one, as libevent does.
    ///
    /// Otherwise that is an error: the shortage may pass, and the loop would have the lesser backend for life.
    #[must_use]
    pub fn make_do(mut self) -> Self {
        self.shortage = Shortage::PassesOver;
        self
    }

    /// Opens the first backend that fits.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where none fits, or where one that fits cannot be opened for want of descriptors or memory; it tells
    /// why of each.
    pub fn open(&self) -> Result<(AnyBackend, AnyWaiter), OpenError> {
        let mut passed_over = Vec::new();
        for candidate in CANDIDATES {
            match self.consider(candidate) {
                Ok(opened) => return Ok(opened),
                Err(reason) => {
                    let is_last = self.shortage == Shortage::Fails && reason.is_shortage();
                    passed_over.push((candidate.name, reason));
                    if is_last {
                        break;
                    }
                }
            }
        }
        let unknown = self
            .only
            .clone()
            .filter(|only| CANDIDATES.iter().all(|one| one.name != only));
        Err(OpenError { passed_over, unknown })
    }

    fn consider(&self, candidate: &Candidate) -> Result<(AnyBackend, AnyWaiter), PassedOver> {
        let name = candidate.name;
        let missing = self.required.difference(candidate.features);
        if self.avoided.iter().any(|avoided| avoided == name) || self.only.as_ref().is_some_and(|only| only != name) {
            return Err(PassedOver::Avoided);
        }
        if self.environment == Environment::Heeded
            && let Some(variable) = excluding_variable(name)
        {
            return Err(PassedOver::Environment(variable));
        }
        if !missing.is_empty() {
            return Err(PassedOver::Missing(missing));
        }
        (candidate.open)(self).map_err(PassedOver::Failed)
    }

    #[cfg(all(feature = "epoll", any(target_os = "linux", target_os = "android")))]
    pub(crate) fn open_epoll(&self) -> io::Result<(crate::Epoll, crate::EpollWaiter)> {
        match self.precision {
            Precision::AsCheap => crate::Epoll::new(),
            Precision::Always => crate::Epoll::precise(),
        }
    }
}

/// The variable that excludes this backend, if it is set and to be heeded.
fn excluding_variable(name: &str) -> Option<String> {
    let variable = format!("EVENT_NO{}", name.to_ascii_uppercase());
    (!process::is_privileged() && env::var_os(&variable).is_some()).then_some(variable)
}

/// No backend fits a [`Config`]. Nothing was opened.
///
/// ```
/// use ev_backend::{Config, Features};
///
/// let config = Config::new().only("poll").require(Features::EDGE).ignore_environment();
/// let error = config.open().unwrap_err();
/// # #[cfg(feature = "poll")]
/// assert!(error.to_string().contains("poll: lacks EDGE"));
/// ```
#[derive(Debug)]
pub struct OpenError {
    passed_over: Vec<(&'static str, PassedOver)>,
    /// The name that was asked for, if no backend has it.
    unknown: Option<String>,
}

impl OpenError {
    /// The backends compiled in, each with the reason it was passed over, in the order of preference. If one did not start
    /// for want of descriptors or memory, it is the last, unless [`Config::make_do`] was asked for.
    pub fn passed_over(&self) -> impl ExactSizeIterator<Item = (&'static str, &PassedOver)> {
        self.passed_over.iter().map(|(name, reason)| (*name, reason))
    }

    /// The kernel's own error where it had no descriptor or no memory.
    #[cfg(feature = "sim")]
    pub(crate) fn into_io(mut self) -> io::Error {
        match self.passed_over.pop_if(|(_, reason)| reason.is_shortage()) {
            Some((_, PassedOver::Failed(error))) => error,
            _ => io::Error::other(self),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.unknown {
            let names: Vec<_> = self.passed_over.iter().map(|(name, _)| *name).collect();
            return write!(f, "no backend is called {name:?} here; there are: {}", names.join(", "));
        }
        f.write_str("no usable backend")?;
        self.passed_over
            .iter()
            .try_for_each(|(name, reason)| write!(f, "; {name}: {reason}"))
    }
}

impl error::Error for OpenError {}

/// Why [`Config::open`] passed over a backend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PassedOver {
    /// By [`Config::avoid`] or [`Config::only`].
    #[error("avoided")]
    Avoided,
    /// This variable is set in the environment.
    #[error("{0} is set")]
    Environment(String),
    /// It lacks these required features.
    #[error("lacks {0}")]
    Missing(Features),
    /// It did not start.
    #[error("did not start: {0}")]
    Failed(#[source] io::Error),
}

impl PassedOver {
    /// Whether it would start if there were more descriptors or more memory.
    fn is_shortage(&self) -> bool {
        match self {
            // ENOMEM is of that kind.
            Self::Failed(error) => {
                error.kind() == io::ErrorKind::OutOfMemory
                    || matches!(error.raw_os_error(), Some(errno::EMFILE | errno::ENFILE))
            }
            _ => false,
        }
    }
}
