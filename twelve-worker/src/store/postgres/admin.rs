//! Looking at jobs, and acting on them by hand.

use jiff_sqlx::Timestamp;
use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{counter, failed, rows};
use crate::{
    JobId, WorkerId,
    store::{Evidence, Filter, JobDetails, JobError, JobSummary},
};

/// The newest jobs that match. Plan: the primary key backwards, whose ids sort by time; a rare state may read far.
const LIST: &str = "
SELECT job.*, CASE WHEN state = 'waiting' AND run_at > now() THEN 'scheduled' ELSE state END AS shown, (
    SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
) AS last_error
FROM (
    SELECT id, kind, queue, state, attempts, max_attempts, crashes, worker, run_at, created_at, claimed_at, finished_at
    FROM twelve.jobs
    WHERE ($1::text IS NULL OR kind = $1)
      AND ($2::text IS NULL OR queue = $2)
      AND ($3::text[] = '{}' OR CASE WHEN state = 'waiting' AND run_at > now() THEN 'scheduled' ELSE state END = ANY ($3))
    ORDER BY id DESC
    LIMIT $4
) AS job
ORDER BY id DESC";

/// Plan: the primary keys.
const SHOW: &str = "
SELECT job.id, kind, queue, state, attempts, max_attempts, crashes, worker, run_at, created_at, claimed_at, finished_at,
    CASE WHEN state = 'waiting' AND run_at > now() THEN 'scheduled' ELSE state END AS shown, (
        SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
    ) AS last_error, payload::text AS payload, epoch
FROM twelve.jobs AS job
WHERE id = $1";

/// Plan: the primary key's prefix.
const ERRORS: &str = "
SELECT attempt, cause, message, times, at, worker
FROM twelve.job_errors WHERE job_id = $1
ORDER BY attempt, at";

/// Plan: the primary key's prefix.
const STEPS: &str = "
SELECT name FROM twelve.job_steps WHERE job_id = $1 ORDER BY recorded_at, name";

/// Plan: the primary key, once for each id. Numbers of attempts go on, so that older evidence stays. A suspect stays one.
const RETRY: &str = "
UPDATE twelve.jobs
SET state = 'waiting', run_at = clock_timestamp(), finished_at = NULL,
    max_attempts = attempts + attempts_granted, crashes = 0, deferrals = 0
WHERE id = ANY ($1) AND state IN ('waiting', 'failed', 'discarded')
RETURNING id";

/// Plan: the primary key, once for each id.
const DISCARD: &str = "
WITH discarded AS (
    UPDATE twelve.jobs
    SET state = 'discarded', finished_at = clock_timestamp()
    WHERE id = ANY ($1) AND state IN ('waiting', 'failed')
    RETURNING id, attempts
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message)
    SELECT id, attempts + 1, 'discarded', $2 FROM discarded
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = NULL, at = excluded.at, times = known.times + 1
)
SELECT id FROM discarded";

pub(super) async fn list(db: &Db, filter: &Filter) -> Result<Vec<JobSummary>, Error> {
    let states: Vec<_> = filter.states.iter().map(|state| state.name()).collect();
    let rows = sqlx::query(LIST)
        .bind(&filter.kind)
        .bind(&filter.queue)
        .bind(states)
        .bind(rows(filter.limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    rows.iter().map(summary).collect()
}

fn summary(row: &PgRow) -> Result<JobSummary, Error> {
    let worker: Option<Uuid> = row.try_get("worker")?;
    Ok(JobSummary {
        id: JobId::from_uuid(row.try_get("id")?),
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        state: row.try_get::<&str, _>("shown")?.parse()?,
        attempts: counter(row.try_get("attempts")?),
        max_attempts: counter(row.try_get("max_attempts")?),
        crashes: counter(row.try_get("crashes")?),
        worker: worker.map(WorkerId::from_uuid),
        run_at: time(row.try_get("run_at")?),
        created_at: time(row.try_get("created_at")?),
        claimed_at: row.try_get::<Option<_>, _>("claimed_at")?.map(time),
        finished_at: row.try_get::<Option<_>, _>("finished_at")?.map(time),
        last_error: row.try_get("last_error")?,
    })
}

fn time(timestamp: Timestamp) -> String {
    timestamp.to_jiff().to_string()
}

pub(super) async fn show(db: &Db, job: JobId) -> Result<Option<JobDetails>, Error> {
    let id = *job.as_uuid();
    let Some(row) = sqlx::query(SHOW)
        .bind(id)
        .fetch_optional(db)
        .await
        .map_err(failed)?
    else {
        return Ok(None);
    };
    let errors = sqlx::query(ERRORS)
        .bind(id)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let steps = sqlx::query_scalar(STEPS)
        .bind(id)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let payload: String = row.try_get("payload")?;
    Ok(Some(JobDetails {
        summary: summary(&row)?,
        // A payload that serde_json cannot read is shown as the text that it is.
        payload: serde_json::from_str(&payload).unwrap_or(serde_json::Value::String(payload)),
        epoch: row.try_get("epoch")?,
        errors: errors.iter().map(evidence).collect::<Result<_, _>>()?,
        steps,
    }))
}

fn evidence(row: &PgRow) -> Result<JobError, Error> {
    let worker: Option<Uuid> = row.try_get("worker")?;
    Ok(JobError {
        attempt: counter(row.try_get("attempt")?),
        cause: row.try_get("cause")?,
        message: row.try_get("message")?,
        times: counter(row.try_get("times")?),
        at: time(row.try_get("at")?),
        worker: worker.map(WorkerId::from_uuid),
    })
}

pub(super) async fn retry(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
    let retried: Vec<Uuid> = sqlx::query_scalar(RETRY)
        .bind(uuids(jobs))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    Ok(retried.into_iter().map(JobId::from_uuid).collect())
}

pub(super) async fn discard(
    db: &Db,
    jobs: &[JobId],
    reason: &Evidence,
) -> Result<Vec<JobId>, Error> {
    let discarded: Vec<Uuid> = sqlx::query_scalar(DISCARD)
        .bind(uuids(jobs))
        .bind(reason.as_str())
        .fetch_all(db)
        .await
        .map_err(failed)?;
    Ok(discarded.into_iter().map(JobId::from_uuid).collect())
}

fn uuids(jobs: &[JobId]) -> Vec<Uuid> {
    jobs.iter().map(|job| *job.as_uuid()).collect()
}
