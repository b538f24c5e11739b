//! Postgres: one lazy pool per process, and one transaction per run of a handler.

mod executor;
mod lease;
mod outage;
mod pool;
mod tx;

pub use pool::Db;
pub(crate) use pool::Settings;
pub use tx::{Slot, Tx};
