//! `jobs cancel`.

use super::stoppable::Stoppable;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_is_stopped_whether_or_not_its_handler_listens() {
    let app = Stoppable::released().await;
    let _worker = app.worker(&["worker"]).await;
    for kind in ["deaf", "heeding"] {
        let job = app.enqueue(&[kind]).await.remove(0);
        app.until_state(&job, "running").await;
        let words = ["jobs", "cancel", &job, "--reason", "no longer wanted"];
        let told = app.ask(&words, "jobs").await;
        assert_eq!(told["requested"][0], *job, "{told}");
        app.until_state(&job, "cancelled").await;
        let shown = app.ask(&["jobs", "show", &job], "job").await;
        assert_eq!(shown["errors"][0]["cause"], "cancelled", "{shown}");
        assert_eq!(shown["errors"][0]["message"], "no longer wanted", "{shown}");
    }
    assert_eq!(app.database.count("twelve.cancellations").await, 0);
}

#[tokio::test]
async fn a_waiting_job_that_was_cancelled_never_runs_until_it_is_retried() {
    let app = Stoppable::released().await;
    let job = app.enqueue(&["quick"]).await.remove(0);
    let cancelled = app.run(&["jobs", "cancel", &job]).await.expect_code(0);
    assert!(
        cancelled.stdout.contains("cancelled"),
        "{}",
        cancelled.stdout
    );
    // It has ended: there is nothing to cancel.
    app.run(&["jobs", "cancel", &job]).await.expect_code(1);

    let _worker = app.worker(&["worker"]).await;
    let other = app.enqueue(&["quick"]).await.remove(0);
    app.until_state(&other, "done").await;
    assert_eq!(app.state(&job).await, "cancelled");
    app.run(&["jobs", "retry", &job]).await.expect_code(0);
    app.until_state(&job, "done").await;
}

#[tokio::test]
async fn a_job_that_was_moved_runs_at_its_new_time() {
    let app = Stoppable::released().await;
    let job = app.enqueue(&["quick"]).await.remove(0);
    let later = ["jobs", "reschedule", &job, "--in", "1h"];
    app.run(&later).await.expect_code(0);
    let _worker = app.worker(&["worker"]).await;
    let other = app.enqueue(&["quick"]).await.remove(0);
    app.until_state(&other, "done").await;
    assert_eq!(app.state(&job).await, "scheduled");
    let past = ["jobs", "reschedule", &job, "--at", "2020-01-01T00:00:00Z"];
    app.run(&past).await.expect_code(0);
    app.until_state(&job, "done").await;

    let words = ["jobs", "reschedule", &job, "--at", "tomorrow"];
    let refused = app.run(&words).await.expect_code(64);
    refused.expect_in_stderr("2030-01-31T06:00:00Z");
    let words = ["jobs", "reschedule", &job, "--at", "2030-01-31T06:00:00"];
    let refused = app.run(&words).await.expect_code(64);
    let refused = refused.expect_in_stderr("add a zone, such as Z");
    assert!(!refused.stderr.contains("parse"), "{}", refused.stderr);
    let words = ["jobs", "reschedule", &job, "--in", "5"];
    let refused = app.run(&words).await.expect_code(64);
    refused.expect_in_stderr("such as 90s, 15m, 2h");
}
