//! What becomes of ticks for which no scheduler was there.

use rustix::process::Signal;

use super::ticking::{EVERY_SECOND, SOON, Ticking};
use crate::harness::wait::until_true;

/// The other schedules fire every five minutes.
const STEP: i64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_each_schedule_follows_its_policy() {
    let app = Ticking::released().await;
    app.database.install_clock().await;
    // Else the outage is a thousand jobs of no interest.
    app.run(["schedules", "pause", EVERY_SECOND])
        .await
        .expect_code(0);
    let _worker = app.worker();
    let mut scheduler = app.scheduler();
    until_true("the schedules to have begun", SOON, async || {
        app.database.count("twelve.schedules").await == 4
    })
    .await;
    let first = next_step(&app).await;
    app.database
        .move_clock(first - app.database.now().await + 1)
        .await;
    for schedule in ["skip", "once", "catch-up"] {
        app.until_ran(schedule, 1, 0).await;
    }
    scheduler.signal(Signal::TERM);
    assert_eq!(scheduler.exit_within(SOON).await.code, Some(0));

    // Four ticks pass, the last of them two minutes ago.
    app.database.move_clock(4 * STEP + 120).await;
    let scheduler = app.scheduler();
    app.until_ran("once", 1, first).await;
    app.until_ran("catch-up", 3, first).await;

    // The next tick finds everybody there.
    let next = next_step(&app).await;
    assert_eq!(next, first + 5 * STEP, "the machine is very slow");
    app.database
        .move_clock(next - app.database.now().await + 1)
        .await;
    for schedule in ["skip", "once", "catch-up"] {
        app.until_ran(schedule, 1, next - 1).await;
    }
    app.settled([scheduler], "once").await;
    let ran = async |schedule| {
        let record = app.record(schedule).await;
        assert_eq!(record.twice(), [0; 0]);
        let steps = record.ticks().into_iter().map(|tick| (tick - first) / STEP);
        steps.collect::<Vec<_>>()
    };
    assert_eq!(ran("skip").await, [0, 5]);
    assert_eq!(ran("once").await, [0, 4, 5]);
    assert_eq!(ran("catch-up").await, [0, 2, 3, 4, 5]);
}

/// The next tick, by the database's clock.
async fn next_step(app: &Ticking) -> i64 {
    (app.database.now().await / STEP + 1) * STEP
}
