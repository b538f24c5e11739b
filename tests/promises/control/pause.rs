//! `jobs pause` and `jobs resume`.

use std::time::{Duration, Instant};

use super::stoppable::{SOON, Stoppable};
use crate::harness::wait::{until, until_true};

const DONE: &str = "twelve.finished WHERE state = 'done'";

/// Of the backlog, some is in the workers' buffers when the pause comes.
const BACKLOG: &str = "2000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_a_second_after_its_queue_or_kind_was_paused() {
    for what in [["--queue", "default"], ["--kind", "quick"]] {
        let app = Stoppable::released().await;
        let _workers = [
            app.worker(&["worker", "--concurrency", "1"]).await,
            app.worker(&["worker", "--concurrency", "1"]).await,
        ];
        app.enqueue(&["quick"]).await;
        until_true("a job to be done", SOON, async || {
            app.database.count(DONE).await > 0
        })
        .await;

        let pause = [&["jobs", "pause"], &what[..]].concat();
        app.run(&pause).await.expect_code(0);
        let paused_at = Instant::now();
        let jobs = app.enqueue(&["quick", BACKLOG]).await;
        until_true("the second to pass", SOON, async || {
            paused_at.elapsed() > Duration::from_secs(1)
        })
        .await;
        let before = app.database.count(DONE).await;
        let why = app.why(&jobs[1999]).await;
        let paused = format!("{}_paused", &what[0][2..]);
        assert_eq!(why, [paused], "{what:?}");
        assert_eq!(app.database.count(DONE).await, before, "{what:?}");
        let listed = app.ask(&["jobs", "paused"], "paused").await;
        assert_eq!(listed[0][&what[0][2..]], what[1], "{listed}");

        let resume = [&["jobs", "resume"], &what[..]].concat();
        app.run(&resume).await.expect_code(0);
        until("all to be done", SOON, async || {
            (app.database.count(DONE).await == 2001).then_some(())
        })
        .await;
        assert_eq!(app.database.count("twelve.parked").await, 0);
    }
}

#[tokio::test]
async fn a_pause_of_what_cannot_be_is_refused_and_of_what_nobody_knows_is_told() {
    let app = Stoppable::released().await;
    for wrong in [["--queue", "Bad Q"], ["--queue", ""], ["--kind", ""]] {
        let pause = [&["jobs", "pause"], &wrong[..]].concat();
        let refused = app.run(&pause).await.expect_code(64);
        refused.expect_in_stderr("is not a name");
    }
    let paused = app.ask(&["jobs", "paused"], "paused").await;
    assert_eq!(paused, serde_json::json!([]));

    app.enqueue(&["quick", "--queue", "reports"]).await;
    for (queue, is_known) in [("default", true), ("reports", true), ("reprots", false)] {
        let paused = app.run(&["jobs", "pause", "--queue", queue]).await;
        let paused = paused.expect_code(0);
        let is_told = paused.stderr.contains("no job was ever enqueued on queue");
        assert_eq!(is_told, !is_known, "{queue}: {}", paused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_stops_a_backlog_that_is_being_worked_off() {
    let app = Stoppable::released().await;
    // Each command has a bound of its own, on slow machines too.
    for _ in 0..4 {
        app.enqueue(&["quick", "5000"]).await;
    }
    let _worker = app.worker(&["worker", "--concurrency", "1"]).await;
    until_true("some to be done", SOON, async || {
        app.database.count(DONE).await > 100
    })
    .await;
    app.run(&["jobs", "pause", "--kind", "quick"])
        .await
        .expect_code(0);
    let paused_at = Instant::now();
    until_true("the second to pass", SOON, async || {
        paused_at.elapsed() > Duration::from_secs(1)
    })
    .await;
    let before = app.database.count(DONE).await;
    assert!(before < 20000, "all were done before the pause");
    until_true("another second to pass", SOON, async || {
        paused_at.elapsed() > Duration::from_secs(2)
    })
    .await;
    assert_eq!(app.database.count(DONE).await, before);
}
