//! The engine and its backend: telling changes, taking reports, starting anew.

use std::io;
use std::os::fd::RawFd;

use ev_backend::{Backend, Change, Features, Readiness, Tag, Waiter};
use ev_map::{FdMap, Matched};

use super::active::{ActiveQueues, Pushed};
use super::run::Run;
use super::slots::{Flags, Slots};
use super::{Causes, Engine};
use crate::Error;
use crate::diagnostics::{debug, warn};

impl<B: Backend, P> Engine<B, P> {
    /// Tells the backend what has changed for one descriptor, if anything.
    #[expect(clippy::inline_always, reason = "returns after a system call are mispredicted")]
    #[inline(always)]
    pub(super) fn tell(&mut self, fd: RawFd) -> Result<(), Error> {
        if let Some(change) = self.fds.change(fd) {
            self.apply(&change)?;
        }
        Ok(())
    }

    #[inline]
    fn apply(&mut self, change: &Change) -> Result<(), Error> {
        self.backend.update(change)?;
        self.fds.commit(change);
        self.unprepared |= !self.backend.features().contains(Features::CONCURRENT);
        Ok(())
    }

    /// Leaves a descriptor's change to the next turn.
    pub(super) fn defer(&mut self, fd: RawFd) {
        self.fds.defer(fd);
        self.unprepared = true;
    }

    /// Whether a loop that sleeps has to wake, for another reason than a deadline: because something is active, because a
    /// change reaches the backend only with the next turn, because of a request to stop, or because nothing is left.
    pub fn wants_turn(&self) -> bool {
        self.unprepared || self.has_active() || self.stopping().is_some() || self.is_idle()
    }

    /// Tells the backend of all deferred changes that still make a difference.
    ///
    /// # Errors
    ///
    /// The backend's refusal of the signal pipe or the notifier, without which the loop would be deaf. It is tried again.
    #[inline(never)]
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(change) = self.fds.next_deferred() {
            let Err(error) = self.apply(&change) else { continue };
            let is_internal = |index| self.slots.get(index).flags.contains(Flags::INTERNAL);
            if self.fds.events_on(change.fd).any(is_internal) {
                self.defer(change.fd);
                return Err(error.into());
            }
            warn!("descriptor {} is refused, its events are deleted: {error}", change.fd);
            self.refuse(change.fd);
        }
        Ok(())
    }

    /// The backend refused a deferred change, so nobody is there to take its error: the descriptor's events are deleted
    /// and called with `ERROR`.
    fn refuse(&mut self, fd: RawFd) {
        while let Some(index) = self.first_on(fd) {
            let _ = self.disarm(index);
            // The next time it is added, the kernel is asked at once.
            self.slots.get_mut(index).flags.remove(Flags::ACCEPTED);
            self.push(index, Causes::ERROR);
        }
    }

    fn first_on(&self, fd: RawFd) -> Option<u32> {
        self.fds.events_on(fd).next()
    }

    /// Hands the registrations to the waiter; part of [`begin_turn`](Self::begin_turn).
    #[inline]
    pub(super) fn prepare(&mut self, waiter: &mut B::Waiter) -> io::Result<()> {
        debug_assert!(
            self.unprepared || !self.fds.has_deferred(),
            "4: deferred changes are known of"
        );
        if self.unprepared {
            self.flush()?;
        }
        self.backend.prepare(waiter)?;
        self.unprepared = false;
        Ok(())
    }

    /// Makes the events active whose descriptors the wait found ready.
    ///
    /// # Errors
    ///
    /// The kernel's, when its set has to be rebuilt because a descriptor that was closed without being deleted goes on
    /// reporting, and cannot be.
    pub fn harvest(&mut self, waiter: &mut B::Waiter) -> io::Result<()> {
        let Self {
            fds,
            slots,
            active,
            stale,
            ..
        } = self;
        let mut first_stale = None;
        let mut again = false;
        waiter.for_each(|tag, readiness| {
            if let Some((index, hit)) = fds.matching_only(tag, readiness) {
                active.push(slots, index, hit.into());
            } else if report_to_several(fds, tag, readiness, |index, hit| {
                active.push(slots, index, hit.into());
            }) == Matched::Stale
                && !fds.is_deferred(tag.fd())
            {
                again |= *stale == Some(tag);
                first_stale = first_stale.or(Some(tag));
            }
        });
        self.note_active();
        self.stale = first_stale;
        // One stale report may have been on its way when the descriptor was deleted. The same one again means that the
        // file lives on in a duplicate, which only a new kernel object is rid of.
        if !again {
            return Ok(());
        }
        warn!("a descriptor was closed while it was added, and its file lives on in a duplicate");
        self.rebuild()
    }

    /// Starts anew with an empty kernel object, and registers everything at the next turn.
    fn rebuild(&mut self) -> io::Result<()> {
        debug!("{} starts anew", self.backend.name());
        self.backend.reset()?;
        self.fds.forget_told();
        self.unprepared = true;
        self.stale = None;
        Ok(())
    }

    /// Makes the engine usable in a child process after `fork`, with a kernel object, signal pipe and notifier of its
    /// own; the parent's are not touched. Events, deadlines and activations survive; edge-triggered readiness is
    /// reported anew.
    ///
    /// # Errors
    ///
    /// The kernel's. Try again when there are descriptors, or drop the engine.
    #[doc(alias = "event_reinit")]
    pub fn reinit(&mut self) -> Result<(), Error> {
        self.rebuild()?;
        self.reinit_internals()
    }

    /// As the function [`push`].
    pub(super) fn push(&mut self, index: u32, causes: Causes) {
        push(&mut self.active, &mut self.slots, &mut self.run, index, causes);
    }
}

/// Puts an event at the end of its queue, and notices when that is more urgent than what is being processed. What is found
/// before a turn has chosen its priority, ready descriptors and delivered signals, need not be noticed.
#[inline]
pub(super) fn push<P>(active: &mut ActiveQueues, slots: &mut Slots<P>, run: &mut Run, index: u32, causes: Causes) {
    if active.push(slots, index, causes) == Pushed::Queued {
        run.notice(slots.get(index).activation.priority());
    }
}

/// Makes the events active that a report concerns, where it is not just one.
#[inline(never)]
fn report_to_several(fds: &FdMap, tag: Tag, readiness: Readiness, each: impl FnMut(u32, Readiness)) -> Matched {
    fds.matching(tag, readiness, each)
}
