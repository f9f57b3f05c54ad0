//! Maps from file descriptors and signals to the events that wait for them.
//!
//! An event loop needs to know, of each report, whom it concerns; and of each event that comes or goes, what the kernel
//! has to be told. The two maps here answer that and nothing else:
//!
//! - [`FdMap`]: several events may share a descriptor. The kernel is told the union of their interests, once, and
//!   reports for an earlier owner of a descriptor number are told from those for the present one.
//! - [`SignalMap`]: several events may share a signal.
//!
//! They are plain data: no system calls, locks, callbacks or clocks. An event is a small `u32` of yours, such as its
//! index in your table of events. Descriptors, interests and changes are in the words of [`ev_backend`].
//!
//! Use this crate to build a loop of your own on `ev-backend`. Do not use it where each descriptor has exactly one
//! owner, as in a runtime that gives each socket its own registration: a bare backend with the owner's index as the
//! tag does that with less. Who only wants a loop takes `ev-core`, which is built on this.
//!
//! # Example
//!
//! The three ways in which the map and the kernel meet: a change made at once, a report, and changes made later.
//!
//! ```
//! use ev_backend::{Change, Interest, Mode, Readiness, Registration};
//! use ev_map::{FdMap, Matched};
//!
//! # let mut told = vec![];
//! let mut update = |change: &Change| { // Backend::update
//!     # told.push((change.old, change.new));
//! };
//! let read = Registration { interest: Interest::READ, mode: Mode::Level };
//! let mut map = FdMap::new();
//!
//! // At once: tell the backend, then commit.
//! let change = map.insert(7, 0, read)?.expect("the kernel knows nothing of 7");
//! update(&change);
//! map.commit(&change);
//!
//! // A report comes back with the tag of the change.
//! let mut active = vec![];
//! let matched = map.matching(change.tag, Readiness::READ, |id, hit| active.push((id, hit)));
//! assert_eq!((matched, active), (Matched::Current, vec![(0, Readiness::READ)]));
//!
//! // Later: the one-shot event 0 goes and comes again before the next wait, and the kernel need not hear of it.
//! map.remove(0);
//! map.defer(7);
//! map.insert(7, 0, read)?;
//! while let Some(change) = map.next_deferred() {
//!     update(&change);
//!     map.commit(&change);
//! }
//! # assert_eq!(told, [(None, Some(read))]);
//! # Ok::<(), ev_map::MapError>(())
//! ```
#![forbid(unsafe_code)]

mod deferred;
mod error;
mod fd_map;
mod links;
mod signal_map;
mod slots;

pub use error::MapError;
pub use fd_map::{FdMap, Matched, Removed};
pub use signal_map::{RemovedSignal, Sharing, SignalMap};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
