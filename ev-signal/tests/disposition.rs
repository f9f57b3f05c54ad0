//! What is installed, and what is restored.

mod rig;

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

use ev_signal::{SIGHUP, SIGUSR1, SIGUSR2, Signals};
use ev_sys::signal::{Action, ActionFlags, Disposition, NewAction, SigSet};
use rig::{drained, raise};

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: i32) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn count_with_info(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid pointer.
    let told = unsafe { (*info).si_signo };
    CALLS.fetch_add(u32::from(told == signal), Ordering::Relaxed);
}

fn set(signals: &[i32]) -> SigSet {
    let mut set = SigSet::empty();
    for &signal in signals {
        set.insert(signal).unwrap();
    }
    set
}

/// Everything that can be seen of the action of SIGUSR1.
fn present() -> String {
    format!("{:?}", Action::query(SIGUSR1).unwrap())
}

fn watch_and_unwatch() {
    let before = present();
    let mut signals = Signals::new().unwrap();
    signals.watch(SIGUSR1).unwrap();
    assert_ne!(present(), before);
    raise(SIGUSR1, 1);
    assert_eq!(drained(&mut signals), [(SIGUSR1, 1)]);
    signals.unwatch(SIGUSR1).unwrap();
    assert_eq!(present(), before);
}

rig::tests_in_own_processes! {
    fn the_handler_restarts_calls_and_holds_off_all_signals() {
        let mut signals = Signals::new().unwrap();
        signals.watch(SIGUSR1).unwrap();
        let action = Action::query(SIGUSR1).unwrap();
        assert!(matches!(action.disposition(), Disposition::Handler(_)));
        assert!(action.flags().contains(ActionFlags::RESTART));
        assert!(!action.flags().intersects(ActionFlags::NODEFER | ActionFlags::RESETHAND | ActionFlags::SIGINFO));
        for signal in [SIGUSR1, SIGUSR2, SIGHUP, libc::SIGSEGV] {
            assert!(action.mask().contains(signal));
        }
    }

    fn the_default_is_restored() {
        watch_and_unwatch();
        assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
    }

    fn an_ignored_signal_is_ignored_again() {
        NewAction::ignore().install(SIGUSR1).unwrap();
        watch_and_unwatch();
        assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Ignore);
        raise(SIGUSR1, 1);
    }

    fn a_handler_is_restored_with_flags_and_mask() {
        let flags = ActionFlags::NODEFER | ActionFlags::ONSTACK | ActionFlags::RESETHAND;
        // SAFETY: the handler only adds to an atomic.
        let action = unsafe { NewAction::handler(count, flags, &set(&[SIGUSR2, SIGHUP])) };
        action.install(SIGUSR1).unwrap();
        watch_and_unwatch();
        let restored = Action::query(SIGUSR1).unwrap();
        assert!(restored.flags().contains(flags) && !restored.flags().contains(ActionFlags::RESTART));
        assert!(restored.mask().contains(SIGUSR2) && restored.mask().contains(SIGHUP));
        assert!(!restored.mask().contains(libc::SIGINT));
        raise(SIGUSR1, 1);
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
        // SA_RESETHAND was in force.
        assert_eq!(Action::query(SIGUSR1).unwrap().disposition(), Disposition::Default);
    }

    fn a_handler_with_three_arguments_is_restored() {
        // SAFETY: all zeroes is a valid `struct sigaction`.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = count_with_info as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NOCLDSTOP;
        // SAFETY: `action` is valid, and its handler only adds to an atomic.
        assert_eq!(unsafe { libc::sigaction(SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
        watch_and_unwatch();
        raise(SIGUSR1, 1);
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    }

    fn the_last_watcher_restores() {
        let before = present();
        let mut first = Signals::new().unwrap();
        let mut second = Signals::new().unwrap();
        first.watch(SIGUSR1).unwrap();
        let installed = present();
        second.watch(SIGUSR1).unwrap();
        first.unwatch(SIGUSR1).unwrap();
        assert_eq!(present(), installed);
        first.watch(SIGUSR1).unwrap();
        second.unwatch(SIGUSR1).unwrap();
        assert_eq!(present(), installed);
        first.unwatch(SIGUSR1).unwrap();
        assert_eq!(present(), before);
        first.watch(SIGUSR1).unwrap();
        assert_eq!(present(), installed);
    }

    fn drop_restores() {
        let before = present();
        // Whoever starts the tests may have it ignored, as `nohup` does.
        let hangup = Action::query(SIGHUP).unwrap().disposition();
        let mut first = Signals::new().unwrap();
        first.watch(SIGUSR1).unwrap();
        first.watch(SIGHUP).unwrap();
        assert_ne!(Action::query(SIGHUP).unwrap().disposition(), hangup);
        let mut second = Signals::new().unwrap();
        second.watch(SIGUSR1).unwrap();
        drop(first);
        assert_eq!(Action::query(SIGHUP).unwrap().disposition(), hangup);
        raise(SIGUSR1, 1);
        assert_eq!(drained(&mut second), [(SIGUSR1, 1)]);
        drop(second);
        assert_eq!(present(), before);
    }

    fn a_refused_signal_keeps_its_action() {
        let before = format!("{:?}", Action::query(libc::SIGSEGV).unwrap());
        let mut signals = Signals::new().unwrap();
        assert!(signals.watch(libc::SIGSEGV).is_err());
        assert_eq!(format!("{:?}", Action::query(libc::SIGSEGV).unwrap()), before);
    }
}
