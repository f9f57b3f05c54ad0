//! Readiness of file descriptors behind one trait.
#![forbid(unsafe_code)]

mod backend;
mod error;
mod features;
mod interest;
mod registration;
mod tag;

pub use backend::{Backend, Waiter};
pub use error::UpdateError;
pub use features::Features;
pub use interest::{Interest, Readiness};
pub use registration::{Change, Mode, Registration};
pub use tag::Tag;
