//! Work that is done once: events that fire once and are gone, work put off, and the end of an event.

use ev_backend::Backend;

use crate::event::{Describe, Described, Persistence, User};
use crate::{Context, EventKey, Fired, Reactor, Rejected};

impl<S, B: Backend> Reactor<S, B> {
    /// Inserts an event that fires once: it is removed before its callback is called, and its source then belongs to that.
    ///
    /// Whatever the description says of it, the event does not persist. It can be called off by
    /// [`remove`](Self::remove), and is dropped unfired with the loop.
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use ev_core::{EventLoop, Interest, Io};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (mut near, far) = UnixStream::pair()?;
    /// near.write_all(b"!")?;
    /// let mut lp = EventLoop::<Option<UnixStream>>::new()?;
    /// lp.once(Io::new(far, Interest::READ), |cx, far, _fired| *cx.state = Some(far))?;
    /// let mut given_back = None;
    /// lp.run(&mut given_back)?;
    /// assert!(given_back.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    #[doc(alias = "event_base_once")]
    pub fn once<D, C>(&mut self, event: D, callback: C) -> Result<EventKey, Rejected<(D::Source, C)>>
    where
        D: Describe,
        D::Source: 'static,
        C: FnOnce(&mut Context<'_, S, B>, D::Source, Fired) + 'static,
    {
        let Described {
            source,
            mut spec,
            arming,
        } = event.describe();
        spec.persistence = Persistence::Once;
        self.insert_payload(&spec, arming, (source, callback), |value| {
            let mut value = Some(value);
            Box::new(move |cx, fired| {
                if let Some((source, callback)) = value.take() {
                    // The kernel forgets the descriptor before the callback can close it.
                    let _ = cx.remove(fired.key());
                    callback(cx, source, fired);
                }
            })
        })
    }

    /// Has `closure` called in this loop once the callback that runs has returned, with the loop's middle priority.
    ///
    /// For what should not be done where it comes up: deep in another callback, or before its siblings have run. Of what
    /// is deferred within a turn the first 33 are called in that turn and the others in the next, so that work that
    /// defers more of itself does not keep everything else waiting. What is deferred outside a run is called in the next
    /// one. [`remove`](Self::remove) calls it off.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory); the closure comes back.
    #[doc(alias = "event_deferred_cb_schedule_")]
    pub fn defer<C>(&mut self, closure: C) -> Result<EventKey, Rejected<C>>
    where
        C: FnOnce(&mut Context<'_, S, B>) + 'static,
    {
        self.defer_as(User::new(), closure)
    }

    /// As [`defer`](Self::defer), with the priority of `event`.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`](crate::Error::Priority), [`Error::OutOfMemory`](crate::Error::OutOfMemory); the closure comes back.
    pub fn defer_as<C>(&mut self, event: User, closure: C) -> Result<EventKey, Rejected<C>>
    where
        C: FnOnce(&mut Context<'_, S, B>) + 'static,
    {
        let spec = event.describe().spec;
        let key = self.insert_payload(&spec, None, closure, |closure| {
            let mut closure = Some(closure);
            Box::new(move |cx, fired| {
                if let Some(closure) = closure.take() {
                    // It was inserted for this one call. Stale if something has removed it, which is as good.
                    let _ = cx.remove(fired.key());
                    closure(cx);
                }
            })
        })?;
        // The event was made just now.
        let _ = self.engine.defer_event(key);
        Ok(key)
    }

    /// Removes an event and has `finalizer` called in the loop when nothing is left of it: after its callback, if that
    /// runs, and after its closure and its source were dropped.
    ///
    /// The key is stale from now on, a pending call of the event's callback is taken back, and the loop does not end for
    /// want of events before the finalizer was called. It has the event's priority. A loop that is dropped before drops
    /// the finalizer without calling it.
    ///
    /// ```
    /// use ev_core::{Causes, EventLoop, User};
    ///
    /// # fn main() -> Result<(), ev_core::Error> {
    /// let mut lp = EventLoop::<Vec<&str>>::new()?;
    /// let event = lp.insert(User::new(), |cx, (), fired| {
    ///     cx.finalize(fired.key(), |cx| cx.state.push("finalizer")).expect("the event exists");
    ///     cx.state.push("callback");
    /// })?;
    /// lp.activate(event, Causes::empty())?;
    /// let mut log = vec![];
    /// lp.run(&mut log)?;
    /// assert_eq!(log, ["callback", "finalizer"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Stale`](crate::Error::Stale), also if the event is being finalized already; the finalizer comes back.
    #[doc(alias = "event_finalize")]
    #[doc(alias = "event_free_finalize")]
    pub fn finalize<C>(&mut self, key: EventKey, finalizer: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(&mut Context<'_, S, B>) + 'static,
    {
        let mut finalizer = Some(finalizer);
        let mut callback = None;
        let finalized = self.engine.finalize(key, |old| {
            callback = old;
            let mut finalizer = finalizer.take();
            Box::new(move |cx, _| {
                if let Some(finalizer) = finalizer.take() {
                    finalizer(cx);
                }
            })
        });
        drop(callback);
        match (finalized, finalizer) {
            (Err(error), Some(value)) => Err(Rejected { error, value }),
            _ => Ok(()),
        }
    }
}
