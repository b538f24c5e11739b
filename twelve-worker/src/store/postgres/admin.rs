//! Looking at jobs.

use jiff_sqlx::Timestamp;
use serde_json::Value;
use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{counter, failed, rows};
use crate::{
    job::{
        id::{JobId, WorkerId},
        priority::Priority,
        timestamp,
    },
    store::{
        listing::{Filter, JobDetails, JobError, JobSummary},
        state::Cause,
    },
};

/// What a filter demands of a job.
macro_rules! where_it_matches {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "
    WHERE ($1::text IS NULL OR kind = $1)
      AND ($2::text IS NULL OR queue = $2)
      AND ($3::text[] = '{}' OR state = ANY ($3))
      AND ($4::text IS NULL OR tags @> ARRAY[$4])",
            $after
        )
    };
}

/// The newest jobs that match. Plan: the primary keys backwards, whose ids sort by time; what is rare may be found late, for it is a listing by filter.
const LIST: &str = where_it_matches!(
    "
SELECT job.*, claim.worker, claim.claimed_at, (
    SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
) AS last_error
FROM (
    SELECT id, epoch, kind, queue, state, attempts, max_attempts, crashes, run_at, created_at, finished_at
    FROM twelve.all_jobs",
    "
    ORDER BY id DESC
    LIMIT $5
) AS job
LEFT JOIN LATERAL (
    SELECT worker, claimed_at FROM twelve.claims WHERE job.state = 'running' AND job.id = ANY (jobs) LIMIT 1
) AS claim ON true
ORDER BY id DESC"
);

/// The next jobs that match. Plan: the primary keys, each from where the last batch ended; what is rare may be found late, for it is a listing by filter.
const MATCHING: &str = where_it_matches!(
    "
SELECT id FROM twelve.all_jobs",
    "
      AND id > $5 AND id <= $6
ORDER BY id
LIMIT $7"
);

/// How many jobs match. It reads every job that there is, for it is a listing by filter.
const COUNT: &str = where_it_matches!(
    "
SELECT count(*) FROM twelve.all_jobs",
    ""
);

/// Plan: the primary keys.
const SHOW: &str = "
SELECT job.id, kind, queue, state, attempts, max_attempts, crashes, run_at, created_at, finished_at, claim.worker, claim.claimed_at,
    (
        SELECT message FROM twelve.job_errors WHERE job_id = job.id ORDER BY at DESC LIMIT 1
    ) AS last_error, priority, COALESCE(tags, '{}') AS tags, metadata::text AS metadata, payload::text AS payload, epoch
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
    let rows = filtered(LIST, filter)
        .bind(rows(filter.limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    rows.iter().map(summary).collect()
}

pub(super) async fn count(db: &Db, filter: &Filter) -> Result<u64, Error> {
    let counted = filtered(COUNT, filter)
        .fetch_one(db)
        .await
        .map_err(failed)?;
    Ok(u64::try_from(counted.try_get::<i64, _>(0)?).unwrap_or_default())
}

pub(super) async fn matching(
    db: &Db,
    filter: &Filter,
    after: Option<JobId>,
    last: JobId,
    limit: usize,
) -> Result<Vec<JobId>, Error> {
    let after = after.map_or(Uuid::nil(), |job| *job.as_uuid());
    let found = filtered(MATCHING, filter)
        .bind(after)
        .bind(*last.as_uuid())
        .bind(rows(limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    let id = |row: &PgRow| Ok(JobId::from_uuid(row.try_get(0)?));
    found.iter().map(id).collect()
}

fn filtered<'q>(statement: &'static str, filter: &'q Filter) -> Query<'q, Postgres, PgArguments> {
    let states: Vec<_> = filter.states.iter().map(|state| state.name()).collect();
    sqlx::query(statement)
        .bind(&filter.kind)
        .bind(&filter.queue)
        .bind(states)
        .bind(&filter.tag)
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
        run_at: run_at.unwrap_or(created_at).into(),
        created_at: created_at.into(),
        claimed_at: moment(row, "claimed_at")?,
        finished_at: moment(row, "finished_at")?,
        last_error: row.try_get("last_error")?,
    })
}

fn moment(row: &PgRow, column: &str) -> Result<Option<timestamp::Timestamp>, Error> {
    let moment: Option<Timestamp> = row.try_get(column)?;
    Ok(moment.map(Into::into))
}

fn cause(name: &str) -> Result<Cause, Error> {
    let known = Cause::ALL.into_iter().find(|cause| cause.name() == name);
    known.ok_or_else(|| Error::internal(format!("`{name}` is no cause that this release knows")))
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
    Ok(Some(JobDetails {
        summary: summary(&row)?,
        priority: Priority::of_number(row.try_get("priority")?),
        tags: row.try_get("tags")?,
        metadata: json(&row, "metadata")?,
        payload: json(&row, "payload")?,
        epoch: row.try_get("epoch")?,
        errors: errors.iter().map(job_error).collect::<Result<_, _>>()?,
        steps,
    }))
}

/// JSON that `serde_json` cannot read is shown as the text that it is.
fn json(row: &PgRow, column: &str) -> Result<Option<Value>, Error> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

fn job_error(row: &PgRow) -> Result<JobError, Error> {
    let worker: Option<Uuid> = row.try_get("worker")?;
    Ok(JobError {
        attempt: counter(row.try_get("attempt")?),
        cause: cause(row.try_get("cause")?)?,
        message: row.try_get("message")?,
        times: counter(row.try_get("times")?),
        at: row.try_get::<Timestamp, _>("at")?.into(),
        worker: worker.map(WorkerId::from_uuid),
    })
}
