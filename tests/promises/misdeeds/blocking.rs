//! Handlers that block their threads.

use std::time::Duration;

use super::app::{Misdeeds, SOON};
use crate::harness::wait::until_true;

const STARTED: &str = "starts WHERE what = 'block'";

/// As many as a worker has slots, and more than it has threads.
const BLOCKS: [&str; 8] = ["block"; 8];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_threads_are_blocked_is_not_taken_for_dead() {
    let app = Misdeeds::released().await;
    app.enqueue(&BLOCKS).await;
    let mut blocked = app.worker();
    // Else the other one would take some of them.
    until_true("all to be claimed", SOON, async || {
        app.list(&["--kind", "block", "--state", "waiting"])
            .await
            .is_empty()
            && app.database.count(STARTED).await > 0
    })
    .await;

    // It watches the other one for all that time, and has its own work.
    let watching = app.worker();
    app.expect_to_go_on().await;
    until_true("the end of a block", Duration::from_secs(80), async || {
        blocked.log().contains("unblocked")
    })
    .await;
    blocked.expect_running();
    assert!(!watching.log().contains("a worker died"));
    app.expect_to_go_on().await;
}
