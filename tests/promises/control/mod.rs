//! Jobs are stopped, paused and moved by hand, under running workers.

mod bulk;
mod cancel;
mod pause;
mod stoppable;
mod why;
mod worker;
