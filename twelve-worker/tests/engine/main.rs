//! The engine, run against a real Postgres that `DATABASE_URL` names.

mod app;
mod attempts;
mod lifecycle;
mod transactions;
