//! Jobs on Postgres.
//!
//! ```text
//!            ┌──────────── promote ──┐
//! enqueue ─► scheduled               ▼
//!    └─────────────────────────────► ready ── claim ──► claims ── ack ──► (gone) | finished ── prune ─►
//!                  retry, snooze ─► scheduled   ▲          │
//!                                               └──────────┘ release, rescue
//! ```
//!
//! A job's row is written once; only its ticket moves, the job's id with its epoch.
//! The lock of that row decides every race: an ack, a rescue and a release name the epoch that they expect, and each of them ends that epoch.

#[macro_use]
mod clauses;

mod ack;
mod admin;
mod claim;
mod control;
mod enqueue;
mod insert;
mod listen;
mod low_water_marks;
mod migrations;
mod pauses;
mod prune;
mod rescue;
pub(crate) mod schedules;
mod statistics;
mod steps;
mod survey;
mod unique;
mod why;
mod workers;

pub use migrations::migrations;
pub use schedules::ScheduleStore;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use twelve_core::{Db, Error};

use self::low_water_marks::LowWaterMarks;
use super::{
    Answer, Controlling, HeartbeatWriter, Producing, Working,
    listing::{Filter, JobDetails, JobSummary, WorkerSummary},
    model::{
        Ack, Acked, Batch, Claim, Done, FailureText, Lease, Level, Observation, Recorded, Rescued,
        Survey, Wake,
    },
    verbs::{Cancellation, Pausable, Paused},
    why::Why,
};
use crate::job::{
    draft::{Draft, Due},
    enqueued::Enqueued,
    id::{ClaimId, JobId, WorkerId},
    priority::Priority,
    queues::Queues,
};

/// The longest delay that is stored. With a longer one the timestamp would overflow, and the ack would always fail.
const MAX_DELAY: Duration = Duration::from_hours(10 * 366 * 24);

/// The statements of the hot path. None of them may read a whole table of jobs: a test asks Postgres for their plans.
#[doc(hidden)]
pub const HOT: &[(&str, &str)] = &[
    ("enqueue", insert::ENQUEUE),
    ("schedule", insert::SCHEDULE),
    ("enqueue_many", insert::ENQUEUE_MANY),
    ("take", unique::TAKE),
    ("pass_on", unique::PASS_ON),
    ("replace", unique::REPLACE),
    ("survey", survey::SURVEY),
    ("promote", survey::PROMOTE),
    ("claim", claim::CLAIM),
    ("claim_and_park", claim::CLAIM_AND_PARK),
    ("started", claim::STARTED),
    ("holder", unique::HOLDER),
    ("claims_of", claim::CLAIMS_OF),
    ("done_bare", ack::DONE_BARE),
    ("done", ack::DONE),
    ("forget", ack::FORGET),
    ("again", ack::AGAIN),
    ("end", ack::END),
    ("release", rescue::RELEASE),
    ("release_claim", rescue::RELEASE_CLAIM),
    ("rescue", rescue::RESCUE),
    ("rescue_orphans", rescue::RESCUE),
    ("quarantine", rescue::QUARANTINE),
    ("observe", workers::OBSERVE),
    ("beat", workers::BEAT),
    ("cancellations", control::CANCELLATIONS),
    ("prune", prune::PRUNE),
    ("forget_cancellations", prune::FORGET_CANCELLATIONS),
    ("step", steps::STEP),
    ("record", steps::RECORD),
];

/// Jobs on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    db: Db,
    marks: Arc<Mutex<LowWaterMarks>>,
    /// The queues that are known to be listed.
    listed: Arc<Mutex<HashSet<String>>>,
}

impl PostgresStore {
    /// The store behind this pool.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            marks: Arc::default(),
            listed: Arc::default(),
        }
    }

    /// A poisoned lock is safe to use: a panic leaves every mark at a value that was safe.
    fn marks(&self) -> MutexGuard<'_, LowWaterMarks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the low-water marks when this fails, or is dropped before it ends: the server may be another one by now, or an older state of this one.
    async fn or_forget<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut forget = ForgetMarksOnDrop(Some(self));
        let answer = answer.await;
        if answer.is_ok() {
            forget.0 = None;
        }
        answer
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the queues of these jobs, for workers that take all queues. Each process does it once for each queue.
    ///
    /// It uses a connection of its own: inside their transactions, two producers that list the same queue would wait for each other's commit.
    async fn list_queues(&self, drafts: &[Draft]) -> Result<(), Error> {
        let new: Vec<String> = {
            let listed = self.listed();
            let queues: BTreeSet<&str> = drafts.iter().map(|draft| &*draft.queue).collect();
            let new = queues.into_iter().filter(|queue| !listed.contains(*queue));
            new.map(str::to_owned).collect()
        };
        if !new.is_empty() {
            enqueue::list_queues(&self.db, &new).await?;
            self.listed().extend(new);
        }
        Ok(())
    }
}

/// Forgets the low-water marks when it is dropped.
struct ForgetMarksOnDrop<'s>(Option<&'s PostgresStore>);

impl Drop for ForgetMarksOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.0 {
            store.marks().forget();
        }
    }
}

impl Producing for PostgresStore {
    fn enqueue(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Enqueued>> {
        Box::pin(async move {
            self.list_queues(&drafts).await?;
            enqueue::enqueue(&self.db, drafts).await
        })
    }

    fn enqueue_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        drafts: Vec<Draft>,
    ) -> Answer<'a, Vec<Enqueued>> {
        Box::pin(async move {
            self.list_queues(&drafts).await?;
            enqueue::enqueue_in(connection, drafts).await
        })
    }

    fn wake<'a>(&'a self, queues: &'a [String]) -> Answer<'a, ()> {
        Box::pin(listen::wake(&self.db, queues))
    }
}

impl Working for PostgresStore {
    fn survey<'a>(&'a self, queues: &'a Queues) -> Answer<'a, Survey> {
        Box::pin(self.or_forget(survey::survey(self, queues)))
    }

    fn promote(&self, limit: usize) -> Answer<'_, usize> {
        Box::pin(survey::promote(&self.db, limit))
    }

    fn claim<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Batch> {
        Box::pin(self.or_forget(claim::claim(self, claim)))
    }

    fn done<'a>(
        &'a self,
        worker: WorkerId,
        done: &'a [Done],
        ended: &'a [ClaimId],
    ) -> Answer<'a, Vec<Lease>> {
        Box::pin(self.or_forget(ack::done(&self.db, worker, done, ended)))
    }

    fn ack<'a>(&'a self, worker: WorkerId, lease: Lease, ack: &'a Ack) -> Answer<'a, Acked> {
        Box::pin(ack::ack(&self.db, worker, lease, ack))
    }

    fn ack_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        worker: WorkerId,
        lease: Lease,
        ack: &'a Ack,
    ) -> Answer<'a, Acked> {
        Box::pin(ack::ack(connection, worker, lease, ack))
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> Answer<'a, usize> {
        Box::pin(rescue::release(&self.db, leases))
    }

    fn release_claim(&self, worker: WorkerId, claim: ClaimId) -> Answer<'_, usize> {
        Box::pin(rescue::release_claim(&self.db, worker, claim))
    }

    fn claims_of(&self, worker: WorkerId) -> Answer<'_, Vec<ClaimId>> {
        Box::pin(claim::claims_of(&self.db, worker))
    }

    fn cancellations<'a>(&'a self, held: &'a [Lease]) -> Answer<'a, Vec<(Lease, String)>> {
        Box::pin(control::cancellations(&self.db, held))
    }

    fn heartbeat_writer(&self) -> Box<dyn HeartbeatWriter> {
        Box::new(workers::PostgresHeartbeat::new(self.db.clone()))
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

    fn prune(&self, limit: usize) -> Answer<'_, usize> {
        Box::pin(prune::prune(&self.db, limit))
    }

    fn refresh_statistics(&self) -> Answer<'_, bool> {
        Box::pin(statistics::refresh(&self.db))
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

    fn listen(&self, woken: Box<dyn Fn(Wake<'_>) + Send + Sync>) -> BoxFuture<'static, ()> {
        Box::pin(listen::listen(self.db.direct(), woken))
    }
}

impl Controlling for PostgresStore {
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobSummary>> {
        Box::pin(admin::list(&self.db, filter))
    }

    fn show(&self, job: JobId) -> Answer<'_, Option<JobDetails>> {
        Box::pin(admin::show(&self.db, job))
    }

    fn retry<'a>(&'a self, jobs: &'a [JobId]) -> Answer<'a, Vec<JobId>> {
        Box::pin(control::retry(&self.db, jobs))
    }

    fn discard<'a>(&'a self, jobs: &'a [JobId], reason: &'a FailureText) -> Answer<'a, Vec<JobId>> {
        Box::pin(control::discard(&self.db, jobs, reason))
    }

    fn cancel<'a>(
        &'a self,
        jobs: &'a [JobId],
        reason: &'a FailureText,
    ) -> Answer<'a, Cancellation> {
        Box::pin(control::cancel(&self.db, jobs, reason))
    }

    fn reschedule<'a>(&'a self, jobs: &'a [JobId], due: Due) -> Answer<'a, Vec<JobId>> {
        Box::pin(control::reschedule(&self.db, jobs, due))
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> Answer<'a, u64> {
        Box::pin(admin::count(&self.db, filter))
    }

    fn matching<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<JobId>,
        last: JobId,
        limit: usize,
    ) -> Answer<'a, Vec<JobId>> {
        Box::pin(admin::matching(&self.db, filter, after, last, limit))
    }

    fn has_queue<'a>(&'a self, queue: &'a str) -> Answer<'a, bool> {
        Box::pin(pauses::has_queue(&self.db, queue))
    }

    fn pause<'a>(&'a self, what: &'a Pausable) -> Answer<'a, bool> {
        Box::pin(pauses::pause(&self.db, what))
    }

    fn resume<'a>(&'a self, what: &'a Pausable) -> Answer<'a, bool> {
        Box::pin(pauses::resume(&self.db, what))
    }

    fn paused(&self) -> Answer<'_, Vec<Paused>> {
        Box::pin(pauses::paused(&self.db))
    }

    fn why(&self, job: JobId) -> Answer<'_, Why> {
        Box::pin(why::why(&self.db, job))
    }

    fn workers(&self) -> Answer<'_, Vec<WorkerSummary>> {
        Box::pin(workers::workers(&self.db))
    }
}

/// A level's number in the column `lane`.
fn number(level: Level) -> i16 {
    match level {
        Level::Returned => 0,
        Level::Priority(priority) => priority.number(),
        Level::Suspect => 9,
    }
}

/// The level of a number.
fn level(number: i16) -> Level {
    match number {
        0 => Level::Returned,
        9 => Level::Suspect,
        number => Level::Priority(Priority::of_number(number)),
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
            Error::internal("the tables for jobs are missing: run `release` first")
                .with_source(error)
        }
        // Our own transactions are never read-only, so the server is.
        sqlx::Error::Database(database) if database.code().as_deref() == Some("25006") => {
            Error::read_only().with_source(error)
        }
        _ => Error::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The statements that run all the time are read as a whole, clauses and all, when they change.
    ///
    /// After a change run it with `TWELVE_WRITE_DOCS=1`, and read the difference.
    #[test]
    fn the_hot_statements_are_those_that_were_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/postgres/hot.sql");
        let texts = HOT.iter().map(|(name, text)| format!("-- {name}{text};\n"));
        let texts = texts.collect::<Vec<_>>().join("\n");
        if std::env::var_os("TWELVE_WRITE_DOCS").is_some() {
            fs::write(path, &texts).unwrap();
        }
        let read = fs::read_to_string(path).unwrap();
        assert!(texts == read, "{path} is out of date");
    }
}
