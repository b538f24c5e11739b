//! The recorded results of steps.

use twelve_core::{Db, Error};

use super::failed;
use crate::{
    job::id::JobId,
    store::model::{Lease, Recorded},
};

/// Plan: the primary key.
pub(super) const STEP: &str = "
SELECT result::text FROM twelve.job_steps WHERE job_id = $1 AND name = $2";

/// Records a result, if the lease holds. Plan: the primary keys.
///
/// `held` locks the job's row until the result is recorded: a rescue comes either before, and the result is refused, or after.
pub(super) const RECORD: &str = "
WITH held AS MATERIALIZED (
    SELECT id FROM twelve.jobs
    WHERE id = $1 AND epoch = $2
    FOR SHARE
),
recorded AS (
    INSERT INTO twelve.job_steps (job_id, name, result)
    SELECT id, $3, $4::text::json FROM held
    ON CONFLICT (job_id, name) DO NOTHING
    RETURNING job_id
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM recorded)";

pub(super) async fn step(db: &Db, job: JobId, name: &str) -> Result<Option<String>, Error> {
    sqlx::query_scalar(STEP)
        .bind(*job.as_uuid())
        .bind(name)
        .fetch_optional(db)
        .await
        .map_err(failed)
}

pub(super) async fn record(
    db: &Db,
    lease: Lease,
    name: &str,
    result: &str,
) -> Result<Recorded, Error> {
    let (held, recorded): (i64, i64) = sqlx::query_as(RECORD)
        .bind(*lease.job.as_uuid())
        .bind(lease.epoch)
        .bind(name)
        .bind(result)
        .fetch_one(db)
        .await
        .map_err(failed)?;
    if held == 0 {
        return Ok(Recorded::Refused);
    }
    if recorded > 0 {
        return Ok(Recorded::First);
    }
    let before = step(db, lease.job, name).await?;
    before
        .map(Recorded::Before)
        .ok_or_else(|| Error::internal(format!("the result of step `{name}` has vanished")))
}
