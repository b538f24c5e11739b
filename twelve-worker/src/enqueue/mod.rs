//! How a job gets into the store, and how workers learn of it.

mod coalescer;
pub(crate) mod jobs;
pub(crate) mod waker;
