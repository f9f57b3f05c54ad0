//! Reaching a loop from other threads.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ev_backend::{AnyBackend, Backend, Waiter};
use ev_thread::{Admission, Mailbox, Waker, Woken};
use ev_timer::Time;

use crate::activator::{Post, Ring};
use crate::engine::{Engine, Stop};
use crate::{Activator, Causes, Context, Error, EventKey, Reactor, Rejected};

/// What other threads ask of a loop.
pub(crate) enum Message<C, P> {
    /// To be called in the loop.
    Call(C),
    Stop(Stop),
    /// To be answered: an event is to be active.
    Ring(Ring),
    /// A removed event's callback: the loop's thread is to drop it.
    Drop(P),
}

impl<C, P> Message<C, P> {
    fn is_ring_for(&self, key: EventKey) -> bool {
        matches!(self, Self::Ring(ring) if ring.key() == key)
    }
}

impl<B: Backend, E> Engine<B, E> {
    /// Makes active what another thread has rung for.
    pub(crate) fn activate_rung(&mut self, ring: Ring) {
        self.count_as_called();
        // Stale if it was removed meanwhile.
        let _ = self.activate(ring.answer(), Causes::empty());
    }
}

/// The letter box of a loop, shared by the loop and its handles.
pub(crate) struct Inbox<C, P> {
    mailbox: Mailbox<Message<C, P>>,
    waker: Arc<Waker>,
    /// The number of rings that the loop has not come to yet, or more while one is being left: so that a deletion looks for
    /// those of its event only if there are any, however much else is to be done.
    rings: AtomicUsize,
}

impl<C, P> Inbox<C, P> {
    pub(crate) fn open<B: Backend, E>(engine: &mut Engine<B, E>) -> Result<Self, Error> {
        let waker = Arc::new(Waker::new()?);
        engine.set_waker(Arc::clone(&waker))?;
        Ok(Self {
            mailbox: Mailbox::new(),
            waker,
            rings: AtomicUsize::new(0),
        })
    }

    /// Leaves a message and wakes the loop if it sleeps. Returns the message if the loop is gone.
    pub(crate) fn send(&self, message: Message<C, P>) -> Result<(), Message<C, P>> {
        self.mailbox.push(message)?;
        self.wake();
        Ok(())
    }

    /// Leaves a ring.
    pub(crate) fn ring(&self, ring: Ring) -> Result<(), Error> {
        // Counted first, so that whoever deletes the event afterwards finds it counted.
        self.rings.fetch_add(1, Ordering::Relaxed);
        self.send(Message::Ring(ring)).map_err(|_| Error::Gone)
    }

    /// Leaves a closure, and hands it back if the loop is gone.
    pub(crate) fn post(&self, closure: C) -> Result<(), Rejected<C>> {
        self.send(Message::Call(closure)).map_err(|message| match message {
            Message::Call(value) => Rejected {
                error: Error::Gone,
                value,
            },
            Message::Stop(_) | Message::Ring(_) | Message::Drop(_) => unreachable!("what comes back is what was sent"),
        })
    }

    /// Wakes the loop if it sleeps.
    pub(crate) fn wake(&self) {
        // The notifier never blocks and a full one is a success, so that there is no error to expect.
        let _ = self.waker.wake();
    }

    /// Wakes the loop if it would sleep past `deadline`.
    pub(crate) fn wake_before(&self, deadline: Time) {
        let _ = self.waker.wake_before(deadline.as_nanos());
    }

    /// Refuses messages from now on, and returns those that nobody will read.
    pub(crate) fn close(&self) -> Vec<Message<C, P>> {
        self.mailbox.close()
    }
}

/// What a loop was asked for and has not done yet.
pub(crate) struct Messages<C, P> {
    pub(crate) inbox: Arc<Inbox<C, P>>,
    /// What was taken out of the mailbox, the next one last.
    batch: Vec<Message<C, P>>,
}

impl<C, P> Messages<C, P> {
    pub(crate) fn new(inbox: Arc<Inbox<C, P>>) -> Self {
        Self {
            inbox,
            batch: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.inbox.mailbox.is_empty()
    }

    /// Takes out what was left until now, for [`next`](Self::next) to hand out. What comes meanwhile is for the next turn,
    /// so that messages cannot starve events. What an earlier turn did not come to goes first.
    pub(crate) fn take_batch(&mut self) {
        if self.batch.is_empty() {
            self.inbox.mailbox.take_all(&mut self.batch);
            self.batch.reverse();
        }
    }

    pub(crate) fn next(&mut self) -> Option<Message<C, P>> {
        let message = self.batch.pop();
        if let Some(Message::Ring(_)) = &message {
            self.inbox.rings.fetch_sub(1, Ordering::Relaxed);
        }
        message
    }

    /// Takes back the rings for an event: part of its deletion. Their bells are answered, so that the next ring is left
    /// anew.
    #[inline]
    pub(crate) fn take_back(&mut self, key: EventKey) {
        // Relaxed: a ring that the deletion has to take back was left before it, and was counted before that.
        if self.inbox.rings.load(Ordering::Relaxed) > 0 {
            self.take_back_some(key);
        }
    }

    #[cold]
    fn take_back_some(&mut self, key: EventKey) {
        let before = self.batch.len();
        self.batch.retain(|message| !message.is_ring_for(key));
        let in_mailbox = self.inbox.mailbox.retain(|message| !message.is_ring_for(key));
        let number = before - self.batch.len() + in_mailbox;
        self.inbox.rings.fetch_sub(number, Ordering::Relaxed);
    }

    /// Takes out what nobody will do, of a loop that is being dropped. What is in the mailbox comes with
    /// [`close`](Inbox::close).
    pub(crate) fn abandon(&mut self) -> Vec<Message<C, P>> {
        mem::take(&mut self.batch)
    }
}

/// How a loop sleeps that messages wake.
pub(crate) struct Sleeper {
    waker: Arc<Waker>,
    /// How the last sleep ended.
    woken: Woken,
}

impl Sleeper {
    pub(crate) fn new<C, P>(inbox: &Inbox<C, P>) -> Self {
        Self {
            waker: Arc::clone(&inbox.waker),
            woken: Woken::Unnotified,
        }
    }

    /// Waits for readiness, in a way that messages end. `until` answers when the wait ends by itself, for those who wake
    /// the loop only if it would sleep too long.
    #[inline]
    pub(crate) fn wait<W: Waiter>(
        &mut self,
        waiter: &mut W,
        until: impl FnOnce() -> Option<Time>,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        // Who only looks need not be woken.
        if timeout == Some(Duration::ZERO) {
            return waiter.wait(timeout);
        }
        let gate = self.waker.gate();
        if self.woken == Woken::Notified {
            gate.linger();
        }
        let timeout = match gate.begin_wait(until().map(Time::as_nanos)) {
            Admission::Sleep => timeout,
            Admission::Notified => Some(Duration::ZERO),
        };
        let waited = waiter.wait(timeout);
        // Whether notified or not, the mailbox is looked at next.
        self.woken = gate.end_wait();
        waited
    }
}

/// A handle by which other threads reach an [`EventLoop`](crate::EventLoop).
///
/// It can have a closure called in the loop's thread, with the loop's [`Context`], make an event active
/// ([`activator`](Self::activator)), and stop the loop. All of that may be done at any time, whether the loop runs or not,
/// and costs one system call at most: none if the loop is awake or somebody has woken it already. A loop that nobody has a
/// `Remote` for pays nothing.
///
/// A `Remote` does not keep the loop running: one without events ends even though somebody might still post.
///
/// ```
/// use std::thread;
/// use ev_core::{EventLoop, RunMode};
///
/// # fn main() -> std::io::Result<()> {
/// let mut lp = EventLoop::<u32>::new()?;
/// let remote = lp.remote()?;
/// let worker = thread::spawn(move || {
///     for n in 1..=3 {
///         remote.post(move |cx| *cx.state += n).expect("the loop still exists");
///     }
///     remote.stop().expect("the loop still exists");
/// });
/// let mut sum = 0;
/// lp.run_with(RunMode::FOREVER, &mut sum)?;
/// worker.join().expect("the worker does not panic");
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
pub struct Remote<S, B: Backend = AnyBackend> {
    inbox: Arc<Inbox<Posted<S, B>, Infallible>>,
}

/// A closure posted to an [`EventLoop`](crate::EventLoop).
pub type Posted<S, B = AnyBackend> = Box<dyn FnOnce(&mut Context<'_, S, B>) + Send>;

/// What an [`EventLoop`](crate::EventLoop) has that other threads reach.
pub(crate) struct Reached<S, B: Backend> {
    pub(crate) messages: Messages<Posted<S, B>, Infallible>,
    pub(crate) sleeper: Sleeper,
}

impl<S, B: Backend> Reached<S, B> {
    fn open<E>(engine: &mut Engine<B, E>) -> Result<Self, Error> {
        let inbox = Inbox::open(engine)?;
        Ok(Self {
            sleeper: Sleeper::new(&inbox),
            messages: Messages::new(Arc::new(inbox)),
        })
    }
}

impl<S, B: Backend> Remote<S, B> {
    /// Has `closure` called in the loop's thread, in the order of posting, before the events that are active then.
    ///
    /// A panic in it reaches the caller of `run`; what was posted after it is called in the next run.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] when the loop has been dropped; the closure comes back. A loop that is dropped before it comes to
    /// the closure drops it.
    pub fn post<C>(&self, closure: C) -> Result<(), Rejected<Posted<S, B>>>
    where
        C: FnOnce(&mut Context<'_, S, B>) + Send + 'static,
    {
        self.inbox.post(Box::new(closure))
    }

    /// A handle that makes one event active, at little cost when that is done often.
    #[must_use]
    pub fn activator(&self, key: EventKey) -> Activator<Self> {
        Activator::new(self.clone(), key)
    }

    /// Stops the loop when it comes to its messages, after what was posted before. It looks at them once a turn, before
    /// it calls events: what a turn under way has yet to call is still called. What is active then stays active for the
    /// next run. If the loop does not run, its next run ends so.
    ///
    /// Not heard while an event keeps making itself active: see [`Reactor::activate`].
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_loopbreak")]
    pub fn stop(&self) -> Result<(), Error> {
        self.inbox.send(Message::Stop(Stop::Now)).map_err(|_| Error::Gone)
    }

    /// Stops the loop at the end of the turn in which it learns of it.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    #[doc(alias = "event_base_loopexit")]
    pub fn stop_after_turn(&self) -> Result<(), Error> {
        self.inbox.send(Message::Stop(Stop::AfterTurn)).map_err(|_| Error::Gone)
    }
}

impl<S, B: Backend> Post for Remote<S, B> {
    fn post_activation(&self, ring: Ring) -> Result<(), Error> {
        self.inbox.ring(ring)
    }
}

impl<S, B: Backend> Clone for Remote<S, B> {
    fn clone(&self) -> Self {
        Self {
            inbox: Arc::clone(&self.inbox),
        }
    }
}

impl<S, B: Backend> fmt::Debug for Remote<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl<S, B: Backend> Reactor<S, B> {
    /// A handle by which other threads reach this loop.
    ///
    /// # Errors
    ///
    /// The first one opens a notifier: the kernel's errors at that.
    pub fn remote(&mut self) -> Result<Remote<S, B>, Error> {
        let reached = match &mut self.reached {
            Some(reached) => reached,
            None => self.reached.insert(Reached::open(&mut self.engine)?.into()),
        };
        Ok(Remote {
            inbox: Arc::clone(&reached.messages.inbox),
        })
    }

    /// Does what other threads have asked for until now.
    pub(crate) fn run_messages(&mut self, state: &mut S) {
        let Some(reached) = &mut self.reached else { return };
        reached.messages.take_batch();
        while self.engine.stopping() != Some(Stop::Now)
            && let Some(message) = self.reached.as_mut().and_then(|reached| reached.messages.next())
        {
            match message {
                Message::Call(closure) => {
                    self.engine.count_as_called();
                    closure(&mut Context { state, reactor: self });
                }
                Message::Stop(stop) => self.engine.stop(stop),
                Message::Ring(ring) => self.engine.activate_rung(ring),
                Message::Drop(never) => match never {},
            }
        }
    }
}

impl<S, B: Backend> Drop for Reactor<S, B> {
    fn drop(&mut self) {
        if let Some(reached) = &self.reached {
            drop(reached.messages.inbox.close());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::{EventLoop, RunMode, User};

    #[test]
    fn a_ring_counts_until_the_loop_has_come_to_it() {
        let mut lp = EventLoop::<()>::new().unwrap();
        let remote = lp.remote().unwrap();
        let rings = || remote.inbox.rings.load(Ordering::Relaxed);
        let keys = [(); 3].map(|()| lp.insert(User::new(), |_, (), _| {}).unwrap());
        for (number, key) in (1..).zip(keys) {
            remote.activator(key).activate().unwrap();
            assert_eq!(rings(), number);
        }
        lp.delete(keys[0]).unwrap();
        assert_eq!(rings(), 2);
        lp.remove(keys[1]).unwrap();
        lp.run_with(RunMode::NON_BLOCKING, &mut ()).unwrap();
        assert_eq!(rings(), 0);
    }

    #[test]
    fn debugging_names_the_type() {
        let mut lp = EventLoop::<()>::new().unwrap();
        assert_eq!(format!("{:?}", lp.remote().unwrap()), "Remote { .. }");
    }
}
