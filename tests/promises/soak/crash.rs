//! Item 5 at full length.

use std::time::Duration;

use crate::crash::{Plan, kill_workers, pause_a_worker};

/// 500 orders in about a minute, a kill every second or two all the while.
const ORDERS: usize = 500;
const PACE: Duration = Duration::from_millis(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn five_hundred_orders_are_charged_once_though_a_worker_dies_every_second_or_two() {
    let plan = Plan {
        orders: ORDERS,
        pace: PACE,
        kills: 40,
        pause_ms: 1_000..2_000,
    };
    let figures = kill_workers(plan).await;
    println!("{figures}");
    assert_eq!((figures.orders, figures.charges), (ORDERS, ORDERS));
    assert!(figures.calls > ORDERS, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: two minutes"]
async fn a_worker_stopped_for_forty_seconds_changes_nothing_and_its_late_ack_is_refused() {
    let plan = Plan {
        orders: ORDERS,
        pace: PACE,
        kills: 0,
        pause_ms: 0..1,
    };
    let (figures, refusal) = pause_a_worker(plan, Duration::from_secs(40)).await;
    println!("{figures}\n{refusal}");
    assert_eq!((figures.orders, figures.charges), (ORDERS, ORDERS));
}
