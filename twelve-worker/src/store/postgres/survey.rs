//! Surveying the lanes, and promoting due jobs to them.

use sqlx::Row;
use std::time::Duration;
use twelve_core::{Db, Error};

use super::{PostgresStore, failed, level, low_water_marks::Look, number, rows};
use crate::{
    job::queues::Queues,
    store::model::{Lane, Level, Survey},
};

/// Every lane of the queues that are not paused, with its oldest ticket above the low-water mark, and what the marks need to rise.
///
/// A new sequence reports 1 before it has given out that number. A mark at 1 would hide the first job for ever.
///
/// Plan: the short tables of queues and pauses; for each lane one probe of `ready`'s primary key, and one of `scheduled`'s.
pub(super) const SURVEY: &str = "
SELECT line.queue, line.lane,
    (SELECT seq FROM twelve.ready
     WHERE queue = line.queue AND lane = line.lane AND seq > line.mark
     ORDER BY seq LIMIT 1) AS oldest,
    sample.*
FROM (
    SELECT last_value - (NOT is_called)::int AS number,
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        CASE WHEN $7 THEN pg_current_xact_id()::text::bigint END AS xid,
        (SELECT GREATEST(extract(epoch FROM run_at - now()) * 1000000, 0)::bigint FROM twelve.scheduled ORDER BY run_at LIMIT 1) AS next_due_us,
        ARRAY(SELECT name::text FROM twelve.pauses WHERE what = 'kind') AS paused_kinds
    FROM twelve.tickets
) AS sample
LEFT JOIN (
    SELECT queues.name AS queue, level.lane, COALESCE(marks.mark, 0) AS mark
    FROM twelve.queues
    CROSS JOIN unnest($3::smallint[]) AS level (lane)
    LEFT JOIN unnest($4::text[], $5::smallint[], $6::bigint[]) AS marks (queue, lane, mark)
        ON marks.queue = queues.name AND marks.lane = level.lane
    WHERE (queues.name = ANY ($1)) = $2
      AND NOT EXISTS (SELECT FROM twelve.pauses WHERE what = 'queue' AND pauses.name = queues.name)
) AS line ON true";

/// Promotes due jobs to their lanes, the earliest first. Plan: `scheduled`'s primary key from its beginning; the jobs by theirs, one at a time by `LIMIT 1`, where a join might read the whole table.
///
/// The deletes come first, so that the transaction has its xid before the tickets get their numbers.
pub(super) const PROMOTE: &str = concat!(
    "
WITH due AS (
    DELETE FROM twelve.scheduled
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM twelve.scheduled WHERE run_at <= now() ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ))
    RETURNING run_at, job, epoch
),
promoted AS (
    INSERT INTO twelve.ready (queue, lane, job, epoch)
    SELECT queue, ",
    lane!(),
    ", due.job, due.epoch
    FROM due
    CROSS JOIN LATERAL (
        SELECT queue, suspect, priority FROM twelve.jobs WHERE jobs.id = due.job AND jobs.epoch = due.epoch LIMIT 1
    ) AS job
    ORDER BY due.run_at
)
SELECT count(*) FROM due"
);

pub(super) async fn survey(store: &PostgresStore, queues: &Queues) -> Result<Survey, Error> {
    let (names, are_wanted) = match queues.named() {
        Some(only) => (only, true),
        None => (queues.excluded(), false),
    };
    let levels: Vec<i16> = Level::ALL.map(number).to_vec();
    let (began, wants_xid, (marked, lanes, marks)) = {
        let mut marks = store.marks();
        marks.forget_now_and_then();
        (marks.begin(), marks.wants_xid(), marks.all())
    };
    let rows = sqlx::query(SURVEY)
        .bind(names)
        .bind(are_wanted)
        .bind(levels)
        .bind(marked)
        .bind(lanes)
        .bind(marks)
        .bind(wants_xid)
        .fetch_all(&store.db)
        .await
        .map_err(failed)?;
    let mut survey = Survey::default();
    let mut marks = store.marks();
    let mut counts = false;
    for (index, row) in rows.iter().enumerate() {
        if index == 0 {
            let look = Look {
                number: row.try_get("number")?,
                xmin: row.try_get("xmin")?,
                xid: row.try_get("xid")?,
            };
            counts = marks.look(began, look);
            let next_due_us: Option<i64> = row.try_get("next_due_us")?;
            survey.next_due =
                next_due_us.map(|us| Duration::from_micros(us.try_into().unwrap_or_default()));
            survey.paused_kinds = row.try_get("paused_kinds")?;
        }
        let Some(queue) = row.try_get::<Option<String>, _>("queue")? else {
            continue;
        };
        let (lane, oldest) = (row.try_get("lane")?, row.try_get("oldest")?);
        if counts {
            marks.raise(&queue, lane, oldest);
        }
        survey.lanes.push(Lane {
            queue,
            level: level(lane),
            oldest,
        });
    }
    Ok(survey)
}

pub(super) async fn promote(db: &Db, limit: usize) -> Result<usize, Error> {
    let promoted: i64 = sqlx::query_scalar(PROMOTE)
        .bind(rows(limit))
        .fetch_one(db)
        .await
        .map_err(failed)?;
    Ok(usize::try_from(promoted).unwrap_or_default())
}
