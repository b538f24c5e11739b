//! What needs a real Postgres: the unit of work, and idempotency keys.
//!
//! The server is that of the test kit: `DATABASE_URL`, or a private one.

mod answers;
mod app;
mod claims;
mod failures;
mod unit_of_work;
