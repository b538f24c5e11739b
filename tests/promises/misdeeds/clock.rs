//! A worker whose clock is set back.

use std::time::Duration;

use super::app::{Misdeeds, SOON};
use crate::harness::clock::WrongClock;
use crate::harness::wait::until_true;

const WAITING: &str = "starts WHERE what = 'wait'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clock_is_set_back_an_hour_works_on_and_rescues_in_time() {
    let Some(clock) = WrongClock::off_by("+0") else {
        return;
    };
    let app = Misdeeds::released().await;
    let mut doomed = app.worker();
    app.enqueue(&["wait"]).await;
    until_true("the job to be held", SOON, async || {
        app.database.count(WAITING).await == 1
    })
    .await;
    let mut worker = clock.for_launch(app.launch(["worker"])).spawn();
    app.expect_to_go_on().await;

    doomed.kill();
    clock.set("-1h");
    app.expect_to_go_on().await;
    until_true("the rescue", Duration::from_secs(30), async || {
        app.database.count(WAITING).await == 2
    })
    .await;
    // Nor is it taken for an hour when the clock is mended.
    clock.set("+0");
    app.database.execute("INSERT INTO gate VALUES (true)").await;
    app.expect_to_go_on().await;
    assert_eq!(
        app.database.count(WAITING).await,
        2,
        "the job was rescued twice"
    );
    worker.expect_running();
}
