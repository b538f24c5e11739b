//! Jobs that end the process of whoever runs them.

use std::time::Duration;

use rustix::process::Signal;

use super::app::{Misdeeds, errors_of, job_of};
use crate::harness::process::Process;

/// One death beside others, three alone, and each time 15 s until it is noticed.
const QUARANTINE_BOUND: Duration = Duration::from_mins(4);

/// Keeps a worker up, as a supervisor does, until the job of this kind has failed for good.
async fn until_quarantined(app: &Misdeeds, kind: &str, start: impl Fn() -> Process) -> usize {
    let mut deaths = 0;
    let mut log = String::new();
    let dying = async {
        loop {
            let exit = start().exit_within(QUARANTINE_BOUND).await;
            assert_eq!(exit.signal, Some(Signal::ABORT.as_raw()), "{exit:?}");
            deaths += 1;
        }
    };
    tokio::select! {
        () = dying => {}
        shown = app.until_failed(kind, QUARANTINE_BOUND) => log = shown.to_string(),
    }
    println!("{kind}: {deaths} deaths, then {log}");
    deaths
}

async fn expect_quarantine(app: &Misdeeds, kind: &str, start: impl Fn() -> Process) {
    // The notes are innocent: whoever runs them beside it must not be blamed.
    app.enqueue(&["note", kind, "note", "note"]).await;
    let deaths = until_quarantined(app, kind, start).await;
    let shown = app.show(kind).await;
    let job = job_of(&shown);
    assert_eq!(job["crashes"], 3, "deaths while it ran alone: {shown}");
    assert_eq!(job["attempts"], 0, "a death is no failed attempt: {shown}");
    assert!((3..=4).contains(&deaths), "{deaths} deaths");
    let errors = errors_of(&shown);
    let says_so = |(cause, message, _): &(String, String, u64)| {
        cause == "crashed" && message.contains("the worker died")
    };
    assert!(errors.iter().any(says_so), "{shown}");

    // It is dead, and the others live.
    let _worker = app.worker();
    app.expect_to_go_on().await;
    assert_eq!(app.database.count("notes").await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn a_job_that_panics_while_panicking_is_quarantined_and_nothing_else_is_lost() {
    let app = Misdeeds::released().await;
    expect_quarantine(&app, "collapse", || app.worker()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn a_job_that_takes_all_memory_is_quarantined_and_nothing_else_is_lost() {
    let app = Misdeeds::released().await;
    // Four gibibytes of addresses; the job wants sixty-four.
    expect_quarantine(&app, "hoard", || app.worker_with_memory(4 << 20)).await;
}
