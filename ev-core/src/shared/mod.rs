//! The loop that threads share.

mod handle;
mod hooks;
mod inspect;
mod later;
mod shared_loop;
mod waits;

pub use self::handle::{LoopHandle, SharedContext, SharedPosted};
pub use self::shared_loop::SharedLoop;

use std::sync::Arc;
use std::thread::ThreadId;

use ev_backend::Backend;
use ev_thread::Monitor;
use ev_timer::Time;

use self::hooks::SharedHook;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::remote::{Inbox, Messages};
use crate::time_source::TimeSource;
use crate::{Error, EventKey, Fired};

type SharedCallback<B> = Box<dyn FnMut(&mut SharedContext<'_, B>, Fired) + Send>;
type SharedInbox<B> = Inbox<SharedPosted<B>, SharedCallback<B>>;
type SharedMessages<B> = Messages<SharedPosted<B>, SharedCallback<B>>;

/// What the loop and its handles share.
struct Shared<B: Backend> {
    monitor: Monitor<State<B>>,
    inbox: Arc<SharedInbox<B>>,
    clock: TimeSource,
}

impl<B: Backend> Shared<B> {
    /// A number that no other loop has while this one exists.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn read_clock(&self) -> Time {
        self.clock.now()
    }
}

/// What the lock protects.
struct State<B: Backend> {
    /// `None` once the loop has been dropped.
    engine: Option<Engine<B, SharedCallback<B>>>,
    hooks: Hooks<SharedHook<B>>,
    messages: SharedMessages<B>,
    /// The thread that runs the loop.
    owner: Option<ThreadId>,
    /// Whether the loop's thread sleeps, or is about to, so that changes have to wake it.
    asleep: bool,
}

impl<B: Backend> State<B> {
    fn engine(&mut self) -> Result<&mut Engine<B, SharedCallback<B>>, Error> {
        self.engine.as_mut().ok_or(Error::Gone)
    }

    /// Deletes an event, and what is on its way to make it active.
    fn delete(&mut self, key: EventKey) -> Result<(), Error> {
        let engine = self.engine.as_mut().ok_or(Error::Gone)?;
        self.messages.take_back(key);
        engine.delete(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_loops_have_two_numbers() {
        let loops = [SharedLoop::new().unwrap(), SharedLoop::new().unwrap()];
        let numbers = loops.each_ref().map(|lp| lp.handle().shared.id());
        assert_ne!(numbers[0], numbers[1]);
        assert_eq!(loops[0].handle().shared.id(), numbers[0], "and keep it");
    }

    #[test]
    fn debugging_names_the_types() {
        let lp = SharedLoop::new().unwrap();
        let handle = lp.handle();
        assert_eq!(format!("{lp:?}"), "SharedLoop { .. }");
        assert_eq!(format!("{handle:?}"), "LoopHandle { .. }");
        assert_eq!(format!("{:?}", handle.keep_alive().unwrap()), "KeepAlive { .. }");
    }
}
