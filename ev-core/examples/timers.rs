//! One-shot and periodic timers, a deadline shared by many, and a timer that is pushed back.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::time::{Duration, Instant};

use ev_core::{Error, EventKey, EventLoop, Timer};

struct Clockwork {
    start: Instant,
    ticks: u32,
    watchdog: Option<EventKey>,
}

impl Clockwork {
    fn say(&self, what: &str) {
        println!("{:4} ms  {what}", self.start.elapsed().as_millis());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lp = EventLoop::<Clockwork>::new()?;

    lp.insert(Timer::after(Duration::from_millis(25)), |cx, (), _| {
        cx.state.say("once");
    })?;

    // Fires when nobody has pushed it back for 100 ms.
    let watchdog = lp.insert(Timer::after(Duration::from_millis(100)), |cx, (), _| {
        cx.state.say("watchdog: silence");
    })?;

    lp.insert(Timer::every(Duration::from_millis(50)), |cx, (), fired| {
        cx.state.ticks += 1;
        let tick = cx.state.ticks;
        cx.state.say(&format!("tick {tick}"));
        if tick == 4 {
            cx.remove(fired.key()).unwrap_or_else(|error| report(&error));
        } else if let Some(watchdog) = cx.state.watchdog {
            cx.add(watchdog).unwrap_or_else(|error| report(&error));
        }
    })?;

    // Many deadlines from one reading of the clock. Equal ones fire in the order in which they were set.
    let deadline = lp.now() + Duration::from_millis(60);
    for name in ["first", "second", "third"] {
        lp.insert(Timer::at(deadline), move |cx, (), _| cx.state.say(name))?;
    }

    let mut clockwork = Clockwork {
        start: Instant::now(),
        ticks: 0,
        watchdog: Some(watchdog),
    };
    lp.run(&mut clockwork)?; // ends by itself: nothing is left to wait for
    clockwork.say("nothing left");
    Ok(())
}

fn report(error: &Error) {
    println!("{error}");
}
