//! The tables of the store.

use sqlx::migrate::Migration;
use twelve_core::migrations::migration;

/// The migrations of the tables for jobs.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    vec![migration(
        20_261_121_000_001,
        "jobs",
        include_str!("../../../migrations/20261121000001_jobs.sql"),
    )]
}
