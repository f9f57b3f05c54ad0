//! Work that a shared loop does once: events that fire once and are gone, work put off, and the end of an event.

use std::panic::{self, AssertUnwindSafe};

use ev_backend::Backend;

use super::{LoopHandle, SharedCallback, SharedContext};
use crate::engine::{Arming, Engine, Spec};
use crate::event::{Describe, Described, Persistence, User};
use crate::{Error, EventKey, Fired, Rejected};

impl<B: Backend> LoopHandle<B> {
    /// Inserts an event that fires once: it is removed before its callback is called, and its source then belongs to that;
    /// see [`Reactor::once`](crate::Reactor::once).
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    #[doc(alias = "event_base_once")]
    pub fn once<D, C>(&self, event: D, callback: C) -> Result<EventKey, Rejected<(D::Source, C)>>
    where
        D: Describe,
        D::Source: Send + 'static,
        C: FnOnce(&mut SharedContext<'_, B>, D::Source, Fired) + Send + 'static,
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

    /// Has `closure` called in the loop's thread as an event of the middle priority that is active now; see
    /// [`Reactor::defer`](crate::Reactor::defer). [`post`](Self::post) goes before all events.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](Error::OutOfMemory), [`Error::Gone`](Error::Gone); the closure comes back.
    #[doc(alias = "event_deferred_cb_schedule_")]
    pub fn defer<C>(&self, closure: C) -> Result<EventKey, Rejected<C>>
    where
        C: FnOnce(&mut SharedContext<'_, B>) + Send + 'static,
    {
        self.defer_as(User::new(), closure)
    }

    /// As [`defer`](Self::defer), with the priority of `event`.
    ///
    /// # Errors
    ///
    /// [`Error::Priority`](Error::Priority), and those of [`defer`](Self::defer); the closure comes back.
    pub fn defer_as<C>(&self, event: User, closure: C) -> Result<EventKey, Rejected<C>>
    where
        C: FnOnce(&mut SharedContext<'_, B>) + Send + 'static,
    {
        let spec = event.describe().spec;
        self.insert_with(&spec, None, closure, bind_once, Engine::defer_event)
    }

    /// Removes an event and has `finalizer` called in the loop's thread when nothing is left of it: after its callback, if
    /// that runs, and after its closure and its source were dropped there; see [`Reactor::finalize`](crate::Reactor::finalize).
    ///
    /// # Errors
    ///
    /// [`Error::Stale`](Error::Stale), also if the event is being finalized already,
    /// [`Error::Gone`](Error::Gone); the finalizer comes back.
    #[doc(alias = "event_finalize")]
    #[doc(alias = "event_free_finalize")]
    pub fn finalize<C>(&self, key: EventKey, finalizer: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(&mut SharedContext<'_, B>) + Send + 'static,
        B: 'static,
    {
        let mut finalizer = Some(finalizer);
        let finalized = self.with(|engine| {
            engine.finalize(key, |callback| {
                let mut last = finalizer.take().map(|finalizer| (callback, finalizer));
                Box::new(move |cx, _| {
                    if let Some((callback, finalizer)) = last.take() {
                        // A panic in that drop must not cost the finalizer.
                        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(callback)));
                        finalizer(cx);
                        if let Err(payload) = dropped {
                            panic::resume_unwind(payload);
                        }
                    }
                })
            })
        });
        match (finalized, finalizer) {
            (Err(error), Some(value)) => Err(Rejected { error, value }),
            _ => Ok(()),
        }
    }

    /// Inserts an event whose callback `bind` makes of `value`, or hands the value back.
    pub(super) fn insert_payload<V>(
        &self,
        spec: &Spec,
        arming: Option<Arming>,
        value: V,
        bind: impl FnOnce(V) -> SharedCallback<B>,
    ) -> Result<EventKey, Rejected<V>> {
        self.insert_with(spec, arming, value, bind, |_, _| Ok(()))
    }

    /// As [`insert_payload`](Self::insert_payload), and does `then` with the event before anybody else sees it.
    fn insert_with<V>(
        &self,
        spec: &Spec,
        arming: Option<Arming>,
        value: V,
        bind: impl FnOnce(V) -> SharedCallback<B>,
        then: impl FnOnce(&mut Engine<B, SharedCallback<B>>, EventKey) -> Result<(), Error>,
    ) -> Result<EventKey, Rejected<V>> {
        let mut value = Some(value);
        let inserted = self.with(|engine| {
            let key = engine.insert_armed(spec, arming, || self.shared.read_clock())?;
            if let Some(value) = value.take() {
                // The event was made just now and has no payload.
                let _ = engine.fill(key, bind(value));
            }
            // It exists, so this does not fail.
            let _ = then(engine, key);
            Ok(key)
        });
        match (inserted, value) {
            (Err(error), Some(value)) => Err(Rejected { error, value }),
            (Ok(key), _) => Ok(key),
            (Err(_), None) => unreachable!("the value is taken only on success"),
        }
    }
}

/// The callback of a closure that is called once.
fn bind_once<B, C>(closure: C) -> SharedCallback<B>
where
    B: Backend,
    C: FnOnce(&mut SharedContext<'_, B>) + Send + 'static,
{
    let mut closure = Some(closure);
    Box::new(move |cx, fired| {
        if let Some(closure) = closure.take() {
            // It was inserted for this one call. Stale if something has removed it, which is as good.
            let _ = cx.remove(fired.key());
            closure(cx);
        }
    })
}
