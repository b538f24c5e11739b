//! The engine and its store on a real Postgres: the test kit's, which is `DATABASE_URL` or a private one.

mod app;
mod attempts;
mod blocking;
mod clock;
mod coalesced;
mod conformance;
mod database;
mod lifecycle;
mod model;
mod plans;
mod poll_only;
mod schedules;
mod tickets;
mod transactions;
mod turns;
mod unique;
