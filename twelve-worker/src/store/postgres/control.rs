//! Acting on jobs by hand.

use sqlx::{PgExecutor, Postgres, postgres::PgArguments, query::QueryScalar};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{failed, insert, listen};
use crate::{
    job::{draft::Due, id::JobId},
    store::{
        model::{FailureText, Lease},
        state::State,
        verbs::Cancellation,
    },
};

/// Jobs that wait are due now, with all their attempts granted again. Plan: the primary key, once for each id; the few rows of claims.
///
/// The numbers of attempts go on, so that older errors stay. A suspect stays one.
const RETRY_WAITING: &str = concat!(
    "
WITH retried AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1, run_at = NULL, max_attempts = attempts + attempts_granted, crashes = 0, deferrals = 0
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, queue, priority, suspect
),
ready AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", id, epoch FROM retried
)
SELECT id FROM retried"
);

/// The same for jobs that have ended otherwise than done. Plan: the primary keys, once for each id and key.
///
/// One whose unique key another job holds stays as it is; any other takes its key again, of several with one key the oldest.
const RETRY_ENDED: &str = concat!(
    "
WITH ended AS MATERIALIZED (
    SELECT id, unique_key, until_started FROM twelve.finished WHERE id = ANY ($1) AND state <> 'done' FOR UPDATE
),
taken AS (
    INSERT INTO twelve.unique_keys AS held (key, job, until_started)
    SELECT DISTINCT ON (unique_key) unique_key, id, until_started
    FROM ended WHERE unique_key IS NOT NULL ORDER BY unique_key, id
    ",
    or_its_holder!(),
    "
    RETURNING job
),
retried AS (
    DELETE FROM twelve.finished
    WHERE id = ANY (ARRAY(SELECT id FROM ended WHERE unique_key IS NULL OR id IN (SELECT job FROM taken)))
    RETURNING *
),
job AS (
    INSERT INTO twelve.jobs (id, epoch, created_at, attempts, max_attempts, attempts_granted, priority, suspect, kind, queue, payload, tags, metadata,
        unique_key, until_started)
    SELECT id, epoch + 1, created_at, attempts, attempts + attempts_granted, attempts_granted, priority, suspect, kind, queue, payload, tags, metadata,
        unique_key, until_started
    FROM retried
    RETURNING id, epoch, queue, priority, suspect
),
ready AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", id, epoch FROM job
)
SELECT id FROM job"
);

/// Jobs that wait have ended in this state. Plan: the primary key, once for each id; the few rows of claims.
///
/// A claim that is being made at this very moment may see neither this nor be seen: then the job runs, its ack is refused, and what it did in its `Tx` is rolled back.
const END_WAITING: &str = concat!(
    "
WITH ended AS (
    DELETE FROM twelve.jobs
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING *
),
",
    released!(),
    ",
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata, unique_key, until_started)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + interval '1 day', run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, $3, kind, queue, payload, tags, metadata, unique_key, until_started
    FROM ended
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, at)
    SELECT id, attempts + 1, $3, $2, clock_timestamp() FROM ended
    ",
    counted!(),
    "
)
SELECT id FROM ended"
);

/// Jobs that have failed are discarded. Plan: the primary key, once for each id.
const DISCARD_FAILED: &str = concat!(
    "
WITH ended AS (
    UPDATE twelve.finished
    SET state = 'discarded', finished_at = clock_timestamp(), expires_at = clock_timestamp() + interval '1 day'
    WHERE id = ANY ($1) AND state = 'failed'
    RETURNING id, attempts
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, at)
    SELECT id, attempts + 1, 'discarded', $2, clock_timestamp() FROM ended
    ",
    counted!(),
    "
)
SELECT id FROM ended"
);

/// Jobs that run are to be stopped: those, and those that were taken in the moment in which they were ended ($2).
///
/// Plan: `claims`, which is as short as what is claimed at this moment; the jobs by primary key, one at a time.
const TELL: &str = "
INSERT INTO twelve.cancellations (job, epoch, reason)
SELECT DISTINCT ON (lease.job) lease.job, lease.epoch, $3
FROM twelve.claims
CROSS JOIN LATERAL unnest(claims.jobs, claims.epochs) AS lease (job, epoch)
WHERE lease.job = ANY ($1)
  AND (lease.job = ANY ($2) OR (SELECT jobs.epoch FROM twelve.jobs WHERE jobs.id = lease.job) = lease.epoch)
ORDER BY lease.job, lease.epoch DESC
ON CONFLICT (job) DO UPDATE
SET epoch = excluded.epoch, reason = excluded.reason, at = clock_timestamp()
RETURNING job";

/// Plan: the primary key, once for each lease.
pub(super) const CANCELLATIONS: &str = "
SELECT job, epoch, reason FROM twelve.cancellations WHERE job = ANY ($1)";

/// Whoever retries a job does not want it to be stopped any more. Plan: the primary key, once for each id.
const FORGET_CANCELLATIONS: &str = "
DELETE FROM twelve.cancellations WHERE job = ANY ($1)";

/// Jobs that wait are due then. Plan: the primary key, once for each id; the few rows of claims.
const RESCHEDULE: &str = "
WITH moved AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1,
        run_at = COALESCE(timestamptz 'epoch' + $2::bigint * interval '1 microsecond',
                          clock_timestamp() + $3::bigint * interval '1 microsecond')
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, run_at
),
later AS (
    INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, epoch FROM moved
    ON CONFLICT (run_at, job) DO UPDATE SET epoch = excluded.epoch
)
SELECT id FROM moved";

/// Jobs that wait are due now. Plan: the same.
const RESCHEDULE_NOW: &str = concat!(
    "
WITH moved AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1, run_at = NULL
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, queue, priority, suspect
),
ready AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", id, epoch FROM moved
)
SELECT id FROM moved"
);

pub(super) async fn retry(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
    let mut jobs = uuids(jobs);
    let mut transaction = db.begin().await?;
    // Keys before jobs, as producers take them that replace: the other way round, the two could wait for each other.
    let mut retried = Vec::new();
    for statement in [RETRY_ENDED, RETRY_WAITING] {
        let statement = sqlx::query_scalar(statement).bind(&jobs);
        retried.extend(concerned(statement, &mut transaction).await?);
        jobs.retain(|job| !retried.contains(job));
    }
    sqlx::query(FORGET_CANCELLATIONS)
        .bind(&retried)
        .execute(&mut transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await?;
    Ok(ids(retried))
}

pub(super) async fn discard(
    db: &Db,
    jobs: &[JobId],
    reason: &FailureText,
) -> Result<Vec<JobId>, Error> {
    let jobs = uuids(jobs);
    let mut transaction = db.begin().await?;
    let mut discarded = end_waiting(&mut transaction, &jobs, State::Discarded, reason).await?;
    let statement = sqlx::query_scalar(DISCARD_FAILED)
        .bind(&jobs)
        .bind(reason.as_str());
    discarded.extend(concerned(statement, &mut transaction).await?);
    transaction.commit().await?;
    Ok(ids(discarded))
}

pub(super) async fn cancel(
    db: &Db,
    jobs: &[JobId],
    reason: &FailureText,
) -> Result<Cancellation, Error> {
    let jobs = uuids(jobs);
    let mut transaction = db.begin().await?;
    let cancelled = end_waiting(&mut transaction, &jobs, State::Cancelled, reason).await?;
    let statement = sqlx::query_scalar(TELL)
        .bind(&jobs)
        .bind(&cancelled)
        .bind(reason.as_str());
    let mut requested = concerned(statement, &mut transaction).await?;
    transaction.commit().await?;
    if !requested.is_empty() {
        listen::announce_control(db).await;
    }
    requested.retain(|job| !cancelled.contains(job));
    Ok(Cancellation {
        cancelled: ids(cancelled),
        requested: ids(requested),
    })
}

pub(super) async fn reschedule(db: &Db, jobs: &[JobId], due: Due) -> Result<Vec<JobId>, Error> {
    let jobs = uuids(jobs);
    let statement = if due == Due::Now {
        sqlx::query_scalar(RESCHEDULE_NOW).bind(jobs)
    } else {
        let (at_us, delay_us) = insert::due(due)?;
        sqlx::query_scalar(RESCHEDULE)
            .bind(jobs)
            .bind(at_us)
            .bind(delay_us)
    };
    Ok(ids(concerned(statement, db).await?))
}

async fn end_waiting(
    on: impl PgExecutor<'_>,
    jobs: &[Uuid],
    state: State,
    reason: &FailureText,
) -> Result<Vec<Uuid>, Error> {
    let statement = sqlx::query_scalar(END_WAITING)
        .bind(jobs)
        .bind(reason.as_str())
        // The cause of its error has the same name.
        .bind(state.name());
    concerned(statement, on).await
}

/// The jobs that a statement answers.
async fn concerned(
    statement: QueryScalar<'_, Postgres, Uuid, PgArguments>,
    on: impl PgExecutor<'_>,
) -> Result<Vec<Uuid>, Error> {
    statement.fetch_all(on).await.map_err(failed)
}

fn uuids(jobs: &[JobId]) -> Vec<Uuid> {
    jobs.iter().map(|job| *job.as_uuid()).collect()
}

fn ids(jobs: Vec<Uuid>) -> Vec<JobId> {
    jobs.into_iter().map(JobId::from_uuid).collect()
}

/// A request names the epoch of the attempt that ran then, and holds for later epochs too: the job may have been rescued in the meantime.
pub(super) async fn cancellations(db: &Db, held: &[Lease]) -> Result<Vec<(Lease, String)>, Error> {
    let jobs: Vec<Uuid> = held.iter().map(|lease| *lease.job.as_uuid()).collect();
    let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(CANCELLATIONS)
        .bind(jobs)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let find = |(job, epoch, reason): (Uuid, i64, String)| {
        let is_meant = |lease: &&Lease| *lease.job.as_uuid() == job && lease.epoch >= epoch;
        let lease = held.iter().find(is_meant)?;
        Some((*lease, reason))
    };
    Ok(rows.into_iter().filter_map(find).collect())
}
