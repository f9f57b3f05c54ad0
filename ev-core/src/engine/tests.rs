//! The engine's own face: what the drivers of this crate have no use for, and others do.

#![cfg(feature = "sim")]

use std::num::NonZeroU8;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use ev_backend::sim::{Script, Sim, SimWaiter};
use ev_backend::{Interest, Mode, Readiness, Waiter};

use super::*;
use crate::Persistence;

const PERIOD: Duration = Duration::from_nanos(100);

/// An engine on a simulation, turned by hand.
struct Rig {
    engine: Engine<Sim, &'static str>,
    waiter: SimWaiter,
    script: Script,
}

impl Rig {
    fn new() -> Self {
        let (sim, waiter, script) = Sim::new(0).unwrap();
        let engine = Engine::new(sim, NonZeroU8::MIN, RawChanges::Immediate);
        Self { engine, waiter, script }
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.script.clock().now())
    }

    fn after(&self, timeout: Duration) -> Deadline {
        let now = self.now();
        Deadline::After { now, timeout }
    }

    fn insert(&mut self, target: Target, persistence: Persistence) -> EventKey {
        let key = self.engine.insert(&Spec::new(target, persistence)).unwrap();
        assert!(self.engine.fill(key, "payload").unwrap().is_none());
        key
    }

    /// Has a new persistent event called, up to where the driver has its payload.
    fn hand_out(&mut self) -> (EventKey, &'static str) {
        let key = self.insert(Target::None, Persistence::Persistent);
        self.engine.activate(key, Causes::empty()).unwrap();
        self.begin_turn();
        (key, self.engine.next_active().unwrap().payload)
    }

    /// Begins a turn that does not wait, up to where events are called.
    fn begin_turn(&mut self) {
        self.engine.begin_run(RunMode::ONCE | RunMode::NON_BLOCKING);
        let now = self.now();
        let step = self.engine.begin_turn(now, Held::Work, &mut self.waiter);
        assert_eq!(step.unwrap(), Step::Wait(Some(Duration::ZERO)));
        self.waiter.wait(Some(Duration::ZERO)).unwrap();
        self.engine.harvest(&mut self.waiter).unwrap();
        self.engine.expire(now);
    }

    /// Runs a turn, and answers why its events were called.
    fn turn(&mut self) -> Vec<(EventKey, Causes)> {
        self.begin_turn();
        let mut called = vec![];
        while let Some(Taken { fired, payload }) = self.engine.next_active() {
            called.push((fired.key(), fired.causes()));
            self.engine.finish(fired.key(), payload);
        }
        let _ = self.engine.end_turn();
        called
    }
}

fn readable(fd: RawFd) -> Target {
    let interest = Interest::READ;
    Target::Raw { fd, interest }
}

#[test]
fn a_payload_is_the_drivers_while_its_callback_runs() {
    let mut rig = Rig::new();
    let key = rig
        .engine
        .insert(&Spec::new(Target::None, Persistence::Persistent))
        .unwrap();
    assert_eq!(rig.engine.payload(key).unwrap(), None, "not filled yet");
    rig.engine.fill(key, "first").unwrap();
    assert_eq!(rig.engine.fill(key, "second").unwrap(), Some("first"));
    assert_eq!(rig.engine.payload(key).unwrap(), Some(&"second"));

    rig.engine.activate(key, Causes::empty()).unwrap();
    rig.begin_turn();
    let taken = rig.engine.next_active().unwrap();
    assert_eq!(rig.engine.payload(key).unwrap(), None, "the driver has it");
    assert_eq!(rig.engine.running(), Some(key));
    assert_eq!(rig.engine.finish(key, taken.payload), None);
    assert_eq!(rig.engine.payload(key).unwrap(), Some(&"second"));
    assert_eq!(rig.engine.running(), None);
}

#[test]
fn a_payload_that_is_put_back_replaces_another_one() {
    let mut rig = Rig::new();
    let (key, payload) = rig.hand_out();
    rig.engine.fill(key, "meanwhile").unwrap();
    assert_eq!(rig.engine.finish(key, payload), Some("meanwhile"));
    assert_eq!(rig.engine.payload(key).unwrap(), Some(&"payload"));
}

#[test]
fn a_payload_comes_back_if_another_event_has_the_place() {
    let mut rig = Rig::new();
    let (key, payload) = rig.hand_out();
    assert!(matches!(rig.engine.remove(key), Ok(Removed::Running)));
    assert_eq!(rig.engine.running(), Some(key), "its callback runs all the same");
    let other = rig.engine.insert(&Spec::new(Target::None, Persistence::Once)).unwrap();
    assert_eq!(other.index(), key.index());
    assert_eq!(rig.engine.finish(key, payload), Some("payload"));
    assert_eq!(rig.engine.payload(other).unwrap(), None);
}

#[test]
fn an_event_without_payload_does_not_take_the_turn_of_a_less_urgent_one() {
    let mut rig = Rig::new();
    rig.engine.set_priorities(NonZeroU8::new(2).unwrap()).unwrap();
    let empty = Spec {
        priority: Some(0),
        ..Spec::new(Target::None, Persistence::Persistent)
    };
    let empty = rig.engine.insert(&empty).unwrap();
    let less_urgent = rig.insert(Target::None, Persistence::Persistent);
    for key in [empty, less_urgent] {
        rig.engine.activate(key, Causes::READ).unwrap();
    }
    assert_eq!(rig.turn(), [(less_urgent, Causes::READ)]);
}

#[test]
fn a_descriptor_and_a_deadline_are_asked_for_apart() {
    let mut rig = Rig::new();
    let source = rig.script.source().unwrap();
    let key = rig.insert(readable(source.as_raw_fd()), Persistence::Persistent);
    let state = |rig: &Rig| {
        let engine = &rig.engine;
        let registered = engine.is_registered(key).unwrap();
        let timed = engine.deadline(key).unwrap().is_some();
        (registered, timed, engine.is_pending(key).unwrap())
    };
    assert_eq!(state(&rig), (false, false, false));
    rig.engine.set_deadline(key, rig.after(PERIOD)).unwrap();
    assert_eq!(state(&rig), (false, true, true), "the descriptor stays out");
    rig.engine.clear_timeout(key).unwrap();
    rig.engine.add(key, None).unwrap();
    assert_eq!(state(&rig), (true, false, true));
    rig.engine.set_deadline(key, rig.after(PERIOD)).unwrap();
    assert_eq!(state(&rig), (true, true, true));
    rig.engine.delete(key).unwrap();
    assert_eq!(state(&rig), (false, false, false));
}

#[test]
fn the_clock_is_of_no_interest_before_the_first_timeout() {
    let mut rig = Rig::new();
    let key = rig.insert(Target::None, Persistence::Once);
    assert!(!rig.engine.has_deadlines());
    assert_eq!(rig.engine.next_wake(), None);
    rig.engine.add(key, Some(rig.after(PERIOD))).unwrap();
    assert!(rig.engine.has_deadlines());
    assert!(rig.engine.next_wake().unwrap() <= rig.now() + PERIOD);
}

#[test]
fn the_reasons_of_an_activation_can_be_asked_for() {
    let mut rig = Rig::new();
    assert!(rig.engine.is_empty());
    let key = rig.insert(Target::None, Persistence::Persistent);
    assert!(!rig.engine.is_empty());
    assert_eq!(rig.engine.causes(key).unwrap(), None);
    rig.engine.activate(key, Causes::WRITE).unwrap();
    rig.engine.activate(key, Causes::SIGNAL).unwrap();
    assert_eq!(rig.engine.causes(key).unwrap(), Some(Causes::WRITE | Causes::SIGNAL));
    assert_eq!(rig.turn(), [(key, Causes::WRITE | Causes::SIGNAL)]);
    assert_eq!(rig.engine.causes(key).unwrap(), None);
}

#[test]
fn a_request_to_stop_can_be_withdrawn() {
    let mut rig = Rig::new();
    rig.engine.stop(Stop::AfterTurn);
    rig.engine.stop(Stop::Now);
    assert_eq!(rig.engine.take_stop(), Some(Stop::Now));
    assert_eq!(rig.engine.take_stop(), None);
    rig.begin_turn();
}

#[test]
fn keys_lead_to_all_events_of_the_users() {
    let mut rig = Rig::new();
    #[cfg(feature = "threads")]
    rig.engine
        .set_waker(Arc::new(ev_thread::Waker::new().unwrap()))
        .unwrap();
    let keys = [Persistence::Once, Persistence::Persistent].map(|kind| rig.insert(Target::None, kind));
    assert_eq!(rig.engine.keys().collect::<Vec<_>>(), keys);
    rig.engine.remove(keys[0]).unwrap();
    assert_eq!(rig.engine.keys().collect::<Vec<_>>(), keys[1..]);
}

/// A rig with a notifier, and the notifier's descriptor.
#[cfg(feature = "threads")]
fn rig_with_notifier() -> (Rig, RawFd) {
    use std::os::fd::AsFd;

    let mut rig = Rig::new();
    let waker = Arc::new(ev_thread::Waker::new().unwrap());
    let fd = waker.notifier().as_fd().as_raw_fd();
    rig.engine.set_waker(waker).unwrap();
    // The notifier is watched for edges.
    rig.engine.mix_modes();
    (rig, fd)
}

#[cfg(feature = "threads")]
#[test]
fn only_a_notifier_that_has_edges_is_watched_for_them() {
    use ev_thread::{Notifier, Waker};

    for notifier in [Notifier::new(), Notifier::with_pipe()].map(Result::unwrap) {
        let mode = if notifier.has_edges() { Mode::Edge } else { Mode::Level };
        let mut rig = Rig::new();
        rig.engine.set_waker(Arc::new(Waker::with_notifier(notifier))).unwrap();
        let (_, index) = rig.engine.waker.as_ref().unwrap();
        assert_eq!(rig.engine.slots.get(*index).mode, mode);
    }
    assert!(!Notifier::with_pipe().unwrap().has_edges());
}

#[cfg(feature = "threads")]
#[test]
fn keys_on_a_descriptor_are_the_newest_first_and_the_users() {
    let (mut rig, fd) = rig_with_notifier();
    let keys = [(); 2].map(|()| rig.insert(readable(fd), Persistence::Persistent));
    for key in keys {
        rig.engine.add(key, None).unwrap();
    }
    assert_eq!(rig.engine.keys_on(fd).collect::<Vec<_>>(), [keys[1], keys[0]]);
    assert_eq!(rig.engine.keys_on(fd + 1).count(), 0);
}

#[cfg(feature = "signals")]
#[test]
fn keys_by_place_come_by_descriptor_signal_deadline_and_activation() {
    let mut rig = Rig::new();
    let sources = [(); 2].map(|()| rig.script.source().unwrap());
    let mut fds = sources.each_ref().map(AsRawFd::as_raw_fd);
    fds.sort_unstable();
    let active = rig.insert(Target::None, Persistence::Once);
    let [late, early] = [(); 2].map(|()| rig.insert(Target::None, Persistence::Once));
    let signal = rig.insert(Target::Signal(libc::SIGURG), Persistence::Persistent);
    let [second, older, newer] = [fds[1], fds[0], fds[0]].map(|fd| rig.insert(readable(fd), Persistence::Persistent));
    rig.insert(Target::None, Persistence::Once);
    for key in [second, older, newer, signal] {
        rig.engine.add(key, None).unwrap();
    }
    rig.engine.add(late, Some(rig.after(2 * PERIOD))).unwrap();
    rig.engine.add(early, Some(rig.after(PERIOD))).unwrap();
    // An event with several places comes at the first of them.
    rig.engine.set_deadline(newer, rig.after(PERIOD)).unwrap();
    rig.engine.activate(late, Causes::empty()).unwrap();
    rig.engine.activate(active, Causes::empty()).unwrap();
    let keys: Vec<_> = rig.engine.keys_by_place().collect();
    assert_eq!(keys, [newer, older, second, signal, early, late, active]);
}

#[test]
fn a_maximum_can_start_from_any_number() {
    let mut rig = Rig::new();
    rig.engine.maxima_mut().events = 2;
    for most in [2, 2, 3] {
        rig.insert(Target::None, Persistence::Once);
        assert_eq!(rig.engine.maxima().events, most);
    }
}

#[test]
fn level_and_edge_share_a_descriptor_where_modes_mix() {
    let mut rig = Rig::new();
    let source = rig.script.source().unwrap();
    let [level, edge] = [Mode::Level, Mode::Edge].map(|mode| {
        let spec = Spec::new(readable(source.as_raw_fd()), Persistence::Persistent);
        rig.engine.insert(&Spec { mode, ..spec }).unwrap()
    });
    rig.engine.add(level, None).unwrap();
    assert!(matches!(rig.engine.add(edge, None), Err(Error::Map(_))));
    rig.engine.mix_modes();
    rig.engine.add(edge, None).unwrap();
    assert!(rig.engine.is_registered(edge).unwrap());
}

#[test]
fn the_backends_name_is_told() {
    assert_eq!(Rig::new().engine.backend_name(), "sim");
}

/// Two timers are due; what is done to one of them before it is called undoes that.
#[test]
fn a_timer_that_is_due_can_still_be_deleted_or_put_off() {
    let mut rig = Rig::new();
    let [undone, other] = [(); 2].map(|()| rig.insert(Target::None, Persistence::Once));
    for put_off in [false, true] {
        let due = Deadline::At(rig.now());
        rig.engine.add(undone, Some(due)).unwrap();
        rig.engine.add(other, Some(due)).unwrap();
        rig.begin_turn();
        if put_off {
            let later = Deadline::At(rig.now() + PERIOD);
            rig.engine.add(undone, Some(later)).unwrap();
        } else {
            rig.engine.delete(undone).unwrap();
        }
        assert_eq!(rig.engine.causes(undone).unwrap(), None);
        assert_eq!(rig.engine.is_pending(undone).unwrap(), put_off);
        assert_eq!(rig.turn(), [(other, Causes::TIMEOUT)]);
    }
    rig.script.clock().advance(PERIOD);
    assert_eq!(rig.turn(), [(undone, Causes::TIMEOUT)]);
}

#[test]
fn a_next_deadline_that_is_now_stays_in_phase() {
    let mut rig = Rig::new();
    let key = rig.insert(Target::None, Persistence::Persistent);
    let other = rig.insert(Target::None, Persistence::Once);
    rig.engine.add(key, Some(rig.after(PERIOD))).unwrap();
    rig.engine.activate(key, Causes::TIMEOUT).unwrap();
    rig.begin_turn();
    // Adding an event tells the engine that time has passed in this turn: two periods.
    rig.script.clock().advance(2 * PERIOD);
    rig.engine.add(other, Some(rig.after(PERIOD))).unwrap();
    let taken = rig.engine.next_active().unwrap();
    assert_eq!(taken.fired.key(), key);
    assert_eq!(rig.engine.deadline(key).unwrap(), Some(rig.now()));
}

#[cfg(feature = "threads")]
#[test]
fn a_refused_notifier_is_an_error_whoever_else_is_on_its_descriptor() {
    let (mut rig, fd) = rig_with_notifier();
    let key = rig.insert(readable(fd), Persistence::Persistent);
    rig.engine.add(key, None).unwrap();
    rig.engine.reinit().unwrap();

    rig.script.refuse(fd, std::io::ErrorKind::OutOfMemory);
    let now = rig.now();
    let refused = rig.engine.begin_turn(now, Held::Work, &mut rig.waiter);
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
    assert!(rig.engine.is_registered(key).unwrap(), "it is tried again");
    assert_eq!(rig.turn(), []);
}

#[cfg(feature = "signals")]
#[test]
fn a_driver_may_take_the_repeats_of_a_signal() {
    let mut rig = Rig::new();
    let key = rig.insert(Target::Signal(libc::SIGUSR2), Persistence::Persistent);
    rig.engine.add(key, None).unwrap();
    for repeats in [2, 0] {
        for _ in 0..=repeats {
            ev_sys::signal::raise(libc::SIGUSR2).unwrap();
        }
        rig.begin_turn();
        let taken = rig.engine.next_active().unwrap();
        assert_eq!((taken.fired.key(), taken.fired.causes()), (key, Causes::SIGNAL));
        assert_eq!(rig.engine.take_repeats(), repeats);
        rig.engine.finish(key, taken.payload);
        assert!(rig.engine.next_active().is_none());
        let _ = rig.engine.end_turn();
    }
}

/// A posted closure may ask for that, before the first event.
#[cfg(feature = "signals")]
#[test]
fn a_pass_cut_short_is_not_over_while_a_signal_is_to_be_delivered() {
    let mut rig = Rig::new();
    let key = rig.insert(Target::Signal(libc::SIGUSR1), Persistence::Persistent);
    rig.engine.add(key, None).unwrap();
    ev_sys::signal::raise(libc::SIGUSR1).unwrap();
    rig.begin_turn();
    rig.engine.count_as_called();
    rig.engine.restart();
    assert!(rig.engine.next_active().is_none());
    assert!(rig.engine.has_active());
    assert_eq!(rig.engine.end_turn(), None);
    assert_eq!(rig.turn(), [(key, Causes::SIGNAL)]);
    assert!(!rig.engine.has_active());
}

/// A transient event that is active.
fn enter(rig: &mut Rig) -> EventKey {
    rig.engine.enter_active(0, "payload", Causes::TIMEOUT).unwrap()
}

#[test]
fn a_transient_event_has_left_when_it_is_called() {
    let mut rig = Rig::new();
    let key = enter(&mut rig);
    let standing = rig.engine.standing(key).unwrap();
    assert_eq!(
        (standing.is_registered, standing.active),
        (false, Some(Causes::TIMEOUT))
    );
    rig.begin_turn();
    let taken = rig.engine.next_active().unwrap();
    assert_eq!(taken.fired.key(), key);
    assert!(rig.engine.is_empty() && rig.engine.running().is_none());
    assert!(matches!(rig.engine.standing(key), Err(Error::Stale)));
    // Another event takes the place before the driver is done with this one.
    let other = enter(&mut rig);
    assert_eq!(rig.engine.finish(key, taken.payload), Some("payload"));
    assert!(rig.engine.contains(other));
    assert_ne!(other, key);
}

#[test]
fn a_transient_event_that_stays_is_handed_out_and_taken_back() {
    let mut rig = Rig::new();
    let source = rig.script.source().unwrap();
    let spec = Spec::new(readable(source.as_raw_fd()), Persistence::Persistent);
    let key = rig.engine.enter_added(None, &spec, "payload").unwrap();
    rig.script.set(source.as_raw_fd(), Readiness::READ);
    assert_eq!(rig.turn(), [(key, Causes::READ)]);
    let standing = rig.engine.standing(key).unwrap();
    assert!(standing.is_registered && standing.active.is_none());
    rig.engine.leave(key).unwrap();
    assert!(matches!(rig.engine.leave(key), Err(Error::Stale)));
    assert!(rig.engine.is_idle());
}

#[test]
fn a_timeout_that_is_withdrawn_leaves_other_causes() {
    let mut rig = Rig::new();
    let [only, also] = [(); 2].map(|()| enter(&mut rig));
    rig.engine.activate(also, Causes::READ).unwrap();
    for key in [only, also] {
        rig.engine.withdraw_timeout(key).unwrap();
    }
    assert_eq!(rig.engine.causes(only).unwrap(), None);
    assert_eq!(rig.turn(), [(also, Causes::READ)]);
    assert!(matches!(rig.engine.withdraw_timeout(also), Err(Error::Stale)));
}

#[test]
fn deadlines_of_the_drivers_keep_the_engine_going_and_count() {
    let mut rig = Rig::new();
    assert!(rig.engine.is_idle());
    rig.engine.set_external_deadlines(3);
    rig.engine.set_external_deadlines(1);
    assert!(!rig.engine.is_idle());
    let counts = rig.engine.counts();
    assert_eq!((counts.deadlines, counts.memberships), (1, 1));
    let maxima = rig.engine.maxima();
    assert_eq!((maxima.deadlines, maxima.memberships), (3, 3));
    rig.engine.set_external_deadlines(0);
    assert!(rig.engine.is_idle());
}

#[test]
fn transient_events_come_back_to_where_they_were() {
    let mut rig = Rig::new();
    let sources = [(); 4].map(|()| rig.script.source().unwrap());
    let enter = |rig: &mut Rig, n: usize, last| {
        let spec = Spec::new(readable(sources[n].as_raw_fd()), Persistence::Once);
        rig.engine.enter_added(last, &spec, "payload").unwrap()
    };
    let mut keys = [0, 1, 2, 3].map(|n| enter(&mut rig, n, None));
    for n in [3, 1, 0, 2] {
        rig.engine.leave(keys[n]).unwrap();
    }
    for (n, key) in keys.iter_mut().enumerate() {
        let last = *key;
        *key = enter(&mut rig, n, Some(last));
        assert_eq!(key.index(), last.index());
        assert!(matches!(rig.engine.standing(last), Err(Error::Stale)));
    }
    for key in &keys[1..] {
        rig.engine.leave(*key).unwrap();
    }
    let other = rig.insert(Target::None, Persistence::Once);
    let robbed = keys.iter().position(|key| key.index() == other.index());
    let robbed = robbed.expect("more places are vacant than taken");
    let again = enter(&mut rig, robbed, Some(keys[robbed]));
    assert_ne!(again.index(), other.index());
}

#[test]
fn a_transient_event_that_cannot_be_added_was_not_there() {
    let mut rig = Rig::new();
    let source = rig.script.source().unwrap();
    let mut spec = Spec::new(readable(source.as_raw_fd()), Persistence::Once);
    let key = rig.engine.enter_added(None, &spec, "payload").unwrap();
    assert!(rig.engine.standing(key).unwrap().is_registered);
    let before = (rig.engine.counts(), rig.engine.maxima());
    spec.mode = Mode::Edge;
    let refused = rig.engine.enter_added(None, &spec, "payload");
    assert!(refused.is_err(), "level and edge on one descriptor");
    spec.priority = Some(9);
    assert!(matches!(
        rig.engine.enter(None, &spec, "payload"),
        Err(Error::Priority { .. })
    ));
    assert_eq!((rig.engine.counts(), rig.engine.maxima()), before);
    assert_eq!(rig.engine.next_wake(), None);
    rig.engine.leave(key).unwrap();
    assert!(rig.engine.is_empty() && rig.engine.is_idle());
}

/// As a hook asks for one that comes after the wait.
#[test]
fn a_restart_before_the_first_call_ends_the_turn_with_it() {
    let mut rig = Rig::new();
    let keys = [(); 2].map(|()| rig.insert(Target::None, Persistence::Persistent));
    for key in keys {
        rig.engine.activate(key, Causes::empty()).unwrap();
    }
    rig.begin_turn();
    rig.engine.restart();
    let taken = rig.engine.next_active().unwrap();
    assert_eq!(taken.fired.key(), keys[0]);
    rig.engine.finish(keys[0], taken.payload);
    assert!(rig.engine.next_active().is_none());
    let _ = rig.engine.end_turn();
    assert_eq!(rig.turn(), [(keys[1], Causes::empty())]);
}

/// A rig whose loop does not end, and an owned event that the kernel has been told of. What is in the middle is to be kept.
fn rig_with_owned() -> (Rig, (KeepAlive, impl AsRawFd), EventKey) {
    let mut rig = Rig::new();
    let keep_alive = rig.engine.keep_alive();
    let source = rig.script.source().unwrap();
    let (fd, interest) = (source.as_raw_fd(), Interest::READ);
    let key = rig.insert(Target::Owned { fd, interest }, Persistence::Persistent);
    rig.engine.add(key, None).unwrap();
    rig.turn();
    (rig, (keep_alive, source), key)
}

/// The kernel hears of both at the next turn only, which a loop that sleeps has to be woken for.
#[test]
fn an_owned_event_that_goes_or_comes_back_wants_a_turn() {
    let (mut rig, _kept, key) = rig_with_owned();
    for _ in 0..2 {
        assert!(!rig.engine.wants_turn());
        rig.engine.delete(key).unwrap();
        assert!(rig.engine.wants_turn());
        rig.turn();
        assert!(!rig.engine.wants_turn());
        rig.engine.add(key, None).unwrap();
        assert!(rig.engine.wants_turn());
        rig.turn();
    }
}

/// One that another event's timeout counts from, before the driver has read the clock for a turn.
#[test]
fn a_time_given_for_one_event_starts_no_period_of_another() {
    for from in [Time::from_nanos(0), Time::from_nanos(1_000_000)] {
        let mut rig = Rig::new();
        rig.script.clock().advance(Duration::from_micros(10));
        let first = rig.insert(Target::None, Persistence::Persistent);
        let other = rig.insert(Target::None, Persistence::Persistent);
        let idle = rig.insert(Target::None, Persistence::Persistent);
        rig.engine.activate(first, Causes::empty()).unwrap();
        rig.engine.activate(idle, Causes::empty()).unwrap();
        rig.engine.begin_run(RunMode::UNTIL_EMPTY);
        let step = rig.engine.begin_turn(Time::ZERO, Held::Nothing, &mut rig.waiter);
        assert_eq!(step.unwrap(), Step::Wait(Some(Duration::ZERO)));
        rig.engine.harvest(&mut rig.waiter).unwrap();
        assert!(!rig.engine.has_deadlines(), "so no driver tells the time");

        let taken = rig.engine.next_active().unwrap();
        let timeout = PERIOD;
        rig.engine
            .add(other, Some(Deadline::After { now: from, timeout }))
            .unwrap();
        rig.engine.add(idle, Some(rig.after(PERIOD))).unwrap();
        rig.engine.finish(first, taken.payload);

        let taken = rig.engine.next_active().unwrap();
        assert_eq!(taken.fired.key(), idle);
        assert_eq!(
            rig.engine.deadline(idle).unwrap(),
            Some(rig.now() + PERIOD),
            "from {from:?}"
        );
        rig.engine.finish(idle, taken.payload);
    }
}

/// As another thread deletes it while the loop sleeps: the kernel is told with the next turn.
#[test]
fn a_report_about_an_event_that_was_just_deleted_is_no_sign_of_a_duplicate() {
    let (mut rig, kept, key) = rig_with_owned();
    let fd = kept.1.as_raw_fd();
    rig.script.set(fd, Readiness::READ);
    rig.engine.begin_run(RunMode::UNTIL_EMPTY);
    for _ in 0..3 {
        let step = rig.engine.begin_turn(Time::ZERO, Held::Nothing, &mut rig.waiter);
        assert!(matches!(step, Ok(Step::Wait(_))));
        assert_eq!(rig.waiter.wait(Some(Duration::ZERO)).unwrap(), 1);
        rig.engine.delete(key).unwrap();
        rig.engine.harvest(&mut rig.waiter).unwrap();
        assert!(rig.engine.next_active().is_none());
        assert_eq!(rig.engine.end_turn(), None);
        rig.engine.add(key, None).unwrap();
        assert!(rig.engine.fds.change(fd).is_none(), "the kernel's set is the same");
    }
}
