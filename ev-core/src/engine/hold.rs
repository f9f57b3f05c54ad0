//! Keeping a loop from ending for want of events.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "threads")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keeps a loop running although it has no events: while a worker thread computes what will be posted to it, say.
///
/// From [`Reactor::keep_alive`](crate::Reactor::keep_alive) or
/// [`LoopHandle::keep_alive`](crate::LoopHandle::keep_alive). While any of them exists, an empty loop is no reason for a
/// run to end. Dropping the last one wakes the loop, so that it can. Each clone counts on its own.
///
/// ```
/// use std::thread;
/// use ev_core::EventLoop;
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = EventLoop::<u32>::new()?;
/// let (remote, alive) = (lp.remote()?, lp.keep_alive()?);
/// let worker = thread::spawn(move || {
///     remote.post(|cx| *cx.state = 42).expect("the loop is kept");
///     drop(alive);
/// });
/// let mut answer = 0;
/// lp.run(&mut answer)?; // ends when the worker has let go
/// assert_eq!(answer, 42);
/// # worker.join().expect("no panic");
/// # Ok(())
/// # }
/// ```
#[must_use = "it keeps the loop running only while it exists"]
#[doc(alias = "event_base_add_virtual_")]
pub struct KeepAlive {
    holds: Arc<Holds>,
}

/// The number of holds on a loop.
#[derive(Default)]
pub(super) struct Holds {
    now: AtomicUsize,
    most: AtomicUsize,
    #[cfg(feature = "threads")]
    waker: OnceLock<Arc<ev_thread::Waker>>,
}

impl Holds {
    /// Whether there are none. What was posted before the last one went is seen after this.
    pub(super) fn is_empty(&self) -> bool {
        self.now() == 0
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Acquire)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn reset_most(&self) {
        self.most.store(self.now(), Ordering::Relaxed);
    }

    /// Who is to be woken when the last hold goes.
    #[cfg(feature = "threads")]
    pub(super) fn set_waker(&self, waker: Arc<ev_thread::Waker>) {
        // An engine has one waker, for life.
        let _ = self.waker.set(waker);
    }
}

impl KeepAlive {
    pub(super) fn new(holds: &Arc<Holds>) -> Self {
        let now = holds.now.fetch_add(1, Ordering::Relaxed) + 1;
        holds.most.fetch_max(now, Ordering::Relaxed);
        Self {
            holds: Arc::clone(holds),
        }
    }
}

impl Clone for KeepAlive {
    fn clone(&self) -> Self {
        Self::new(&self.holds)
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let was_last = self.holds.now.fetch_sub(1, Ordering::AcqRel) == 1;
        #[cfg(feature = "threads")]
        if was_last && let Some(waker) = self.holds.waker.get() {
            // The notifier never blocks, and a full one is a success.
            let _ = waker.wake();
        }
        #[cfg(not(feature = "threads"))]
        let _ = was_last;
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").finish_non_exhaustive()
    }
}
