//! Jobs on Postgres: one table, updated to claim and to finish.
//!
//! ```text
//! enqueue ─► waiting ── claim ──► running ── ack ──► done | failed | discarded ── prune ─►
//!               ▲                    │
//!               └── retry, snooze, ──┘
//!                   hand back, rescue
//! ```
//!
//! The row's own lock decides every race: an ack, a rescue and a hand-back all update the job's row, and each checks the lease after it has the lock.

mod ack;
mod admin;
mod claim;
mod enqueue;
mod listen;
mod migrations;
mod prune;
mod rescue;
mod schedules;
mod steps;
mod workers;

pub use migrations::migrations;
pub use schedules::Calendar;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use std::time::Duration;
use twelve_core::{Db, Error};

use super::{
    Ack, Acked, Answer, Claimed, Draft, Evidence, Filter, JobDetails, JobSummary, Lease,
    Observation, Pulse, Recorded, Rescued, Store, Wake,
};
use crate::{JobId, Queues, WorkerId};

/// The longest delay that is stored: an interval beyond what a timestamp can hold would make an ack fail for ever.
const MAX_DELAY: Duration = Duration::from_hours(10 * 366 * 24);

/// Jobs on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    db: Db,
}

impl PostgresStore {
    /// The store behind this pool.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

impl Store for PostgresStore {
    fn enqueue(&self, drafts: Vec<Draft>) -> Answer<'_, ()> {
        Box::pin(enqueue::enqueue(&self.db, drafts))
    }

    fn enqueue_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        drafts: Vec<Draft>,
    ) -> Answer<'a, ()> {
        Box::pin(enqueue::enqueue_in(connection, drafts))
    }

    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        queues: &'a Queues,
        limit: usize,
    ) -> Answer<'a, Vec<Claimed>> {
        Box::pin(claim::claim(&self.db, worker, queues, limit))
    }

    fn claim_suspect<'a>(
        &'a self,
        worker: WorkerId,
        queues: &'a Queues,
    ) -> Answer<'a, Option<Claimed>> {
        Box::pin(claim::claim_suspect(&self.db, worker, queues))
    }

    fn ack<'a>(&'a self, lease: Lease, ack: &'a Ack) -> Answer<'a, Acked> {
        Box::pin(async move {
            let mut connection = self.db.acquire().await?;
            ack::ack(&mut connection, lease, ack).await
        })
    }

    fn ack_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        lease: Lease,
        ack: &'a Ack,
    ) -> Answer<'a, Acked> {
        Box::pin(ack::ack(connection, lease, ack))
    }

    fn hand_back<'a>(&'a self, leases: &'a [Lease]) -> Answer<'a, usize> {
        Box::pin(ack::hand_back(&self.db, leases))
    }

    fn held_by(&self, worker: WorkerId) -> Answer<'_, Vec<Lease>> {
        Box::pin(claim::held_by(&self.db, worker))
    }

    fn pulse(&self) -> Box<dyn Pulse> {
        Box::new(workers::Heart::new(self.db.options().clone()))
    }

    fn deregister(&self, worker: WorkerId) -> Answer<'_, ()> {
        Box::pin(workers::deregister(&self.db, worker))
    }

    fn observe(&self) -> Answer<'_, Observation> {
        Box::pin(workers::observe(&self.db))
    }

    fn rescue(&self, worker: WorkerId, beat: i64) -> Answer<'_, Vec<Rescued>> {
        Box::pin(rescue::rescue(&self.db, worker, beat))
    }

    fn rescue_orphans(&self) -> Answer<'_, Vec<Rescued>> {
        Box::pin(rescue::rescue_orphans(&self.db))
    }

    fn prune(&self, age: Duration, limit: usize) -> Answer<'_, usize> {
        Box::pin(prune::prune(&self.db, age, limit))
    }

    fn step<'a>(&'a self, job: JobId, name: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(steps::step(&self.db, job, name))
    }

    fn record_step<'a>(
        &'a self,
        lease: Lease,
        name: &'a str,
        result: &'a str,
    ) -> Answer<'a, Recorded> {
        Box::pin(steps::record(&self.db, lease, name, result))
    }

    fn wake<'a>(&'a self, queues: &'a [String]) -> Answer<'a, ()> {
        Box::pin(listen::wake(&self.db, queues))
    }

    fn listen(&self, woken: Box<dyn Fn(Wake<'_>) + Send + Sync>) -> BoxFuture<'static, ()> {
        Box::pin(listen::listen(self.db.options().clone(), woken))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobSummary>> {
        Box::pin(admin::list(&self.db, filter))
    }

    fn show(&self, job: JobId) -> Answer<'_, Option<JobDetails>> {
        Box::pin(admin::show(&self.db, job))
    }

    fn retry<'a>(&'a self, jobs: &'a [JobId]) -> Answer<'a, Vec<JobId>> {
        Box::pin(admin::retry(&self.db, jobs))
    }

    fn discard<'a>(&'a self, jobs: &'a [JobId], reason: &'a Evidence) -> Answer<'a, Vec<JobId>> {
        Box::pin(admin::discard(&self.db, jobs, reason))
    }
}

/// A delay as statements take it: `$n * interval '1 microsecond'`.
fn microseconds(delay: Duration) -> i64 {
    i64::try_from(delay.min(MAX_DELAY).as_micros()).unwrap_or(i64::MAX)
}

/// A limit as statements take it.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Counters are never negative; a row that says otherwise is not worth failing for.
fn counter(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A statement's error, with a hint where the cause is known.
fn failed(error: sqlx::Error) -> Error {
    match &error {
        // undefined_table, invalid_schema_name
        sqlx::Error::Database(database)
            if matches!(database.code().as_deref(), Some("42P01" | "3F000")) =>
        {
            Error::internal("the tables for jobs are missing: run `release` first").because(error)
        }
        _ => Error::from(error),
    }
}
