//! What Postgres knows of the tables' sizes when it plans.
//!
//! The tables are empty most of the time, and then a scan of the whole table is the cheapest plan there is.
//! A connection keeps the plan that it made then, and a burst of a million jobs would be claimed and acked by scans, each of which takes seconds.
//! Autovacuum notices within a minute or so; this notices within seconds.

use sqlx::AssertSqlSafe;
use twelve_core::{Db, Error};

use super::failed;

/// The tables that are far larger than Postgres thinks: four times, and more than a scan reads in a millisecond or two.
///
/// Each analysis makes the next one wait for four times as much, so there are few.
///
/// Plan: the catalogue by names; the size of a file for each.
const OUTGROWN: &str = "
SELECT relname::text FROM pg_class
WHERE relnamespace = to_regnamespace('twelve')
  AND relname = ANY ('{jobs,ready,scheduled,parked,claims,finished,unique_keys,job_errors,job_steps}')
  AND pg_relation_size(oid) / current_setting('block_size')::int > 4 * relpages + 128";

/// Reads a sample of each such table, after which all connections make new plans; tells whether there were any.
///
/// One that somebody else analyses at this moment is skipped.
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
