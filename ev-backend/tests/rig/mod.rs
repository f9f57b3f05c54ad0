//! A backend on a test bench: it keeps the books of what is registered, and turns a turn into one call.
//!
//! There is one rig at a time, so that no other test opens a file under a number that this one has just closed.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ev_backend::{
    AnyBackend, AnyWaiter, Backend, Change, Config, Features, Interest, Mode, Readiness, Registration, Tag,
    UpdateError, Waiter,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
use ev_backend::{Epoll, EpollTimeout};

/// Everything that an error or a hang-up is reported as.
pub(crate) const BROKEN: Readiness = Readiness::READ.union(Readiness::WRITE).union(Readiness::ERROR);

/// What became ready, by tag. Reports of one tag are one.
pub(crate) type Reports = BTreeMap<u64, Readiness>;

#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) backend: AnyBackend,
    pub(crate) waiter: AnyWaiter,
    registered: HashMap<RawFd, Registration>,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::new(());

impl Rig {
    fn open(open: impl FnOnce() -> (AnyBackend, AnyWaiter)) -> Self {
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let (backend, waiter) = open();
        Self {
            backend,
            waiter,
            registered: HashMap::new(),
            _only: only,
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::open(|| {
            Config::new()
                .only(name)
                .ignore_environment()
                .open()
                .expect("the backend opens")
        })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.backend.name() == name
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn epoll(timeout: EpollTimeout) -> Self {
        Self::open(|| {
            let (epoll, waiter) = Epoll::with_timeout(timeout).expect("epoll opens");
            assert_eq!(epoll.timeout(), timeout);
            (AnyBackend::Epoll(epoll), AnyWaiter::Epoll(waiter))
        })
    }

    /// libkqueue, not the real thing.
    pub(crate) fn is_emulated(&self) -> bool {
        self.is("kqueue") && cfg!(target_os = "linux")
    }

    pub(crate) fn can(&self, features: Features) -> bool {
        self.backend.features().contains(features)
    }

    pub(crate) fn try_set(&mut self, fd: RawFd, tag: u64, interest: Interest, mode: Mode) -> Result<(), UpdateError> {
        let new = Registration { interest, mode };
        let old = self.registered.get(&fd).copied();
        self.backend.update(&Change {
            fd,
            tag: Tag::from_bits(tag),
            old,
            new: Some(new),
        })?;
        self.registered.insert(fd, new);
        Ok(())
    }

    pub(crate) fn set(&mut self, fd: impl AsFd, tag: u64, interest: Interest, mode: Mode) {
        self.try_set(fd.as_fd().as_raw_fd(), tag, interest, mode)
            .expect("the update succeeds");
    }

    pub(crate) fn remove_number(&mut self, fd: RawFd) {
        let old = self.registered.remove(&fd);
        let change = Change {
            fd,
            tag: Tag::from_bits(0),
            old,
            new: None,
        };
        self.backend.update(&change).expect("a removal succeeds");
    }

    pub(crate) fn remove(&mut self, fd: impl AsFd) {
        self.remove_number(fd.as_fd().as_raw_fd());
    }

    /// The descriptor is gone without a word to the backend.
    pub(crate) fn forget(&mut self, fd: RawFd) {
        self.registered.remove(&fd);
    }

    pub(crate) fn reset(&mut self) {
        self.backend.reset().expect("the backend is replaced");
        self.registered.clear();
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Reports {
        self.backend
            .prepare(&mut self.waiter)
            .expect("registrations are handed over");
        self.waiter.wait(timeout).expect("the wait succeeds");
        self.reports()
    }

    /// What is ready now.
    pub(crate) fn now(&mut self) -> Reports {
        self.wait(Some(Duration::ZERO))
    }

    pub(crate) fn reports(&mut self) -> Reports {
        let mut reports = Reports::new();
        self.waiter
            .for_each(|tag, readiness| *reports.entry(tag.to_bits()).or_default() |= readiness);
        reports
    }

    /// That the backend refuses `interest` and `mode`, for want of `missing`.
    pub(crate) fn refuses(&mut self, fd: impl AsFd, interest: Interest, mode: Mode, missing: Features) {
        let refused = self.try_set(fd.as_fd().as_raw_fd(), 0, interest, mode);
        assert!(
            matches!(refused, Err(UpdateError::Unsupported(lacking)) if lacking == missing),
            "{}: {refused:?}",
            self.backend.name()
        );
        self.backend
            .supports(Registration { interest, mode })
            .expect_err("supports() agrees");
    }
}
