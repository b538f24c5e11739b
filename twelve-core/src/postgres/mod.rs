//! Postgres: one lazy pool per process, and one transaction per run of a handler.

mod executor;
mod outage;
mod pool;
mod tx;

pub use pool::Db;
pub use tx::{Slot, Tx};
pub(crate) use pool::Settings;
