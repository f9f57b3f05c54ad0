//! Unix signals for event loops.
#![deny(unsafe_code)]

mod error;
#[expect(
    unsafe_code,
    reason = "a signal handler cannot be installed, nor can it reach what it needs, in safe code"
)]
mod handler;
mod registry;
mod signals;

pub use error::SignalError;
pub use libc::{
    SIGABRT, SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};
pub use signals::Signals;
