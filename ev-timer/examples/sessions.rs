//! The deadlines of a million sessions.
//!
//! Members may be idle for 15 minutes, guests for 5; a few sessions end at a fixed time whatever happens. For half an
//! hour of a virtual clock they come, are busy and log out; then the rest is left to expire.
//!
//! ```text
//! cargo run --release -p ev-timer --example sessions
//! ```
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::time::{Duration, Instant};

use ev_timer::{Time, Timers};

const SESSIONS: u32 = 1_000_000;
const BUSY_SECONDS: u32 = 30 * 60;
const EVENTS_PER_SECOND: u32 = 1_000;

const MEMBER_IDLE: Duration = Duration::from_mins(15);
const GUEST_IDLE: Duration = Duration::from_mins(5);
const FIXED_END: Time = Time::from_nanos(40 * 60 * 1_000_000_000);

#[derive(Default)]
struct Counts {
    opened: u32,
    pushed_back: u32,
    logged_out: u32,
    expired: u32,
    wakes: u32,
    idle_wakes: u32,
}

struct Sessions {
    timers: Timers,
    now: Time,
    counts: Counts,
}

impl Sessions {
    /// Arms the session's timer; for one that is armed, as after a request, this pushes it back.
    fn touch(&mut self, session: u32) {
        match session % 100 {
            0 => self.timers.set(session, FIXED_END.max(self.now)),
            1..25 => self.timers.set_after(session, self.now, GUEST_IDLE),
            _ => self.timers.set_after(session, self.now, MEMBER_IDLE),
        }
    }

    fn request(&mut self, session: u32) {
        if self.timers.deadline(session).is_some() {
            self.counts.pushed_back += 1;
        } else {
            self.counts.opened += 1;
        }
        self.touch(session);
    }

    fn log_out(&mut self, session: u32) {
        self.counts.logged_out += u32::from(self.timers.cancel(session).is_some());
    }

    fn expire(&mut self) {
        let before = self.counts.expired;
        while let Some((_session, deadline)) = self.timers.pop_expired(self.now) {
            assert!(deadline <= self.now, "a timer fired early");
            self.counts.expired += 1;
        }
        self.counts.wakes += 1;
        self.counts.idle_wakes += u32::from(self.counts.expired == before);
    }
}

/// A small generator of random numbers (xorshift), to need nothing else.
fn random(state: &mut u64) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u32
}

fn main() {
    let started = Instant::now();
    let mut sessions = Sessions {
        timers: Timers::new(),
        now: Time::ZERO,
        counts: Counts::default(),
    };
    let mut seed = 0x2545_f491_4f6c_dd1d;

    for session in 0..SESSIONS {
        sessions.now += Duration::from_micros(10);
        sessions.request(session);
    }
    println!("{:?} after opening: {:?}", sessions.now, sessions.timers);

    for _ in 0..BUSY_SECONDS {
        sessions.now += Duration::from_secs(1);
        for _ in 0..EVENTS_PER_SECOND {
            let session = random(&mut seed) % SESSIONS;
            if random(&mut seed).is_multiple_of(10) {
                sessions.log_out(session);
            } else {
                sessions.request(session);
            }
        }
        sessions.expire();
    }
    println!("{:?} after half an hour: {:?}", sessions.now, sessions.timers);

    // Nothing happens any more: sleep until the next deadline, at the coarse steps of a real loop's clock.
    while let Some(wake) = sessions.timers.next_wake() {
        sessions.now = wake + Duration::from_millis(1);
        sessions.expire();
    }

    let Counts {
        opened,
        pushed_back,
        logged_out,
        expired,
        wakes,
        idle_wakes,
    } = sessions.counts;
    assert_eq!(opened, logged_out + expired, "a session was lost");
    println!("{:?} at the end: {:?}", sessions.now, sessions.timers);
    println!("opened {opened}, pushed back {pushed_back}, logged out {logged_out}, expired {expired}");
    println!("woke {wakes} times, {idle_wakes} of them for a deadline that had been pushed back");
    println!("took {:?}", started.elapsed());
}
