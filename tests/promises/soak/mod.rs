//! The long versions, with the figures of the issue; `script/soak` runs them.
//!
//! Each prints what it saw, so that it can be quoted.

mod chaos;
mod crash;
mod failover;
mod kills;
