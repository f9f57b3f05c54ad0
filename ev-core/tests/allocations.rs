//! A turn allocates nothing: counted over 100,000 turns of each kind of work, on two backends and both loops.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ev_core::{Causes, EventLoop, Interest, Io, RunMode, SharedLoop, Timer, User};

mod loops;

use loops::events::Loop;
use loops::{both, readable};

const TURNS: usize = 100_000;

/// Sets up each loop with `set_up`, and asserts that its turns call something and allocate nothing.
fn assert_no_allocations(set_up: fn(&mut Loop) -> Vec<UnixStream>) {
    for name in ["epoll", "poll"] {
        for (driver, mut lp) in both(name) {
            let _peers = set_up(&mut lp);
            assert_none_in(&format!("{name} {driver}"), || {
                lp.pass();
            });
        }
    }
}

/// Asserts that the turns that `pass` has call something and allocate nothing.
fn assert_none_in(lp: &str, mut pass: impl FnMut()) {
    // Vectors grow to the size that they keep.
    for _ in 0..100 {
        pass();
    }
    let before = CALLS.get();
    let counted = allocation_counter::measure(|| {
        for _ in 0..TURNS {
            pass();
        }
    });
    let calls = CALLS.get() - before;
    assert!(calls >= TURNS, "{lp}: {calls} calls in {TURNS} turns");
    assert_eq!(counted.count_total, 0, "{lp}: {TURNS} turns");
}

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn called() {
    CALLS.set(CALLS.get() + 1);
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| {
        drop(std::hint::black_box(Box::new(1)));
    });
    assert_eq!(counted.count_total, 1);
}

#[test]
fn persistent_io() {
    assert_no_allocations(|lp| {
        let ready = (0..4).map(|_| {
            let (near, far) = readable();
            lp.events().insert(Io::new(near, Interest::READ), |_, _, _| called());
            far
        });
        ready.collect()
    });
}

#[test]
fn once_added_again_in_its_callback() {
    assert_no_allocations(|lp| {
        let (near, far) = readable();
        lp.events()
            .insert(Io::new(near, Interest::READ).once(), |cx, _, fired| {
                called();
                cx.add(fired.key()).unwrap();
            });
        vec![far]
    });
}

#[test]
fn interest_that_changes_in_each_turn() {
    assert_no_allocations(|lp| {
        let (near, far) = readable();
        lp.events().insert(Io::new(near, Interest::READ), |cx, _, fired| {
            called();
            let next = if fired.is_readable() {
                Interest::WRITE
            } else {
                Interest::READ
            };
            cx.set_interest(fired.key(), next).unwrap();
        });
        vec![far]
    });
}

#[test]
fn idle_timeouts_pushed_back() {
    assert_no_allocations(|lp| {
        let ready = (0..4).map(|n| {
            let (near, far) = readable();
            let event = Io::new(near, Interest::READ).timeout(Duration::from_secs(60 + n));
            lp.events().insert(event, |_, _, fired| {
                assert!(!fired.is_timeout());
                called();
            });
            far
        });
        ready.collect()
    });
}

#[test]
fn a_periodic_timer() {
    assert_no_allocations(|lp| {
        lp.events()
            .insert(Timer::every(Duration::from_nanos(1)), |_, (), _| called());
        vec![]
    });
}

#[test]
fn a_timer_added_again_in_its_callback() {
    assert_no_allocations(|lp| {
        lp.events().insert(Timer::after(Duration::ZERO), |cx, (), fired| {
            called();
            cx.add(fired.key()).unwrap();
        });
        vec![]
    });
}

#[test]
fn activation_by_hand() {
    assert_no_allocations(|lp| {
        let now = lp.events().insert(User::new(), |_, (), _| called());
        let later = lp.events().insert(User::new(), |_, (), _| called());
        let mut odd = false;
        lp.events()
            .insert(Timer::every(Duration::from_nanos(1)), move |cx, (), _| {
                cx.activate(now, Causes::READ).unwrap();
                // A pass goes on while something is active: one that always left something for later would not end.
                odd = !odd;
                if odd {
                    cx.activate_later(later, Causes::WRITE).unwrap();
                }
            });
        vec![]
    });
}

#[test]
fn activation_by_an_activator() {
    let mut lp = EventLoop::<()>::new().unwrap();
    let key = lp.insert(User::new(), |_, (), _| called()).unwrap();
    let activator = lp.remote().unwrap().activator(key);
    assert_none_in("local", || {
        activator.activate().unwrap();
        lp.run_with(RunMode::NON_BLOCKING, &mut ()).unwrap();
    });

    let mut lp = SharedLoop::new().unwrap();
    let key = lp.handle().insert(User::new(), |_, (), _| called()).unwrap();
    let activator = lp.handle().activator(key);
    assert_none_in("shared", || {
        activator.activate().unwrap();
        lp.run_with(RunMode::NON_BLOCKING).unwrap();
    });
}
