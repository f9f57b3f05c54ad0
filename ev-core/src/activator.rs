//! Making one event active from other threads, often and cheaply.

use std::fmt;
use std::sync::Arc;

use ev_thread::Bell;

use crate::{Error, EventKey};

/// Makes one event active, from any thread; made by [`Remote::activator`](crate::Remote::activator) and
/// [`LoopHandle::activator`](crate::LoopHandle::activator). `H` is the handle that it goes through, of the one kind or the
/// other.
///
/// Activations that come before the loop gets to the first of them are one: the event is called once for all of them, and
/// each but the first costs an atomic operation, a few nanoseconds. So use it where it counts that something happened and
/// not how often, as when a queue of your own is no longer empty. Where each time counts, post.
///
/// What was done before an activation is visible to the callback that follows it.
///
/// ```
/// use std::sync::mpsc;
/// use std::thread;
/// use ev_core::{EventLoop, RunMode, User};
///
/// # fn main() -> std::io::Result<()> {
/// let (sender, receiver) = mpsc::channel();
/// let mut lp = EventLoop::<u32>::new()?;
/// let arrival = lp.insert(User::new(), move |cx, (), _| {
///     for n in receiver.try_iter() {
///         *cx.state += n;
///     }
///     if *cx.state == 6 {
///         cx.stop();
///     }
/// })?;
/// let activator = lp.remote()?.activator(arrival);
/// let worker = thread::spawn(move || {
///     for n in 1..=3 {
///         sender.send(n).expect("the loop has the other end");
///         activator.activate().expect("the loop still exists");
///     }
/// });
/// let mut sum = 0;
/// lp.run_with(RunMode::FOREVER, &mut sum)?;
/// worker.join().expect("the worker does not panic");
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "uv_async_t")]
#[doc(alias = "ev_async")]
#[derive(Clone)]
pub struct Activator<H> {
    handle: H,
    key: EventKey,
    bell: Arc<Bell>,
}

/// A ring that is on its way to the loop. Dropping it answers the bell, also where the message is lost with the loop or taken
/// back.
#[derive(Debug)]
pub struct Ring {
    bell: Arc<Bell>,
    key: EventKey,
}

impl Ring {
    pub(crate) fn key(&self) -> EventKey {
        self.key
    }

    /// Answers the bell. The event is then to be made active.
    pub(crate) fn answer(self) -> EventKey {
        self.key
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.bell.answer();
    }
}

impl<H: Post> Activator<H> {
    pub(crate) fn new(handle: H, key: EventKey) -> Self {
        Self {
            handle,
            key,
            bell: Arc::default(),
        }
    }

    /// Makes the event active, without causes, when the loop comes to its messages: before it calls the events that are
    /// active then. Nothing happens if the event has been removed.
    ///
    /// Deleting the event takes back what was asked before, whether the loop has come to it or not. That goes for a deletion
    /// in a closure that was posted earlier as well, if the closure is called later. Until the loop comes to it the event
    /// does not count as active.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] when the loop has been dropped.
    #[inline]
    pub fn activate(&self) -> Result<(), Error> {
        if !self.bell.ring() {
            return Ok(());
        }
        self.handle.post_activation(Ring {
            bell: Arc::clone(&self.bell),
            key: self.key,
        })
    }

    /// The event.
    pub fn key(&self) -> EventKey {
        self.key
    }
}

/// A handle of a loop that can be told to answer a bell and to make an event active. Public for the bound alone: the module is
/// private, so that nobody else implements it.
pub trait Post {
    /// Has the loop answer `ring` and then activate the event.
    fn post_activation(&self, ring: Ring) -> Result<(), Error>;
}

impl<H> fmt::Debug for Activator<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activator")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::{Causes, EventLoop, Remote, RunMode, SharedLoop, User};

    /// A loop with an event that counts its calls.
    fn counting() -> (EventLoop<u32>, EventKey, Activator<Remote<u32>>) {
        let mut lp = EventLoop::new().unwrap();
        let key = lp.insert(User::new(), |cx, (), _| *cx.state += 1).unwrap();
        let activator = lp.remote().unwrap().activator(key);
        (lp, key, activator)
    }

    #[test]
    fn what_comes_before_a_call_is_one() {
        let (mut lp, key, activator) = counting();
        assert_eq!(activator.key(), key);
        let mut calls = 0;
        for round in 1..=3 {
            for _ in 0..10 {
                activator.clone().activate().unwrap();
            }
            lp.run_with(RunMode::NON_BLOCKING, &mut calls).unwrap();
            assert_eq!(calls, round);
        }
    }

    #[test]
    fn an_activation_in_the_callback_is_another_call() {
        let mut lp = EventLoop::<u32>::new().unwrap();
        let remote = lp.remote().unwrap();
        let key = lp
            .insert(User::new(), move |cx, (), fired| {
                *cx.state += 1;
                if *cx.state < 5 {
                    remote.activator(fired.key()).activate().unwrap();
                }
            })
            .unwrap();
        lp.activate(key, Causes::empty()).unwrap();
        let mut calls = 0;
        lp.run(&mut calls).unwrap();
        assert_eq!(calls, 5);
    }

    #[test]
    fn a_removed_event_is_not_called() {
        let (mut lp, key, activator) = counting();
        activator.activate().unwrap();
        lp.remove(key).unwrap();
        activator.activate().unwrap();
        let mut calls = 0;
        lp.run_with(RunMode::NON_BLOCKING, &mut calls).unwrap();
        activator.activate().unwrap();
        lp.run_with(RunMode::NON_BLOCKING, &mut calls).unwrap();
        assert_eq!(calls, 0);
    }

    #[test]
    fn a_loop_that_is_gone_is_an_error_each_time() {
        let (lp, _, activator) = counting();
        activator.activate().unwrap();
        drop(lp);
        for _ in 0..2 {
            assert!(matches!(activator.activate(), Err(Error::Gone)));
        }
    }

    #[test]
    fn what_threads_did_before_is_seen() {
        const THREADS: u32 = 4;
        const ROUNDS: u32 = 2_000;
        let done = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&done);
        let mut lp = EventLoop::<()>::new().unwrap();
        let key = lp
            .insert(User::new(), move |cx, (), _| {
                if seen.load(Ordering::Relaxed) == THREADS * ROUNDS {
                    cx.stop();
                }
            })
            .unwrap();
        let activator = lp.remote().unwrap().activator(key);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        done.fetch_add(1, Ordering::Relaxed);
                        activator.activate().unwrap();
                    }
                });
            }
            lp.run_with(RunMode::FOREVER, &mut ()).unwrap();
        });
    }

    #[test]
    fn a_shared_loop_merges_them_as_well() {
        let mut lp = SharedLoop::new().unwrap();
        let handle = lp.handle();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let key = handle.insert(User::new(), move |_, (), _| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let activator = handle.activator(key.unwrap());
        for round in 1..=3 {
            for _ in 0..10 {
                activator.clone().activate().unwrap();
            }
            lp.run_with(RunMode::NON_BLOCKING).unwrap();
            assert_eq!(calls.load(Ordering::Relaxed), round);
        }
        drop(lp);
        for _ in 0..2 {
            assert!(matches!(activator.activate(), Err(Error::Gone)));
        }
    }

    #[test]
    fn debugging_names_the_event() {
        let (_lp, key, activator) = counting();
        assert_eq!(format!("{activator:?}"), format!("Activator {{ key: {key:?}, .. }}"));
    }
}
