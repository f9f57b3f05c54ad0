//! What scenarios share: a log that callbacks write to, and sockets.

use std::fmt::Debug;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

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
}

/// A connected pair of non-blocking stream sockets.
pub fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    near.set_nonblocking(true).expect("a flag");
    far.set_nonblocking(true).expect("a flag");
    (near, far)
}
