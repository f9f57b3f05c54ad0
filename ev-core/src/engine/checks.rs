//! Checks of what types cannot rule out, for while a program is being written.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use ev_backend::Backend;
use ev_backend::descriptor::{FileId, file_id, is_blocking};

use super::Engine;
use crate::Error;
use crate::diagnostics::warn;

/// Which file each added event's descriptor referred to when it was added.
#[derive(Default)]
pub(super) struct Checks {
    files: BTreeMap<u32, FileId>,
}

impl Checks {
    /// Refuses a descriptor that blocks. One of which nothing can be learned is left to the backend.
    pub(super) fn admit(fd: RawFd) -> Result<(), Error> {
        match is_blocking(fd) {
            Ok(true) => Err(Error::Blocking(fd)),
            _ => Ok(()),
        }
    }

    /// The event has been added.
    pub(super) fn note(&mut self, index: u32, fd: RawFd) {
        if let Ok(file) = file_id(fd) {
            self.files.insert(index, file);
        }
    }

    /// The event has been deleted: complains if its descriptor refers to another file than when it was added.
    pub(super) fn dismiss(&mut self, index: u32, fd: RawFd) -> Result<(), Error> {
        match self.files.remove(&index) {
            Some(file) if file_id(fd).ok() != Some(file) => {
                warn!("descriptor {fd} was closed while event #{index} was added");
                Err(Error::ClosedWhileAdded(fd))
            }
            _ => Ok(()),
        }
    }
}

impl<B: Backend, P> Engine<B, P> {
    /// Checks descriptors when events are added and deleted from now on; see
    /// [`Config::check_descriptors`](crate::Config::check_descriptors).
    #[doc(alias = "event_enable_debug_mode")]
    pub fn check_descriptors(&mut self) {
        self.checks.get_or_insert_default();
    }
}
