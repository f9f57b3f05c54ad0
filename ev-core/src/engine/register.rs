//! Putting events on their descriptors and signals, and taking them off.

use std::os::fd::RawFd;

use ev_backend::{Backend, Registration};

use super::checks::Checks;
use super::slots::Flags;
use super::{Engine, RawChanges};
use crate::Error;

/// Nobody can close the descriptor behind the loop's back, and the kernel has accepted it.
const VOUCHED_FOR: Flags = Flags::OWNED.union(Flags::ACCEPTED);

impl<B: Backend, P> Engine<B, P> {
    /// Puts the event into the map of its kind and tells the kernel.
    #[expect(clippy::inline_always, reason = "as `tell`")]
    #[inline(always)]
    pub(super) fn register(&mut self, index: u32) -> Result<(), Error> {
        if self.register_again(index) {
            return Ok(());
        }
        self.register_anew(index)
    }

    /// Puts an event back on its descriptor, if it was the last one there and everything is as it was.
    #[expect(clippy::inline_always, reason = "part of each addition in a callback")]
    #[inline(always)]
    pub(super) fn register_again(&mut self, index: u32) -> bool {
        let slot = self.slots.get_mut(index);
        let is_back = slot.flags & (VOUCHED_FOR | Flags::INSERTED | Flags::INTERNAL) == VOUCHED_FOR
            && self.checks.is_none()
            && self.fds.insert_again(slot.target, index, slot.registration());
        if is_back {
            slot.flags |= Flags::INSERTED;
            self.inserted += 1;
            self.unprepared = true;
        }
        is_back
    }

    #[inline(never)]
    fn register_anew(&mut self, index: u32) -> Result<(), Error> {
        self.put_on_map(index)?;
        let slot = self.slots.get_mut(index);
        slot.flags |= Flags::INSERTED;
        self.inserted += usize::from(!slot.flags.contains(Flags::INTERNAL));
        Ok(())
    }

    fn put_on_map(&mut self, index: u32) -> Result<(), Error> {
        let slot = self.slots.get(index);
        let (target, flags) = (slot.target, slot.flags);
        #[cfg(feature = "signals")]
        if flags.contains(Flags::SIGNAL) {
            return self.register_signal(index, target);
        }
        let registration = slot.registration();
        self.register_io(index, target, registration, flags)?;
        if let Some(checks) = &mut self.checks {
            checks.note(index, target);
        }
        Ok(())
    }

    fn register_io(&mut self, index: u32, fd: RawFd, wanted: Registration, flags: Flags) -> Result<(), Error> {
        // libevent's rule: a negative descriptor is accepted and never becomes ready by itself.
        if fd < 0 {
            return Ok(());
        }
        self.backend.supports(wanted)?;
        if self.checks.is_some() {
            Checks::admit(fd)?;
        }
        self.fds.insert(fd, index, wanted)?;
        let is_vouched_for = flags.contains(Flags::OWNED | Flags::ACCEPTED);
        if !is_vouched_for {
            // An event that was left on a closed descriptor must not keep the number's new file from being registered.
            self.fds.doubt(fd);
        }
        if self.may_defer(flags) {
            self.defer(fd);
            return Ok(());
        }
        if let Err(error) = self.tell(fd) {
            self.fds.remove(index);
            return Err(error);
        }
        self.slots.get_mut(index).flags |= Flags::ACCEPTED;
        Ok(())
    }

    /// Takes the event out of the map of its kind and tells the kernel.
    #[expect(clippy::inline_always, reason = "part of each call of a one-shot event")]
    #[inline(always)]
    pub(super) fn unregister(&mut self, index: u32) -> Result<(), Error> {
        if self.unregister_only(index) || !self.slots.get(index).flags.contains(Flags::INSERTED) {
            return Ok(());
        }
        self.unregister_any(index)
    }

    /// Takes an event off its descriptor, if it is the only one there and the kernel need not be told at once.
    #[expect(clippy::inline_always, reason = "part of each call of a one-shot event")]
    #[inline(always)]
    fn unregister_only(&mut self, index: u32) -> bool {
        let slot = self.slots.get_mut(index);
        let is_gone = slot.flags & (VOUCHED_FOR | Flags::INSERTED | Flags::INTERNAL) == VOUCHED_FOR | Flags::INSERTED
            && self.checks.is_none()
            && self.fds.remove_only(slot.target, index);
        if is_gone {
            slot.flags.remove(Flags::INSERTED);
            self.inserted -= 1;
            self.unprepared = true;
        }
        is_gone
    }

    #[inline(never)]
    fn unregister_any(&mut self, index: u32) -> Result<(), Error> {
        let slot = self.slots.get_mut(index);
        let (flags, target) = (slot.flags, slot.target);
        slot.flags.remove(Flags::INSERTED);
        self.inserted -= usize::from(!flags.contains(Flags::INTERNAL));
        #[cfg(feature = "signals")]
        if flags.contains(Flags::SIGNAL) {
            return self.unregister_signal(index, target);
        }
        if self.fds.remove(index).is_none() {
            return Ok(());
        }
        let checked = self
            .checks
            .as_mut()
            .map_or(Ok(()), |checks| checks.dismiss(index, target));
        if self.may_defer(flags) {
            self.defer(target);
            return checked;
        }
        let told = self.tell(target);
        if told.is_err() {
            // The kernel would go on reporting what nobody waits for: it is told again at the next turn.
            self.defer(target);
        }
        checked.and(told)
    }

    /// Puts an event that is on the map there once more, so that the kernel is told of it anew: in one-shot mode it is silent
    /// since its latest report.
    #[cold]
    pub(super) fn register_once_more(&mut self, index: u32) -> Result<(), Error> {
        let slot = self.slots.get(index);
        let (fd, registration) = (slot.target, slot.registration());
        self.remap(index, fd, registration)
    }

    /// Puts an event that is on the map there with another registration.
    pub(super) fn remap(&mut self, index: u32, fd: RawFd, wanted: Registration) -> Result<(), Error> {
        let Some((_, before)) = self.fds.registration(index) else {
            return Ok(());
        };
        self.fds.remove(index);
        if let Err(error) = self.fds.insert(fd, index, wanted) {
            self.restore(fd, index, before);
            return Err(error.into());
        }
        if self.may_defer(self.slots.get(index).flags) {
            self.defer(fd);
            return Ok(());
        }
        let told = self.tell(fd);
        if told.is_err() {
            self.fds.remove(index);
            self.restore(fd, index, before);
        }
        told
    }

    /// Puts an event back where it just was, which cannot fail: the map had room for it.
    fn restore(&mut self, fd: RawFd, index: u32, before: Registration) {
        let restored = self.fds.insert(fd, index, before);
        debug_assert!(restored.is_ok(), "the map has just held this event");
    }

    /// Whether the kernel need not be told before the next turn: it has accepted this descriptor before, and nobody can
    /// have closed it since.
    fn may_defer(&self, flags: Flags) -> bool {
        if flags.contains(Flags::OWNED) {
            flags.contains(Flags::ACCEPTED)
        } else {
            self.raw_changes == RawChanges::Deferred
        }
    }
}
