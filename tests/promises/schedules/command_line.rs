//! `schedules` on the command line, while schedulers run.

use super::ticking::{EVERY_SECOND, SOON, Ticking};
use crate::harness::wait::until_true;

/// What was enqueued by hand: its tick is no whole second.
const BY_HAND: &str = "runs WHERE tick <> date_trunc('second', tick)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_paused_run_by_hand_and_resumed_under_running_schedulers() {
    let app = Ticking::released().await;
    let _worker = app.worker();
    let schedulers = [app.scheduler(), app.scheduler()];
    app.until_ran(EVERY_SECOND, 2, 0).await;

    let paused = app.run(["schedules", "pause", EVERY_SECOND]).await;
    assert!(paused.expect_code(0).stdout.contains("paused"));
    let pause = app.database.now().await;
    let listed = app.run(["schedules", "--json"]).await.expect_code(0);
    let listed = listed.expect_json();
    let mut all = listed["schedules"].as_array().expect("a list").iter();
    let schedule = all.find(|it| it["name"] == EVERY_SECOND);
    assert_eq!(schedule.expect("the schedule")["paused"], true, "{listed}");
    until_true("three seconds to pass", SOON, async || {
        app.database.now().await > pause + 3
    })
    .await;

    app.run(["schedules", "run", EVERY_SECOND])
        .await
        .expect_code(0);
    until_true("the run by hand", SOON, async || {
        app.database.count(BY_HAND).await == 1
    })
    .await;
    let resume = app.database.now().await;
    let resumed = app.run(["schedules", "resume", EVERY_SECOND]).await;
    resumed.expect_code(0);
    app.until_ran(EVERY_SECOND, 3, resume).await;

    app.database.execute(format!("DELETE FROM {BY_HAND}")).await;
    let record = app.settled(schedulers, EVERY_SECOND).await;
    let fired = |tick: &i64| (pause + 1..resume).contains(tick);
    assert!(
        !record.ticks().iter().any(fired),
        "{record:?}, {pause} to {resume}"
    );
    assert_eq!(record.twice(), [0; 0]);

    let unknown = app.run(["schedules", "pause", "every-scond"]).await;
    unknown.expect_code(64).expect_in_stderr(EVERY_SECOND);
}
