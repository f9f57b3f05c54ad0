//! The choice of how signals are caught.

use std::fmt;

/// How a [`Signals`](crate::Signals) catches its signals.
///
/// | | [`Handler`](Self::Handler) | [`SignalFd`](Self::SignalFd) |
/// |---|---|---|
/// | Changed in the process | the signal's action, until the last receiver stops | the signal mask of the thread that watches |
/// | Receivers of one signal | any number, each gets every delivery | one in the process |
/// | Threads | any thread may take the signal | every thread has to hold it off |
/// | Counts | runs of the handler | what the kernel queued: of a signal that is pending already, once |
/// | Processes that are started | get the default action | inherit the mask, and the signal is held off there too |
/// | Interrupted system calls | those that cannot be restarted fail with `EINTR` | none |
/// | Systems | every Unix | Linux, Android |
///
/// # Which to take
///
/// `Handler`, unless no handler may run, or the actions of signals may not be touched, in a program whose threads are all
/// its own. The choice can be made for each receiver, but not for two receivers of one signal:
/// [`SignalError::NotShared`](crate::SignalError::NotShared).
///
/// # Threads and `SignalFd`
///
/// **A signal that is sent to the process goes to any thread that does not hold it off, and has its action there: mostly
/// the end of the process.** A signal mask belongs to one thread, so [`watch`](crate::Signals::watch) can set that of
/// the calling thread only. Therefore:
///
/// - **Watch before other threads are started.** A thread starts with the mask of the one that starts it. Threads that
///   are there already have to hold the signal off by themselves. If the watching thread is not the main one, that goes
///   for the main thread above all: the kernel drops a signal that is ignored (`SIGCHLD` is, by default) unless the main
///   thread holds it off.
/// - One thread watches, waits and drains. What is sent to another thread alone, by `raise` there or `pthread_kill`, stays
///   pending for that one. Draining in another thread gives what was sent to the process.
/// - All signals of one receiver are watched by the same thread. As long as there are any, `watch`,
///   [`unwatch`](crate::Signals::unwatch) and [`reinit`](crate::Signals::reinit) in another thread are refused:
///   [`SignalError::OtherThread`](crate::SignalError::OtherThread). A receiver that is dropped in another thread is
///   closed, and its signals stay held off in the thread that watched them.
///
/// # Programs that are started
///
/// A mask is inherited over `fork` and `exec`, also by [`std::process::Command`]: the program that is started holds the
/// signal off too, and many do not expect that. Start programs from a thread that does not hold the signal off, or have
/// the child set its mask before `exec`.
///
/// # Actions and `SignalFd`
///
/// The action stays what it was, and does not matter while the signal is held off: a signal that is ignored comes as well.
/// One thing about `SIGCHLD` is decided elsewhere: if its action is set to be ignored (`SIG_IGN`), the kernel reaps
/// children by itself and sends no signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// A signal handler, which counts and writes to a pipe.
    #[default]
    Handler,
    /// A signalfd: the signals are held off and read from a descriptor. Linux and Android.
    #[doc(alias = "EVENT_BASE_FLAG_USE_SIGNALFD")]
    SignalFd,
}

impl Method {
    /// `"handler"` or `"signalfd"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::SignalFd => "signalfd",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
