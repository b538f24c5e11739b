//! Acting on jobs by hand.

use sqlx::Connection;
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::failed;
use crate::{
    JobId,
    store::{Evidence, Lease},
};

/// Jobs that wait are due now, with all their attempts granted again. Plan: the primary key, once for each id; the few rows of claims.
///
/// Numbers of attempts go on, so that older evidence stays. A suspect stays one.
const RETRY_WAITING: &str = "
WITH retried AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1, run_at = NULL, max_attempts = attempts + attempts_granted, crashes = 0, deferrals = 0
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, queue, priority, suspect
),
ready AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE priority END, id, epoch FROM retried
)
SELECT id FROM retried";

/// The same for jobs that have ended otherwise than done. Plan: the primary key, once for each id.
const RETRY_ENDED: &str = "
WITH retried AS (
    DELETE FROM twelve.finished WHERE id = ANY ($1) AND state <> 'done' RETURNING *
),
job AS (
    INSERT INTO twelve.jobs (id, epoch, created_at, attempts, max_attempts, attempts_granted, priority, suspect, kind, queue, payload, tags, metadata)
    SELECT id, epoch + 1, created_at, attempts, attempts + attempts_granted, attempts_granted, priority, suspect, kind, queue, payload, tags, metadata
    FROM retried
    RETURNING id, epoch, queue, priority, suspect
),
ready AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, CASE WHEN suspect THEN 9 ELSE priority END, id, epoch FROM job
)
SELECT id FROM job";

/// Jobs that wait are discarded. Plan: the primary key, once for each id; the few rows of claims.
const DISCARD_WAITING: &str = "
WITH ended AS (
    DELETE FROM twelve.jobs
    WHERE id = ANY ($1)
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING *
),
released AS (
    DELETE FROM twelve.unique_keys AS held USING ended
    WHERE held.key = ended.unique_key AND held.job = ended.id AND held_until IS NULL
),
kept AS (
    INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, state, kind, queue, payload, tags, metadata)
    SELECT id, epoch, created_at, clock_timestamp(), clock_timestamp() + interval '1 day', run_at, attempts, max_attempts, attempts_granted,
        crashes, priority, suspect, 'discarded', kind, queue, payload, tags, metadata
    FROM ended
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, at)
    SELECT id, attempts + 1, 'discarded', $2, clock_timestamp() FROM ended
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = NULL, at = excluded.at, times = known.times + 1
)
SELECT id FROM ended";

/// Jobs that have failed are discarded. Plan: the primary key, once for each id.
const DISCARD_FAILED: &str = "
WITH ended AS (
    UPDATE twelve.finished
    SET state = 'discarded', finished_at = clock_timestamp(), expires_at = clock_timestamp() + interval '1 day'
    WHERE id = ANY ($1) AND state = 'failed'
    RETURNING id, attempts
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, at)
    SELECT id, attempts + 1, 'discarded', $2, clock_timestamp() FROM ended
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = NULL, at = excluded.at, times = known.times + 1
)
SELECT id FROM ended";

/// Plan: the primary key, once for each lease.
const CANCELLATIONS: &str = "
SELECT job, epoch, reason FROM twelve.cancellations WHERE job = ANY ($1)";

pub(super) async fn retry(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
    act(db, [RETRY_WAITING, RETRY_ENDED], jobs, None).await
}

pub(super) async fn discard(
    db: &Db,
    jobs: &[JobId],
    reason: &Evidence,
) -> Result<Vec<JobId>, Error> {
    act(db, [DISCARD_WAITING, DISCARD_FAILED], jobs, Some(reason)).await
}

/// Both statements in one transaction; each answers the jobs that it concerned.
async fn act(
    db: &Db,
    statements: [&'static str; 2],
    jobs: &[JobId],
    reason: Option<&Evidence>,
) -> Result<Vec<JobId>, Error> {
    let jobs: Vec<Uuid> = jobs.iter().map(|job| *job.as_uuid()).collect();
    let mut connection = db.acquire().await?;
    let mut transaction = connection.begin().await?;
    let mut concerned: Vec<JobId> = Vec::new();
    for statement in statements {
        let mut statement = sqlx::query_scalar(statement).bind(&jobs);
        if let Some(reason) = reason {
            statement = statement.bind(reason.as_str());
        }
        let found: Vec<Uuid> = statement
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        concerned.extend(found.into_iter().map(JobId::from_uuid));
    }
    transaction.commit().await.map_err(failed)?;
    Ok(concerned)
}

pub(super) async fn cancellations(db: &Db, held: &[Lease]) -> Result<Vec<(Lease, String)>, Error> {
    let jobs: Vec<Uuid> = held.iter().map(|lease| *lease.job.as_uuid()).collect();
    let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(CANCELLATIONS)
        .bind(jobs)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let read = |(job, epoch, reason)| {
        let job = JobId::from_uuid(job);
        (Lease { job, epoch }, reason)
    };
    let cancelled = rows.into_iter().map(read);
    Ok(cancelled
        .filter(|(lease, _)| held.contains(lease))
        .collect())
}
