//! Taking jobs back from workers that died.

use sqlx::{Connection, PgConnection};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::failed;
use crate::{
    JobId, WorkerId,
    store::{Rescued, State, model::MAX_CRASHES},
};

/// Declares a worker dead, if its heart has not beaten since it was observed.
///
/// The row is locked until the rescue commits: a claim of the dead worker waits for that, then finds itself dead.
const BURY: &str = "
DELETE FROM twelve.workers WHERE id = $1 AND beat = $2";

/// Takes back what this worker held, or what anybody held, if the holder is not registered. Plan: `jobs_running`.
///
/// Rows that are locked at this moment are skipped: they are being acked, in a transaction whose worker may be paused before its commit.
/// Waiting for it would stop the rescue of all others.
/// If it commits, the job is done; if its connection dies, the next look finds the job without a holder.
///
/// Only a worker that was just declared dead makes its jobs suspect, and only a suspect that was all it held counts the crash:
/// of any other, nothing tells whether the worker died of it.
/// `run_at` stays: the job keeps its place.
const RESCUE: &str = "
WITH lost AS MATERIALIZED (
    SELECT id, worker, $1::uuid IS NOT NULL AS died, $1::uuid IS NOT NULL AND suspect AND NOT EXISTS (
        SELECT FROM twelve.jobs AS other
        WHERE other.state = 'running' AND other.worker = $1 AND other.id <> jobs.id
    ) AS alone
    FROM twelve.jobs
    WHERE state = 'running'
      AND ($1::uuid IS NULL OR worker = $1)
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = jobs.worker)
    FOR UPDATE SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET state = CASE WHEN alone AND crashes + 1 >= $2 THEN 'failed' ELSE 'waiting' END,
        suspect = suspect OR died,
        crashes = crashes + alone::int,
        epoch = epoch + 1,
        worker = NULL,
        finished_at = CASE WHEN alone AND crashes + 1 >= $2 THEN clock_timestamp() END
    FROM lost WHERE job.id = lost.id
    RETURNING job.id, job.kind, job.state, job.attempts + 1 AS attempt, lost.worker,
        CASE WHEN alone THEN 'the worker died while it ran this job alone'
             WHEN died THEN 'the worker died'
             ELSE 'the worker was gone' END AS message
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker)
    SELECT id, attempt, 'crashed', message, worker FROM rescued
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET message = excluded.message, worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT id, kind, state = 'failed' FROM rescued";

pub(super) async fn rescue(db: &Db, worker: WorkerId, beat: i64) -> Result<Vec<Rescued>, Error> {
    let mut connection = db.acquire().await?;
    let mut transaction = connection.begin().await?;
    let buried = sqlx::query(BURY)
        .bind(*worker.as_uuid())
        .bind(beat)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    if buried.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let rescued = take_back(&mut transaction, Some(worker)).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(rescued)
}

pub(super) async fn rescue_orphans(db: &Db) -> Result<Vec<Rescued>, Error> {
    let mut connection = db.acquire().await?;
    take_back(&mut connection, None).await
}

async fn take_back(
    connection: &mut PgConnection,
    dead: Option<WorkerId>,
) -> Result<Vec<Rescued>, Error> {
    let rows: Vec<(Uuid, String, bool)> = sqlx::query_as(RESCUE)
        .bind(dead.map(|worker| *worker.as_uuid()))
        .bind(MAX_CRASHES)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let rescued = |(job, kind, has_failed)| Rescued {
        job: JobId::from_uuid(job),
        kind,
        state: if has_failed {
            State::Failed
        } else {
            State::Waiting
        },
    };
    Ok(rows.into_iter().map(rescued).collect())
}
