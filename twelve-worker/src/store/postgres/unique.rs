//! Unique jobs: the first transaction that inserts a key holds it, and all others wait for that transaction.

use sqlx::PgConnection;
use twelve_core::Error;
use uuid::Uuid;

use super::{failed, insert, microseconds};
use crate::job::{
    draft::{Draft, Due},
    enqueued::Enqueued,
    id::JobId,
    unique::{OnConflict, UniqueKey, Until, duplicate_of},
};

/// Takes the key if it is free, and returns its holder. Plan: the primary key.
pub(super) const TAKE: &str = concat!(
    "
INSERT INTO twelve.unique_keys AS held (key, job, until_started, held_until)
VALUES ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')
",
    or_its_holder!(),
    "
RETURNING job"
);

/// Gives the key to another job. Plan: the primary key.
pub(super) const PASS_ON: &str = "
UPDATE twelve.unique_keys SET job = $2, until_started = $3, held_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
WHERE key = $1";

/// Writes a job anew that has not started; its old ticket is outdated from then on. Plan: the primary keys, and the few rows of claims.
///
/// If it is being claimed at this moment, the old attempt finds its ack refused.
pub(super) const REPLACE: &str = concat!(
    "
WITH job AS (
    UPDATE twelve.jobs
    SET epoch = epoch + 1, queue = $3, payload = $4::text::json, max_attempts = attempts + $5, attempts_granted = $5,
        priority = $6, tags = $7, metadata = $8::text::json,
        run_at = CASE WHEN $9 THEN NULL ELSE
            COALESCE(timestamptz 'epoch' + $10::bigint * interval '1 microsecond',
                     clock_timestamp() + $11::bigint * interval '1 microsecond') END
    WHERE id = $1 AND unique_key = $2
      AND (id, epoch) NOT IN (SELECT unnest(jobs), unnest(epochs) FROM twelve.claims)
    RETURNING id, epoch, queue, priority, suspect, run_at
),
later AS (
    INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, epoch FROM job WHERE run_at IS NOT NULL
    ON CONFLICT (run_at, job) DO UPDATE SET epoch = excluded.epoch
),
now AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", id, epoch FROM job WHERE run_at IS NULL
)
SELECT count(*) FROM job"
);

/// Who holds a key for sure. Plan: the primary key.
///
/// Asked first where the holder stays as it is: taking the key would lock it until the producer's transaction has ended, and its release with it.
pub(super) const HOLDER: &str = "
SELECT job FROM twelve.unique_keys
WHERE key = $1 AND (held_until IS NULL OR held_until > clock_timestamp())";

/// Enqueues a job that shares its key with no other.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    draft: &Draft,
    unique: &UniqueKey,
) -> Result<Enqueued, Error> {
    if unique.on_conflict != OnConflict::Replace {
        let holder: Option<Uuid> = sqlx::query_scalar(HOLDER)
            .bind(unique.key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        if let Some(holder) = holder {
            return stays(JobId::from_uuid(holder), draft, unique);
        }
    }
    let holder: Uuid = sqlx::query_scalar(TAKE)
        .bind(unique.key)
        .bind(*draft.id.as_uuid())
        .bind(unique.until == Until::Started)
        .bind(unique.period.map(microseconds))
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let holder = JobId::from_uuid(holder);
    if holder == draft.id {
        return insert::add(connection, draft).await;
    }
    if unique.on_conflict == OnConflict::Replace {
        return replace(connection, holder, draft, unique).await;
    }
    stays(holder, draft, unique)
}

/// The holder stays as it is.
fn stays(holder: JobId, draft: &Draft, unique: &UniqueKey) -> Result<Enqueued, Error> {
    match unique.on_conflict {
        OnConflict::Reject => Err(duplicate_of(&draft.kind, holder)),
        OnConflict::Keep | OnConflict::Replace => Ok(Enqueued::kept(holder)),
    }
}

async fn replace(
    connection: &mut PgConnection,
    holder: JobId,
    draft: &Draft,
    unique: &UniqueKey,
) -> Result<Enqueued, Error> {
    let (at_us, delay_us) = insert::due(draft.due)?;
    let replaced: i64 = sqlx::query_scalar(REPLACE)
        .bind(*holder.as_uuid())
        .bind(unique.key)
        .bind(&draft.queue)
        .bind(&draft.payload)
        .bind(insert::attempts(draft))
        .bind(draft.priority.number())
        .bind((!draft.tags.is_empty()).then_some(&draft.tags))
        .bind(&draft.metadata)
        .bind(draft.due == Due::Now)
        .bind(at_us)
        .bind(delay_us)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if replaced > 0 {
        return Ok(Enqueued::replaced(holder));
    }
    // The holder runs, or has ended within its period: this job takes its place.
    sqlx::query(PASS_ON)
        .bind(unique.key)
        .bind(*draft.id.as_uuid())
        .bind(unique.until == Until::Started)
        .bind(unique.period.map(microseconds))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    insert::add(connection, draft).await
}
