//! Connections that look healthy and are not: each is given up at once, and whoever had it is answered 503 at most.
//!
//! ```text
//! steady load ─► app ─► relay ─► a server that has become a standby, or read-only
//!                   │        └─► the one that has taken over
//!                   └─► a schema that changes, a role that is refused new connections
//! ```

mod entries;
mod evolving;

mod read_only;
mod refused;
mod rolling;
mod switchover;

pub(crate) use switchover::switch_over;
