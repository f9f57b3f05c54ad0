//! Adding and deleting events, and making them active by hand.

use std::ffi::{c_int, c_short};
use std::ptr;

use ev_core::engine::{Deadline, Spec, Standing, Target};
use ev_core::{Causes, Error, EventKey, Features, Interest, Mode, Persistence};
use libc::timeval;

use crate::abi::{
    CLOSURE_PERSIST, EV_CLOSED, EV_ET, EV_FINALIZE, EV_IO, EV_PERSIST, EV_READ, EV_SIGNAL, EV_TIMEOUT, EV_WRITE,
    EVLIST_ACTIVE, EVLIST_FINALIZING, EVLIST_INSERTED, EVLIST_TIMEOUT, event, event_callback,
};
use crate::base::{Callback, Locked, State};
use crate::event::{ZERO, event_at};
use crate::log::{ensure, warnx};
use crate::time::{duration, is_normal, sum, timeval_of};
use crate::{common, debug};

/// The engine's key of an event or a deferred callback, if the engine knows it.
#[inline]
pub(crate) fn key(event: &event) -> Option<EventKey> {
    EventKey::from_bits(event.ev_evcallback.key.get())
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

/// Whether to wait for a callback that runs in another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Never,
    Always,
    /// Unless the event was created with `EV_FINALIZE`.
    Automatic,
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

    /// The event's key; the engine gets to know the event if it does not.
    fn known(&mut self, event: &event) -> Result<EventKey, Error> {
        if let Some(key) = key(event) {
            return Ok(key);
        }
        let spec = self.spec(event);
        self.introduce(&event.ev_evcallback, &spec)
    }

    /// Makes an event or a deferred callback known to the engine.
    pub(crate) fn introduce(&mut self, callback: &event_callback, spec: &Spec) -> Result<EventKey, Error> {
        let last = EventKey::from_bits(callback.last_key.get());
        let key = self.engine.enter(last, spec, Callback::new(callback))?;
        callback.key.set(key.to_bits());
        Ok(key)
    }

    /// Lets the engine forget an event that is neither pending nor active any more, and has the event's flags tell what it
    /// is now.
    pub(crate) fn settle(&mut self, event: &event) {
        let Some(key) = key(event) else { return };
        let Ok(standing) = self.engine.standing(key) else {
            return is_idle(event);
        };
        let lists = note_standing(event, standing);
        if lists == 0 {
            let _ = self.drop_key(&event.ev_evcallback);
        }
    }

    /// Lets the engine forget an event or a deferred callback, whatever it is waiting for. On failure it has, but the kernel
    /// refused to.
    #[inline]
    pub(crate) fn drop_key(&mut self, callback: &event_callback) -> Result<(), Error> {
        match has_left(callback) {
            Some(key) => self.engine.leave(key),
            None => Ok(()),
        }
    }

    /// Adds an event, with a timeout from now if it is given one: the rest of `event_add`.
    pub(crate) fn add_for(&mut self, event: &event, tv: Option<&timeval>) -> Result<(), Error> {
        let Some(tv) = tv else {
            return self.add(event, None);
        };
        let due = self.due(tv);
        if event.wants(EV_IO | EV_SIGNAL) {
            return self.add(event, Some(&due));
        }
        match key(event) {
            None => self.add_timer(event, due.deadline)?,
            Some(key) => self.renew_timer(event, key, due.deadline)?,
        }
        event.ev_timeout.set(due.time);
        Ok(())
    }

    /// Adds an event, with a timeout if it is given one.
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
    fn add_timer(&mut self, event: &event, deadline: Deadline) -> Result<(), Error> {
        let callback = &event.ev_evcallback;
        let last = EventKey::from_bits(callback.last_key.get());
        let (persistence, priority) = (persistence(event), callback.evcb_pri.get());
        let key = self
            .engine
            .enter_timer(last, persistence, priority, Callback::new(callback), deadline)?;
        callback.key.set(key.to_bits());
        set_lists(event, EVLIST_TIMEOUT);
        Ok(())
    }

    /// Gives an event that is pending or active another deadline.
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
        let last = EventKey::from_bits(callback.last_key.get());
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
    #[inline]
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

    /// Dies of a priority that the base does not have any more, as libevent does.
    pub(crate) fn check_priority(&self, callback: &event_callback) {
        ensure!(
            callback.evcb_pri.get() < self.engine.priorities(),
            "evcb->evcb_pri < base->nactivequeues",
            "event_queue_insert_active"
        );
    }

    /// Makes an event active, or adds to what it is active for. `calls` counts for a signal event.
    pub(crate) fn activate(&mut self, event: &event, result: c_short, calls: c_short) -> Result<(), Error> {
        if event.has(EVLIST_FINALIZING) {
            return Ok(());
        }
        if event.has(EVLIST_ACTIVE) && result & EV_TIMEOUT == 0 {
            // The engine knows it already.
            event.by_hand.set(event.by_hand.get() | result);
            event.ev_res.set(event.ev_res.get() | result);
            return Ok(());
        }
        self.check_priority(&event.ev_evcallback);
        let key = self.known(event)?;
        let was_active = self.engine.causes(key).is_ok_and(|causes| causes.is_some());
        // Of what is given by hand the engine has to know only what a new deadline takes back.
        let causes = if result & EV_TIMEOUT == 0 {
            Causes::empty()
        } else {
            Causes::TIMEOUT
        };
        let activated = self.engine.activate(key, causes);
        debug_assert!(activated.is_ok(), "the key is known");
        event.by_hand.set(event.by_hand.get() | result);
        if !was_active {
            event.calls.set(calls.max(0));
        }
        event.ev_res.set(if was_active {
            event.ev_res.get() | result
        } else {
            result
        });
        let flags = &event.ev_evcallback.evcb_flags;
        flags.set(flags.get() | EVLIST_ACTIVE);
        Ok(())
    }

    /// What of `event_pending`'s bits apply to an event.
    fn pending(&self, event: &event) -> c_short {
        let Some(key) = key(event) else { return 0 };
        let mut bits = 0;
        if self.engine.is_registered(key).unwrap_or(false) {
            bits |= event.ev_events & (EV_IO | EV_SIGNAL);
        }
        if let Ok(Some(causes)) = self.engine.causes(key) {
            bits |= self.result(event, causes);
        }
        if self.engine.deadline(key).is_ok_and(|deadline| deadline.is_some()) {
            bits |= EV_TIMEOUT;
        }
        bits
    }

    /// What an active event's function is told.
    #[inline]
    pub(crate) fn result(&self, event: &event, causes: Causes) -> c_short {
        let mut result = event.by_hand.get();
        for (cause, bit) in CAUSES {
            if causes.contains(cause) {
                result |= bit;
            }
        }
        if causes == Causes::ERROR {
            // Nothing that the event asked for came, but it would never hear of anything else.
            result |= event.ev_events & EV_IO;
        }
        let by_kernel = causes.intersects(Causes::READ | Causes::WRITE | Causes::CLOSED);
        if by_kernel && event.wants(EV_ET) && self.engine.features().contains(Features::EDGE) {
            result |= EV_ET;
        }
        result
    }
}

const CAUSES: [(Causes, c_short); 5] = [
    (Causes::READ, EV_READ),
    (Causes::WRITE, EV_WRITE),
    (Causes::CLOSED, EV_CLOSED),
    (Causes::TIMEOUT, EV_TIMEOUT),
    (Causes::SIGNAL, EV_SIGNAL),
];

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
pub(crate) fn has_left(callback: &event_callback) -> Option<EventKey> {
    let key = callback.key.take();
    if key != 0 {
        callback.last_key.set(key);
    }
    EventKey::from_bits(key)
}

/// Has an event's flags tell that it is neither pending nor active.
pub(crate) fn is_idle(event: &event) {
    set_lists(event, 0);
    forget_hand(event);
}

fn forget_hand(event: &event) {
    event.by_hand.set(0);
    event.calls.set(event::NOT_BY_HAND);
}

/// The event's base, locked; a warning and `None` if it has none.
///
/// # Safety
///
/// The event's base is null or alive.
#[inline]
unsafe fn base_of(event: &event, what: &str) -> Option<Locked> {
    let base = event.ev_base.get();
    if base.is_null() {
        warnx!("{what}: event has no event_base set.");
        return None;
    }
    // SAFETY: the caller promises a base that is alive.
    Some(unsafe { Locked::new(base) })
}

/// Makes an event pending: 0, or -1 with nothing changed.
///
/// # Safety
///
/// `ev` was assigned and stays so while it is pending, its base is alive; `tv` is null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_add(ev: *mut event, tv: *const timeval) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_add") }) else {
        return -1;
    };
    debug::check_assigned(ev, "event_add");
    if event.has(EVLIST_FINALIZING) {
        return -1;
    }
    if event.wants(EV_SIGNAL) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    // SAFETY: the caller gives null or a time.
    let tv = unsafe { tv.as_ref() };
    let takes_back =
        tv.is_some() && ptr::eq(base.current, &raw const event.ev_evcallback) && is_active_by_timeout(&base, event);
    let added = base.add_for(event, tv);
    if added.is_ok() {
        if let Some(&tv) = tv
            && event.ev_evcallback.evcb_closure.get() == CLOSURE_PERSIST
        {
            event.ev_period.set(tv);
        }
        if takes_back {
            base.calls_left = 0;
        }
        base.wake_if_needed();
    }
    // Under the lock: as soon as it is released the loop may call the event, and its function may free it.
    debug::added(ev);
    drop(base);
    added.map_or_else(|error| Locked::refuse("event_add", error), |()| 0)
}

fn is_active_by_timeout(base: &State, event: &event) -> bool {
    let causes = key(event).and_then(|key| base.engine.causes(key).ok().flatten());
    causes.is_some_and(|causes| causes.contains(Causes::TIMEOUT))
}

/// Deletes an event; the heart of all functions that do so. -1 if the kernel refused to forget it, which it has not where
/// the event is concerned.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
unsafe fn delete(ev: *mut event, blocking: Blocking) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_del_") }) else {
        return -1;
    };
    if event.has(EVLIST_FINALIZING) {
        return 0;
    }
    let deleted = base.delete(event);
    base.wake_if_needed();
    debug::deleted(ev);
    if blocking == Blocking::Always || blocking == Blocking::Automatic && !event.wants(EV_FINALIZE) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    drop(base);
    deleted.map_or_else(|error| Locked::refuse("event_del", error), |()| 0)
}

impl State {
    /// Deletes an event from wherever it is, and what is left of its calls if it is a signal event that runs.
    #[inline]
    pub(crate) fn delete(&mut self, event: &event) -> Result<(), Error> {
        if ptr::eq(self.current, &raw const event.ev_evcallback) {
            self.calls_left = 0;
        }
        if key(event).is_none() {
            return Ok(());
        }
        is_idle(event);
        self.drop_key(&event.ev_evcallback)
    }
}

/// Makes an event neither pending nor active, and waits for its callback if that runs in another thread, unless the event
/// was created with `EV_FINALIZE`: 0, or -1.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Automatic) }
}

/// As `event_del`, and waits for the callback in any case.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del_block(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Always) }
}

/// As `event_del`, and does not wait.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_del_noblock(ev: *mut event) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { delete(ev, Blocking::Never) }
}

/// Takes a pending timeout away and forgets the period; the rest stays as it is. 0, or -1 without a base.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_remove_timer(ev: *mut event) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_remove_timer") }) else {
        return -1;
    };
    debug::check_assigned(ev, "event_remove_timer");
    if let Some(key) = key(event)
        && base.engine.deadline(key).is_ok_and(|deadline| deadline.is_some())
    {
        let cleared = base.engine.clear_timeout(key);
        debug_assert!(cleared.is_ok(), "the key is known");
        event.ev_period.set(ZERO);
        base.settle(event);
        base.wake_if_needed();
    }
    0
}

/// Makes an event active by hand; `calls` is how often a signal event is to be called.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_active(ev: *mut event, result: c_int, calls: c_short) {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(mut base) = (unsafe { base_of(event, "event_active") }) else {
        return;
    };
    debug::check_assigned(ev, "event_active");
    if event.wants(EV_SIGNAL) {
        base.wait_for(&raw const event.ev_evcallback);
    }
    // The loop does not sleep while anything is active.
    let was_active = event.has(EVLIST_ACTIVE);
    match base.activate(event, result as c_short, calls) {
        Ok(()) if was_active => {}
        Ok(()) => base.wake_if_needed(),
        Err(error) => {
            Locked::refuse("event_active", error);
        }
    }
}

/// What of `what` an event is pending or active for; `tv` gets the time of day of its timeout, if it has one and it was
/// asked for.
///
/// # Safety
///
/// `ev` was assigned, and its base is alive; `tv` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_pending(ev: *const event, what: c_short, tv: *mut timeval) -> c_int {
    // SAFETY: the caller vouches for the event.
    let event = unsafe { event_at(ev) };
    // SAFETY: the caller vouches for the event's base.
    let Some(base) = (unsafe { base_of(event, "event_pending") }) else {
        return 0;
    };
    debug::check_assigned(ev, "event_pending");
    let what = what & (EV_TIMEOUT | EV_IO | EV_SIGNAL);
    let bits = base.pending(event);
    if bits & what & EV_TIMEOUT != 0 && !tv.is_null() {
        let time = base.time_of_day(crate::time::time_of(&event.ev_timeout.get()));
        // SAFETY: the caller gives room for a time.
        unsafe { tv.write(time) };
    }
    c_int::from(bits & what)
}
