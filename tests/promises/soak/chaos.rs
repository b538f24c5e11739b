//! Two minutes of blows, and two minutes of rolling restarts.

use std::ops::Range;
use std::time::Duration;

use crate::chaos::storm::{Blow, Figures, Plan, Way, blow};
use crate::chaos::{expect_hurt, restart_workers};

const ERRANDS: usize = 20_000;

/// Three workers with eight slots each need two minutes and more, as those that are hurt do less.
const AVERAGE_MS: u64 = 130;

/// From one blow to the next: a worker that is hit by every third one watches the others for long enough in between.
const GAP_MS: Range<u64> = 8_000..11_000;

const STORM: Plan = Plan {
    errands: ERRANDS,
    average_ms: AVERAGE_MS,
    blows: &[
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Pause,
        Blow::Pause,
        Blow::Pause,
        Blow::CutAll,
        Blow::CutAll,
        Blow::Restart,
        Blow::Restart,
    ],
    shuffled: true,
    gap_ms: GAP_MS,
    cut_ms: 500..2_500,
};

fn expect_all(figures: &Figures) {
    expect_hurt(figures);
    assert_eq!((figures.kills, figures.restarts), (5, 2), "{figures}");
    assert!(figures.pauses >= 1, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: three minutes"]
async fn twenty_thousand_errands_are_done_once_through_two_minutes_of_blows() {
    expect_all(&blow(Way::Straight, STORM).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: three minutes"]
async fn twenty_thousand_errands_are_done_once_through_a_pooler_and_two_minutes_of_blows() {
    if let Some(way) = Way::through_a_pooler() {
        expect_all(&blow(way, STORM).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn twenty_thousand_errands_are_started_once_through_two_minutes_of_rolling_restarts() {
    let pause = Duration::from_secs(2);
    let figures = restart_workers(Way::Straight, ERRANDS, AVERAGE_MS, 40, pause).await;
    println!("{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn twenty_thousand_errands_are_started_once_through_a_pooler_and_rolling_restarts() {
    if let Some(way) = Way::through_a_pooler() {
        let pause = Duration::from_secs(2);
        let figures = restart_workers(way, ERRANDS, AVERAGE_MS, 40, pause).await;
        println!("{figures}");
    }
}
