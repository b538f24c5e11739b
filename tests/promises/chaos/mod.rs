//! Workers and Postgres are hurt while jobs run: every job ends done, its writes are there once, and none waits long (P3 to P6).
//!
//! ```text
//! errands ─► crew of three workers ─► starts (outside `Tx`), marks (in `Tx`)
//!               ▲ blows                  │
//!             storm ─► deaths, outages ──┴─► ledger: what must hold
//! ```

mod crew;
mod errands;
mod fence;
mod ledger;
mod pooler;
mod restarts;
pub(crate) mod storm;

pub(crate) use restarts::restart_workers;

use std::time::Duration;

use crate::harness::wait::until_true;
use storm::{Blow, Figures, Plan, Way, blow};

/// Two thousand errands, each kind of blow, and one worker paused for longer than a dead one is waited for.
const SHORT: Plan = Plan {
    errands: 2_000,
    average_ms: 180,
    blows: &[Blow::Restart, Blow::CutAll, Blow::Pause, Blow::Kill],
    shuffled: false,
    gap_ms: 2_000..3_000,
    cut_ms: 300..1_000,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_errand_is_done_once_whatever_happens_to_workers_and_postgres() {
    expect_hurt(&blow(Way::Straight, SHORT).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_errand_is_done_once_through_a_pooler_too() {
    if let Some(way) = Way::through_a_pooler() {
        expect_hurt(&blow(way, SHORT).await);
    }
}

/// The control: had no blow met a worker in a job, nothing would have been shown.
pub(crate) fn expect_hurt(figures: &Figures) {
    println!("{figures}");
    assert!(figures.lost >= 1, "the dead held nothing: {figures}");
    assert!(figures.refused >= 1, "the fence was not tried: {figures}");
    assert!(
        figures.starts > figures.errands,
        "nothing ran again: {figures}"
    );
}

/// The control of the marks: outside of `Tx`, a death is enough to leave two, and they are seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_transaction_errands_would_be_done_twice() {
    let errands = Way::Straight.errands(100, 1_000).await;
    let mut doomed = errands.careless_worker();
    until_true("marks", Duration::from_secs(20), async || {
        errands.marked().await >= Some(8)
    })
    .await;
    doomed.kill();
    let _heir = errands.careless_worker();
    let twice = "(SELECT FROM marks GROUP BY number HAVING count(*) > 1) AS twice";
    until_true("two marks of one", Duration::from_mins(1), async || {
        errands.database.count(twice).await > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_start_every_errand_once() {
    let figures = restart_workers(Way::Straight, 5_000, 40, 6, Duration::from_millis(700)).await;
    println!("{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_start_every_errand_once_through_a_pooler_too() {
    let Some(way) = Way::through_a_pooler() else {
        return;
    };
    let figures = restart_workers(way, 5_000, 40, 6, Duration::from_millis(700)).await;
    println!("{figures}");
}
