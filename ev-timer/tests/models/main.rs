//! The structures against a naive model, and what holds for all of them.

mod heap;
mod model;
mod queue;
mod timers;
