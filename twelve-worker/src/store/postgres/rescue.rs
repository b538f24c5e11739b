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

/// Gives back what a dead worker held. Plan: `jobs_running`.
///
/// Rows that are locked at this moment are skipped: they are being acked, in a transaction whose worker may be paused before its commit.
/// Waiting for it would stop the rescue of all others.
/// If it commits, the job is done; if its connection dies, the job is found by `RESCUE_ORPHANS`.
const RESCUE: &str = "
WITH lost AS MATERIALIZED (
    SELECT id, worker FROM twelve.jobs
    WHERE worker = $1 AND state = 'running'
    FOR UPDATE SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET state = CASE WHEN crashes + 1 >= $2 THEN 'failed' ELSE 'waiting' END,
        crashes = crashes + 1,
        epoch = epoch + 1,
        worker = NULL,
        run_at = clock_timestamp(),
        finished_at = CASE WHEN crashes + 1 >= $2 THEN clock_timestamp() END
    FROM lost WHERE job.id = lost.id
    RETURNING job.id, job.kind, job.state, job.attempts + 1 AS attempt, lost.worker
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker)
    SELECT id, attempt, 'crashed', 'the worker died', worker FROM rescued
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT id, kind, state = 'failed' FROM rescued";

/// Gives back what nobody holds. Plan: `jobs_running` against the few workers.
const RESCUE_ORPHANS: &str = "
WITH lost AS MATERIALIZED (
    SELECT id, worker FROM twelve.jobs
    WHERE state = 'running'
      AND NOT EXISTS (SELECT FROM twelve.workers AS holder WHERE holder.id = jobs.worker)
    FOR UPDATE SKIP LOCKED
),
rescued AS (
    UPDATE twelve.jobs AS job
    SET state = CASE WHEN crashes + 1 >= $1 THEN 'failed' ELSE 'waiting' END,
        crashes = crashes + 1,
        epoch = epoch + 1,
        worker = NULL,
        run_at = clock_timestamp(),
        finished_at = CASE WHEN crashes + 1 >= $1 THEN clock_timestamp() END
    FROM lost WHERE job.id = lost.id
    RETURNING job.id, job.kind, job.state, job.attempts + 1 AS attempt, lost.worker
),
noted AS (
    INSERT INTO twelve.job_errors AS known (job_id, attempt, cause, message, worker)
    SELECT id, attempt, 'crashed', 'the worker died', worker FROM rescued
    ON CONFLICT (job_id, attempt, cause) DO UPDATE
    SET worker = excluded.worker, at = excluded.at, times = known.times + 1
)
SELECT id, kind, state = 'failed' FROM rescued";

pub(super) async fn rescue(db: &Db, worker: WorkerId, beat: i64) -> Result<Vec<Rescued>, Error> {
    let mut connection = db.acquire().await?;
    let mut transaction = connection.begin().await?;
    let rescued = rescue_in(&mut transaction, worker, beat)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(read(rescued))
}

type Row = (Uuid, String, bool);

async fn rescue_in(
    connection: &mut PgConnection,
    worker: WorkerId,
    beat: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let buried = sqlx::query(BURY)
        .bind(*worker.as_uuid())
        .bind(beat)
        .execute(&mut *connection)
        .await?;
    if buried.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    sqlx::query_as(RESCUE)
        .bind(*worker.as_uuid())
        .bind(MAX_CRASHES)
        .fetch_all(connection)
        .await
}

pub(super) async fn rescue_orphans(db: &Db) -> Result<Vec<Rescued>, Error> {
    let rows = sqlx::query_as(RESCUE_ORPHANS)
        .bind(MAX_CRASHES)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    Ok(read(rows))
}

fn read(rows: Vec<Row>) -> Vec<Rescued> {
    let rescued = |(job, kind, has_failed)| Rescued {
        job: JobId::from_uuid(job),
        kind,
        state: if has_failed {
            State::Failed
        } else {
            State::Waiting
        },
    };
    rows.into_iter().map(rescued).collect()
}
