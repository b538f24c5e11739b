//! Handlers that block their threads.

use std::time::Duration;

use rustix::process::Signal;

use super::app::{Misdeeds, SOON};
use crate::harness::process::Process;
use crate::harness::shop::COMMAND_BOUND;
use crate::harness::wait::until_true;

/// As many as a worker has slots.
const BLOCKS: [&str; 8] = ["block"; 8];

/// Fewer than that, however many cores there are.
const THREADS: (&str, &str) = ("TOKIO_WORKER_THREADS", "2");

/// A worker is dead after 15 s of silence; those who watch look every three seconds.
const BURIED: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_threads_are_blocked_is_not_taken_for_dead() {
    let app = Misdeeds::released().await;
    let gate = std::env::temp_dir().join(format!("promises-gate-{:08x}", fastrand::u32(..)));
    app.enqueue(&BLOCKS).await;
    let blocked = app.launch(["worker", "--queues", "blocks"]);
    let blocked = blocked.vars(&[THREADS]);
    let mut blocked = blocked
        .var("BLOCKED_UNTIL", gate.display().to_string())
        .spawn();
    until_true("every thread to be blocked", SOON, async || {
        is_blocked(&app, &blocked).await
    })
    .await;

    // The control dies in the eyes of the one that watches, and the blocked one has been silent for longer if its heartbeat has stopped.
    let watching = app.launch(["worker", "--queues", "default"]).spawn();
    let paused = app.launch(["worker", "--queues", "blocks"]).spawn();
    until_true("three workers", SOON, async || {
        app.database.count("twelve.workers").await == 3
    })
    .await;
    paused.signal(Signal::STOP);
    app.expect_to_go_on().await;
    let deaths = || watching.log().matches("a worker died").count();
    until_true("a dead worker", BURIED, async || deaths() > 0).await;
    app.expect_to_go_on().await;
    assert!(is_blocked(&app, &blocked).await);
    assert_eq!(deaths(), 1);

    std::fs::write(&gate, "").expect("open the gate");
    until_true("the blocked jobs to end", SOON, async || {
        let done = app.list(&["--kind", "block", "--state", "done"]).await;
        done.len() == BLOCKS.len()
    })
    .await;
    std::fs::remove_file(&gate).expect("remove the gate");
    blocked.expect_running();
    assert!(!blocked.log().contains("declared dead"));
    assert_eq!(deaths(), 1);
}

/// Does it hold all of the jobs, while its runtime does not turn?
async fn is_blocked(app: &Misdeeds, worker: &Process) -> bool {
    let waiting = ["--kind", "block", "--state", "waiting"];
    if !app.list(&waiting).await.is_empty() {
        return false;
    }
    let health = app.launch(["health", "--json"]).run(COMMAND_BOUND).await;
    let health = health.expect_json();
    let processes = health["health"]["processes"].as_array();
    let mut processes = processes.expect("a list").iter();
    processes.any(|process| process["pid"] == worker.id() && process["live"] == false)
}
