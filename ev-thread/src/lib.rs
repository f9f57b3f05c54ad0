//! Waking a sleeping event loop from other threads.
#![forbid(unsafe_code)]
#![expect(
    unexpected_cfgs,
    reason = "`--cfg loom` is given by hand, to run the models of tests/loom.rs"
)]

mod gate;
mod mailbox;
mod monitor;
mod notifier;
mod sync;
mod waker;

pub use gate::{Admission, Gate, Wake, Woken};
pub use mailbox::Mailbox;
pub use monitor::{Monitor, MonitorGuard};
pub use notifier::Notifier;
pub use waker::Waker;
