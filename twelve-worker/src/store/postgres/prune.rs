//! Removing what is finished.

use std::time::Duration;
use twelve_core::{Db, Error};

use super::{failed, microseconds, rows};

/// The oldest finished jobs, with their evidence and steps. Plan: `jobs_finished` from its beginning, without a sort.
///
/// Two workers that prune at once skip each other's rows.
const PRUNE: &str = "
DELETE FROM twelve.jobs
WHERE id = ANY (ARRAY(
    SELECT id FROM twelve.jobs
    WHERE state IN ('done', 'discarded') AND finished_at <= now() - $1 * interval '1 microsecond'
    ORDER BY finished_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
))";

pub(super) async fn prune(db: &Db, age: Duration, limit: usize) -> Result<usize, Error> {
    let pruned = sqlx::query(PRUNE)
        .bind(microseconds(age))
        .bind(rows(limit))
        .execute(db)
        .await
        .map_err(failed)?;
    Ok(usize::try_from(pruned.rows_affected()).unwrap_or(usize::MAX))
}
