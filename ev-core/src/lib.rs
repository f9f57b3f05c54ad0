//! An event loop: waits for file descriptors, deadlines and signals, and calls closures by priority.
//!
//! This is the job of libevent's core, in safe Rust. Take it for a callback-driven daemon, proxy or tool: thousands of
//! connections with idle timeouts in one thread, or several loops in several threads. Do not take it for `async` code,
//! where an executor owns the loop; nor where only readiness is wanted (`ev-backend`) or only deadlines (`ev-timer`).
//!
//! ```
//! use std::{io::{ErrorKind::WouldBlock, Read}, net::TcpListener, time::Duration};
//!
//! use ev_core::{EventLoop, Interest, Io, Signal, Timer, signal::SIGTERM};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! listener.set_nonblocking(true)?;
//! let mut lp = EventLoop::<usize>::new()?; // lends its state, here a count, to every callback
//! lp.insert(Io::new(listener, Interest::READ), |cx, listener, _| {
//!     let Ok((stream, _)) = listener.accept() else { return }; // the example `echo` pauses if descriptors run out
//!     let Ok(()) = stream.set_nonblocking(true) else { return };
//!     *cx.state += 1;
//!     let connection = Io::new(stream, Interest::READ).timeout(Duration::from_secs(30));
//!     let _ = cx.insert(connection, |cx, stream, fired| {
//!         let ended = stream.read(&mut [0; 4096]).map_or_else(|error| error.kind() != WouldBlock, |n| n == 0);
//!         if ended || fired.is_timeout() {
//!             let _ = cx.remove(fired.key()); // and closes the stream
//!         }
//!     });
//! })?;
//! lp.insert(Signal::new(SIGTERM), |cx, (), _| cx.stop())?;
//! lp.insert(Timer::after(Duration::from_millis(10)), |cx, (), _| cx.stop())?;
//!
//! let mut connections = 0;
//! lp.run(&mut connections)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Two loops over one engine
//!
//! | | callbacks | other threads | lock |
//! |---|---|---|---|
//! | [`EventLoop<S>`] | any closure; each is lent the program's state `S` | post closures and stop it, through a [`Remote`] | none |
//! | [`SharedLoop`] | `Send` closures | do everything, through a [`LoopHandle`] | one, never held while a callback runs or the loop sleeps |
//!
//! [`engine`] is the state machine both drive, for those who write a driver of their own.
//!
//! # Events
//!
//! An event is described ([`Io`], [`RawIo`], [`Timer`], [`Signal`], [`User`]), inserted with a callback, and from then on
//! named by its [`EventKey`]:
//!
//! ```text
//!             insert                 add                    ready, due, delivered, activate
//! description ──────► inserted ──────────────► pending ───────────────────────────────────► active ─► callback
//!                        ▲  ▲                   │    ▲                                        │
//!                        │  └────── delete ─────┘    └────────────── persistent ──────────────┤
//!                        └──────────────────────────────── once ─────────────────────────────-┘
//! ```
//!
//! `insert` adds at once unless the description says otherwise; [`remove`](Reactor::remove) ends the event's life. An event
//! owns its callback and, if it is an [`Io`], the descriptor it waits for.
//!
//! The examples of what comes from the crates below import it from there: `ev_backend` is [`backend`] here, and
//! [`Interest`], [`Mode`], [`Readiness`], [`Features`], [`Clock`], [`Time`] and [`SameDuration`] are at the root.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `epoll`, `poll`, `select`, `kqueue` | yes | the backends to choose from; at least one is needed |
//! | `libkqueue` | no | kqueue on Linux, through the library of that name |
//! | `signals` | yes | [`Signal`], and the numbers in [`signal`] |
//! | `threads` | yes | [`Remote`], [`Activator`], [`SharedLoop`], [`LoopHandle`] |
//! | `sim` | no | the simulated backend and its clock, for tests |
//! | `log` | no | diagnostics through the `log` facade |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "signals", feature = "threads")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the documentation names what these features bring"
    )
)]

#[cfg(not(any(feature = "epoll", feature = "poll", feature = "select", feature = "kqueue")))]
compile_error!("ev-core needs a backend: enable at least one of the features epoll, poll, select and kqueue");

#[cfg(feature = "threads")]
mod activator;
mod config;
mod diagnostics;
pub mod engine;
mod error;
mod event;
mod event_loop;
mod fired;
mod hooks;
mod inspect;
mod key;
mod later;
mod reactor;
#[cfg(feature = "threads")]
mod remote;
#[cfg(feature = "threads")]
mod shared;
#[cfg(feature = "sim")]
mod simulated;
mod time_source;

pub use ev_backend as backend;
/// A clock that deadlines can be measured by: see [`Config::clock`].
pub use ev_backend::Clock;
pub use ev_backend::{Features, Interest, Mode, Readiness};
/// How a loop catches the signals of its [`Signal`] events: see [`Config::signal_method`].
///
/// The rest is told of the `Signals` of the crate `ev-signal`. A loop has one of them: it *watches* a signal while an event
/// on it is added, and *drains* what was delivered in each turn.
#[cfg(feature = "signals")]
pub use ev_signal::Method as SignalMethod;
#[cfg(feature = "threads")]
pub use ev_thread as thread;
/// A timeout that many events share, from [`Reactor::same_duration`] and for [`Reactor::add_in`].
///
/// The rest is told of the `Timers` of the crate `ev-timer`, of which a loop has one.
pub use ev_timer::SameDuration;
pub use ev_timer::Time;

#[cfg(feature = "threads")]
pub use activator::Activator;
pub use config::Config;
pub use engine::{Counts, EventInfo, KeepAlive, Limits, Outcome, RunMode, Stop, Target};
pub use error::{Error, Rejected};
#[cfg(feature = "signals")]
pub use event::Signal;
pub use event::{Describe, Io, Persistence, RawIo, Timer, User};
pub use event_loop::{Context, EventLoop};
pub use fired::{Causes, Fired};
pub use hooks::HookKey;
pub use key::EventKey;
pub use reactor::Reactor;
#[cfg(feature = "threads")]
pub use remote::{Posted, Remote};
#[cfg(feature = "threads")]
pub use shared::{LoopHandle, SharedContext, SharedLoop, SharedPosted};

/// The numbers of the signals that can be watched, by name.
#[cfg(feature = "signals")]
pub mod signal {
    #[doc(no_inline)]
    pub use ev_signal::{
        SIGABRT, SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
        SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
    };
}

/// The programs on the project's and the crate's first pages.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../README.md")]
#[cfg_attr(all(feature = "signals", feature = "threads"), doc = include_str!("../../MIGRATING.md"))]
mod readme {}
