//! SIGTERM to a worker in a job (P6).

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ROOMY, ROOMY_BOUND, TIGHT, TIGHT_BOUND};
use crate::harness::shop::{Customer, Shop, fresh_key};
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_worker_finishes_the_job_that_it_is_in() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    provider.gate.close();
    let mut worker = shop.worker(&provider.gate, &ROOMY);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    provider.gate.until_calls(1, SOON).await;

    worker.signal(Signal::TERM);
    until_true(
        "the worker to take notice",
        Duration::from_secs(1),
        async || worker.log().contains("shutting down"),
    )
    .await;
    // An order that comes now is not for this worker.
    let late = customer.buy(web.port, &fresh_key()).await;
    provider.gate.open();

    let exit = worker.exit_within(ROOMY_BOUND).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(customer.read(web.port, &order).await["status"], "paid");
    assert_eq!(customer.read(web.port, &late).await["status"], "pending");
    assert_eq!(
        provider.gate.calls().len(),
        1,
        "one attempt, and none for the late order"
    );

    let _next = shop.worker(&provider.gate, &[]);
    customer.until_paid(web.port, &late, SOON).await;
    assert_eq!(provider.gate.calls().len(), 2, "the finished job ran again");
}

/// A job that outlives the budget is released: another worker has it at
/// once, and does not wait until the first one counts as dead.
#[tokio::test]
async fn a_job_that_outlives_the_budget_is_released_for_the_next_worker() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    provider.gate.close();
    let mut worker = shop.worker(&provider.gate, &TIGHT);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    provider.gate.until_calls(1, SOON).await;

    worker.signal(Signal::TERM);
    let exit = worker.exit_within(TIGHT_BOUND).await;
    println!("the worker left with {:?} after {:?}", exit.code, exit.took);
    assert!(matches!(exit.code, Some(0 | 2)), "{exit:?}");

    let released_at = Instant::now();
    let _next = shop.worker(&provider.gate, &[]);
    provider.gate.until_calls(2, Duration::from_secs(8)).await;
    println!("the next worker had it after {:?}", released_at.elapsed());
    provider.gate.open();
    customer.until_paid(web.port, &order, SOON).await;
    assert_eq!(shop.charged_orders().await, [order]);
    let keys = provider.gate.keys();
    assert_eq!(keys[0], keys[1], "the key is stable across attempts");
}

/// The job's attempts are numbered, and an interrupted one does not count: a
/// job of eight attempts survives ten rolling restarts.
#[tokio::test]
async fn being_released_spends_no_attempt() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    provider.gate.close();
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    let hasty = [("TWELVE_SHUTDOWN_TIMEOUT", "500ms")];
    for turn in 1..=10 {
        let mut worker = shop.worker(&provider.gate, &hasty);
        provider.gate.until_calls(turn, SOON).await;
        worker.signal(Signal::TERM);
        worker.exit_within(Duration::from_secs(1)).await;
    }
    provider.gate.open();
    let _worker = shop.worker(&provider.gate, &[]);
    customer.until_paid(web.port, &order, SOON).await;
    assert_eq!(shop.charged_orders().await, [order]);
}

#[tokio::test]
async fn an_idle_worker_leaves_at_once() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let mut worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    customer.until_paid(web.port, &order, SOON).await;

    worker.signal(Signal::TERM);
    let exit = worker.exit_within(Duration::from_secs(2)).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}
