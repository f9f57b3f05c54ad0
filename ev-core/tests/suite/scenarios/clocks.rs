//! Clocks: the one that deadlines are measured by, a turn's reading of it, and the time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ev_core::{Causes, Clock, Outcome, RunMode, Time, Timer, User};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::support::{HOUR, Log, handle, let_time_pass, local};

scenarios!("clocks":
    the_loop_reads_its_clock,
    timers_fire_by_every_clock,
    timeouts_in_callbacks_count_by_every_clock,
    now_is_the_turns,
    now_changes_from_turn_to_turn,
    now_is_read_anew_when_asked,
    now_outside_a_run_is_read_afresh,
    a_shared_loops_now_is_always_fresh,
    the_time_of_day_of_a_deadline,
    the_time_of_day_there_and_back,
    the_time_of_day_is_the_clock_itself,
    the_time_of_day_beyond_the_clock,
    a_deadline_at_a_time_of_day,
    a_time_of_day_is_never_too_early,
);

const CLOCKS: [Clock; 4] = [
    Clock::Monotonic,
    Clock::MonotonicCoarse,
    Clock::Boottime,
    Clock::Realtime,
];
const SIMULATED: &str = "a simulation has a clock of its own";
const DAY: Duration = Duration::from_hours(24);
/// More than the coarse clock is ever behind: its tick is 10 milliseconds at most.
const TICK: Duration = Duration::from_millis(20);
/// What conversions may lose to rounding.
const MICROSECOND: Duration = Duration::from_micros(1);

fn open(cell: &Cell, clock: Clock) -> Result<Loop, Skip> {
    if cell.backend.name == "sim" {
        return Err(Skip(SIMULATED));
    }
    Ok(cell.open_with(&cell.config().clock(clock)))
}

/// The loop's time is that of the clock it was given, between two readings of it.
fn the_loop_reads_its_clock(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        let before = clock.now();
        let now = lp.events().read_clock().as_nanos();
        let after = clock.now();
        assert!((before..=after).contains(&now), "{clock:?}: {before}, {now}, {after}");
        let key = lp.events().insert(Timer::after(HOUR), |_, (), _| {});
        let deadline = lp.events().deadline(key).unwrap().unwrap();
        let least = Time::from_nanos(after) + HOUR;
        let most = Time::from_nanos(clock.now()) + HOUR;
        assert!((least..=most).contains(&deadline), "{clock:?}");
    }
    Ok(())
}

/// By every clock a timer fires, and not before its deadline by that clock: a timeout, a deadline, a period.
fn timers_fire_by_every_clock(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        let log = Log::new();
        let now = lp.events().read_clock();
        let timers = [0, 1, 333, 1_000, 5_500].map(Duration::from_micros);
        for timeout in timers {
            let seen = log.clone();
            let event = Timer::after(timeout);
            let key = lp
                .events()
                .insert(event, move |_, (), fired| seen.push((fired.key(), clock.now())));
            let deadline = lp.events().deadline(key).unwrap().unwrap();
            assert!(deadline >= now + timeout, "{clock:?}, {timeout:?}");
            assert_eq!(lp.run(), Outcome::Empty);
            let [(called, at)] = log.take()[..] else {
                panic!("{clock:?}, {timeout:?}: one call")
            };
            assert_eq!(called, key);
            assert!(at >= deadline.as_nanos(), "{clock:?}, {timeout:?}: early");
        }
        let seen = log.clone();
        let mut left = 3;
        let start = lp.events().read_clock();
        let period = Duration::from_millis(2);
        let key = lp.events().insert(Timer::every(period), move |cx, (), fired| {
            seen.push((fired.key(), clock.now()));
            left -= 1;
            if left == 0 {
                cx.delete(fired.key()).unwrap();
            }
        });
        assert_eq!(lp.run(), Outcome::Empty);
        let calls = log.take();
        assert_eq!(calls.len(), 3, "{clock:?}");
        for ((called, at), n) in calls.into_iter().zip(1..) {
            assert_eq!(called, key);
            assert!(at >= (start + n * period).as_nanos(), "{clock:?}: call {n} is early");
        }
    }
    Ok(())
}

/// A timeout that is given in a callback counts from then by that clock.
fn timeouts_in_callbacks_count_by_every_clock(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        let log = Log::new();
        let seen = log.clone();
        lp.events().insert(Timer::after(Duration::ZERO), move |cx, (), _| {
            let (seen, asked) = (seen.clone(), clock.now());
            cx.insert(Timer::after(Duration::from_millis(2)), move |_, (), _| {
                seen.push(Duration::from_nanos(clock.now() - asked));
            });
        });
        assert_eq!(lp.run(), Outcome::Empty);
        let waited = log.take();
        assert!(
            waited.len() == 1 && waited[0] >= Duration::from_millis(2),
            "{clock:?}: {waited:?}"
        );
    }
    Ok(())
}

/// All callbacks of a turn get one reading of the clock, whichever kind of event is called; the next turn has another.
fn now_is_the_turns(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    // With a deadline in the loop the clock is read when the wait ends, without one when it is first asked for.
    for with_deadline in [false, true] {
        if with_deadline {
            lp.insert(Timer::after(HOUR), |_, (), _| {}).unwrap();
        }
        let log = Log::new();
        let keys = [(); 3].map(|()| {
            let seen = log.clone();
            lp.insert(User::new(), move |cx, (), _| {
                seen.push(cx.now());
                let_time_pass();
                seen.push(cx.now());
            })
            .unwrap()
        });
        for turn in 0..2 {
            let before = lp.now();
            for key in keys {
                lp.activate(key, Causes::empty()).unwrap();
            }
            lp.run_with(RunMode::ONCE, &mut ()).unwrap();
            let readings = log.take();
            assert_eq!(readings.len(), 6);
            assert!(readings.iter().all(|&now| now == readings[0]), "{turn}: {readings:?}");
            assert!(readings[0] >= before);
            let after = lp.now();
            assert!(after > readings[5], "the turn is over");
        }
        for key in keys {
            lp.remove(key).unwrap();
        }
    }
    Ok(())
}

/// The turns of one run have readings of their own, also where no deadline has the loop read its clock.
fn now_changes_from_turn_to_turn(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    let log = Log::new();
    let seen = log.clone();
    let key = lp
        .insert(User::new(), move |cx, (), fired| {
            seen.push(cx.now());
            let_time_pass();
            if seen.len() < 3 {
                cx.activate_later(fired.key(), Causes::empty()).unwrap();
            }
        })
        .unwrap();
    for _ in 0..2 {
        lp.activate(key, Causes::empty()).unwrap();
        assert_eq!(lp.run_with(RunMode::ONCE, &mut ()).unwrap(), Outcome::Passed);
        let readings = log.take();
        assert_eq!(readings.len(), 3);
        assert!(readings.is_sorted_by(|a, b| a < b), "{readings:?}");
        lp.insert(Timer::after(HOUR), |_, (), _| {}).unwrap();
    }
    Ok(())
}

/// A callback may have the clock read again, which holds for the rest of the turn; operations on timers leave it.
fn now_is_read_anew_when_asked(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    let log = Log::new();
    let seen = log.clone();
    let first = lp
        .insert(User::new(), move |cx, (), fired| {
            let began = cx.now();
            let_time_pass();
            cx.add_after(fired.key(), HOUR).unwrap();
            cx.clear_timeout(fired.key()).unwrap();
            let still = cx.now();
            let refreshed = cx.refresh_now();
            let_time_pass();
            seen.push((still == began, refreshed > began, cx.now() == refreshed, refreshed));
        })
        .unwrap();
    let seen = log.clone();
    let second = lp
        .insert(User::new(), move |cx, (), _| seen.push((true, true, true, cx.now())))
        .unwrap();
    lp.activate(first, Causes::empty()).unwrap();
    lp.activate(second, Causes::empty()).unwrap();
    lp.run(&mut ()).unwrap();
    let seen = log.take();
    assert_eq!(seen.len(), 2);
    let refreshed = seen[0].3;
    assert_eq!(seen, [(true, true, true, refreshed); 2]);
    Ok(())
}

/// Outside a run no reading is kept, also not one that was asked for, nor the last turn's.
fn now_outside_a_run_is_read_afresh(cell: &Cell) -> Verdict {
    let mut lp = local(cell.open())?;
    lp.insert(Timer::after(Duration::ZERO), |cx, (), _| {
        cx.now();
    })
    .unwrap();
    for _ in 0..2 {
        let mut last = lp.refresh_now();
        for _ in 0..3 {
            let_time_pass();
            let now = lp.now();
            assert!(now > last);
            last = now;
        }
        lp.run(&mut ()).unwrap();
        let_time_pass();
        assert!(lp.now() > last);
    }
    Ok(())
}

/// A handle's reading is of the moment, in callbacks as well.
fn a_shared_loops_now_is_always_fresh(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let handle = handle(&lp)?;
    let log = Log::new();
    let seen = log.clone();
    lp.events().insert(Timer::after(Duration::ZERO), move |_, (), _| {
        let first = handle.now();
        let_time_pass();
        seen.push(handle.now() > first);
    });
    lp.run();
    assert_eq!(log.take(), [true]);
    Ok(())
}

/// The time by so much, earlier or later.
fn shifted(time: Time, later: bool, by: Duration) -> Time {
    if later {
        time + by
    } else {
        Time::from_nanos(time.as_nanos().saturating_sub(by.as_nanos() as u64))
    }
}

fn shifted_day(time: SystemTime, later: bool, by: Duration) -> SystemTime {
    if later { time + by } else { time - by }
}

fn slack(clock: Clock) -> Duration {
    if clock == Clock::MonotonicCoarse {
        TICK
    } else {
        MICROSECOND
    }
}

const SHIFTS: [(bool, Duration); 6] = [
    (true, Duration::ZERO),
    (true, Duration::from_secs(1)),
    (false, Duration::from_secs(1)),
    (true, HOUR),
    (true, DAY),
    (false, Duration::from_millis(1)),
];

/// A time of the loop's clock, before now or after it, is the time of day that is as far from now: to as much as passes
/// while it is asked.
fn the_time_of_day_of_a_deadline(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        for (later, by) in SHIFTS {
            let before = SystemTime::now();
            let time = shifted(lp.events().read_clock(), later, by);
            let of_day = lp.events().to_system_time(time);
            let after = SystemTime::now();
            let inexact = after.duration_since(before).unwrap() + slack(clock);
            let (least, most) = (before - inexact, after + inexact);
            let range = shifted_day(least, later, by)..=shifted_day(most, later, by);
            assert!(
                range.contains(&of_day),
                "{clock:?}, {later}, {by:?}: {of_day:?} {range:?}"
            );
        }
    }
    Ok(())
}

/// There and back is the same time, to as much as passes meanwhile.
fn the_time_of_day_there_and_back(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        for (later, by) in SHIFTS {
            let before = Clock::Monotonic.now();
            let time = shifted(lp.events().read_clock(), later, by);
            let of_day = lp.events().to_system_time(time);
            let back = lp.events().at_system_time(of_day);
            let inexact = Duration::from_nanos(Clock::Monotonic.now() - before) + slack(clock);
            let off = Duration::from_nanos(back.as_nanos().abs_diff(time.as_nanos()));
            assert!(off <= inexact, "{clock:?}, {later}, {by:?}: {off:?} of {inexact:?}");
        }
    }
    Ok(())
}

/// A loop that runs by the time of day, or by a simulation's, converts exactly.
fn the_time_of_day_is_the_clock_itself(cell: &Cell) -> Verdict {
    let mut lp = if cell.backend.name == "sim" {
        cell.open()
    } else {
        open(cell, Clock::Realtime)?
    };
    for (later, by) in SHIFTS {
        let time = shifted(lp.events().read_clock(), later, by);
        let of_day = UNIX_EPOCH + Duration::from_nanos(time.as_nanos());
        assert_eq!(lp.events().to_system_time(time), of_day);
        assert_eq!(lp.events().at_system_time(of_day), time);
    }
    Ok(())
}

/// What lies before the clock's origin is its origin, what it cannot express its end, and neither end is a panic.
fn the_time_of_day_beyond_the_clock(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        let origin = lp.events().to_system_time(Time::ZERO);
        for early in [origin - HOUR, UNIX_EPOCH, UNIX_EPOCH - DAY] {
            assert_eq!(lp.events().at_system_time(early), Time::ZERO, "{clock:?}");
        }
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(lp.events().at_system_time(far), Time::MAX, "{clock:?}");
        assert!(
            lp.events().to_system_time(Time::MAX) > SystemTime::now() + 365 * DAY,
            "{clock:?}"
        );
        if clock == Clock::Realtime {
            assert_eq!(origin, UNIX_EPOCH);
        } else {
            assert!(origin > UNIX_EPOCH && origin <= SystemTime::now(), "{clock:?}");
        }
    }
    Ok(())
}

/// A timer at a time of day fires at that time or later, whatever the loop's clock.
fn a_deadline_at_a_time_of_day(cell: &Cell) -> Verdict {
    for clock in CLOCKS {
        let mut lp = open(cell, clock)?;
        let log = Log::new();
        let ahead = Duration::from_millis(30);
        for due in [SystemTime::now() + ahead, SystemTime::now() - ahead] {
            let deadline = lp.events().at_system_time(due);
            let seen = log.clone();
            lp.events()
                .insert(Timer::at(deadline), move |_, (), _| seen.push(SystemTime::now()));
            assert_eq!(lp.run(), Outcome::Empty);
            let calls = log.take();
            let early = if clock == Clock::MonotonicCoarse {
                TICK
            } else {
                Duration::ZERO
            };
            assert!(calls.len() == 1 && calls[0] + early >= due, "{clock:?}: {calls:?}");
        }
    }
    Ok(())
}

/// Converted over and over, a time of day is never before the time that readings of both clocks put it at: what passes
/// between the readings counts as late.
fn a_time_of_day_is_never_too_early(cell: &Cell) -> Verdict {
    for clock in [Clock::Monotonic, Clock::Boottime] {
        let mut lp = open(cell, clock)?;
        let due = SystemTime::now() + HOUR;
        let least = (0..100_000)
            .map(|_| {
                let now = lp.events().read_clock();
                now + due.duration_since(SystemTime::now()).unwrap()
            })
            .max()
            .unwrap();
        let earliest = (0..100_000).map(|_| lp.events().at_system_time(due)).min().unwrap();
        assert!(
            earliest >= least,
            "{clock:?}: {:?} early",
            least.saturating_duration_since(earliest)
        );
    }
    Ok(())
}
