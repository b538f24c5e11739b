//! Acts on all jobs that match a filter.

use super::stoppable::Stoppable;

#[tokio::test]
async fn an_act_on_many_jobs_counts_them_first_and_wants_a_yes() {
    let app = Stoppable::released().await;
    app.enqueue(&["quick", "1500", "--tag", "import"]).await;
    let other = app.enqueue(&["quick"]).await.remove(0);

    let counted = app.run(&["jobs", "cancel", "--tag", "import"]).await;
    let counted = counted.expect_code(64).expect_in_stderr("--yes");
    assert!(counted.stdout.contains("1500 jobs"), "{}", counted.stdout);
    assert_eq!(app.database.count("twelve.jobs").await, 1501);
    let none = app.run(&["jobs", "cancel", "--tag", "export"]).await;
    none.expect_code(0);

    let words = ["jobs", "cancel", "--tag", "import", "--yes"];
    let done = app.ask(&words, "jobs").await;
    assert_eq!(
        (&done["matched"], &done["cancelled"]),
        (&1500.into(), &1500.into())
    );
    assert_eq!(app.database.count("twelve.jobs").await, 1);
    assert_eq!(app.state(&other).await, "waiting");

    // Cancelled ones are retried only when they are named.
    let failed = ["jobs", "retry", "--tag", "import", "--yes"];
    assert_eq!(app.ask(&failed, "jobs").await["retried"], 0);
    let named = [&failed[..], &["--state", "cancelled"]].concat();
    assert_eq!(app.ask(&named, "jobs").await["retried"], 1500);
    let later = [
        "jobs",
        "reschedule",
        "--kind",
        "quick",
        "--in",
        "1h",
        "--yes",
    ];
    assert_eq!(app.ask(&later, "jobs").await["rescheduled"], 1501);
    let gone = ["jobs", "discard", "--state", "scheduled", "--yes"];
    assert_eq!(app.ask(&gone, "jobs").await["discarded"], 1501);
}

#[tokio::test]
async fn an_act_without_ids_and_without_a_filter_is_refused() {
    let app = Stoppable::released().await;
    for verb in ["retry", "discard", "cancel"] {
        app.run(&["jobs", verb, "--yes"]).await.expect_code(64);
    }
    app.run(&["jobs", "pause"]).await.expect_code(64);
    let running = ["jobs", "retry", "--state", "running", "--yes"];
    let refused = app.run(&running).await.expect_code(64);
    refused.expect_in_stderr("failed");
    let unknown = ["jobs", "retry", "--kind", "qick", "--yes"];
    let warned = app.run(&unknown).await.expect_code(0);
    warned.expect_in_stderr("no handler for kind `qick`");
}
