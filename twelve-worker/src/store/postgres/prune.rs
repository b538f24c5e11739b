//! Removing what is finished.

use twelve_core::{Db, Error};

use super::{failed, pauses, rows};

/// The jobs whose retention is over, the earliest first, with their errors and steps. Plan: `finished_expiring` from its beginning, without a sort.
///
/// Two workers that prune at once skip each other's rows.
/// A key whose job has not ended is held for longer than its time.
pub(super) const PRUNE: &str = "
WITH pruned AS (
    DELETE FROM twelve.finished
    WHERE id = ANY (ARRAY(
        SELECT id FROM twelve.finished
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
),
errors AS (
    DELETE FROM twelve.job_errors WHERE job_id = ANY (ARRAY(SELECT id FROM pruned))
),
steps AS (
    DELETE FROM twelve.job_steps WHERE job_id = ANY (ARRAY(SELECT id FROM pruned))
),
keys AS (
    DELETE FROM twelve.unique_keys
    WHERE key = ANY (ARRAY(
        SELECT key FROM twelve.unique_keys
        WHERE held_until <= now() AND (SELECT id FROM twelve.jobs WHERE id = unique_keys.job) IS NULL
        ORDER BY held_until
        LIMIT $1
        FOR UPDATE SKIP LOCKED
    ))
)
SELECT count(*) FROM pruned";

/// Cancellation requests for jobs that have ended, and those older than an hour. Plan: the whole table, which holds an hour of requests by people; the jobs by primary key.
pub(super) const FORGET_CANCELLATIONS: &str = "
DELETE FROM twelve.cancellations
WHERE at < now() - interval '1 hour'
   OR (SELECT id FROM twelve.jobs WHERE id = job) IS NULL";

pub(super) async fn prune(db: &Db, limit: usize) -> Result<usize, Error> {
    let pruned: i64 = sqlx::query_scalar(PRUNE)
        .bind(rows(limit))
        .fetch_one(db)
        .await
        .map_err(failed)?;
    sqlx::query(FORGET_CANCELLATIONS)
        .execute(db)
        .await
        .map_err(failed)?;
    pauses::unpark_left(db, limit).await?;
    Ok(usize::try_from(pruned).unwrap_or_default())
}
