//! What a pooler breaks unless a direct way is named beside it: wake-ups, and the lock of migrations.

use std::time::Duration;

use super::storm::Way;
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

/// When each errand was enqueued, by the clock of the database.
const ARRIVALS: &str = "
CREATE TABLE arrivals (at timestamptz NOT NULL);
CREATE FUNCTION arrive() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO arrivals VALUES (clock_timestamp()); RETURN NULL; END';
CREATE TRIGGER arrive AFTER INSERT ON twelve.jobs FOR EACH ROW EXECUTE FUNCTION arrive();
";

/// How long each waited until it was started: they came one by one.
const WAITS: &str = "(
    SELECT extract(epoch FROM started.at - arrived.at)::float8 AS seconds
    FROM (SELECT at, row_number() OVER (ORDER BY at) FROM starts) AS started
    JOIN (SELECT at, row_number() OVER (ORDER BY at) FROM arrivals) AS arrived USING (row_number)
)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_behind_a_pooler_is_woken_by_the_direct_way() {
    let Some(way) = Way::through_a_pooler() else {
        return;
    };
    let errands = way.unreleased().await;
    errands.release().await;
    errands.database.execute(ARRIVALS).await;
    let _worker = errands.worker();
    for count in 1..=8 {
        errands.enqueue(1).await;
        until_true("the errand", SOON, async || {
            errands.database.count("starts").await == count
        })
        .await;
    }
    let rows = errands.database.rows(WAITS).await;
    let waits: Vec<f64> = rows
        .iter()
        .filter_map(|row| row["seconds"].as_f64())
        .collect();
    println!("waits in s: {waits:.3?}");
    // The first comes while the worker starts; a poll alone would find the others after half a second on average.
    let mean = waits[1..].iter().sum::<f64>() / 7.0;
    assert!(mean < 0.25, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_at_once_behind_a_pooler_wait_for_each_other() {
    let Some(way) = Way::through_a_pooler() else {
        return;
    };
    let errands = way.unreleased().await;
    tokio::join!(errands.release(), errands.release(), errands.release());
    errands.release().await;
    assert_eq!(errands.database.count("twelve.all_jobs").await, 0);
}
