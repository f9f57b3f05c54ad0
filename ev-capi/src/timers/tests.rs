use std::cell::Cell;
use std::ptr;

use super::*;
use crate::abi::{EVLIST_INIT, event_callback};

fn new_event() -> event {
    event {
        ev_evcallback: event_callback {
            key: Cell::new(0),
            last_key: Cell::new(0),
            evcb_flags: Cell::new(EVLIST_INIT),
            evcb_pri: Cell::new(0),
            evcb_closure: Cell::new(0),
            evcb_function: Cell::new(ptr::null_mut()),
            evcb_arg: ptr::null_mut(),
        },
        timer: Timer::new(),
        ev_fd: -1,
        ev_base: Cell::new(ptr::null_mut()),
        timer_in: Cell::new(Place::Heap),
        by_hand: Cell::new(0),
        calls: Cell::new(event::NOT_BY_HAND),
        unused: 0,
        ev_period: Cell::new(crate::event::ZERO),
        ev_events: 0,
        ev_res: Cell::new(0),
        ev_timeout: Cell::new(crate::event::ZERO),
    }
}

fn events(number: usize) -> Vec<event> {
    (0..number).map(|_| new_event()).collect()
}

/// Sets an event up again, as a program may that ought not to.
fn set_up_again(event: &event) {
    event.timer.set(
        Key {
            deadline: Time::ZERO,
            sequence: 0,
        },
        u32::MAX,
    );
    event.ev_evcallback.evcb_flags.set(EVLIST_INIT);
}

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn set(timers: &mut Timers, event: &event, deadline: u64, queue: Option<u16>) {
    timers.try_reserve(event, at(deadline), queue).unwrap();
    timers.try_set(event, at(deadline), queue).unwrap();
    timers.check_invariants();
}

fn pop(timers: &mut Timers, events: &[event], now: u64) -> Option<usize> {
    let first = timers.pop_due(at(now))?;
    timers.check_invariants();
    // SAFETY: the events outlive what knows them.
    let event = unsafe { first.as_ref() };
    timers.put_back(event);
    timers.check_invariants();
    assert_eq!(timers.pop_due(at(now)), Some(first), "it is first again");
    Some(events.iter().position(|known| ptr::eq(known, event)).unwrap())
}

/// Timers with two queues.
fn two_queues() -> Timers {
    let mut timers = Timers::default();
    timers.add_queue().unwrap();
    timers.add_queue().unwrap();
    timers
}

impl Timers {
    fn check_invariants(&self) {
        self.heap.check_invariants();
        for queue in &self.queues {
            queue.check_invariants();
        }
        assert!(self.heads.is_sorted_by(|a, b| b.key.is_before(a.key)), "2: {self:?}");
        for (number, queue) in (0..).zip(&self.queues) {
            let head = self.heads.iter().find(|head| head.queue == number);
            assert_eq!(head.is_none(), queue.is_empty(), "2: {self:?}");
        }
        assert!(self.queues.iter().flat_map(Queue::iter).count() <= self.queued);
        let late = |event: &NonNull<event>| matches!(place_of(*event), Place::Late(_));
        let late = self.queues.iter().flat_map(Queue::iter).filter(late).count();
        self.heap.check_room(late);
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

/// Against a list of deadlines in the order in which they were set.
#[test]
fn fires_in_the_order_of_deadlines_and_of_setting() {
    const EVENTS: usize = 300;
    for seed in 0..20 {
        let (mut random, events) = (Random(seed), events(EVENTS));
        let mut timers = two_queues();
        let mut model: Vec<(u64, usize)> = Vec::new();
        let mut now = 0;
        for _ in 0..5_000 {
            let event = random.below(EVENTS);
            match random.below(8) {
                0 | 1 => {
                    model.retain(|&(_, known)| known != event);
                    if events[event].has(EVLIST_TIMEOUT) {
                        timers.cancel(&events[event]);
                    }
                    timers.check_invariants();
                }
                2 => {
                    now += random.below(40) as u64;
                    loop {
                        let due = model.iter().filter(|(deadline, _)| *deadline <= now);
                        let first = due.min_by_key(|(deadline, _)| *deadline).copied();
                        assert_eq!(pop(&mut timers, &events, now), first.map(|(_, event)| event));
                        let Some(first) = first else { break };
                        model.retain(|known| *known != first);
                    }
                }
                kind => {
                    let (queue, timeout) = match kind {
                        3 | 4 => (Some(0), 50),
                        5 => (Some(1), 200),
                        _ => (None, random.below(300) as u64),
                    };
                    // The clock of a program goes back at times.
                    let deadline = (now + timeout).saturating_sub(random.below(10) as u64 / 9 * 30);
                    model.retain(|&(_, known)| known != event);
                    model.push((deadline, event));
                    set(&mut timers, &events[event], deadline, queue);
                }
            }
            assert_eq!(timers.len(), model.len());
            let earliest = model.iter().map(|(deadline, _)| at(*deadline)).min();
            assert!(timers.next_wake() <= earliest && timers.next_wake().is_some() == earliest.is_some());
        }
        let mut listed: Vec<_> = model.clone();
        listed.sort_by_key(|(deadline, _)| *deadline);
        let listed: Vec<*const event> = listed.iter().map(|(_, event)| &raw const events[*event]).collect();
        let known: Vec<*const event> = timers
            .events()
            .iter()
            .map(|event| event.as_ptr().cast_const())
            .collect();
        assert_eq!(known, listed);
    }
}

#[test]
fn an_event_that_is_set_up_again_is_due_only_by_its_new_deadline() {
    for queue in [None, Some(0)] {
        let (events, mut timers) = (events(5), two_queues());
        for (deadline, event) in (10..).zip(&events) {
            set(&mut timers, event, deadline, queue);
        }
        for again in [0, 2, 4] {
            set_up_again(&events[again]);
        }
        set(&mut timers, &events[2], 100, queue);
        set(&mut timers, &events[4], 9, queue);
        let fired: Vec<_> = std::iter::from_fn(|| pop(&mut timers, &events, 50)).collect();
        assert_eq!(fired, [4, 1, 3], "{queue:?}");
        assert_eq!(pop(&mut timers, &events, 100), Some(2));
        assert_eq!(pop(&mut timers, &events, 1000), None);
        assert!(timers.is_empty());
    }
}

/// What is left of the former place must not be taken for the new one, nor the other way round.
#[test]
fn an_event_that_is_set_up_again_moves_between_heap_and_queues() {
    let places = [None, Some(0), Some(1)];
    for (former, latter) in places.iter().flat_map(|former| places.map(|latter| (*former, latter))) {
        let (events, mut timers) = (events(4), two_queues());
        for (deadline, event) in (10..).zip(&events) {
            set(&mut timers, event, deadline, former);
        }
        for event in &events[..3] {
            set_up_again(event);
        }
        for (deadline, event) in (20..).zip(&events[..3]) {
            set(&mut timers, event, deadline, latter);
        }
        set(&mut timers, &events[1], 30, latter);
        timers.cancel(&events[2]);
        timers.check_invariants();
        let fired: Vec<_> = std::iter::from_fn(|| pop(&mut timers, &events, 50)).collect();
        assert_eq!(fired, [3, 0, 1], "from {former:?} to {latter:?}");
        assert!(timers.is_empty());
    }
}

#[test]
fn a_queue_closes_up_rather_than_to_grow_without_end() {
    let (events, mut timers) = (events(3), two_queues());
    set(&mut timers, &events[0], 0, Some(0));
    for now in 1..100_000 {
        set(&mut timers, &events[1 + (now as usize) % 2], now, Some(0));
    }
    assert!(
        timers.queues[0].capacity() <= 64,
        "{} entries for three",
        timers.queues[0].capacity()
    );
    assert_eq!(pop(&mut timers, &events, 0), Some(0));
    assert_eq!(timers.len(), 2);
}

#[test]
fn memory_of_a_burst_is_given_back_as_fewer_come_and_go() {
    const BURST: usize = 50_000;
    let (events, mut timers) = (events(BURST), two_queues());
    let queue = |n| (n % 2 != 0).then_some(0);
    let set_all = |timers: &mut Timers, events: &[event]| {
        for (n, event) in events.iter().enumerate() {
            timers.try_set(event, at(n as u64), queue(n)).unwrap();
        }
        for event in events {
            timers.cancel(event);
        }
        timers.check_invariants();
        assert!(timers.is_empty());
        (timers.heap.capacity(), timers.queues[0].capacity())
    };
    let (heap, queue) = set_all(&mut timers, &events);
    assert!(heap >= BURST / 2 && queue >= BURST / 2, "for the next burst");
    for _ in 0..BURST / 50 {
        set_all(&mut timers, &events[..100]);
    }
    let (heap, queue) = set_all(&mut timers, &events[..100]);
    assert!(heap <= 2 * SMALL && queue <= 2 * SMALL, "{heap} and {queue} entries");
}
