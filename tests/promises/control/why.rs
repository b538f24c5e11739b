//! `jobs why`, reason by reason.

use rustix::process::Signal;

use super::stoppable::{SOON, Stoppable};
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_says_what_a_job_waits_for() {
    let app = Stoppable::released().await;
    let job = app.enqueue(&["quick"]).await.remove(0);
    assert_eq!(app.why(&job).await[0], "no_worker");
    let said = app.run(&["jobs", "why", &job]).await.expect_code(0);
    assert!(said.stdout.contains("queue `default`"), "{}", said.stdout);

    app.run(&["jobs", "reschedule", &job, "--in", "1h"]).await;
    assert_eq!(app.why(&job).await, ["scheduled", "no_worker"]);
    let mut worker = app.worker(&["worker", "--concurrency", "1"]).await;
    let running = app.enqueue(&["deaf"]).await.remove(0);
    app.until_state(&running, "running").await;
    assert_eq!(app.why(&running).await, ["running"]);
    let waiting = app.enqueue(&["quick", "2"]).await;
    assert_eq!(app.why(&waiting[0]).await, ["busy"]);
    assert_eq!(app.why(&waiting[1]).await, ["behind", "busy"]);

    let ps = app.ask(&["ps"], "processes").await;
    assert_eq!(
        (&ps[0]["process_type"], &ps[0]["held"]),
        (&"worker".into(), &1.into())
    );
    // What twelve itself never writes: a kind that only a newer release knows.
    let newer = format!(
        "UPDATE twelve.jobs SET kind = 'newer' WHERE id = '{}'",
        waiting[0]
    );
    app.database.execute(newer).await;
    assert_eq!(app.why(&waiting[0]).await[0], "no_handler");

    worker.signal(Signal::TERM);
    until("the worker to be draining", SOON, async || {
        (app.why(&waiting[1]).await == ["draining"]).then_some(())
    })
    .await;
    worker.kill();
    let unknown = "01890000-0000-7000-8000-000000000000";
    let words = ["jobs", "why", unknown];
    let said = app.run(&words).await.expect_code(1);
    assert!(said.stdout.contains("no job of this id"), "{}", said.stdout);
    app.run(&["jobs", "cancel", &waiting[1]])
        .await
        .expect_code(0);
    assert_eq!(app.why(&waiting[1]).await, ["ended"]);
}
