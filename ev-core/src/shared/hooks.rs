//! The hooks of a shared loop.

use std::time::Duration;

use ev_backend::Backend;

use super::shared_loop::Running;
use super::{LoopHandle, SharedContext};
use crate::diagnostics::error;
use crate::hooks::{HookKey, Phase};
use crate::{Error, Rejected};

pub(super) type SharedHook<B> = Box<dyn FnMut(&mut SharedContext<'_, B>, Option<Duration>) + Send>;

impl<B: Backend> LoopHandle<B> {
    /// Has `hook` called in every turn before the loop waits; see
    /// [`Reactor::on_prepare`](crate::Reactor::on_prepare). A loop that sleeps at this moment calls it before its next wait.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]; the hook comes back.
    #[doc(alias = "evwatch_prepare_new")]
    pub fn on_prepare<C>(&self, hook: C) -> Result<HookKey, Rejected<C>>
    where
        C: FnMut(&mut SharedContext<'_, B>, Option<Duration>) + Send + 'static,
    {
        self.insert_hook(Phase::Prepare, hook, |hook| Box::new(hook))
    }

    /// Has `hook` called in every turn after the loop has waited; see [`Reactor::on_check`](crate::Reactor::on_check).
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]; the hook comes back.
    #[doc(alias = "evwatch_check_new")]
    pub fn on_check<C>(&self, hook: C) -> Result<HookKey, Rejected<C>>
    where
        C: FnMut(&mut SharedContext<'_, B>) + Send + 'static,
    {
        self.insert_hook(Phase::Check, hook, |mut hook| Box::new(move |cx, _| hook(cx)))
    }

    fn insert_hook<C>(
        &self,
        phase: Phase,
        value: C,
        bind: impl FnOnce(C) -> SharedHook<B>,
    ) -> Result<HookKey, Rejected<C>> {
        let mut state = self.shared.monitor.lock();
        if state.engine.is_some() {
            return Ok(state.hooks.insert(phase, bind(value)));
        }
        let error = Error::Gone;
        Err(Rejected { error, value })
    }

    /// Removes a hook. It is dropped here, or, if it is being called, by the loop's thread when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] if it was removed before, [`Error::Gone`].
    #[doc(alias = "evwatch_free")]
    pub fn remove_hook(&self, key: HookKey) -> Result<(), Error> {
        let mut state = self.shared.monitor.lock();
        state.engine()?;
        let hook = state.hooks.remove(key)?;
        drop(state);
        drop(hook);
        Ok(())
    }
}

impl<B: Backend> Running<'_, B> {
    /// Calls the hooks of a phase, without the lock.
    pub(super) fn run_hooks(&mut self, phase: Phase, timeout: Option<Duration>) {
        let mut walk = self.state.hooks.walk(phase);
        while let Some((key, hook)) = self.state.hooks.next(&mut walk) {
            let mut call = HookCall {
                running: self,
                key,
                hook: Some(hook),
            };
            call.call(timeout);
        }
    }
}

/// A hook that is being called: if it panics, it is removed.
struct HookCall<'a, 'b, B: Backend> {
    running: &'a mut Running<'b, B>,
    key: HookKey,
    hook: Option<SharedHook<B>>,
}

impl<B: Backend> HookCall<'_, '_, B> {
    fn call(&mut self, timeout: Option<Duration>) {
        let handle = self.running.handle;
        if let Some(hook) = &mut self.hook {
            self.running
                .state
                .unlocked(|| hook(&mut SharedContext::new(handle), timeout));
        }
        if let Some(hook) = self.hook.take() {
            let removed = self.running.state.hooks.give_back(self.key, hook);
            if removed.is_some() {
                self.running.state.unlocked(|| drop(removed));
            }
        }
    }
}

impl<B: Backend> Drop for HookCall<'_, '_, B> {
    fn drop(&mut self) {
        // Still here only when the hook has panicked.
        if let Some(hook) = self.hook.take() {
            error!("a hook panicked and is removed");
            // Stale if it has removed itself before.
            let _ = self.running.state.hooks.remove(self.key);
            self.running.state.unlocked(|| drop(hook));
        }
    }
}
