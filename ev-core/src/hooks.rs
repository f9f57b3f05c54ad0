//! Closures that a loop calls in every turn, before and after it waits.
//!
//! Invariants:
//! 1. Entries are in the order of their keys, which is that of registration.
//! 2. An entry's hook is `None` only while it is being called.

use std::num::NonZeroU64;
use std::time::Duration;

use ev_backend::Backend;

use crate::diagnostics::error;
use crate::{Context, Error, Reactor};

/// Names a hook until it is removed; from [`Reactor::on_prepare`] and [`Reactor::on_check`].
///
/// Do not give a loop the key of another loop's hook: it may be the key of one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "evwatch")]
pub struct HookKey(NonZeroU64);

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the wait.
    Prepare,
    /// After it.
    Check,
}

struct Entry<F> {
    key: HookKey,
    phase: Phase,
    hook: Option<F>,
}

/// The hooks of a loop.
pub(crate) struct Hooks<F> {
    entries: Vec<Entry<F>>,
    last: u64,
}

/// A walk over the hooks that exist when it begins.
pub(crate) struct Walk {
    phase: Phase,
    /// The last one that was called.
    after: u64,
    last: u64,
}

impl<F> Hooks<F> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            last: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn insert(&mut self, phase: Phase, hook: F) -> HookKey {
        self.last += 1;
        let key = HookKey(NonZeroU64::MIN.saturating_add(self.last - 1));
        self.entries.push(Entry {
            key,
            phase,
            hook: Some(hook),
        });
        key
    }

    /// Takes a hook out for good. The answer is `None` inside if it is being called.
    pub(crate) fn remove(&mut self, key: HookKey) -> Result<Option<F>, Error> {
        let position = self.find(key).ok_or(Error::Stale)?;
        Ok(self.entries.remove(position).hook)
    }

    pub(crate) fn walk(&self, phase: Phase) -> Walk {
        Walk {
            phase,
            after: 0,
            last: self.last,
        }
    }

    /// Lends the walk's next hook, to be given back.
    pub(crate) fn next(&mut self, walk: &mut Walk) -> Option<(HookKey, F)> {
        let first = self.entries.partition_point(|entry| entry.key.0.get() <= walk.after);
        let ahead = self.entries[first..].iter_mut();
        let mut ahead = ahead.take_while(|entry| entry.key.0.get() <= walk.last);
        let entry = ahead.find(|entry| entry.phase == walk.phase && entry.hook.is_some())?;
        walk.after = entry.key.0.get();
        Some((entry.key, entry.hook.take()?))
    }

    /// Puts a hook back; returns it if it was removed while it was called.
    pub(crate) fn give_back(&mut self, key: HookKey, hook: F) -> Option<F> {
        match self.find(key) {
            Some(position) => self.entries[position].hook.replace(hook),
            None => Some(hook),
        }
    }

    fn find(&self, key: HookKey) -> Option<usize> {
        self.entries.binary_search_by_key(&key.0, |entry| entry.key.0).ok()
    }
}

pub(crate) type Hook<S, B> = Box<dyn FnMut(&mut Context<'_, S, B>, Option<Duration>)>;

impl<S, B: Backend> Reactor<S, B> {
    /// Has `hook` called in every turn before the loop waits, with the time that it is going to wait, as planned before the
    /// first hook: `None` if nothing limits it, zero if it is not going to sleep.
    ///
    /// For what has to be done when everything else is done: flush buffers, hand a batch over. What the hook adds counts
    /// for this wait already. Hooks are called in the order of registration; they do not keep the loop running, and are
    /// not called by a run that ends for want of events. A hook that panics is removed, and the panic goes on to the
    /// caller of `run`.
    ///
    /// ```
    /// use ev_core::{Causes, EventLoop, User};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut lp = EventLoop::<u32>::new()?;
    /// lp.on_prepare(|cx, _timeout| *cx.state += 1);
    /// let event = lp.insert(User::new(), |_, (), _| ())?;
    /// lp.activate(event, Causes::empty())?;
    /// let mut turns = 0;
    /// lp.run(&mut turns)?;
    /// assert_eq!(turns, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "evwatch_prepare_new")]
    pub fn on_prepare<C>(&mut self, hook: C) -> HookKey
    where
        C: FnMut(&mut Context<'_, S, B>, Option<Duration>) + 'static,
    {
        self.hooks.insert(Phase::Prepare, Box::new(hook))
    }

    /// Has `hook` called in every turn after the loop has waited, before any callback. Otherwise as
    /// [`on_prepare`](Self::on_prepare).
    #[doc(alias = "evwatch_check_new")]
    pub fn on_check<C>(&mut self, mut hook: C) -> HookKey
    where
        C: FnMut(&mut Context<'_, S, B>) + 'static,
    {
        self.hooks.insert(Phase::Check, Box::new(move |cx, _| hook(cx)))
    }

    /// Removes a hook and drops it; one that is being called is dropped when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] if it was removed before.
    #[doc(alias = "evwatch_free")]
    pub fn remove_hook(&mut self, key: HookKey) -> Result<(), Error> {
        self.hooks.remove(key).map(drop)
    }

    /// Calls the hooks of a phase.
    pub(crate) fn run_hooks(&mut self, phase: Phase, timeout: Option<Duration>, state: &mut S) {
        let mut walk = self.hooks.walk(phase);
        while let Some((key, hook)) = self.hooks.next(&mut walk) {
            let mut call = HookCall {
                reactor: self,
                key,
                hook: Some(hook),
            };
            call.call(state, timeout);
        }
    }
}

/// A hook that is being called: if it panics, it is removed.
struct HookCall<'a, S, B: Backend> {
    reactor: &'a mut Reactor<S, B>,
    key: HookKey,
    hook: Option<Hook<S, B>>,
}

impl<S, B: Backend> HookCall<'_, S, B> {
    fn call(&mut self, state: &mut S, timeout: Option<Duration>) {
        if let Some(hook) = &mut self.hook {
            let reactor = &mut *self.reactor;
            hook(&mut Context { state, reactor }, timeout);
        }
        if let Some(hook) = self.hook.take() {
            drop(self.reactor.hooks.give_back(self.key, hook));
        }
    }
}

impl<S, B: Backend> Drop for HookCall<'_, S, B> {
    fn drop(&mut self) {
        // Still here only when the hook has panicked.
        if let Some(hook) = self.hook.take() {
            error!("a hook panicked and is removed");
            // Stale if it has removed itself before.
            let _ = self.reactor.hooks.remove(self.key);
            drop(hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_meets_what_was_there_when_it_began() {
        let mut hooks = Hooks::new();
        let keys = ["a", "b", "c"].map(|name| hooks.insert(Phase::Check, name));
        hooks.insert(Phase::Prepare, "another phase");
        let mut walk = hooks.walk(Phase::Check);
        assert_eq!(hooks.next(&mut walk), Some((keys[0], "a")));
        assert_eq!(hooks.remove(keys[0]).unwrap(), None, "it is being called");
        assert_eq!(hooks.give_back(keys[0], "a"), Some("a"));
        assert_eq!(hooks.remove(keys[1]).unwrap(), Some("b"));
        hooks.insert(Phase::Check, "late");
        assert_eq!(hooks.next(&mut walk), Some((keys[2], "c")));
        assert_eq!(hooks.give_back(keys[2], "c"), None);
        assert_eq!(hooks.next(&mut walk), None);
        assert!(matches!(hooks.remove(keys[0]), Err(Error::Stale)));
    }
}
