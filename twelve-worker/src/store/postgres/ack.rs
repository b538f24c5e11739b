//! Acks: recording how attempts ended.
//!
//! Every statement finds its rows by primary key, and checks the epoch, the fencing token, while it holds the row's lock.

use sqlx::PgExecutor;
use std::{collections::HashMap, time::Duration};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{failed, microseconds};
use crate::{
    job::{
        id::{ClaimId, JobId, WorkerId},
        retention::Keep,
    },
    store::{
        model::{Ack, Acked, Done, FailureText, Lease, Retention},
        state::Cause,
    },
};

/// Removes done jobs of which nothing is kept, and claims whose jobs have all ended. Plan: the primary keys, once for each id.
///
/// All of them have the same epoch, so that the planner sees no join. Returns the jobs that were found; NULL when all were.
pub(super) const DONE_BARE: &str = "
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) AND epoch = $2 RETURNING id
),
forgotten AS (
    DELETE FROM twelve.claims WHERE worker = $3 AND id = ANY ($4)
)
SELECT CASE WHEN count(*) = cardinality($1::uuid[]) THEN NULL ELSE COALESCE(array_agg(id), '{}') END FROM ended";

/// The same for done jobs with a summary to keep, or with a unique key, errors or steps to remove. Plan: the primary keys.
pub(super) const DONE: &str = concat!(
    "
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = ANY ($1) AND epoch = $2 RETURNING *
),
forgotten AS (
    DELETE FROM twelve.claims WHERE worker = $3 AND id = ANY ($4)
),
",
    released!(),
    ",
errors AS (
    DELETE FROM twelve.job_errors WHERE $6 = 'nothing' AND job_id = ANY ($1) AND EXISTS (SELECT FROM ended WHERE id = job_id)
),
steps AS (
    DELETE FROM twelve.job_steps WHERE $6 <> 'everything' AND job_id = ANY ($1) AND EXISTS (SELECT FROM ended WHERE id = job_id)
),
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + $5::bigint * interval '1 microsecond', run_at,
        attempts + 1, max_attempts, attempts_granted, crashes, priority, false, 'done', kind, queue,
        CASE WHEN $6 = 'everything' THEN payload END,
        CASE WHEN $6 = 'everything' THEN tags END,
        CASE WHEN $6 = 'everything' THEN metadata END
    FROM ended WHERE $6 <> 'nothing'
)
SELECT CASE WHEN count(*) = cardinality($1::uuid[]) THEN NULL ELSE COALESCE(array_agg(id), '{}') END FROM ended"
);

/// Forgets claims whose jobs have all ended. Plan: the primary key has the worker first, and an id is found by both.
pub(super) const FORGET: &str = "
DELETE FROM twelve.claims WHERE worker = $1 AND id = ANY ($2)";

/// Records an end after which the job runs again. Plan: the primary keys.
///
/// A job whose handler ended is no longer suspect. A deferred one stays suspect, since it has hardly run.
/// The errors of one attempt are one row for each cause, so a job that is deferred again and again does not grow.
/// It reads the clock when it runs: `now()` would be the beginning of the handler's transaction.
pub(super) const AGAIN: &str = concat!(
    "
WITH again AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1,
        attempts = attempts + $4,
        deferrals = CASE WHEN $6 = 'unavailable' THEN deferrals + 1 WHEN $6 = 'unknown_kind' THEN deferrals ELSE 0 END,
        suspect = CASE WHEN $6 IN ('unavailable', 'unknown_kind') THEN suspect ELSE false END,
        crashes = CASE WHEN $6 IN ('unavailable', 'unknown_kind') THEN crashes ELSE 0 END,
        run_at = clock_timestamp() + $5 * interval '1 microsecond'
    WHERE id = $1 AND epoch = $2
    RETURNING id, epoch, run_at, attempts + 1 - $4 AS attempt
),
later AS (
    INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, epoch FROM again
    ON CONFLICT (run_at, job) DO UPDATE SET epoch = excluded.epoch
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempt, $6, $7, $3, clock_timestamp() FROM again WHERE $6 IS NOT NULL
    ",
    counted!(),
    "
)
SELECT count(*) FROM again"
);

/// Records every other end after which the job does not run again. Plan: the primary keys.
pub(super) const END: &str = concat!(
    "
WITH ended AS (
    DELETE FROM twelve.jobs WHERE id = $1 AND epoch = $2 RETURNING *
),
",
    released!(),
    ",
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata, unique_key, until_started)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + $8::bigint * interval '1 microsecond', run_at,
        attempts + $5, max_attempts, attempts_granted, 0, priority, false, $4, kind, queue, payload, tags, metadata, unique_key, until_started
    FROM ended
),
heeded AS (
    DELETE FROM twelve.cancellations WHERE job = $1 AND EXISTS (SELECT FROM ended)
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker, at)
    SELECT id, attempts + 1, $6, $7, $3, clock_timestamp() FROM ended
    ",
    counted!(),
    "
)
SELECT count(*) FROM ended"
);

pub(super) async fn done(
    db: &Db,
    worker: WorkerId,
    done: &[Done],
    ended: &[ClaimId],
) -> Result<Vec<Lease>, Error> {
    let claims: Vec<Uuid> = ended.iter().map(|claim| *claim.as_uuid()).collect();
    let mut refused = Vec::new();
    let mut groups: HashMap<(i64, Retention), Vec<Uuid>> = HashMap::new();
    for job in done {
        let like = (job.lease.epoch, job.retention);
        groups
            .entry(like)
            .or_default()
            .push(*job.lease.job.as_uuid());
    }
    if groups.is_empty() {
        sqlx::query(FORGET)
            .bind(*worker.as_uuid())
            .bind(&claims)
            .execute(db)
            .await
            .map_err(failed)?;
    }
    let last = groups.len().saturating_sub(1);
    for (index, ((epoch, retention), jobs)) in groups.into_iter().enumerate() {
        let end = EndAll {
            worker,
            epoch,
            retention,
            jobs: &jobs,
            // Only with the last statement: until all ends are recorded, the claims tell who holds the jobs.
            claims: if index == last { &claims } else { &[] },
        };
        if let Some(found) = end.write(db).await.map_err(failed)? {
            let missed = jobs.iter().filter(|job| !found.contains(job));
            refused.extend(missed.map(|job| Lease {
                job: JobId::from_uuid(*job),
                epoch,
            }));
        }
    }
    Ok(refused)
}

/// What [`DONE_BARE`] or [`DONE`] writes.
struct EndAll<'a> {
    worker: WorkerId,
    epoch: i64,
    retention: Retention,
    jobs: &'a [Uuid],
    claims: &'a [Uuid],
}

impl EndAll<'_> {
    /// Answers the jobs that were found, unless all were.
    async fn write(self, on: impl PgExecutor<'_>) -> Result<Option<Vec<Uuid>>, sqlx::Error> {
        let Retention {
            keep,
            span,
            is_bare,
        } = self.retention;
        let is_bare = is_bare && keep == Keep::Nothing;
        let common = sqlx::query_scalar(if is_bare { DONE_BARE } else { DONE })
            .bind(self.jobs)
            .bind(self.epoch)
            .bind(*self.worker.as_uuid())
            .bind(self.claims);
        if is_bare {
            return common.fetch_one(on).await;
        }
        let statement = common.bind(microseconds(span)).bind(keep.name());
        statement.fetch_one(on).await
    }
}

/// On a connection whose transaction this is the last statement of, or on the pool: there, one that is not awaited costs its connection, and none else waits for it.
pub(super) async fn ack(
    on: impl PgExecutor<'_>,
    worker: WorkerId,
    lease: Lease,
    ack: &Ack,
) -> Result<Acked, Error> {
    let settlement = match ack {
        Ack::Done(retention) => {
            let end = EndAll {
                worker,
                epoch: lease.epoch,
                retention: *retention,
                jobs: &[*lease.job.as_uuid()],
                claims: &[],
            };
            return Ok(match end.write(on).await.map_err(failed)? {
                None => Acked::Accepted,
                Some(_) => Acked::Refused,
            });
        }
        Ack::Discard(reason, span) => {
            Settlement::end("discarded", Cause::Discarded, reason).kept_for(*span)
        }
        Ack::Cancel(reason, span) => {
            Settlement::end("cancelled", Cause::Cancelled, reason).kept_for(*span)
        }
        Ack::Fail(error) => Settlement::end("failed", Cause::Failed, error),
        Ack::Undecodable(error) => Settlement {
            spent: 0,
            ..Settlement::end("failed", Cause::Undecodable, error)
        },
        Ack::Snooze(delay) => Settlement::again(0, *delay, None),
        Ack::Retry(delay, error) => Settlement::again(1, *delay, Some((Cause::Failed, error))),
        Ack::Defer(delay, cause, error) => Settlement::again(0, *delay, Some((*cause, error))),
    };
    let settled = settlement.write(on, worker, lease).await;
    Ok(match settled.map_err(failed)? {
        0 => Acked::Refused,
        _ => Acked::Accepted,
    })
}

/// What [`AGAIN`] or [`END`] writes.
struct Settlement<'a> {
    /// The state in which the job has ended, if it has.
    state: Option<&'static str>,
    spent: i32,
    /// Until it runs again, or is removed.
    span: Option<Duration>,
    error: Option<(Cause, &'a FailureText)>,
}

impl<'a> Settlement<'a> {
    fn end(state: &'static str, cause: Cause, error: &'a FailureText) -> Self {
        Self {
            state: Some(state),
            spent: 1,
            span: None,
            error: Some((cause, error)),
        }
    }

    fn again(spent: i32, delay: Duration, error: Option<(Cause, &'a FailureText)>) -> Self {
        Self {
            state: None,
            spent,
            span: Some(delay),
            error,
        }
    }

    fn kept_for(self, span: Duration) -> Self {
        Self {
            span: Some(span),
            ..self
        }
    }

    async fn write(
        self,
        on: impl PgExecutor<'_>,
        worker: WorkerId,
        lease: Lease,
    ) -> Result<i64, sqlx::Error> {
        let cause = self.error.map(|(cause, _)| cause.name());
        let message = self.error.map(|(_, error)| error.as_str());
        let span = self.span.map(microseconds);
        let common = |statement| {
            sqlx::query_scalar(statement)
                .bind(*lease.job.as_uuid())
                .bind(lease.epoch)
                .bind(*worker.as_uuid())
        };
        match self.state {
            None => {
                let again = common(AGAIN).bind(self.spent).bind(span);
                again.bind(cause).bind(message).fetch_one(on).await
            }
            Some(state) => {
                let end = common(END).bind(state).bind(self.spent);
                let end = end.bind(cause).bind(message).bind(span);
                end.fetch_one(on).await
            }
        }
    }
}
