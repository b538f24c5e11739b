//! The tables of the store.

use sqlx::migrate::Migration;
use twelve_core::migrations::migration;

/// The migrations of the tables for jobs and schedules.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    vec![
        migration(
            20_261_121_000_001,
            "jobs",
            include_str!("../../../migrations/20261121000001_jobs.sql"),
        ),
        migration(
            20_261_121_000_003,
            "schedules",
            include_str!("../../../migrations/20261121000003_schedules.sql"),
        ),
    ]
}
