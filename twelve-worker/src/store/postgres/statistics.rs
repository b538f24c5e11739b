//! Refreshes the planner's statistics (ANALYZE) of tables that have grown much.
//!
//! The tables are empty most of the time, and for an empty table a scan is the cheapest plan.
//! A connection keeps such a plan. In a burst of a million jobs each claim and ack would then scan the table, which takes seconds.
//! Autovacuum notices the growth within about a minute, this module within seconds.

use sqlx::AssertSqlSafe;
use twelve_core::{Db, Error};

use super::failed;

/// The tables that are far larger than Postgres' statistics say: four times as large, and larger than what a scan reads in a few milliseconds.
///
/// After an ANALYZE the table must grow to four times its size before the next one, so there are few.
///
/// Plan: the catalogue by names; the size of a file for each.
const OUTGROWN: &str = "
SELECT relname::text FROM pg_class
WHERE relnamespace = to_regnamespace('twelve')
  AND relname = ANY ('{jobs,ready,scheduled,parked,claims,finished,unique_keys,job_errors,job_steps}')
  AND pg_relation_size(oid) / current_setting('block_size')::int > 4 * relpages + 128";

/// Analyses each such table, after which all connections make new plans; returns whether there were any.
///
/// A table that another session analyses at this moment is skipped.
pub(super) async fn refresh(db: &Db) -> Result<bool, Error> {
    let tables: Vec<String> = sqlx::query_scalar(OUTGROWN)
        .fetch_all(db)
        .await
        .map_err(failed)?;
    for table in &tables {
        // One of the names above.
        sqlx::raw_sql(AssertSqlSafe(format!(
            "ANALYZE (SKIP_LOCKED) twelve.{table}"
        )))
        .execute(db)
        .await
        .map_err(failed)?;
    }
    Ok(!tables.is_empty())
}
