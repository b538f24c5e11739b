//! Writing jobs: one, or many that are alike.

use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};
use std::time::{SystemTime, UNIX_EPOCH};
use twelve_core::Error;
use uuid::Uuid;

use super::{failed, microseconds};
use crate::job::{
    draft::{Draft, Due},
    enqueued::Enqueued,
    unique::Until,
};

/// The last moment that a job can be due: the end of the year 9999.
const LAST_MOMENT_US: i64 = 253_402_300_799_000_000;

/// One job that is due: this is the statement that producers wait for.
///
/// The job comes first, so that the transaction has its xid before the ticket gets its number.
pub(super) const ENQUEUE: &str = "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, tags, metadata, unique_key, until_started)
    VALUES ($1, $2, $3, $4::text::json, $5, $5, $6, $7, $8::text::json, $9, $10)
    RETURNING id, queue, priority
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT queue, priority, id, 0 FROM job";

/// One job that is due later.
///
/// A delay counts from this statement, not from the beginning of the transaction that it may be in: hence `clock_timestamp()`.
pub(super) const SCHEDULE: &str = "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, tags, metadata, unique_key, until_started, run_at)
    VALUES (
        $1, $2, $3, $4::text::json, $5, $5, $6, $7, $8::text::json, $9, $10,
        COALESCE(timestamptz 'epoch' + $11::bigint * interval '1 microsecond',
                 clock_timestamp() + $12::bigint * interval '1 microsecond')
    )
    RETURNING id, run_at
)
INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, 0 FROM job";

/// Many plain jobs that are due, in one round trip: all of one kind, as most are.
pub(super) const ENQUEUE_MANY: &str = "
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    SELECT id, $3, $4, payload::json, $5, $5, $6 FROM unnest($1::uuid[], $2::text[]) AS draft (id, payload)
    RETURNING id
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT $4, $6, id, 0 FROM job";

/// Adds one job, whatever else there is.
pub(super) async fn add(connection: &mut PgConnection, draft: &Draft) -> Result<Enqueued, Error> {
    one(draft)?.execute(connection).await.map_err(failed)?;
    Ok(Enqueued::new(draft.id))
}

pub(super) type Statement<'a> = Query<'a, Postgres, PgArguments>;

pub(super) fn one(draft: &Draft) -> Result<Statement<'_>, Error> {
    let statement = if draft.due == Due::Now {
        ENQUEUE
    } else {
        SCHEDULE
    };
    let unique = draft.unique.as_ref();
    let common = sqlx::query(statement)
        .bind(*draft.id.as_uuid())
        .bind(&draft.kind)
        .bind(&draft.queue)
        .bind(&draft.payload)
        .bind(attempts(draft))
        .bind(draft.priority.number())
        .bind((!draft.tags.is_empty()).then_some(&draft.tags))
        .bind(&draft.metadata)
        .bind(unique.map(|unique| unique.key))
        .bind(unique.map(|unique| unique.until == Until::Started));
    if draft.due == Due::Now {
        return Ok(common);
    }
    let (at_us, delay_us) = due(draft.due)?;
    Ok(common.bind(at_us).bind(delay_us))
}

/// Jobs that are all like the first.
pub(super) fn several(drafts: &[Draft]) -> Statement<'_> {
    let ids: Vec<Uuid> = drafts.iter().map(|draft| *draft.id.as_uuid()).collect();
    let payloads: Vec<&str> = drafts.iter().map(|draft| &*draft.payload).collect();
    let statement = sqlx::query(ENQUEUE_MANY).bind(ids).bind(payloads);
    match drafts.first() {
        None => statement,
        Some(like) => statement
            .bind(&like.kind)
            .bind(&like.queue)
            .bind(attempts(like))
            .bind(like.priority.number()),
    }
}

pub(super) fn attempts(draft: &Draft) -> i32 {
    i32::try_from(draft.max_attempts).unwrap_or(i32::MAX)
}

/// A moment counts from the epoch, a delay from now.
pub(super) fn due(due: Due) -> Result<(Option<i64>, i64), Error> {
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
