//! A notifier made of what loom has.

use loom::sync::{Condvar, Mutex};

pub(super) struct Notifier {
    readable: Mutex<bool>,
    written: Condvar,
}

impl Notifier {
    pub(super) fn new() -> Self {
        Self {
            readable: Mutex::new(false),
            written: Condvar::new(),
        }
    }

    pub(super) fn notify(&self) {
        *self.readable.lock().unwrap() = true;
        self.written.notify_one();
    }

    /// A wait for nothing but the notifier, level-triggered.
    pub(super) fn wait(&self) {
        let mut readable = self.readable.lock().unwrap();
        while !*readable {
            readable = self.written.wait(readable).unwrap();
        }
    }

    pub(super) fn drain(&self) {
        *self.readable.lock().unwrap() = false;
    }
}
