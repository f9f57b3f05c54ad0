//! What only shows inside: which timers are in queues, and how much memory is held.

use alloc::vec::Vec;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

/// Arms and cancels until the timeout must have been found.
fn make_heavy(timers: &mut Timers, timeout: Duration) {
    for _ in 0..300 {
        timers.set_after(0, Time::ZERO, timeout);
        timers.cancel(0);
    }
}

fn goes_to_queue(timers: &mut Timers, timeout: Duration) -> bool {
    let before = timers.queues.len();
    timers.set_after(1, Time::ZERO, timeout);
    let queued = timers.queues.len() > before;
    timers.cancel(1);
    queued
}

fn bytes(timers: &Timers) -> usize {
    timers.slots.bytes() + timers.keys.bytes() + timers.heap.bytes() + timers.queues.bytes()
}

fn place(timers: &Timers, id: u32) -> Place {
    timers.slots.place(id)
}

fn random(state: &mut u64) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u32
}

/// `0..len`, shuffled.
fn shuffled(len: u32) -> Vec<u32> {
    let mut seed = 88_172_645_463_325_252;
    let mut ids: Vec<u32> = (0..len).collect();
    for i in (1..len).rev() {
        ids.swap(i as usize, (random(&mut seed) % (i + 1)) as usize);
    }
    ids
}

#[test]
fn a_timeout_in_heavy_use_gets_a_queue() {
    let mut timers = Timers::new();
    for id in 0..100 {
        timers.set_after(id, Time::ZERO, MILLI);
        timers.check_invariants();
    }
    assert!(timers.queues.len() >= 80 && timers.heap.len() <= 20, "{timers:?}");
    assert_eq!(timers.queues.count_all(), 1);
    assert_eq!(
        timers.popular.note(nanos(MILLI)),
        Use::Queue(0),
        "it is looked for no more"
    );
    // A handle for it is the same queue.
    let handle = timers.same_duration(MILLI).unwrap();
    timers.set_in(200, Time::ZERO, handle);
    assert_eq!(timers.queues.count_all(), 1);
    timers.check_invariants();
}

#[test]
fn a_timeout_used_now_and_then_does_not() {
    let mut timers = Timers::new();
    for round in 0..10_000 {
        timers.set_after(round % 10, Time::ZERO, MILLI * (1 + round % 5000));
    }
    assert_eq!((timers.queues.count_all(), timers.queues.len()), (0, 0));
}

#[test]
fn a_timeout_in_heavy_use_is_found_among_many_others() {
    let mut timers = Timers::new();
    for round in 0..100_000 {
        // Nine of ten are different each time.
        let timeout = if round % 10 == 0 {
            MILLI
        } else {
            Duration::from_nanos(7919 * u64::from(round))
        };
        timers.set_after(round % 100, Time::ZERO, timeout);
        timers.cancel(round % 100);
    }
    assert!(goes_to_queue(&mut timers, MILLI));
    assert!(timers.queues.count_all() <= 2);
    timers.check_invariants();
}

#[test]
fn queues_out_of_use_are_put_to_another() {
    let mut timers = Timers::new();
    for millis in 1..2000 {
        make_heavy(&mut timers, MILLI * millis);
        assert!(goes_to_queue(&mut timers, MILLI * millis), "{millis} ms");
        timers.check_invariants();
    }
    assert_eq!(timers.queues.count_all(), 64);
    assert!(bytes(&timers) < 10_000, "{}", bytes(&timers));
}

#[test]
fn queues_in_use_are_not() {
    let mut timers = Timers::new();
    let kept = timers.same_duration(Duration::from_hours(1)).unwrap();
    for millis in 1..300 {
        make_heavy(&mut timers, MILLI * millis);
        timers.set_after(millis, Time::ZERO, MILLI * millis);
        timers.check_invariants();
    }
    assert_eq!((timers.queues.count_all(), timers.queues.len()), (65, 64));
    // The others are in the heap, and all come in order.
    for millis in 1..300 {
        assert_eq!(
            timers.pop_expired(Time::MAX),
            Some((millis, Time::ZERO + MILLI * millis))
        );
    }
    make_heavy(&mut timers, MILLI * 299);
    assert!(goes_to_queue(&mut timers, MILLI * 299), "there are free queues again");
    assert_eq!(timers.queues.count_all(), 65);
    timers.set_in(0, Time::ZERO, kept);
    assert_eq!(timers.queues.len(), 1, "a queue with a handle is kept, used or not");
}

#[test]
fn pushing_back_moves_nothing() {
    let mut timers = Timers::new();
    let at = |nanos| Time::from_nanos(nanos);
    for id in 0..100 {
        timers.set(id, at(u64::from(id)));
    }
    let places = timers.slots.as_slice().to_vec();
    for id in 0..100 {
        timers.set(id, at(1000 - u64::from(id)));
        timers.set_after(id, at(1000), MILLI);
    }
    assert_eq!(timers.slots.as_slice(), places);
    assert_eq!(timers.next_wake(), Some(at(0)));
    timers.check_invariants();
}

#[test]
fn pushing_back_the_only_one_of_a_queue_is_only_noted() {
    let mut timers = Timers::new();
    let handle = timers.same_duration(MILLI).unwrap();
    timers.set_in(0, Time::ZERO, handle);
    timers.set_in(0, Time::ZERO + MILLI, handle);
    assert_eq!(timers.next_wake(), Some(Time::ZERO + MILLI));
    assert_eq!(timers.pop_expired(Time::ZERO + MILLI), None);
    assert_eq!(timers.next_wake(), Some(Time::ZERO + 2 * MILLI));
    timers.check_invariants();
}

#[test]
fn a_timer_brought_forward_goes_to_the_queue_of_its_timeout() {
    let mut timers = Timers::new();
    make_heavy(&mut timers, MILLI);
    timers.set(1, Time::ZERO + 2 * MILLI);
    timers.set_after(1, Time::ZERO, MILLI);
    assert_eq!(place(&timers, 1), Place::Queue(0));
}

#[test]
fn a_timer_that_changes_its_timeout_changes_its_queue() {
    let mut timers = Timers::new();
    make_heavy(&mut timers, MILLI);
    make_heavy(&mut timers, 2 * MILLI);
    for queue in 0..2 {
        timers.set_after(1, Time::ZERO, MILLI * (1 + queue));
        assert_eq!(place(&timers, 1), Place::Queue(queue));
    }
}

#[test]
fn a_timer_that_keeps_its_timeout_keeps_its_queue() {
    let mut timers = Timers::new();
    let handle = timers.same_duration(MILLI).unwrap();
    timers.set_in(1, Time::ZERO, handle);
    timers.set_after(1, Time::ZERO, MILLI);
    assert_eq!(
        place(&timers, 1),
        Place::Queue(0),
        "though the timeout is not in heavy use"
    );
}

#[test]
fn order_holds_across_the_wrap_of_the_sequence() {
    let mut timers = Timers {
        armings: u32::MAX - 50,
        ..Timers::new()
    };
    let handle = timers.same_duration(MILLI).unwrap();
    for id in 0..100 {
        if id % 2 == 0 {
            timers.set(id, Time::ZERO + MILLI);
        } else {
            timers.set_in(id, Time::ZERO, handle);
        }
    }
    timers.check_invariants();
    for id in 0..100 {
        assert_eq!(timers.pop_expired(Time::MAX), Some((id, Time::ZERO + MILLI)));
    }
}

#[test]
fn a_timer_takes_at_most_forty_bytes() {
    const TIMERS: u32 = 100_000;
    let mut timers = Timers::with_capacity(TIMERS as usize);
    for id in 0..TIMERS {
        timers.set(id, Time::from_nanos(u64::from(id)));
    }
    assert_eq!(bytes(&timers), 20 * TIMERS as usize);
    timers.set(0, Time::from_nanos(1));
    assert_eq!(bytes(&timers), 32 * TIMERS as usize, "pushed back");
    let handle = timers.same_duration(MILLI).unwrap();
    timers.set_in(TIMERS - 1, Time::ZERO, handle);
    timers.shrink_to_fit();
    assert!(bytes(&timers) < 40 * TIMERS as usize + 10_000, "{}", bytes(&timers));
}

#[test]
fn arming_takes_no_memory_beyond_the_reservation() {
    let mut timers = Timers::new();
    for id in 0..1000 {
        timers.try_reserve(id).unwrap();
        let before = bytes(&timers);
        timers.set(id, Time::ZERO);
        assert_eq!(bytes(&timers), before, "{id}");
    }
}

#[test]
fn shrinking_leaves_what_the_timers_take() {
    const TIMERS: usize = 1000;
    let mut timers = Timers::new();
    let handle = timers.same_duration(MILLI).unwrap();
    let ids = 0..TIMERS as u32;
    for id in ids.clone() {
        match id % 2 {
            0 => timers.set(id, Time::ZERO),
            _ => timers.set_in(id, Time::ZERO, handle),
        }
    }
    for id in ids.skip(TIMERS - 50) {
        timers.cancel(id);
    }
    timers.shrink_to_fit();
    let left = TIMERS - 50;
    assert_eq!(timers.slots.bytes(), 4 * left);
    assert_eq!((timers.keys.bytes(), timers.heap.bytes()), (12 * left, 16 * left / 2));
    assert!(timers.queues.bytes() < 8 * left + 400, "{}", timers.queues.bytes());
    timers.check_invariants();
}

#[test]
fn memory_comes_back_after_a_burst() {
    const TIMERS: u32 = 100_000;
    let ids = shuffled(TIMERS);
    let arm = |timers: &mut Timers, id: u32| match id % 2 {
        0 => timers.set(id, Time::from_nanos(u64::from(id))),
        _ => timers.set_after(id, Time::ZERO, MILLI),
    };
    let mut timers = Timers::new();
    for expire in [true, false] {
        for id in 0..TIMERS {
            arm(&mut timers, id);
        }
        assert!(bytes(&timers) >= 32 * TIMERS as usize);
        for &id in &ids {
            let disarmed = if expire {
                timers.pop_expired(Time::MAX).is_some()
            } else {
                timers.cancel(id).is_some()
            };
            assert!(disarmed);
        }
        assert!(timers.is_empty());
        // A burst may follow on a burst, and finds its memory in place. This is the end of them.
        assert!(bytes(&timers) >= 32 * TIMERS as usize);
        for _ in 0..100 {
            arm(&mut timers, 0);
            timers.cancel(0);
        }
        assert!(bytes(&timers) < 20_000, "{}", bytes(&timers));
        timers.check_invariants();
    }
}

#[test]
fn memory_comes_back_while_some_timers_stay() {
    const TIMERS: u32 = 100_000;
    let mut timers = Timers::new();
    for id in 0..TIMERS {
        timers.set(id, Time::from_nanos(u64::from(id)));
    }
    for id in shuffled(TIMERS).into_iter().filter(|&id| id >= 100) {
        timers.cancel(id);
    }
    // The arrays follow while other timers come and go.
    for _ in 0..3 * TIMERS {
        timers.set(100, Time::ZERO);
        timers.cancel(100);
    }
    assert_eq!(timers.len(), 100);
    assert!(bytes(&timers) < 20_000, "{}", bytes(&timers));
    timers.check_invariants();
}

/// Nothing of a cancelled timer stays.
#[test]
fn cancelled_timers_leave_nothing_behind() {
    let mut timers = Timers::new();
    for round in 0..1_000_000_u32 {
        timers.set_after(round % 100, Time::ZERO, Duration::from_nanos(u64::from(round) * 1000));
        timers.cancel(round.wrapping_sub(50) % 100);
    }
    assert!(timers.len() <= 100);
    assert!(bytes(&timers) < 20_000, "{}", bytes(&timers));
}

/// A timer far out that comes and goes does not make the array shrink and grow by its length.
#[test]
fn trimming_does_not_thrash() {
    const FAR: u32 = 1_000_000;
    let mut timers = Timers::new();
    let mut cut = 0;
    for _ in 0..1000 {
        timers.set(FAR, Time::ZERO);
        let before = timers.slots.len();
        timers.cancel(FAR);
        cut += before - timers.slots.len();
    }
    assert_eq!(cut, 0);
    // Out of use it goes, a few slots for each timer disarmed.
    for _ in 0..FAR / 3 {
        timers.set(0, Time::ZERO);
        timers.cancel(0);
    }
    assert!(timers.slots.len() <= 64, "{}", timers.slots.len());
}

/// It would be sorted nearly always, but make the queue refuse others.
#[test]
fn a_handle_of_other_timers_fills_no_queue() {
    let foreign = Timers::new().same_duration(MILLI).unwrap();
    let mut timers = Timers::new();
    timers.same_duration(2 * MILLI).unwrap();
    timers.set_in(0, Time::ZERO, foreign);
    assert_eq!((timers.heap.len(), timers.queues.len()), (1, 0));
}

/// A timer in the heap, one in a queue, and a timeout in heavy use.
fn one_of_each() -> Timers {
    let mut timers = Timers::new();
    make_heavy(&mut timers, MILLI);
    timers.set(0, Time::ZERO);
    timers.set_after(1, Time::ZERO, MILLI);
    timers.check_invariants();
    assert_eq!((timers.heap.len(), timers.queues.len()), (1, 1));
    timers
}

#[test]
#[should_panic(expected = "3: slots without an entry")]
fn sees_a_timer_that_is_not_in_the_heap() {
    let mut timers = one_of_each();
    timers.heap.clear();
    timers.check_invariants();
}

#[test]
#[should_panic(expected = "3: slots of timers that are in no queue")]
fn sees_a_timer_that_is_in_no_queue() {
    let mut timers = one_of_each();
    timers.queues.clear();
    timers.check_invariants();
}

#[test]
#[should_panic(expected = "2: Candidate")]
fn sees_a_timeout_that_is_sent_to_another_queue() {
    let mut timers = one_of_each();
    timers.popular.assign(nanos(MILLI), 7);
    timers.check_invariants();
}

#[test]
fn debug_is_readable() {
    assert_eq!(
        alloc::format!("{:?}", one_of_each()),
        "Timers { in_heap: 1, in_queues: 1, queues: 1, next_wake: Some(Time(0ns)), .. }"
    );
}
