//! What the engine is told of events, and what their structures tell of it: `evcb_flags` and `ev_timeout`.

use std::ffi::c_short;

use ev_core::engine::{Deadline, Spec, Standing, Target};
use ev_core::{Causes, Error, EventKey, Features, Interest, Mode, Persistence};
use libc::timeval;

use crate::abi::{
    EV_CLOSED, EV_ET, EV_IO, EV_PERSIST, EV_READ, EV_SIGNAL, EV_TIMEOUT, EV_WRITE, EVLIST_ACTIVE, EVLIST_INSERTED,
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

/// When an event times out: for the engine, and as its structure tells.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) deadline: Deadline,
    pub(crate) time: timeval,
}

impl From<Deadline> for Due {
    fn from(deadline: Deadline) -> Self {
        let time = timeval_of(deadline.time());
        Self { deadline, time }
    }
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

    /// Makes an event active that is neither pending nor active.
    pub(crate) fn activate_idle(&mut self, event: &event, causes: Causes) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        if event.wants(EV_IO | EV_SIGNAL) {
            let spec = self.spec(event);
            let key = self.introduce(callback, &spec)?;
            return self.engine.activate(key, causes);
        }
        let last = last_key(callback);
        let (persistence, priority) = (persistence(event), callback.evcb_pri.get());
        let key = self
            .engine
            .enter_active(last, persistence, priority, Callback::new(callback), causes)?;
        callback.key.set(key.to_bits());
        Ok(())
    }

    /// Makes an event or a deferred callback known to the engine.
    pub(crate) fn introduce(&mut self, callback: &event_callback, spec: &Spec) -> Result<EventKey, Error> {
        let last = last_key(callback);
        let key = self.engine.enter(last, spec, Callback::new(callback))?;
        callback.key.set(key.to_bits());
        Ok(key)
    }

    /// Lets the engine forget an event that is neither pending nor active any more, and has the event's flags tell what it
    /// is now.
    pub(crate) fn settle(&mut self, event: &event) {
        let Some(key) = key(event) else { return };
        let Ok(standing) = self.engine.standing(key) else {
            return mark_idle(event);
        };
        let lists = note_standing(event, standing);
        if lists == 0 {
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
            return self.add(event, None);
        };
        if event.wants(EV_IO | EV_SIGNAL) {
            return self.add_due(event, tv);
        }
        let due = self.due(tv);
        match key(event) {
            None => self.add_timer(event, due.deadline)?,
            Some(key) => self.renew_timer(event, key, due.deadline)?,
        }
        event.ev_timeout.set(due.time);
        Ok(())
    }

    #[inline(never)]
    fn add_due(&mut self, event: &event, tv: &timeval) -> Result<(), Error> {
        let due = self.due(tv);
        self.add(event, Some(&due))
    }

    /// Adds an event, with a timeout if it is given one.
    #[inline(never)]
    pub(crate) fn add(&mut self, event: &event, due: Option<&Due>) -> Result<(), Error> {
        let deadline = due.map(|due| due.deadline);
        let has_target = event.wants(EV_IO | EV_SIGNAL);
        if !has_target && deadline.is_none() {
            return Ok(());
        }
        match (key(event), deadline) {
            (None, _) => self.add_idle(event, deadline)?,
            (Some(key), Some(deadline)) if !has_target => self.renew_timer(event, key, deadline)?,
            (Some(key), _) => self.add_known(event, key, deadline)?,
        }
        if let Some(due) = due {
            event.ev_timeout.set(due.time);
        }
        Ok(())
    }

    /// Adds an event that is neither pending nor active and waits for a time only.
    #[expect(clippy::inline_always, reason = "as `add_for`")]
    #[inline(always)]
    fn add_timer(&mut self, event: &event, deadline: Deadline) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        let last = last_key(callback);
        let (persistence, priority) = (persistence(event), callback.evcb_pri.get());
        let key = self
            .engine
            .enter_timer(last, persistence, priority, Callback::new(callback), deadline)?;
        callback.key.set(key.to_bits());
        set_lists(event, EVLIST_TIMEOUT);
        Ok(())
    }

    /// Gives an event that is pending or active another deadline.
    #[inline(never)]
    fn renew_timer(&mut self, event: &event, key: EventKey, deadline: Deadline) -> Result<(), Error> {
        let standing = self.engine.renew(key, deadline)?;
        // A new deadline takes the activation by the old one back.
        event.by_hand.set(event.by_hand.get() & !EV_TIMEOUT);
        note_standing(event, standing);
        Ok(())
    }

    /// Adds an event that is neither pending nor active.
    fn add_idle(&mut self, event: &event, deadline: Option<Deadline>) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        let last = last_key(callback);
        let spec = self.spec(event);
        let key = self
            .engine
            .enter_added(last, &spec, Callback::new(callback), deadline)?;
        callback.key.set(key.to_bits());
        let mut lists = 0;
        if spec.target != Target::None {
            lists |= EVLIST_INSERTED;
        }
        if deadline.is_some() {
            lists |= EVLIST_TIMEOUT;
        }
        set_lists(event, lists);
        Ok(())
    }

    /// Adds an event that is pending or active and waits for a descriptor or signal.
    fn add_known(&mut self, event: &event, key: EventKey, deadline: Option<Deadline>) -> Result<(), Error> {
        let standing = self.engine.standing(key)?;
        // Libevent's rule: an event that is active and waits no more is not put back on its descriptor.
        let registers = !standing.is_registered && standing.active.is_none();
        match deadline {
            _ if registers => {
                let added = self.engine.add(key, deadline);
                self.settle(event);
                added
            }
            Some(deadline) => self.renew_timer(event, key, deadline),
            None => Ok(()),
        }
    }

    /// When an event times out that is added with this timeout now.
    #[expect(clippy::inline_always, reason = "as `add_for`")]
    #[inline(always)]
    fn due(&self, tv: &timeval) -> Due {
        let now = self.now();
        let (deadline, tv) = if let Some(queue) = common::queue(self, tv) {
            (Deadline::In { now, queue }, common::unmarked(tv))
        } else {
            let timeout = duration(tv);
            (Deadline::After { now, timeout }, *tv)
        };
        let time = if is_normal(&tv) {
            sum(&self.timeval_of_now(now), &tv)
        } else {
            timeval_of(deadline.time())
        };
        Due { deadline, time }
    }
}

/// Signal events and persistent ones stay added until they are deleted or their timeout comes: C's rules for what follows
/// are not the engine's.
fn persistence(event: &event) -> Persistence {
    if event.wants(EV_PERSIST | EV_SIGNAL) {
        Persistence::UntilDue
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

fn set_lists(event: &event, lists: c_short) {
    let flags = &event.ev_evcallback.evcb_flags;
    flags.set(flags.get() & !(EVLIST_INSERTED | EVLIST_TIMEOUT | EVLIST_ACTIVE) | lists);
}

/// Has an event's flags tell what may happen to it next.
fn note_standing(event: &event, standing: Standing) -> c_short {
    let mut lists = 0;
    if standing.is_registered {
        lists |= EVLIST_INSERTED;
    }
    if standing.has_deadline {
        lists |= EVLIST_TIMEOUT;
    }
    if standing.active.is_some() {
        lists |= EVLIST_ACTIVE;
    } else {
        forget_hand(event);
    }
    set_lists(event, lists);
    lists
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

/// Has an event's flags tell that it is neither pending nor active.
#[inline]
pub(crate) fn mark_idle(event: &event) {
    set_lists(event, 0);
    forget_hand(event);
}

fn forget_hand(event: &event) {
    event.by_hand.set(0);
    event.calls.set(event::NOT_BY_HAND);
}
