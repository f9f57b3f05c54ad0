//! What scenarios share: a log that callbacks write to, and sockets.

use std::fmt::Debug;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use ev_core::backend::Backend;
use ev_core::{Causes, EventKey, Features, Fired, RawIo};

use crate::events::{Events, Loop};
use crate::harness::{Skip, Verdict};

/// What happened, in order. Clones share it.
pub struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone + PartialEq + Debug> Log<T> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What was logged since the last call.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A callback that does nothing but log `entry`.
    pub fn noting(&self, entry: T) -> impl FnMut(&mut Events<'_>, &mut (), Fired) + Send + use<T>
    where
        T: Send + 'static,
    {
        let log = self.clone();
        move |_, (), _| log.push(entry.clone())
    }
}

/// A connected pair of non-blocking stream sockets.
pub fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    near.set_nonblocking(true).expect("a flag");
    far.set_nonblocking(true).expect("a flag");
    (near, far)
}

/// Inserts an event that logs its causes and does nothing else.
pub fn watch<B: Backend + 'static>(lp: &mut Loop<B>, event: RawIo) -> (EventKey, Log<Causes>) {
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(event, move |_, (), fired| seen.push(fired.causes()));
    (key, log)
}

/// Skips where the backend lacks a feature.
pub fn need<B: Backend + 'static>(lp: &mut Loop<B>, feature: Features, reason: &'static str) -> Verdict {
    if lp.events().features().contains(feature) {
        Ok(())
    } else {
        Err(Skip(reason))
    }
}
