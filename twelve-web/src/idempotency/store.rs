//! The statements of the table `twelve.idempotency_keys`.

use sqlx::{AssertSqlSafe, Row as _};
use std::time::Duration;
use twelve_core::{Db, Error, Tx};

use super::{fingerprint::Fingerprint, key::Key, record::Record};

/// One row by the primary key. It must come after the lock: a snapshot that is older could miss what the lock's last holder stored.
const FIND: &str = "
SELECT fingerprint, status, header_names, header_values, body
FROM twelve.idempotency_keys
WHERE scope = $1 AND key = $2 AND expires_at > now()";

/// Back to the savepoint of [`claim`]: the lock is older, so it stays.
const UNDO_HANDLER: &str = "ROLLBACK TO SAVEPOINT twelve_handler";

/// One row by the primary key; an expired row of the same key gives way.
const INSERT: &str = "
INSERT INTO twelve.idempotency_keys AS known
    (scope, key, fingerprint, status, header_names, header_values, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))
ON CONFLICT (scope, key) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    status = excluded.status,
    header_names = excluded.header_names,
    header_values = excluded.header_values,
    body = excluded.body,
    created_at = now(),
    expires_at = excluded.expires_at
WHERE known.expires_at <= now()";

/// The oldest expired rows by the index on `expires_at`; rows that somebody works on are left for the next time.
const PRUNE: &str = "
DELETE FROM twelve.idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM twelve.idempotency_keys
    WHERE expires_at <= now()
    ORDER BY expires_at
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
))";

/// Claims a key until the transaction ends, or says at once that another one has it.
///
/// The unique index alone would make a duplicate wait for the first to commit.
/// Lock and savepoint are two statements in one round trip; such a pair takes no parameters, hence the number in the text.
pub(super) async fn claim(tx: &mut Tx, number: i64) -> Result<bool, Error> {
    let claim = format!("SELECT pg_try_advisory_xact_lock({number}); SAVEPOINT twelve_handler");
    let row = sqlx::raw_sql(AssertSqlSafe(claim)).fetch_one(tx).await?;
    Ok(row.try_get(0)?)
}

/// The fingerprint and the answer of an earlier request with this key.
pub(super) async fn find(
    tx: &mut Tx,
    scope: &str,
    key: &Key,
) -> Result<Option<(Vec<u8>, Record)>, Error> {
    type Row = (Vec<u8>, i16, Vec<String>, Vec<Vec<u8>>, Vec<u8>);
    let row: Option<Row> = sqlx::query_as(FIND)
        .bind(scope)
        .bind(key.as_str())
        .fetch_optional(tx)
        .await?;
    Ok(
        row.map(|(fingerprint, status, header_names, header_values, body)| {
            let record = Record {
                status,
                header_names,
                header_values,
                body,
            };
            (fingerprint, record)
        }),
    )
}

/// Undoes the handler's writes.
pub(super) async fn undo_handler(tx: &mut Tx) -> Result<(), Error> {
    sqlx::query(UNDO_HANDLER).execute(tx).await?;
    Ok(())
}

/// Stores an answer; `false` when the key has one already.
pub(super) async fn insert(
    tx: &mut Tx,
    scope: &str,
    key: &Key,
    fingerprint: &Fingerprint,
    record: &Record,
    expires: Duration,
) -> Result<bool, Error> {
    let done = sqlx::query(INSERT)
        .bind(scope)
        .bind(key.as_str())
        .bind(fingerprint.as_bytes())
        .bind(record.status)
        .bind(&record.header_names)
        .bind(&record.header_values)
        .bind(&record.body)
        .bind(expires.as_secs_f64())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes one bounded batch of expired rows, and tells how many.
pub(super) async fn prune(db: &Db) -> Result<u64, Error> {
    Ok(sqlx::query(PRUNE).execute(db).await?.rows_affected())
}
