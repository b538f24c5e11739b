//! Looking at jobs.

use jiff_sqlx::Timestamp;
use sqlx::{Row, postgres::PgRow};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{counter, failed, rows};
use crate::{
    JobId, WorkerId,
    store::{Filter, JobDetails, JobError, JobSummary},
};

/// The newest jobs that match. Plan: the primary key backwards, whose ids sort by time; a rare state may read far.
const LIST: &str = "
SELECT job.*, claim.worker, claim.claimed_at, (
    SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
) AS last_error
FROM (
    SELECT id, epoch, kind, queue, state, attempts, max_attempts, crashes, run_at, created_at, finished_at
    FROM twelve.all_jobs
    WHERE ($1::text IS NULL OR kind = $1)
      AND ($2::text IS NULL OR queue = $2)
      AND ($3::text[] = '{}' OR state = ANY ($3))
    ORDER BY id DESC
    LIMIT $4
) AS job
LEFT JOIN LATERAL (
    SELECT worker, claimed_at FROM twelve.claims WHERE job.state = 'running' AND job.id = ANY (jobs) LIMIT 1
) AS claim ON true
ORDER BY id DESC";

/// Plan: the primary keys.
const SHOW: &str = "
SELECT job.id, kind, queue, state, attempts, max_attempts, crashes, run_at, created_at, finished_at, claim.worker, claim.claimed_at,
    (
        SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
    ) AS last_error, payload::text AS payload, epoch
FROM twelve.all_jobs AS job
LEFT JOIN LATERAL (
    SELECT worker, claimed_at FROM twelve.claims WHERE job.state = 'running' AND job.id = ANY (jobs) LIMIT 1
) AS claim ON true
WHERE id = $1";

/// Plan: the primary key's prefix.
const ERRORS: &str = "
SELECT attempt, cause, message, times, at, worker
FROM twelve.job_errors WHERE job_id = $1
ORDER BY attempt, at";

/// Plan: the primary key's prefix.
const STEPS: &str = "
SELECT name FROM twelve.job_steps WHERE job_id = $1 ORDER BY recorded_at, name";

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
    let created_at: Timestamp = row.try_get("created_at")?;
    let run_at: Option<Timestamp> = row.try_get("run_at")?;
    Ok(JobSummary {
        id: JobId::from_uuid(row.try_get("id")?),
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        attempts: counter(row.try_get("attempts")?),
        max_attempts: counter(row.try_get("max_attempts")?),
        crashes: counter(row.try_get("crashes")?),
        worker: worker.map(WorkerId::from_uuid),
        run_at: time(run_at.unwrap_or(created_at)),
        created_at: time(created_at),
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
    let payload: Option<String> = row.try_get("payload")?;
    Ok(Some(JobDetails {
        summary: summary(&row)?,
        // A payload that serde_json cannot read is shown as the text that it is.
        payload: payload.map(|payload| {
            serde_json::from_str(&payload).unwrap_or(serde_json::Value::String(payload))
        }),
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
