//! Signals: what a process does when one comes, and which ones a thread holds off.
//!
//! Signals are given by number, `libc::SIGINT` and so on; the kernel judges the number.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use bitflags::bitflags;
use libc::c_int;

use crate::check;

/// A set of signals.
///
/// ```
/// use ev_sys::signal::SigSet;
///
/// let set = SigSet::of([libc::SIGINT])?;
/// assert!(set.contains(libc::SIGINT) && !set.contains(libc::SIGTERM));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SigSet(libc::sigset_t);

impl SigSet {
    /// The set of no signal.
    pub fn empty() -> Self {
        // A C library writes no more of it than its signals need.
        let mut set = MaybeUninit::zeroed();
        // SAFETY: the pointer is valid for writes; the call cannot fail for one.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: a `sigset_t` is integers: zeroes are a value of it, and so is what the call made of them.
        Self(unsafe { set.assume_init() })
    }

    /// The set of every signal.
    pub fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: the pointer is valid for writes; the call cannot fail for one.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    /// The set of these signals.
    ///
    /// # Errors
    ///
    /// `EINVAL` if one of them is no signal.
    pub fn of(signals: impl IntoIterator<Item = c_int>) -> io::Result<Self> {
        let mut set = Self::empty();
        signals.into_iter().try_for_each(|signal| set.insert(signal))?;
        Ok(set)
    }

    /// Puts `signal` into the set.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such signal; the set has not changed.
    pub fn insert(&mut self, signal: c_int) -> io::Result<()> {
        // SAFETY: the set was initialised by its constructor.
        check(unsafe { libc::sigaddset(&raw mut self.0, signal) }).map(drop)
    }

    /// Takes `signal` out of the set.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such signal; the set has not changed.
    pub fn remove(&mut self, signal: c_int) -> io::Result<()> {
        // SAFETY: the set was initialised by its constructor.
        check(unsafe { libc::sigdelset(&raw mut self.0, signal) }).map(drop)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn as_ptr(&self) -> *const libc::sigset_t {
        &raw const self.0
    }

    /// Whether `signal` is in the set; no if there is no such signal.
    pub fn contains(&self, signal: c_int) -> bool {
        // SAFETY: the set was initialised by its constructor.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries((1..=128).filter(|&signal| self.contains(signal)))
            .finish()
    }
}

/// The signals that the calling thread holds off.
pub fn mask() -> SigSet {
    change_mask(libc::SIG_BLOCK, None)
}

/// Makes the calling thread hold off the signals of `set` as well. Returns the mask before.
///
/// `SIGKILL` and `SIGSTOP` are let through nevertheless.
pub fn block(set: &SigSet) -> SigSet {
    change_mask(libc::SIG_BLOCK, Some(set))
}

/// Makes the calling thread hold off the signals of `set` no longer. Returns the mask before.
pub fn unblock(set: &SigSet) -> SigSet {
    change_mask(libc::SIG_UNBLOCK, Some(set))
}

/// Makes the calling thread hold off the signals of `set` and no others. Returns the mask before.
pub fn set_mask(set: &SigSet) -> SigSet {
    change_mask(libc::SIG_SETMASK, Some(set))
}

fn change_mask(how: c_int, set: Option<&SigSet>) -> SigSet {
    let set = set.map_or(ptr::null(), |set| &raw const set.0);
    let mut old = SigSet::empty();
    // SAFETY: `set` is null or an initialised set that outlives the call; `old` is valid for writes.
    let error = unsafe { libc::pthread_sigmask(how, set, &raw mut old.0) };
    debug_assert_eq!(error, 0, "the only error is EINVAL, for an unknown `how`");
    old
}

/// Takes a signal of `set` that is pending for the calling thread or its process, so that its action will not see it.
/// `None` if none is; this does not wait (`sigtimedwait` with no time). Of several it takes one: call it again.
///
/// Hold the signals off before: one that is not is never pending for long.
///
/// # Errors
///
/// None is known.
///
/// # Portability
///
/// Linux and Android.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[doc(alias = "sigtimedwait")]
pub fn take_pending(set: &SigSet) -> io::Result<Option<c_int>> {
    let no_time = crate::timeout::timespec(std::time::Duration::ZERO);
    // SAFETY: the set was initialised by its constructor, and it and `no_time` outlive the call; what else is told of
    // the signal, for which null is passed, is not wanted.
    match check(unsafe { libc::sigtimedwait(set.as_ptr(), ptr::null_mut(), &raw const no_time) }) {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

bitflags! {
    /// The flags of an [`Action`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct ActionFlags: c_int {
        /// System calls that the handler interrupts are restarted where that is possible.
        const RESTART = libc::SA_RESTART;
        /// The handler takes three arguments.
        const SIGINFO = libc::SA_SIGINFO;
        /// The signal itself is not held off while its handler runs.
        const NODEFER = libc::SA_NODEFER;
        /// The action turns to the default one when the signal comes.
        const RESETHAND = libc::SA_RESETHAND;
        /// The handler runs on the thread's alternate stack, if it has one.
        const ONSTACK = libc::SA_ONSTACK;
        /// No `SIGCHLD` for children that stop or go on.
        const NOCLDSTOP = libc::SA_NOCLDSTOP;
        /// Children that end leave nothing to wait for.
        const NOCLDWAIT = libc::SA_NOCLDWAIT;
    }
}

/// What an [`Action`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// What the system does by itself (`SIG_DFL`).
    Default,
    /// Nothing (`SIG_IGN`).
    Ignore,
    /// A call of the function at this address.
    Handler(usize),
}

/// What the process does when a signal comes: a handler, its flags and its mask (`struct sigaction`).
///
/// As it was read: restored, it has the same handler, flags and mask.
#[derive(Clone, Copy)]
pub struct Action(libc::sigaction);

/// An action that was made here, and may be that of any signal.
#[derive(Clone, Copy, Debug)]
pub struct NewAction(Action);

impl NewAction {
    /// What the system does by itself: end the process, mostly.
    #[doc(alias = "SIG_DFL")]
    pub fn system_default() -> Self {
        Self::of(libc::SIG_DFL, ActionFlags::empty(), &SigSet::empty())
    }

    /// Nothing.
    #[doc(alias = "SIG_IGN")]
    pub fn ignore() -> Self {
        Self::of(libc::SIG_IGN, ActionFlags::empty(), &SigSet::empty())
    }

    /// A call of `handler` with the signal's number, with the signals of `mask` held off meanwhile.
    ///
    /// [`ActionFlags::SIGINFO`] is taken out: `handler` has one argument.
    ///
    /// # Safety
    ///
    /// `handler` can be called at any point of any thread's execution: it does nothing but what `signal-safety(7)`
    /// allows, leaves `errno` as it found it and does not unwind; and its code stays in the process for as long as the
    /// action, or a copy, can be installed.
    pub unsafe fn handler(handler: extern "C" fn(c_int), flags: ActionFlags, mask: &SigSet) -> Self {
        Self::of(
            handler as *const () as usize,
            flags.difference(ActionFlags::SIGINFO),
            mask,
        )
    }

    fn of(handler: libc::sighandler_t, flags: ActionFlags, mask: &SigSet) -> Self {
        // SAFETY: `struct sigaction` is integers, a set of bits and a nullable function pointer: all zeroes is valid.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = handler;
        action.sa_flags = flags.bits();
        action.sa_mask = mask.0;
        Self(Action(action))
    }

    /// Makes this the action of `signal` and returns the one before.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such signal, or none that the process may act on (`SIGKILL`, `SIGSTOP`). The action has
    /// not changed.
    #[doc(alias = "sigaction")]
    pub fn install(&self, signal: c_int) -> io::Result<Action> {
        exchange(signal, Some(&self.0))
    }
}

impl Action {
    /// The action of `signal` at present.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such signal.
    pub fn query(signal: c_int) -> io::Result<Self> {
        exchange(signal, None)
    }

    /// Makes this the action of `signal` again.
    ///
    /// # Errors
    ///
    /// As for [`NewAction::install`].
    ///
    /// # Safety
    ///
    /// This was the action of the same signal, and the code of its handler is still in the process.
    pub unsafe fn restore(&self, signal: c_int) -> io::Result<()> {
        exchange(signal, Some(self)).map(drop)
    }

    /// What this action does.
    pub fn disposition(&self) -> Disposition {
        match self.0.sa_sigaction {
            libc::SIG_DFL => Disposition::Default,
            libc::SIG_IGN => Disposition::Ignore,
            handler => Disposition::Handler(handler),
        }
    }

    /// The flags, without those that are the C library's own affair (`SA_RESTORER`).
    pub fn flags(&self) -> ActionFlags {
        ActionFlags::from_bits_truncate(self.0.sa_flags)
    }

    /// The signals held off while the handler runs.
    pub fn mask(&self) -> SigSet {
        SigSet(self.0.sa_mask)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action")
            .field("disposition", &self.disposition())
            .field("flags", &self.flags())
            .field("mask", &self.mask())
            .finish()
    }
}

fn exchange(signal: c_int, new: Option<&Action>) -> io::Result<Action> {
    let new = new.map_or(ptr::null(), |action| &raw const action.0);
    let NewAction(mut old) = NewAction::system_default();
    // SAFETY: `new` is null or an action that outlives the call, and whose handler may be called by the promise given
    // to `NewAction::handler` or `Action::restore`; `old` is valid for writes.
    check(unsafe { libc::sigaction(signal, new, &raw mut old.0) })?;
    Ok(old)
}

/// Sends `signal` to the calling thread. Where a handler is installed and the signal is not held off, it has run when
/// this returns.
///
/// # Errors
///
/// `EINVAL` if there is no such signal.
pub fn raise(signal: c_int) -> io::Result<()> {
    // SAFETY: `raise` takes an integer; whatever handler runs was vouched for when it was installed.
    check(unsafe { libc::raise(signal) }).map(drop)
}

/// Keeps the thread's `errno` as it was, for the length of a signal handler.
///
/// A handler runs between any two instructions of its thread: a failing call in it must not be seen by the code that
/// it interrupted.
#[derive(Debug)]
#[must_use = "errno is restored when the guard is dropped"]
pub struct ErrnoGuard {
    saved: c_int,
}

impl ErrnoGuard {
    /// Notes `errno`.
    #[inline]
    pub fn save() -> Self {
        // SAFETY: the location of this thread's `errno` is valid for as long as the thread runs.
        let saved = unsafe { *errno_location() };
        Self { saved }
    }
}

impl Drop for ErrnoGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `save`; only this thread accesses it.
        unsafe { *errno_location() = self.saved };
    }
}

#[inline]
fn errno_location() -> *mut c_int {
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as location;
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    use libc::__errno_location as location;
    #[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
    use libc::__error as location;

    // SAFETY: the function takes nothing and returns the address of the calling thread's `errno`.
    unsafe { location() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    fn set(signals: &[c_int]) -> SigSet {
        SigSet::of(signals.iter().copied()).unwrap()
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = set(&[libc::SIGINT, libc::SIGTERM]);
        assert_eq!(format!("{set:?}"), "{2, 15}");
        set.remove(libc::SIGINT).unwrap();
        assert!(!set.contains(libc::SIGINT) && set.contains(libc::SIGTERM));
        assert!(SigSet::full().contains(libc::SIGINT));
        for no_signal in [-1, 0, 1000] {
            assert_eq!(set.insert(no_signal).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(!SigSet::full().contains(no_signal));
        }
    }

    #[test]
    fn masks_are_changed_and_restored() {
        // A thread of its own: the mask is the thread's.
        thread::scope(|scope| {
            scope.spawn(|| {
                let before = set_mask(&set(&[libc::SIGUSR2]));
                assert!(!before.contains(libc::SIGUSR1));
                block(&set(&[libc::SIGUSR1]));
                assert_eq!(
                    format!("{:?}", mask()),
                    format!("{:?}", set(&[libc::SIGUSR1, libc::SIGUSR2]))
                );
                let both = unblock(&set(&[libc::SIGUSR2]));
                assert!(both.contains(libc::SIGUSR2) && !mask().contains(libc::SIGUSR2));
                set_mask(&before);
                assert!(!mask().contains(libc::SIGUSR1));
            });
        });
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn pending_signals_are_taken() {
        let real_time = libc::SIGRTMIN() + 3;
        // A thread of its own: the mask is the thread's, and so is what `raise` leaves pending.
        thread::scope(|scope| {
            scope.spawn(|| {
                let both = set(&[libc::SIGUSR2, real_time]);
                block(&both);
                assert_eq!(take_pending(&both).unwrap(), None);
                for signal in [real_time, libc::SIGUSR2, real_time, libc::SIGUSR2] {
                    raise(signal).unwrap();
                }
                assert_eq!(take_pending(&set(&[real_time])).unwrap(), Some(real_time));
                assert_eq!(take_pending(&both).unwrap(), Some(libc::SIGUSR2));
                assert_eq!(take_pending(&both).unwrap(), Some(real_time));
                assert_eq!(take_pending(&both).unwrap(), None);
                // Either would end the process.
                unblock(&both);
            });
        });
    }

    static CALLS: AtomicU32 = AtomicU32::new(0);

    extern "C" fn count(_signal: c_int) {
        let _errno = ErrnoGuard::save();
        // SAFETY: no descriptor has this number; the call only sets `errno`.
        unsafe { libc::fcntl(-1, libc::F_GETFD) };
        CALLS.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn actions_are_exchanged_and_restored() {
        // Ignored by default and used by no other test.
        const SIGNAL: c_int = libc::SIGWINCH;

        let first = Action::query(SIGNAL).unwrap();
        assert_eq!(first.disposition(), Disposition::Default);
        let flags = ActionFlags::RESTART | ActionFlags::NODEFER | ActionFlags::SIGINFO;
        // SAFETY: the handler adds to an atomic and preserves `errno`.
        let action = unsafe { NewAction::handler(count, flags, &set(&[libc::SIGURG])) };
        assert_eq!(action.install(SIGNAL).unwrap().disposition(), Disposition::Default);

        let installed = Action::query(SIGNAL).unwrap();
        assert_eq!(
            installed.disposition(),
            Disposition::Handler(count as *const () as usize)
        );
        assert_eq!(installed.flags(), ActionFlags::RESTART | ActionFlags::NODEFER);
        assert!(installed.mask().contains(libc::SIGURG) && !installed.mask().contains(libc::SIGUSR1));

        // SAFETY: there is no such signal; the call only sets `errno`.
        assert_eq!(unsafe { libc::sigaction(-1, ptr::null(), ptr::null_mut()) }, -1);
        raise(SIGNAL).unwrap();
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);

        assert_eq!(
            NewAction::ignore().install(SIGNAL).unwrap().disposition(),
            installed.disposition()
        );
        raise(SIGNAL).unwrap();
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        assert_eq!(Action::query(SIGNAL).unwrap().disposition(), Disposition::Ignore);
        // SAFETY: it was this signal's, and `count` is part of the program.
        unsafe { installed.restore(SIGNAL) }.unwrap();
        assert_eq!(
            format!("{:?}", Action::query(SIGNAL).unwrap()),
            format!("{installed:?}")
        );
        // SAFETY: it was this signal's when the test began.
        unsafe { first.restore(SIGNAL) }.unwrap();
        assert_eq!(format!("{:?}", Action::query(SIGNAL).unwrap()), format!("{first:?}"));
    }

    #[test]
    fn the_kernel_refuses_what_cannot_be_caught() {
        for signal in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 1000] {
            assert_eq!(
                NewAction::ignore().install(signal).unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
        }
        assert_eq!(raise(1000).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
