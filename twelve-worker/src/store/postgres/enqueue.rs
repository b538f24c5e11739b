//! Adding jobs.

use sqlx::{Connection, PgConnection, Postgres, query::Query};
use std::time::{SystemTime, UNIX_EPOCH};
use twelve_core::{Db, Error};
use uuid::Uuid;

use super::{failed, microseconds};
use crate::store::{Draft, Due};

/// How many jobs one statement adds.
const CHUNK: usize = 1000;

/// The last moment that a job can be due: the end of the year 9999.
const LAST_MOMENT_US: i64 = 253_402_300_799_000_000;

/// One job: a bare insert, for this is the statement that producers wait for.
///
/// A delay counts from this statement, not from the beginning of the transaction that it may be in: hence `clock_timestamp()`.
const ENQUEUE: &str = "
INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, run_at)
VALUES (
    $1, $2, $3, $4::text::json, $5, $5,
    COALESCE(timestamptz 'epoch' + $6::bigint * interval '1 microsecond',
             clock_timestamp() + $7::bigint * interval '1 microsecond')
)";

/// Many jobs in one round trip.
const ENQUEUE_MANY: &str = "
INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, run_at)
SELECT
    id, kind, queue, payload::json, max_attempts, max_attempts,
    COALESCE(timestamptz 'epoch' + at_us * interval '1 microsecond',
             clock_timestamp() + delay_us * interval '1 microsecond')
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])
    AS draft (id, kind, queue, payload, max_attempts, at_us, delay_us)";

pub(super) async fn enqueue(db: &Db, mut drafts: Vec<Draft>) -> Result<(), Error> {
    if let [_] = &*drafts
        && let Some(draft) = drafts.pop()
    {
        one(&draft)?.execute(db).await.map_err(failed)?;
        return Ok(());
    }
    let mut connection = db.acquire().await?;
    if drafts.len() <= CHUNK {
        return enqueue_in(&mut connection, drafts).await;
    }
    let mut transaction = connection.begin().await?;
    enqueue_in(&mut transaction, drafts).await?;
    transaction.commit().await.map_err(failed)
}

pub(super) async fn enqueue_in(
    connection: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<(), Error> {
    if let [draft] = &*drafts {
        one(draft)?.execute(connection).await.map_err(failed)?;
        return Ok(());
    }
    for chunk in drafts.chunks(CHUNK) {
        many(chunk)?
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

type Statement = Query<'static, Postgres, sqlx::postgres::PgArguments>;

fn one(draft: &Draft) -> Result<Statement, Error> {
    let (at_us, delay_us) = due(draft.due)?;
    Ok(sqlx::query(ENQUEUE)
        .bind(*draft.id.as_uuid())
        .bind(draft.kind.clone())
        .bind(draft.queue.clone())
        .bind(draft.payload.clone())
        .bind(attempts(draft))
        .bind(at_us)
        .bind(delay_us))
}

fn many(drafts: &[Draft]) -> Result<Statement, Error> {
    let due: Vec<_> = drafts
        .iter()
        .map(|draft| due(draft.due))
        .collect::<Result<_, _>>()?;
    let (at_us, delays_us): (Vec<_>, Vec<_>) = due.into_iter().unzip();
    let ids: Vec<Uuid> = drafts.iter().map(|draft| *draft.id.as_uuid()).collect();
    let text = |field: fn(&Draft) -> &String| drafts.iter().map(field).cloned().collect::<Vec<_>>();
    Ok(sqlx::query(ENQUEUE_MANY)
        .bind(ids)
        .bind(text(|draft| &draft.kind))
        .bind(text(|draft| &draft.queue))
        .bind(text(|draft| &draft.payload))
        .bind(drafts.iter().map(attempts).collect::<Vec<_>>())
        .bind(at_us)
        .bind(delays_us))
}

fn attempts(draft: &Draft) -> i32 {
    i32::try_from(draft.max_attempts).unwrap_or(i32::MAX)
}

/// A moment counts from the epoch, a delay from now.
fn due(due: Due) -> Result<(Option<i64>, i64), Error> {
    match due {
        Due::Now => Ok((None, 0)),
        Due::After(delay) => Ok((None, microseconds(delay))),
        Due::At(moment) => at(moment).map(|at_us| (Some(at_us), 0)),
    }
}

fn at(moment: SystemTime) -> Result<i64, Error> {
    // A moment before 1970 has passed, like 1970 itself.
    let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros())
        .ok()
        .filter(|at_us| *at_us <= LAST_MOMENT_US)
        .ok_or_else(|| Error::internal("a job cannot be due after the year 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_beyond_what_postgres_knows_is_refused() {
        let century = Duration::from_hours(100 * 365 * 24);
        assert!(due(Due::At(UNIX_EPOCH + century)).is_ok());
        assert!(due(Due::At(UNIX_EPOCH + century * 100)).is_err());
        assert_eq!(due(Due::At(UNIX_EPOCH - century)).unwrap(), (Some(0), 0));
        assert!(due(Due::After(Duration::MAX)).is_ok());
    }
}
