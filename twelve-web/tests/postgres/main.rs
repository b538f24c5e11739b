//! What needs a real Postgres: the unit of work, and idempotency keys.
//!
//! `DATABASE_URL` names a Postgres on which databases may be created.

mod answers;
mod app;
mod claims;
mod failures;
mod unit_of_work;
