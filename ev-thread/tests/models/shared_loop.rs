//! A loop that threads share: the inbox and the monitor used together, in the way ev-core uses them. Two events, which
//! others activate, delete and remove, are what it has of an engine.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ev_thread::{Monitor, MonitorGuard};
use loom::model;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, ThreadId};

use super::inbox::Inbox;
use super::up_to_three_preemptions;

struct Shared {
    monitor: Monitor<State>,
    /// For what was removed, and the loop's thread is to drop.
    inbox: Inbox<Payload>,
}

#[derive(Default)]
struct State {
    payloads: [Option<Payload>; 2],
    added: [bool; 2],
    /// Those to be called, the next one last.
    active: Vec<usize>,
    running: Option<usize>,
    owner: Option<ThreadId>,
    asleep: bool,
    stopping: bool,
    /// Whether the loop has been dropped.
    gone: bool,
}

impl State {
    fn exists(&self) -> Result<(), Gone> {
        if self.gone { Err(Gone) } else { Ok(()) }
    }

    fn runs_elsewhere(&self) -> bool {
        self.owner.is_some_and(|owner| owner != thread::current().id())
    }

    fn is_idle(&self) -> bool {
        self.added == [false; 2] && self.active.is_empty()
    }

    fn wants_turn(&self) -> bool {
        self.stopping || self.is_idle() || !self.active.is_empty()
    }

    fn delete(&mut self, event: usize) {
        self.added[event] = false;
        self.active.retain(|&active| active != event);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Gone;

/// What an event owns: it may reach the loop when it is dropped, so that must not happen under the lock. And not beside
/// the loop's thread.
struct Payload {
    handle: Arc<Shared>,
    drops: Arc<AtomicUsize>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        assert!(!self.handle.monitor.lock().runs_elsewhere());
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// The loop, whose events are removed with it.
struct Loop {
    handle: Arc<Shared>,
    /// How many payloads were dropped.
    drops: Arc<AtomicUsize>,
}

impl Loop {
    fn new(active: &[usize]) -> Self {
        let handle = Arc::new(Shared {
            monitor: Monitor::new(State::default()),
            inbox: Inbox::new(),
        });
        let lp = Self {
            handle,
            drops: Arc::new(AtomicUsize::new(0)),
        };
        let payloads = [(); 2].map(|()| Some(lp.payload()));
        let mut state = lp.handle.monitor.lock();
        state.payloads = payloads;
        state.added = [true; 2];
        state.active.extend(active);
        drop(state);
        lp
    }

    fn payload(&self) -> Payload {
        Payload {
            handle: Arc::clone(&self.handle),
            drops: Arc::clone(&self.drops),
        }
    }

    /// Has a thread do something with a handle.
    fn meanwhile(&self, f: impl FnOnce(&Shared) + Send + 'static) -> thread::JoinHandle<()> {
        let handle = Arc::clone(&self.handle);
        thread::spawn(move || f(&handle))
    }

    /// Runs until no event is added or active and there are no messages, or until stopped.
    fn run(&self, callback: impl Fn(usize)) {
        let shared = &*self.handle;
        let mut run = Run(shared.monitor.lock());
        run.0.owner = Some(thread::current().id());
        while !run.0.is_idle() || !shared.inbox.mailbox.is_empty() {
            if !run.0.wants_turn() {
                run.0.asleep = true;
                run.0.unlocked(|| shared.inbox.sleep());
                run.0.asleep = false;
            }
            let messages = shared.inbox.take();
            run.0.unlocked(|| drop(messages));
            while let Some(event) = run.0.active.pop() {
                run.0.running = Some(event);
                Call(&mut run.0).0.unlocked(|| callback(event));
            }
            if std::mem::take(&mut run.0.stopping) {
                break;
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let mut state = self.handle.monitor.lock();
        state.gone = true;
        let payloads = std::mem::take(&mut state.payloads);
        drop(state);
        drop(self.handle.inbox.mailbox.close());
        drop(payloads);
    }
}

/// A run under way.
struct Run<'a>(MonitorGuard<'a, State>);

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.0.owner = None;
    }
}

/// A callback under way. Its turn ends also when it panics.
struct Call<'a, 'b>(&'a mut MonitorGuard<'b, State>);

impl Drop for Call<'_, '_> {
    fn drop(&mut self) {
        self.0.running = None;
        self.0.end_turn();
    }
}

/// What a handle can do.
impl Shared {
    fn wake_for(&self, state: &State) {
        if state.asleep && state.wants_turn() {
            self.inbox.wake();
        }
    }

    fn stop(&self) -> Result<(), Gone> {
        let mut state = self.monitor.lock();
        state.exists()?;
        state.stopping = true;
        self.wake_for(&state);
        Ok(())
    }

    fn activate(&self, event: usize) -> Result<(), Gone> {
        let mut state = self.monitor.lock();
        state.exists()?;
        state.active.push(event);
        self.wake_for(&state);
        Ok(())
    }

    fn delete(&self, event: usize) -> Result<(), Gone> {
        let mut state = self.monitor.lock();
        state.exists()?;
        state.delete(event);
        self.wake_for(&state);
        if state.running == Some(event) && state.runs_elsewhere() {
            state.wait_turn();
        }
        Ok(())
    }

    fn remove(&self, event: usize) -> Result<(), Gone> {
        let mut state = self.monitor.lock();
        state.exists()?;
        state.delete(event);
        let mut payload = state.payloads[event].take();
        if state.runs_elsewhere()
            && let Some(payload) = payload.take()
        {
            // Which also wakes the loop if it was the last event.
            assert!(self.inbox.send(payload).is_ok(), "a loop that runs exists");
        }
        drop(state);
        drop(payload);
        Ok(())
    }
}

#[test]
fn what_another_thread_activates_is_called() {
    model(|| {
        let lp = Loop::new(&[]);
        let other = lp.meanwhile(|handle| handle.activate(0).unwrap());
        lp.run(|event| {
            assert_eq!(event, 0);
            lp.handle.stop().unwrap();
        });
        other.join().unwrap();
    });
}

#[test]
fn a_loop_can_be_stopped_before_and_while_it_runs() {
    model(|| {
        let lp = Loop::new(&[]);
        let other = lp.meanwhile(|handle| handle.stop().unwrap());
        lp.run(|_| ());
        other.join().unwrap();
        lp.handle.remove(0).unwrap();
        assert_eq!(lp.drops.load(Ordering::Relaxed), 1, "at once, as the loop does not run");
    });
}

#[test]
fn a_loop_ends_when_its_last_event_is_deleted() {
    model(|| {
        let lp = Loop::new(&[]);
        let other = lp.meanwhile(|handle| {
            handle.delete(0).unwrap();
            handle.delete(1).unwrap();
        });
        lp.run(|_| ());
        other.join().unwrap();
    });
}

#[test]
fn a_loop_ends_when_its_last_event_is_removed() {
    model(|| {
        let lp = Loop::new(&[0]);
        let other = Cell::new(None);
        lp.run(|_| {
            other.set(Some(lp.meanwhile(|handle| {
                handle.remove(0).unwrap();
                handle.remove(1).unwrap();
            })));
        });
        other.take().unwrap().join().unwrap();
        assert_eq!(
            lp.drops.load(Ordering::Relaxed),
            2,
            "before the loop is dropped or runs again"
        );
    });
}

/// One deleting thread for each of `deleted`, while the loop calls the active events.
fn delete_while_they_run(active: &[usize], deleted: &[usize]) {
    let lp = Loop::new(active);
    let inside = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    lp.handle.stop().unwrap();
    let others: Vec<_> = deleted
        .iter()
        .map(|&event| {
            let inside = Arc::clone(&inside);
            lp.meanwhile(move |handle| {
                handle.delete(event).unwrap();
                assert!(!inside[event].load(Ordering::Relaxed));
            })
        })
        .collect();
    lp.run(|event| {
        inside[event].store(true, Ordering::Relaxed);
        thread::yield_now();
        inside[event].store(false, Ordering::Relaxed);
    });
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn an_event_does_not_run_once_it_is_deleted() {
    // Active again already while it runs: one that waited first and deleted then would find it running.
    model(|| delete_while_they_run(&[0, 0], &[0]));
}

#[test]
fn two_threads_may_delete_the_event_that_runs() {
    up_to_three_preemptions(|| delete_while_they_run(&[1, 0], &[0, 0]));
}

#[test]
fn two_threads_may_delete_an_event_each() {
    up_to_three_preemptions(|| delete_while_they_run(&[1, 0], &[0, 1]));
}

#[test]
fn nobody_waits_for_a_callback_that_is_over() {
    model(|| {
        let lp = Loop::new(&[0]);
        // The loop sleeps in the end, and there is no other turn to come.
        let other = lp.meanwhile(|handle| {
            handle.delete(0).unwrap();
            handle.stop().unwrap();
        });
        lp.run(|_| ());
        other.join().unwrap();
    });
}

#[test]
fn a_callback_may_delete_its_own_event() {
    model(|| {
        let lp = Loop::new(&[0]);
        lp.handle.stop().unwrap();
        let other = lp.meanwhile(|handle| handle.delete(0).unwrap());
        lp.run(|event| lp.handle.delete(event).unwrap());
        other.join().unwrap();
    });
}

#[test]
fn a_callback_that_panics_ends_the_wait_for_it() {
    model(|| {
        let lp = Loop::new(&[0]);
        lp.handle.stop().unwrap();
        let other = lp.meanwhile(|handle| handle.delete(0).unwrap());
        // Without the message of a `panic!`.
        let _ = catch_unwind(AssertUnwindSafe(|| lp.run(|_| resume_unwind(Box::new(())))));
        assert!(lp.handle.monitor.lock().owner.is_none());
        other.join().unwrap();
    });
}

#[test]
fn what_a_handle_does_during_shutdown_is_done_or_refused() {
    up_to_three_preemptions(|| {
        let lp = Loop::new(&[0]);
        let (handle, drops) = (Arc::clone(&lp.handle), Arc::clone(&lp.drops));
        let other = Cell::new(None);
        lp.handle.stop().unwrap();
        lp.run(|_| {
            let message = lp.payload();
            other.set(Some(lp.meanwhile(move |handle| {
                drop(handle.inbox.send(message));
                let _ = handle.remove(0);
            })));
        });
        drop(lp);
        assert_eq!(handle.remove(1), Err(Gone));
        other.take().unwrap().join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 3, "though there still is a handle");
    });
}

#[test]
fn any_handle_may_be_the_last() {
    model(|| {
        let lp = Loop::new(&[]);
        let drops = Arc::clone(&lp.drops);
        // The handle goes while the loop sleeps, is about to end, has ended or is being dropped.
        let other = lp.meanwhile(|handle| handle.stop().unwrap());
        lp.run(|_| ());
        drop(lp);
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        other.join().unwrap();
    });
}
