//! The engine on the simulated backend against a reference loop: the same events, called in the same order, for the same
//! reasons, through operations that also come from within callbacks.

#![expect(unreachable_pub, reason = "the reference is written as a module of its own")]

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU8;
use std::os::fd::RawFd;
use std::time::Duration;

use ev_core::backend::sim::{Script, Sim, SimWaiter};
use ev_core::backend::{Backend, Change, Tag, UpdateError, Waiter};
use ev_core::engine::{Deadline, Engine, Held, Outcome, RawChanges, Removed, RunMode, Spec, Step, Stop, Taken, Target};
use ev_core::{Causes, Error, EventKey, Features, Interest, Persistence, Readiness, Time};
use proptest::prelude::*;

#[path = "model/reference.rs"]
mod reference;

use reference::{Bounds, Event, PRIORITIES, Reference};

/// The first of four numbers that no test program has open.
const FIRST_FD: RawFd = 900_000;
const MOST_TURNS: usize = 60;
const STEP: u64 = 10;

/// A simulation that reports descriptors in numeric order, whatever the order of their registration.
struct Ordered(Sim);

struct OrderedWaiter {
    beneath: SimWaiter,
    reports: VecDeque<(Tag, Readiness)>,
}

impl Backend for Ordered {
    type Waiter = OrderedWaiter;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn features(&self) -> Features {
        self.0.features()
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        self.0.update(change)
    }

    fn prepare(&mut self, waiter: &mut OrderedWaiter) -> io::Result<()> {
        self.0.prepare(&mut waiter.beneath)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.0.reset()
    }
}

impl Waiter for OrderedWaiter {
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let found = self.beneath.wait(timeout)?;
        self.reports.clear();
        self.beneath
            .for_each(|tag, readiness| self.reports.push_back((tag, readiness)));
        self.reports.make_contiguous().sort_by_key(|(tag, _)| tag.fd());
        Ok(found)
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        self.reports.pop_front()
    }
}

/// Something that a program may do, at any time. Events are meant by their age, modulo how many there are.
#[derive(Clone, Debug)]
enum Op {
    Insert {
        fd: Option<usize>,
        owned: bool,
        interest: Interest,
        persistence: Persistence,
        priority: u8,
        timeout: Option<u64>,
        calls: Vec<Op>,
    },
    Add(usize),
    AddAt(usize, i64),
    AddAfter(usize, u64),
    SetDeadline(usize, i64),
    Delete(usize),
    Remove(usize),
    Finalize(usize),
    Activate(usize, Causes),
    ActivateLater(usize, Causes),
    Defer(usize),
    SetInterest(usize, Interest),
    SetPriority(usize, u8),
    SetTimeout(usize, Option<u64>),
    ClearTimeout(usize),
    Level(usize, Readiness),
    Pass(u64),
    Restart,
    Stop(Stop),
}

fn interest() -> impl Strategy<Value = Interest> {
    prop_oneof![
        Just(Interest::READ),
        Just(Interest::WRITE),
        Just(Interest::READ | Interest::WRITE),
        Just(Interest::READ | Interest::CLOSED),
    ]
}

fn readiness() -> impl Strategy<Value = Readiness> {
    prop_oneof![
        2 => Just(Readiness::empty()),
        1 => Just(Readiness::READ),
        1 => Just(Readiness::WRITE),
        1 => Just(Readiness::READ | Readiness::WRITE),
        1 => Just(Readiness::CLOSED),
    ]
}

fn causes() -> impl Strategy<Value = Causes> {
    prop_oneof![
        Just(Causes::empty()),
        Just(Causes::READ),
        Just(Causes::TIMEOUT),
        Just(Causes::READ | Causes::TIMEOUT),
    ]
}

/// Few different times, so that many things happen at once.
fn time() -> impl Strategy<Value = u64> {
    (0..4_u64).prop_map(|steps| steps * STEP)
}

/// What does not insert.
fn plain_op() -> impl Strategy<Value = Op> {
    let id = 0..24_usize;
    prop_oneof![
        3 => id.clone().prop_map(Op::Add),
        1 => (id.clone(), -2..5_i64).prop_map(|(id, steps)| Op::AddAt(id, steps * STEP as i64)),
        2 => (id.clone(), time()).prop_map(|(id, timeout)| Op::AddAfter(id, timeout)),
        1 => (id.clone(), -2..5_i64).prop_map(|(id, steps)| Op::SetDeadline(id, steps * STEP as i64)),
        2 => id.clone().prop_map(Op::Delete),
        1 => id.clone().prop_map(Op::Remove),
        1 => id.clone().prop_map(Op::Finalize),
        2 => (id.clone(), causes()).prop_map(|(id, causes)| Op::Activate(id, causes)),
        1 => (id.clone(), causes()).prop_map(|(id, causes)| Op::ActivateLater(id, causes)),
        1 => id.clone().prop_map(Op::Defer),
        1 => (id.clone(), interest()).prop_map(|(id, interest)| Op::SetInterest(id, interest)),
        1 => (id.clone(), 0..PRIORITIES).prop_map(|(id, priority)| Op::SetPriority(id, priority)),
        1 => (id.clone(), prop::option::of(time())).prop_map(|(id, timeout)| Op::SetTimeout(id, timeout)),
        1 => id.prop_map(Op::ClearTimeout),
        3 => (0..4_usize, readiness()).prop_map(|(fd, level)| Op::Level(fd, level)),
        2 => time().prop_map(Op::Pass),
        1 => Just(Op::Restart),
    ]
}

fn persistence() -> impl Strategy<Value = Persistence> {
    prop_oneof![Just(Persistence::Once), Just(Persistence::Persistent)]
}

fn insert_op(calls: impl Strategy<Value = Vec<Op>>) -> impl Strategy<Value = Op> {
    let io = (prop::option::of(0..4_usize), any::<bool>(), interest());
    let rest = (persistence(), 0..PRIORITIES, prop::option::of(time()), calls);
    (io, rest).prop_map(
        |((fd, owned, interest), (persistence, priority, timeout, calls))| Op::Insert {
            fd,
            owned,
            interest,
            persistence,
            priority,
            timeout,
            calls,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let inner = prop_oneof![
        8 => plain_op(),
        1 => insert_op(prop::collection::vec(plain_op(), 0..3)),
        1 => prop_oneof![Just(Stop::Now), Just(Stop::AfterTurn)].prop_map(Op::Stop),
    ];
    prop_oneof![3 => insert_op(prop::collection::vec(inner, 0..6)), 4 => plain_op()]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (prop::option::of(1..4_u32), 0..2_u8, prop::option::of(1..4_u32)).prop_map(
        |(callbacks, from_priority, patience)| Bounds {
            callbacks,
            from_priority,
            patience,
        },
    )
}

fn mode() -> impl Strategy<Value = RunMode> {
    prop_oneof![
        3 => Just(RunMode::UNTIL_EMPTY),
        1 => Just(RunMode::ONCE),
        1 => Just(RunMode::NON_BLOCKING),
        1 => Just(RunMode::ONCE | RunMode::NON_BLOCKING),
    ]
}

/// Both loops, and what joins them.
struct Pair {
    engine: Engine<Ordered, usize>,
    waiter: OrderedWaiter,
    script: Script,
    reference: Reference,
    /// The engine's name for each of the reference's events.
    keys: Vec<EventKey>,
    /// What each event's callback has yet to do: one operation a call.
    calls: Vec<VecDeque<Op>>,
}

impl Pair {
    fn new(bounds: Bounds) -> Self {
        let (sim, waiter, script) = Sim::new(0).unwrap();
        for fd in 0..4 {
            script.set(FIRST_FD + fd, Readiness::empty());
        }
        let priorities = NonZeroU8::new(PRIORITIES).unwrap();
        let mut engine = Engine::new(Ordered(sim), priorities, RawChanges::Immediate);
        engine.set_limits(bounds.to_limits());
        Self {
            engine,
            waiter: OrderedWaiter {
                beneath: waiter,
                reports: VecDeque::new(),
            },
            script,
            reference: Reference::new(bounds),
            keys: Vec::new(),
            calls: Vec::new(),
        }
    }

    fn now(&self) -> u64 {
        self.script.clock().now()
    }

    /// The event that is meant, unless there is none yet.
    fn meant(&self, number: usize) -> Option<(usize, EventKey)> {
        let id = number.checked_rem(self.keys.len())?;
        Some((id, self.keys[id]))
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert { calls, .. } if self.keys.len() >= 24 => drop(calls),
            Op::Insert {
                fd,
                owned,
                interest,
                persistence,
                priority,
                timeout,
                calls,
            } => {
                self.insert(Event::new(fd, interest, persistence, priority, timeout), owned);
                self.calls.push(calls.into());
            }
            Op::Level(fd, level) => {
                self.reference.level[fd] = level;
                self.script.set(FIRST_FD + fd as RawFd, level);
            }
            Op::Pass(time) => self.script.clock().advance(Duration::from_nanos(time)),
            Op::Restart => {
                self.reference.restart();
                self.engine.restart();
            }
            Op::Stop(stop) => {
                self.reference.stop(stop);
                self.engine.stop(stop);
            }
            op => self.apply_to_event(&op),
        }
    }

    fn insert(&mut self, event: Event, owned: bool) {
        let target = match event.fd.map(|fd| FIRST_FD + fd as RawFd) {
            None => Target::None,
            Some(fd) if owned => Target::Owned {
                fd,
                interest: event.interest,
            },
            Some(fd) => Target::Raw {
                fd,
                interest: event.interest,
            },
        };
        let spec = Spec {
            priority: Some(event.priority),
            timeout: event.timeout.map(Duration::from_nanos),
            ..Spec::new(target, event.persistence)
        };
        let key = self.engine.insert(&spec).unwrap();
        self.engine.fill(key, self.keys.len()).unwrap();
        self.keys.push(key);
        self.reference.events.push(event);
    }

    fn apply_to_event(&mut self, op: &Op) {
        let (Op::Add(number)
        | Op::AddAt(number, _)
        | Op::AddAfter(number, _)
        | Op::SetDeadline(number, _)
        | Op::Delete(number)
        | Op::Remove(number)
        | Op::Finalize(number)
        | Op::Activate(number, _)
        | Op::ActivateLater(number, _)
        | Op::Defer(number)
        | Op::SetInterest(number, _)
        | Op::SetPriority(number, _)
        | Op::SetTimeout(number, _)
        | Op::ClearTimeout(number)) = op
        else {
            unreachable!("the others are about no event")
        };
        let Some((id, key)) = self.meant(*number) else { return };
        let existed = self.reference.exists(id);
        let answer = self.ask_engine(op, key);
        match answer {
            Err(Error::Stale) => assert!(!existed, "stale is what was removed"),
            Err(Error::Active) => assert!(!self.tell_reference(op, id), "the engine says it is active"),
            Err(Error::Kind(_)) => assert!(self.reference.events[id].fd.is_none()),
            Err(error) => panic!("{error}"),
            Ok(()) => {
                assert!(existed, "an operation on what was removed");
                assert!(self.tell_reference(op, id), "the engine says it is not active");
            }
        }
    }

    fn ask_engine(&mut self, op: &Op, key: EventKey) -> Result<(), Error> {
        let now = Time::from_nanos(self.now());
        let engine = &mut self.engine;
        match *op {
            Op::Add(_) => {
                let timeout = engine.timeout(key)?;
                engine.add(key, timeout.map(|timeout| Deadline::After { now, timeout }))
            }
            Op::AddAt(_, ahead) => {
                let deadline = now.as_nanos().saturating_add_signed(ahead);
                engine.add(key, Some(Deadline::At(Time::from_nanos(deadline))))
            }
            Op::AddAfter(_, timeout) => {
                let timeout = Duration::from_nanos(timeout);
                engine.add(key, Some(Deadline::After { now, timeout }))
            }
            Op::SetDeadline(_, ahead) => {
                let deadline = now.as_nanos().saturating_add_signed(ahead);
                engine.set_deadline(key, Deadline::At(Time::from_nanos(deadline)))
            }
            Op::Delete(_) => engine.delete(key),
            Op::Remove(_) => engine.remove(key).map(|removed| {
                assert!(matches!(removed, Removed::Running) == (engine.running() == Some(key)));
            }),
            Op::Finalize(_) => engine.finalize(key, |_| FINAL),
            Op::Activate(_, causes) => engine.activate(key, causes),
            Op::ActivateLater(_, causes) => engine.activate_later(key, causes),
            Op::Defer(_) => engine.defer_event(key),
            Op::SetInterest(_, interest) => engine.set_interest(key, interest),
            Op::SetPriority(_, priority) => engine.set_priority(key, priority),
            Op::SetTimeout(_, timeout) => engine.set_timeout(key, timeout.map(Duration::from_nanos)),
            Op::ClearTimeout(_) => engine.clear_timeout(key),
            _ => unreachable!("the others are about no event"),
        }
    }

    /// Does the same in the reference; answers whether it could.
    fn tell_reference(&mut self, op: &Op, id: usize) -> bool {
        let now = self.now();
        let reference = &mut self.reference;
        match *op {
            Op::Add(_) => {
                let timeout = reference.events[id].timeout;
                reference.add(id, None, timeout.map(|timeout| (now, timeout)));
            }
            Op::AddAt(_, ahead) => reference.add(id, Some(now.saturating_add_signed(ahead)), None),
            Op::AddAfter(_, timeout) => reference.add(id, None, Some((now, timeout))),
            Op::SetDeadline(_, ahead) => reference.set_deadline(id, Some(now.saturating_add_signed(ahead)), None),
            Op::Delete(_) => reference.delete(id),
            Op::Remove(_) => reference.remove(id),
            Op::Finalize(_) => reference.finalize(id),
            Op::Activate(_, causes) => reference.activate(id, causes),
            Op::ActivateLater(_, causes) => reference.activate_later(id, causes),
            Op::Defer(_) => reference.defer(id),
            Op::SetInterest(_, interest) => reference.set_interest(id, interest),
            Op::SetPriority(_, priority) => return reference.set_priority(id, priority),
            Op::SetTimeout(_, timeout) => reference.events[id].timeout = timeout,
            Op::ClearTimeout(_) => {
                reference.events[id].timeout = None;
                reference.events[id].deadline = None;
            }
            _ => unreachable!("the others are about no event"),
        }
        true
    }

    /// Runs both until the run ends, or nothing can happen any more.
    fn run(&mut self, mode: RunMode) -> Option<Outcome> {
        self.engine.begin_run(mode);
        self.reference.begin_run(mode);
        for _ in 0..MOST_TURNS {
            self.check();
            let now = self.now();
            let step = self
                .engine
                .begin_turn(Time::from_nanos(now), Held::Nothing, &mut self.waiter);
            let expected = self.reference.begin_turn(now, Held::Nothing);
            let timeout = match (step.unwrap(), expected) {
                (Step::Wait(timeout), Step::Wait(longest)) => {
                    assert_eq!(timeout.is_some(), longest.is_some());
                    assert!(timeout <= longest, "{timeout:?} instead of {longest:?}");
                    timeout
                }
                (step, expected) => {
                    assert_eq!(step, expected);
                    let Step::Leave(outcome) = step else { unreachable!() };
                    return Some(outcome);
                }
            };
            let ready = self.reference.ready().len();
            if ready == 0 && timeout.is_none() {
                return None;
            }
            assert_eq!(self.waiter.wait(timeout).unwrap(), ready);
            self.engine.harvest(&mut self.waiter).unwrap();
            self.reference.harvest();
            let now = self.now();
            self.engine.expire(Time::from_nanos(now));
            self.reference.expire(now);
            self.dispatch();
            let ended = self.engine.end_turn();
            assert_eq!(ended, self.reference.end_turn());
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn dispatch(&mut self) {
        loop {
            let taken = self.engine.next_active();
            let expected = self.reference.next();
            let (Some(Taken { fired, payload }), Some((id, causes, is_final))) = (&taken, expected) else {
                assert!(
                    taken.is_none() && expected.is_none(),
                    "{taken:?} instead of {expected:?}"
                );
                return;
            };
            assert_eq!((fired.key(), fired.causes()), (self.keys[id], causes));
            assert_eq!(*payload, if is_final { FINAL } else { id });
            if !is_final && let Some(op) = self.calls[id].pop_front() {
                self.apply(op);
            }
            let dropped = self.engine.finish(fired.key(), *payload);
            assert_eq!(dropped.is_some(), is_final || !self.reference.exists(id));
        }
    }

    /// What can be asked of events is the same.
    fn check(&self) {
        for (id, &key) in self.keys.iter().enumerate() {
            assert_eq!(self.engine.contains(key), self.reference.exists(id));
            if !self.reference.exists(id) {
                continue;
            }
            let event = &self.reference.events[id];
            let info = self.engine.describe(key).unwrap();
            let deadline = event.deadline.map(|(deadline, _)| Time::from_nanos(deadline));
            assert_eq!((info.priority, info.deadline), (event.priority, deadline));
            assert_eq!(info.timeout, event.timeout.map(Duration::from_nanos));
            assert_eq!(info.active, self.reference.active(id));
            assert_eq!(self.engine.is_pending(key).unwrap(), self.reference.is_pending(id));
        }
        let events = (0..self.keys.len()).filter(|&id| self.reference.exists(id));
        let deadlines = self.reference.events.iter().filter(|event| event.deadline.is_some());
        let counts = self.engine.counts();
        assert_eq!(counts.events, events.count());
        assert_eq!(counts.deadlines, deadlines.count());
        assert_eq!(
            counts.registrations,
            self.reference.on.iter().map(Vec::len).sum::<usize>()
        );
        assert_eq!(counts.active > 0, self.reference.has_active());
    }
}

/// The payload of finalizers.
const FINAL: usize = usize::MAX;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_engine_does_what_the_reference_does(
        bounds in bounds(),
        runs in prop::collection::vec((prop::collection::vec(op(), 1..12), mode()), 1..5),
    ) {
        let mut pair = Pair::new(bounds);
        for (ops, mode) in runs {
            for op in ops {
                pair.apply(op);
            }
            pair.run(mode);
        }
        pair.check();
    }
}
