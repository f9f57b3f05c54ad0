//! `Timers` against a naive model, all operations mixed.

use std::fmt::Debug;
use std::time::Duration;

use crate::model::Model;
use ev_timer::{DeadlineHeap, SameDuration, Time, TimeoutQueue, Timers};
use proptest::collection::vec;
use proptest::prelude::*;

/// Few, so that `set_after` finds some to be in heavy use; the last two saturate.
const TIMEOUTS: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_nanos(10),
    Duration::from_nanos(11),
    Duration::from_nanos(40),
    Duration::from_nanos(100),
    Duration::from_nanos(u64::MAX),
    Duration::MAX,
];

#[derive(Clone, Debug)]
enum Step {
    /// At a distance from the clock, possibly before it.
    Set {
        id: u32,
        ahead: i64,
    },
    /// `late`: how far before the clock the given time is.
    SetAfter {
        id: u32,
        timeout: usize,
        late: u64,
    },
    SetIn {
        id: u32,
        handle: usize,
        late: u64,
    },
    Cancel {
        id: u32,
    },
    PopOne {
        passed: u64,
    },
    PopAll {
        passed: u64,
    },
    TurnBack {
        by: u64,
    },
    Reserve {
        id: u32,
    },
    Clear,
    ShrinkToFit,
    Clone,
}

/// Mostly few, so that they meet; a few far out, so that arrays grow and shrink.
fn id() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 0..12_u32, 10 => 0..100_u32, 1 => 0..600_u32]
}

/// Mostly on time.
fn late() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0), 1 => 0..50_u64]
}

fn passed() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 8 => 0..30_u64, 1 => 0..300_u64]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        15 => (id(), -20..150_i64).prop_map(|(id, ahead)| Step::Set { id, ahead }),
        // One timeout in three quarters of the cases: it gets a queue.
        30 => (id(), prop_oneof![6 => Just(3), 2 => 0..TIMEOUTS.len()], late())
            .prop_map(|(id, timeout, late)| Step::SetAfter { id, timeout, late }),
        15 => (id(), 0..TIMEOUTS.len(), late()).prop_map(|(id, handle, late)| Step::SetIn { id, handle, late }),
        12 => id().prop_map(|id| Step::Cancel { id }),
        8 => passed().prop_map(|passed| Step::PopOne { passed }),
        8 => passed().prop_map(|passed| Step::PopAll { passed }),
        2 => (0..100_u64).prop_map(|by| Step::TurnBack { by }),
        1 => id().prop_map(|id| Step::Reserve { id }),
        1 => prop_oneof![Just(Step::Clear), Just(Step::ShrinkToFit), Just(Step::Clone)],
    ]
}

struct Pair {
    timers: Timers,
    model: Model,
    handles: Vec<SameDuration>,
    now: u64,
}

impl Pair {
    fn new() -> Self {
        let mut timers = Timers::new();
        // Handles for all but the timeout that `set_after` favours, which is to be found.
        let handles = TIMEOUTS
            .iter()
            .map(|&timeout| {
                if timeout == TIMEOUTS[3] {
                    Duration::from_nanos(41)
                } else {
                    timeout
                }
            })
            .map(|timeout| timers.same_duration(timeout).unwrap())
            .collect();
        Self {
            timers,
            model: Model::default(),
            handles,
            now: 1000,
        }
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.now)
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Set { id, ahead } => {
                let deadline = Time::from_nanos(self.now.saturating_add_signed(ahead));
                if id % 2 == 0 {
                    self.timers.set(id, deadline);
                } else {
                    self.timers.try_set(id, deadline).unwrap();
                }
                self.model.set(id, deadline);
            }
            Step::SetAfter { id, timeout, late } => {
                let (now, timeout) = (Time::from_nanos(self.now.saturating_sub(late)), TIMEOUTS[timeout]);
                self.timers.set_after(id, now, timeout);
                self.model.set(id, now + timeout);
            }
            Step::SetIn { id, handle, late } => {
                let (now, queue) = (Time::from_nanos(self.now.saturating_sub(late)), self.handles[handle]);
                self.timers.set_in(id, now, queue);
                self.model.set(id, now + queue.timeout());
            }
            Step::Cancel { id } => assert_eq!(self.timers.cancel(id), self.model.cancel(id)),
            Step::PopOne { passed } => {
                self.now += passed;
                assert_eq!(self.timers.pop_expired(self.now()), self.model.pop_expired(self.now()));
            }
            Step::PopAll { passed } => {
                self.now += passed;
                self.pop_all(self.now());
            }
            Step::TurnBack { by } => self.now = self.now.saturating_sub(by),
            Step::Reserve { id } => self.timers.try_reserve(id).unwrap(),
            Step::Clear => {
                self.timers.clear();
                self.model.clear();
            }
            Step::ShrinkToFit => self.timers.shrink_to_fit(),
            Step::Clone => self.timers = self.timers.clone(),
        }
        self.compare();
    }

    fn pop_all(&mut self, now: Time) {
        loop {
            let popped = self.timers.pop_expired(now);
            assert_eq!(popped, self.model.pop_expired(now));
            if popped.is_none() {
                break;
            }
        }
        assert!(
            self.timers.next_wake().is_none_or(|wake| wake > now),
            "nothing was due, and yet it is time"
        );
    }

    fn compare(&self) {
        self.timers.check_invariants();
        assert_eq!(self.timers.len(), self.model.len());
        assert_eq!(self.timers.is_empty(), self.model.len() == 0);
        let first = self.model.first().map(|(_, deadline)| deadline);
        let wake = self.timers.next_wake();
        assert_eq!(wake.is_some(), first.is_some());
        assert!(wake <= first, "{wake:?} would be too late for {first:?}");
        for id in 0..12 {
            assert_eq!(self.timers.deadline(id), self.model.deadline(id));
            assert_eq!(self.timers.is_armed(id), self.model.deadline(id).is_some());
        }
    }
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in vec(step(), 0..300)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step);
        }
        assert_eq!(pair.timers.iter().collect::<Vec<_>>(), pair.model.by_id());
        pair.pop_all(Time::MAX);
        assert!(pair.timers.is_empty());
        pair.compare();
    }

    /// A chain of deadlines pushed back, and now and then brought forward, fires once, at the last of them.
    #[test]
    fn a_chain_of_armings_fires_once_at_its_end(
        chain in vec((0..3_u32, 0..1000_u64), 1..50),
        others in vec(0..1000_u64, 0..30),
    ) {
        let mut timers = Timers::new();
        for (id, &deadline) in (1..).zip(&others) {
            timers.set(id, Time::from_nanos(deadline));
        }
        let mut last = Time::ZERO;
        for &(way, at) in &chain {
            let now = Time::from_nanos(at);
            last = match way {
                0 => now,
                1 => now + TIMEOUTS[3],
                _ => last + TIMEOUTS[1],
            };
            match way {
                1 => timers.set_after(0, now, TIMEOUTS[3]),
                _ => timers.set(0, last),
            }
            timers.check_invariants();
        }
        let mut fired = Vec::new();
        while let Some(wake) = timers.next_wake() {
            while let Some(timer) = timers.pop_expired(wake) {
                prop_assert!(timer.1 <= wake, "early");
                fired.push(timer);
            }
        }
        prop_assert!(fired.is_sorted_by_key(|&(_, deadline)| deadline));
        prop_assert_eq!(fired.len(), others.len() + 1);
        let of_zero: Vec<_> = fired.iter().filter(|(id, _)| *id == 0).collect();
        prop_assert_eq!(of_zero, [&(0, last)]);
    }
}

/// Timers with one deadline, armed in all ways in turn, fire in the order of arming.
#[test]
fn equal_deadlines_fire_in_the_order_of_arming() {
    let mut timers = Timers::new();
    let timeout = Duration::from_nanos(500);
    let kept = timers.same_duration(Duration::from_nanos(400)).unwrap();
    let at = |nanos| Time::from_nanos(nanos);
    for id in 0..1000 {
        match id % 4 {
            0 => timers.set(id, at(1000)),
            1 => timers.set_after(id, at(500), timeout),
            2 => timers.set_in(id, at(600), kept),
            // First elsewhere, then brought to where it belongs.
            _ => {
                timers.set(id, at(999));
                timers.set(id, at(1000));
            }
        }
    }
    timers.check_invariants();
    assert_eq!(timers.pop_expired(at(999)), None, "never early");
    for id in 0..1000 {
        assert_eq!(timers.pop_expired(at(1000)), Some((id, at(1000))));
    }
    assert!(timers.is_empty());
}

#[test]
fn being_armed_anew_is_being_armed_last() {
    let mut timers = Timers::new();
    let at = Time::from_nanos(7);
    for id in 0..3 {
        timers.set(id, at);
    }
    timers.set(0, at);
    timers.set(1, at);
    let fired: Vec<_> = std::iter::from_fn(|| timers.pop_expired(at))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(fired, [2, 0, 1]);
}

/// `next_wake` is allowed to be early, not to stay so.
#[test]
fn a_wake_for_a_deadline_pushed_back_comes_once() {
    let mut timers = Timers::new();
    let at = |nanos| Time::from_nanos(nanos);
    timers.set(0, at(10));
    timers.set(1, at(60));
    timers.set(0, at(50));
    assert_eq!(timers.next_wake(), Some(at(10)), "only noted");
    assert_eq!(timers.pop_expired(at(10)), None);
    assert_eq!(timers.next_wake(), Some(at(50)));
    assert_eq!(timers.pop_expired(at(50)), Some((0, at(50))));
}

#[test]
fn handles_are_limited_and_the_same_for_the_same_timeout() {
    let mut timers = Timers::new();
    let handle = |timers: &mut Timers, millis| timers.same_duration(Duration::from_millis(millis));
    let handles: Vec<_> = (0..256).map(|millis| handle(&mut timers, millis).unwrap()).collect();
    let refused = handle(&mut timers, 256).unwrap_err();
    assert_eq!(refused.to_string(), "there are already 256 same-duration queues");
    for (millis, &old) in (0..256).zip(&handles) {
        assert_eq!(handle(&mut timers, millis), Ok(old));
        assert_eq!(old.timeout(), Duration::from_millis(millis));
    }
    assert_eq!(format!("{:?}", handles[5]), "SameDuration(5ms)");
}

/// A handle of other timers may name a queue that is not there or has another timeout.
#[test]
fn a_handle_of_other_timers_does_no_harm() {
    let mut others = Timers::new();
    let first = others.same_duration(Duration::from_nanos(5)).unwrap();
    let second = others.same_duration(Duration::from_nanos(6)).unwrap();
    let mut timers = Timers::new();
    timers.same_duration(Duration::from_nanos(9)).unwrap();
    timers.set_in(0, Time::ZERO, first);
    timers.set_in(1, Time::ZERO, second);
    timers.check_invariants();
    assert_eq!(timers.pop_expired(Time::MAX), Some((0, Time::from_nanos(5))));
    assert_eq!(timers.pop_expired(Time::MAX), Some((1, Time::from_nanos(6))));
}

#[test]
fn ids_have_a_limit() {
    let mut timers = Timers::new();
    assert!(timers.try_reserve(Timers::MAX_ID + 1).is_err());
    assert!(timers.try_reserve(u32::MAX).is_err());
    assert_eq!(timers.cancel(u32::MAX), None);
    assert_eq!(timers.deadline(u32::MAX), None);
    assert!(!timers.is_armed(u32::MAX));
    assert!(timers.try_set(Timers::MAX_ID + 1, Time::ZERO).is_err());
    timers.check_invariants();
}

#[test]
#[should_panic(expected = "a timer's id is at most")]
fn an_id_beyond_the_limit_is_a_panic() {
    Timers::new().set_after(u32::MAX, Time::ZERO, Duration::ZERO);
}

#[test]
fn structures_can_go_to_other_threads() {
    fn check<T: Send + Sync + Clone + Debug>() {}
    check::<Timers>();
    check::<SameDuration>();
    check::<DeadlineHeap>();
    check::<TimeoutQueue>();
}
