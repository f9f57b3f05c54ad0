//! Unix signals for event loops: a descriptor that is readable while deliveries wait, and their counts.
//!
//! A signal handler may do next to nothing, so a loop wants signals where it wants everything else: as a descriptor that
//! becomes readable. [`Signals`] is that descriptor. The handler behind it counts each delivery in memory and writes a
//! byte to the pipe of every loop that watches the signal; the loop drains the pipe and takes the counts. On Linux there
//! can be a signalfd instead: [`Method`].
//!
//! ```
//! use std::os::fd::AsFd;
//! use ev_signal::{SIGHUP, SIGTERM, Signals};
//!
//! let mut signals = Signals::new()?;
//! signals.watch(SIGHUP)?;
//! signals.watch(SIGTERM)?;
//! # ev_sys::signal::raise(SIGHUP)?;
//!
//! // Wait until this is readable, by poll, epoll, kqueue or whatever the loop is built on.
//! let descriptor = signals.as_fd();
//! # let _ = descriptor;
//!
//! signals.drain(|signal, times| match signal {
//!     SIGHUP => println!("reload, asked for {times} times"),
//!     _ => println!("finish"),
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # When to use it
//!
//! In an event loop of your own, or any program that waits with `poll` and its kin. Any number of loops, in any threads,
//! may watch the same signal, and each gets every delivery. With `ev-core` you have it already, as signal events. It is
//! not for you if something must happen inside the handler, if you need what comes with a signal (`siginfo_t`), or for
//! faults of the running code (`SIGSEGV` and its kin), which no loop can deal with.
//!
//! # What it does to the process
//!
//! With [`Method::Handler`]:
//!
//! - While anyone watches a signal, its action is this crate's handler; the action before is saved, and restored with
//!   its flags and mask when the last one stops.
//! - System calls are restarted (`SA_RESTART`), except for those that never are, such as `poll` and `epoll_wait`.
//! - No thread's signal mask is changed for longer than a call here takes.
//!
//! With [`Method::SignalFd`]:
//!
//! - While a signal is watched, the thread that watches it holds it off. Afterwards its mask is what it was.
//! - No action is changed, no handler runs, no system call is interrupted.
//! - **Every other thread has to hold the signal off by itself**, which it does if it was started afterwards.
//!
//! With both:
//!
//! - Signals that nobody watches are not touched.
//! - `fork` is watched over, once there is a `Signals`: a child never disturbs its parent, and gets its own service by
//!   [`Signals::reinit`].
//!
//! # Portability
//!
//! Linux, macOS and the BSDs; [`Method::SignalFd`] on Linux and Android.
#![deny(unsafe_code)]

mod error;
#[expect(unsafe_code, reason = "what a signal handler needs cannot be reached in safe code")]
mod handler;
mod method;
mod piped;
mod registry;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod signalfd;
mod signals;

pub use error::SignalError;
pub use method::Method;
pub use signals::Signals;

#[doc(no_inline)]
pub use libc::{
    SIGABRT, SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
