//! Postgres: one lazy pool per process, and one transaction per run of a handler.
//!
//! ```text
//! Db ──► Pool ──► CheckedOut ──► one statement ──► what its answer says of the connection
//! Tx ─────┘           └─ dropped: released to the pool, or settled in the background, or closed
//! ```

mod acquire;
mod background;
mod checked_out;
mod connection;
mod db;
mod executor;
mod fault;
mod outage;
mod pool;
mod session;
mod settings;
mod settle;
mod statement;
mod target;
mod tx;
mod tx_cell;
mod url;

pub use connection::{DbConnection, DbTransaction};
pub use db::Db;
pub(crate) use outage::is_outage;
pub use settings::Settings;
pub use tx::{Tx, takes_two_transactions};
pub use tx_cell::TxCell;
