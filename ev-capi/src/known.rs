//! What the engine is told of events, and what their structures tell of it: `evcb_flags` and `ev_timeout`.

use std::ffi::c_short;

use ev_core::engine::{Spec, Standing, Target};
use ev_core::{Causes, Error, EventKey, Features, Interest, Mode, Persistence, Time};
use libc::timeval;

use crate::abi::{
    EV_CLOSED, EV_ET, EV_PERSIST, EV_READ, EV_SIGNAL, EV_TIMEOUT, EV_WRITE, EVLIST_ACTIVE, EVLIST_INSERTED,
    EVLIST_TIMEOUT, event, event_callback,
};
use crate::base::{Callback, State};
use crate::common;
use crate::time::{duration, is_normal, sum, timeval_of};

/// The engine's key of an event or a deferred callback, if the engine knows it.
#[inline]
pub(crate) fn key(event: &event) -> Option<EventKey> {
    EventKey::from_bits(event.ev_evcallback.key.get())
}

/// The key by which the engine knew an event or a deferred callback before, if it did.
#[inline]
fn last_key(callback: &event_callback) -> Option<EventKey> {
    EventKey::from_bits(callback.last_key.get())
}

/// When an event times out: for the loop, and as its structure tells.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) deadline: Time,
    /// The queue of a common timeout.
    pub(crate) queue: Option<u16>,
    pub(crate) time: timeval,
}

impl State {
    /// The event's description for the engine.
    fn spec(&self, event: &event) -> Spec {
        let features = self.engine.features();
        let mut spec = Spec::new(target(event, features), persistence(event));
        spec.priority = Some(event.ev_evcallback.evcb_pri.get());
        // poll and select take no notice of EV_ET.
        if event.wants(EV_ET) && features.contains(Features::EDGE) {
            spec.mode = Mode::Edge;
        }
        spec
    }

    /// Makes an event active that the engine does not know.
    pub(crate) fn activate_idle(&mut self, event: &event, causes: Causes) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        if !event.is_timer() {
            return self.activate_unregistered(event, causes);
        }
        let priority = callback.evcb_pri.get();
        let key = self.engine.enter_active(priority, Callback::new(callback), causes)?;
        callback.key.set(key.to_bits());
        Ok(())
    }

    #[inline(never)]
    pub(crate) fn activate_unregistered(&mut self, event: &event, causes: Causes) -> Result<(), Error> {
        let spec = self.spec(event);
        let key = self.introduce(&event.ev_evcallback, &spec)?;
        self.engine.activate(key, causes)
    }

    /// Makes an event or a deferred callback known to the engine.
    pub(crate) fn introduce(&mut self, callback: &event_callback, spec: &Spec) -> Result<EventKey, Error> {
        let last = last_key(callback);
        let key = self.engine.enter(last, spec, Callback::new(callback))?;
        callback.key.set(key.to_bits());
        Ok(key)
    }

    /// Lets the engine forget an event that is neither registered nor active any more, and has the event's flags tell what it
    /// is now.
    pub(crate) fn settle(&mut self, event: &event) {
        let Some(key) = key(event) else { return };
        let Ok(standing) = self.engine.standing(key) else {
            return mark_idle(event);
        };
        note_standing(event, standing);
        if !standing.is_registered && standing.active.is_none() {
            let _ = self.drop_key(&event.ev_evcallback);
        }
    }

    /// Lets the engine forget an event or a deferred callback, whatever it is waiting for. On failure it has, but the kernel
    /// refused to.
    pub(crate) fn drop_key(&mut self, callback: &event_callback) -> Result<(), Error> {
        match take_key(callback) {
            Some(key) => self.engine.leave(key),
            None => Ok(()),
        }
    }

    /// Adds an event, with a timeout from now if it is given one: the rest of `event_add`.
    #[expect(clippy::inline_always, reason = "it has one caller, which is called most of all")]
    #[inline(always)]
    pub(crate) fn add_for(&mut self, event: &event, tv: Option<&timeval>) -> Result<(), Error> {
        let Some(tv) = tv else {
            return self.register(event);
        };
        let due = self.due(tv);
        self.make_way(event, due.deadline);
        if !event.is_timer() || event.ev_evcallback.key.get() != 0 {
            return self.add_due(event, &due);
        }
        self.set_deadline(event, &due)
    }

    /// Adds an event with a timeout.
    #[inline(never)]
    pub(crate) fn add_due(&mut self, event: &event, due: &Due) -> Result<(), Error> {
        let reserved = self.timers.try_reserve(event, due.deadline, due.queue);
        reserved.map_err(|_| Error::OutOfMemory)?;
        self.register(event)?;
        if let Some(key) = key(event) {
            // A new deadline takes the activation by the old one back.
            let withdrawn = self.engine.withdraw_timeout(key);
            debug_assert!(withdrawn.is_ok(), "the key is known");
            event.by_hand.set(event.by_hand.get() & !EV_TIMEOUT);
            self.settle(event);
        }
        self.set_deadline(event, due)
    }

    #[inline]
    fn set_deadline(&mut self, event: &event, due: &Due) -> Result<(), Error> {
        if self.timers.try_set(event, due.deadline, due.queue).is_err() {
            return Err(Error::OutOfMemory);
        }
        event.ev_timeout.set(due.time);
        self.tell_deadlines();
        Ok(())
    }

    /// Tells the engine how many deadlines there are.
    #[inline]
    pub(crate) fn tell_deadlines(&mut self) {
        self.engine.set_external_deadlines(self.timers.len());
    }

    /// Takes an event's deadline away, if it has one.
    #[expect(clippy::inline_always, reason = "as `add_for`")]
    #[inline(always)]
    pub(crate) fn clear_deadline(&mut self, event: &event) {
        if event.has(EVLIST_TIMEOUT) {
            self.count_if_due(event);
            self.timers.cancel(event);
            self.tell_deadlines();
        }
    }

    /// Has an event wait for its descriptor or signal, if it is for one.
    #[inline(never)]
    fn register(&mut self, event: &event) -> Result<(), Error> {
        if event.is_timer() {
            return Ok(());
        }
        let Some(key) = key(event) else {
            return self.register_idle(event);
        };
        let standing = self.engine.standing(key)?;
        // Libevent's rule: an event that is active and waits no more is not put back on its descriptor.
        if standing.is_registered || standing.active.is_some() {
            return Ok(());
        }
        let added = self.engine.add(key, None);
        self.settle(event);
        added
    }

    fn register_idle(&mut self, event: &event) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        let last = last_key(callback);
        let spec = self.spec(event);
        let key = self.engine.enter_added(last, &spec, Callback::new(callback))?;
        callback.key.set(key.to_bits());
        set_lists(event, EVLIST_INSERTED);
        Ok(())
    }

    /// When an event times out that is added with this timeout now.
    #[expect(clippy::inline_always, reason = "as `add_for`")]
    #[inline(always)]
    fn due(&self, tv: &timeval) -> Due {
        let now = self.now();
        let queue = common::queue(self, tv);
        let tv = queue.map_or(*tv, |_| common::unmarked(tv));
        let deadline = now.saturating_add(duration(&tv));
        let time = if is_normal(&tv) {
            sum(&self.timeval_of_now(now), &tv)
        } else {
            timeval_of(deadline)
        };
        Due { deadline, queue, time }
    }
}

/// Signal events stay added until they are deleted, as persistent ones do: C's rules for what follows are not the engine's.
fn persistence(event: &event) -> Persistence {
    if event.wants(EV_PERSIST | EV_SIGNAL) {
        Persistence::Persistent
    } else {
        Persistence::Once
    }
}

/// What an event waits for. Where the backend cannot tell of closed peers an event that waits for nothing else is accepted
/// and never fires.
fn target(event: &event, features: Features) -> Target {
    let fd = event.ev_fd;
    if event.wants(EV_SIGNAL) {
        return Target::Signal(fd);
    }
    let mut interest = Interest::empty();
    interest.set(Interest::READ, event.wants(EV_READ));
    interest.set(Interest::WRITE, event.wants(EV_WRITE));
    interest.set(Interest::CLOSED, event.wants(EV_CLOSED));
    if interest.is_empty() {
        return Target::None;
    }
    if !features.contains(Features::CLOSED) {
        if interest == Interest::CLOSED {
            return Target::Raw { fd: -1, interest };
        }
        interest.remove(Interest::CLOSED);
    }
    Target::Raw { fd, interest }
}

/// Has an event's flags tell where it is, but for its deadline, of which `timers` has them tell.
pub(crate) fn set_lists(event: &event, lists: c_short) {
    let flags = &event.ev_evcallback.evcb_flags;
    flags.set(flags.get() & !(EVLIST_INSERTED | EVLIST_ACTIVE) | lists);
}

/// Has an event's flags tell what the engine may do with it next.
fn note_standing(event: &event, standing: Standing) {
    let mut lists = 0;
    if standing.is_registered {
        lists |= EVLIST_INSERTED;
    }
    if standing.active.is_some() {
        lists |= EVLIST_ACTIVE;
    } else {
        forget_hand(event);
    }
    set_lists(event, lists);
}

/// Takes its key from an event or a deferred callback that the engine does not know any more, or shall not.
#[inline]
pub(crate) fn take_key(callback: &event_callback) -> Option<EventKey> {
    let key = callback.key.take();
    if key != 0 {
        callback.last_key.set(key);
    }
    EventKey::from_bits(key)
}

/// Has an event's flags tell that it is neither registered nor active.
#[inline]
pub(crate) fn mark_idle(event: &event) {
    set_lists(event, 0);
    forget_hand(event);
}

fn forget_hand(event: &event) {
    event.by_hand.set(0);
    event.calls.set(event::NOT_BY_HAND);
}
