//! `event2/util.h`: what C programs take from libevent so as not to depend on the system.
//!
//! Most of it is the C library's own function under another name. Where libevent has its own code (addresses as text,
//! comparison without regard to case) the results here are those of that code, its leniency included.

mod address;
mod clock;
mod parse;
mod random;
mod resolve;
pub(crate) mod socket;
mod text;
