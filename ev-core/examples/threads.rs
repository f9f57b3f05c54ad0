//! One loop, ten threads: each adds timers of its own and activates a common event.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ev_core::{Causes, Error, EventKey, LoopHandle, RunMode, SharedLoop, Timer, User};

const THREADS: u32 = 10;
const ROUNDS: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lp = SharedLoop::new()?;
    let calls = Arc::new(AtomicU32::new(0));

    let counter = Arc::clone(&calls);
    let common = lp.handle().insert(User::new(), move |_, (), _| {
        counter.fetch_add(1, Ordering::Relaxed);
    })?;

    let fired = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (handle, fired) = (lp.handle(), Arc::clone(&fired));
            thread::spawn(move || work(&handle, common, &fired))
        })
        .collect();
    lp.run_with(RunMode::FOREVER)?;

    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("{} timers fired", fired.load(Ordering::Relaxed));
    // Activating an event that is active already adds nothing, so this is at most one call for each activation.
    println!(
        "{} calls for {} activations",
        calls.load(Ordering::Relaxed),
        THREADS * ROUNDS
    );
    Ok(())
}

fn work(handle: &LoopHandle, common: EventKey, fired: &Arc<AtomicU32>) -> Result<(), Error> {
    for round in 0..ROUNDS {
        let fired = Arc::clone(fired);
        let timer = Timer::after(Duration::from_micros(u64::from(round)));
        handle.insert(timer, move |cx, (), timer| {
            // The last one of all ends the loop.
            if fired.fetch_add(1, Ordering::Relaxed) + 1 == THREADS * ROUNDS {
                cx.stop_after_turn().expect("the loop that calls this exists");
            }
            cx.remove(timer.key()).expect("the event that runs exists");
        })?;
        handle.activate(common, Causes::empty())?;
    }
    Ok(())
}
