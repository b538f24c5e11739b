//! The promises, as a client and an operator see them: the `shop` example as
//! real processes, on a real Postgres, over real sockets, with real signals.
//!
//! Nothing here looks inside the library.
//! One module is one behaviour; `harness` brings the shop up and watches it.
//! What takes longer than the default run allows is in `soak` and ignored:
//! `cargo nextest run --test promises --run-ignored only --no-capture`.

mod harness;

mod attack;
mod chaos;
mod cli;
mod control;
mod crash;
mod dev;
mod drain;
mod every_type;
mod failover;
mod idempotency;
mod listing;
mod mail;
mod migrations;
mod misdeeds;
mod outage;
mod problems;
mod redis_failover;
mod release;
mod schedules;
mod scripts;
mod soak;
