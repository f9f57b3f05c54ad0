use std::iter;
use std::ptr;

use super::*;
use crate::abi::{EV_READ, EVLIST_INIT};

fn new_event() -> event {
    event::new(-1, 0, ptr::null_mut())
}

/// Every third is no timer.
fn new_event_of(number: usize) -> event {
    let events = if number.is_multiple_of(3) { EV_READ } else { 0 };
    event::new(-1, events, ptr::null_mut())
}

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

/// Events by number, and timers with two queues, looked at after each step.
struct Rig {
    events: Vec<event>,
    timers: Timers,
    /// How many that are no timers were set up again while they had a deadline.
    lost: usize,
}

impl Rig {
    fn new(events: usize) -> Self {
        let mut timers = Timers::default();
        timers.add_queue().unwrap();
        timers.add_queue().unwrap();
        Self {
            events: (0..events).map(new_event_of).collect(),
            timers,
            lost: 0,
        }
    }

    fn set(&mut self, event: usize, deadline: u64, queue: Option<u16>) {
        let event = &self.events[event];
        self.timers.try_reserve(event, at(deadline), queue).unwrap();
        self.timers.try_set(event, at(deadline), queue).unwrap();
        self.check();
    }

    fn cancel(&mut self, event: usize) {
        if self.events[event].has(EVLIST_TIMEOUT) {
            self.timers.cancel(&self.events[event]);
        }
        self.check();
    }

    /// As a program may that ought not to.
    fn set_up_again(&mut self, event: usize) {
        let event = &self.events[event];
        self.lost += usize::from(event.has(EVLIST_TIMEOUT) && !event.is_timer());
        let nowhere = Timer::new();
        event.timer.set(nowhere.key(), nowhere.place.get());
        event.timer_in.set(Place::Heap);
        event.ev_evcallback.evcb_flags.set(EVLIST_INIT);
        self.check();
    }

    fn pop(&mut self, now: u64) -> Option<usize> {
        let first = self.timers.pop_due(at(now))?;
        self.check();
        // SAFETY: the events outlive what knows them.
        let event = unsafe { first.as_ref() };
        self.timers.put_back(event);
        self.check();
        assert_eq!(self.timers.pop_due(at(now)), Some(first), "it is first again");
        Some(self.events.iter().position(|known| ptr::eq(known, event)).unwrap())
    }

    fn pop_all(&mut self, now: u64) -> Vec<usize> {
        iter::from_fn(|| self.pop(now)).collect()
    }

    fn capacities(&self) -> (usize, usize) {
        (self.timers.heap.capacity(), self.timers.queues[0].capacity())
    }

    fn check(&self) {
        let Timers {
            heap, queues, heads, ..
        } = &self.timers;
        heap.check_invariants();
        queues.iter().for_each(Queue::check_invariants);
        let armed = || self.events.iter().filter(|event| event.has(EVLIST_TIMEOUT));
        for event in armed() {
            let is_there = match event.timer_in.get() {
                Place::Heap => heap.has(event),
                Place::Queue(number) | Place::Late(number) => queues[usize::from(number)].has(event),
            };
            assert!(is_there, "1: {:?}", event.timer);
        }
        assert!(heads.is_sorted_by(|a, b| b.key.is_before(a.key)), "2: {heads:?}");
        for (number, queue) in (0..).zip(queues) {
            let head = heads.iter().find(|head| head.queue == number);
            assert_eq!(head.is_none(), queue.is_empty(), "2: {heads:?}");
            let is_before = |event| head.is_some_and(|head| !key_of(event).is_before(head.key));
            assert!(queue.iter().all(is_before), "2: {heads:?}");
        }
        let entries: usize = queues.iter().map(Queue::count).sum();
        assert_eq!(entries, self.timers.queued);
        let late = armed().filter(|event| matches!(event.timer_in.get(), Place::Late(_)));
        heap.check_room(late.count());
        assert!(self.timers.len() >= armed().count());
        let others = armed().filter(|event| !event.is_timer());
        assert_eq!(self.timers.others, others.count() + self.lost);
    }
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}

/// What is due, in the order in which deadlines were set.
#[derive(Default)]
struct Model(Vec<(u64, usize)>);

impl Model {
    fn set(&mut self, event: usize, deadline: u64) {
        self.cancel(event);
        self.0.push((deadline, event));
    }

    fn cancel(&mut self, event: usize) {
        self.0.retain(|&(_, known)| known != event);
    }

    fn pop_all(&mut self, now: u64) -> Vec<usize> {
        self.0.sort_by_key(|(deadline, _)| *deadline);
        let due = self.0.partition_point(|(deadline, _)| *deadline <= now);
        self.0.drain(..due).map(|(_, event)| event).collect()
    }
}

/// Against the model; with programs that set up again what is pending, and without.
#[test]
fn fires_in_the_order_of_deadlines_and_of_setting() {
    const EVENTS: usize = 60;
    for seed in 0..40 {
        let (mut random, mut rig, mut model) = (Random(seed), Rig::new(EVENTS), Model::default());
        let lawful = seed % 2 == 0;
        let mut now = 0;
        for _ in 0..2_000 {
            let event = random.below(EVENTS);
            let (queue, timeout) = match random.below(9) {
                0 | 1 if lawful || random.below(2) == 0 => {
                    model.cancel(event);
                    rig.cancel(event);
                    continue;
                }
                0 | 1 => {
                    model.cancel(event);
                    rig.set_up_again(event);
                    continue;
                }
                2 => {
                    now += random.below(40) as u64;
                    assert_eq!(rig.pop_all(now), model.pop_all(now));
                    continue;
                }
                3 | 4 => (Some(0), 50),
                5 | 6 => (Some(1), 200),
                _ => (None, random.below(300) as u64),
            };
            // The clock of a program goes back at times.
            let deadline = (now + timeout).saturating_sub(random.below(10) as u64 / 9 * 30);
            model.set(event, deadline);
            rig.set(event, deadline, queue);
            let (len, wake) = (rig.timers.len(), rig.timers.next_wake());
            assert!(len == model.0.len() || !lawful && len > model.0.len());
            let earliest = model.0.iter().map(|(deadline, _)| at(*deadline)).min();
            assert!(wake.is_some() && wake <= earliest);
        }
        let known = rig.timers.events();
        let events = known
            .iter()
            .map(|event| rig.events.iter().position(|known| ptr::eq(known, event.as_ptr())));
        let listed: Vec<_> = events.map(Option::unwrap).collect();
        assert_eq!(listed, model.pop_all(u64::MAX));
    }
}

/// What is left of the former place must not be taken for the new one, nor the other way round.
#[test]
fn an_event_that_is_set_up_again_is_due_only_by_its_new_deadline() {
    let places = [None, Some(0), Some(1)];
    for (former, latter) in places.iter().flat_map(|former| places.map(|latter| (*former, latter))) {
        let mut rig = Rig::new(4);
        for event in 0..4 {
            rig.set(event, 10 + event as u64, former);
        }
        (0..3).for_each(|event| rig.set_up_again(event));
        for event in 0..3 {
            rig.set(event, 20 + event as u64, latter);
        }
        rig.set(1, 30, latter);
        rig.cancel(2);
        assert_eq!(rig.pop_all(50), [3, 0, 1], "from {former:?} to {latter:?}");
        assert!(rig.timers.is_empty());
    }
}

#[test]
fn a_queue_closes_up_rather_than_to_grow_without_end() {
    let mut rig = Rig::new(3);
    rig.set(0, 0, Some(0));
    for now in 1..10_000 {
        let event = 1 + now as usize % 2;
        rig.cancel(event);
        rig.set(event, now, Some(0));
    }
    let (_, queue) = rig.capacities();
    assert!(queue <= 16, "{queue} entries for three");
    assert_eq!(rig.pop_all(u64::MAX), [0, 1, 2]);
}

#[test]
fn pushing_back_takes_no_entries() {
    let mut rig = Rig::new(2);
    for now in 0..10_000 {
        rig.set(now as usize % 2, now, Some(0));
    }
    assert_eq!(rig.capacities(), (4, 8));
    assert_eq!(rig.pop_all(u64::MAX), [0, 1]);
}

#[test]
fn memory_of_a_burst_is_given_back_as_fewer_come_and_go() {
    const BURST: usize = 50_000;
    let mut rig = Rig::new(BURST);
    let come_and_go = |rig: &mut Rig, number: usize| {
        let Rig { events, timers, .. } = rig;
        for (n, event) in events.iter().take(number).enumerate() {
            let queue = (n % 2 != 0).then_some(0);
            timers.try_set(event, at(n as u64), queue).unwrap();
        }
        events.iter().take(number).for_each(|event| timers.cancel(event));
        assert!(timers.is_empty());
    };
    come_and_go(&mut rig, BURST);
    rig.check();
    let (heap, queue) = rig.capacities();
    assert!(heap >= BURST / 2 && queue >= BURST / 2, "for the next burst");
    for _ in 0..BURST / 50 {
        come_and_go(&mut rig, 100);
    }
    rig.check();
    let (heap, queue) = rig.capacities();
    assert!(heap <= 2 * SMALL && queue <= 2 * SMALL, "{heap} and {queue} entries");
}

#[test]
fn the_room_for_late_events_is_not_given_back() {
    const EVENTS: usize = 5_000;
    let mut rig = Rig::new(EVENTS);
    for event in 0..EVENTS {
        let event = &rig.events[event];
        rig.timers.try_set(event, at(10), Some(0)).unwrap();
        rig.timers.try_set(event, at(20), Some(0)).unwrap();
    }
    let other = new_event();
    for now in 0..100_000 {
        rig.timers.try_set(&other, at(now), None).unwrap();
        rig.timers.cancel(&other);
        rig.timers.heap.check_room(EVENTS);
    }
    assert_eq!(rig.timers.pop_due(at(19)), None);
    assert_eq!(rig.timers.next_wake(), Some(at(20)));
}
