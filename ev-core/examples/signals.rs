//! Counts SIGUSR1, reports on SIGUSR2, ends at SIGINT or SIGTERM. Try `kill -USR1` with the number it prints.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::process;
use std::time::Duration;

use ev_core::signal::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use ev_core::{EventLoop, Signal, Timer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lp = EventLoop::<u32>::new()?;
    // Each delivery is a call: three signals at once are three calls.
    lp.insert(Signal::new(SIGUSR1), |cx, (), _| *cx.state += 1)?;
    lp.insert(Signal::new(SIGUSR2), |cx, (), _| println!("{} so far", cx.state))?;
    for signal in [SIGINT, SIGTERM] {
        lp.insert(Signal::new(signal), |cx, (), _| cx.stop())?;
    }
    // Not to stay behind when nobody signals.
    lp.insert(Timer::after(Duration::from_mins(1)), |cx, (), _| cx.stop())?;

    println!("process {} waits", process::id());
    let mut count = 0;
    lp.run(&mut count)?;
    println!("{count} times SIGUSR1");
    Ok(())
}
