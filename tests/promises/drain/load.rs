//! SIGTERM under load.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ROOMY, ROOMY_BOUND};
use crate::harness::http::{Answer, Failure};
use crate::harness::load::{Asked, Load};
use crate::harness::shop::{Customer, Shop};
use crate::harness::wait::until_true;

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_request_of_keep_alive_clients() {
    let shop = Shop::released().await;
    let mut web = shop.web(&ROOMY).await;
    let customer = Customer::sign_up(web.port).await;
    let load = Load::start(web.port, &customer, CLIENTS);
    until_true("load", Duration::from_secs(20), async || {
        load.count() >= 200
    })
    .await;

    web.process.signal(Signal::TERM);
    web.until_announced().await;
    let announced = Instant::now();
    // A balancer that notices late sends on for a while.
    let so_far = load.count();
    until_true(
        "requests after the signal",
        Duration::from_millis(800),
        async || load.count() >= so_far + 5 * CLIENTS,
    )
    .await;
    let asked = load.stop().await;

    let lost: Vec<_> = asked.iter().filter(|asked| !asked.is_served()).collect();
    println!("{} requests, {} of them lost", asked.len(), lost.len());
    assert!(lost.is_empty(), "{lost:?}");
    let after: Vec<_> = asked.iter().filter(|asked| asked.at > announced).collect();
    assert!(!after.is_empty());
    assert!(
        after.iter().all(|asked| is_told_to_leave(asked)),
        "`Connection: close` is missing"
    );

    let exit = web.process.exit_within(ROOMY_BOUND).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(placed(&asked), shop.database.count("orders").await);
}

/// The control: what loses nothing is the announcement, and these clients do
/// notice a loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_without_an_announcement_the_same_clients_are_refused() {
    let shop = Shop::released().await;
    let mut web = shop
        .web(&[("TWELVE_SHUTDOWN_TIMEOUT", "6s"), ("TWELVE_ANNOUNCE", "0s")])
        .await;
    let customer = Customer::sign_up(web.port).await;
    let load = Load::start(web.port, &customer, CLIENTS);
    until_true("load", Duration::from_secs(20), async || {
        load.count() >= 200
    })
    .await;

    web.process.signal(Signal::TERM);
    let exit = web.process.exit_within(ROOMY_BOUND).await;
    let so_far = load.count();
    until_true(
        "requests after the end",
        Duration::from_secs(5),
        async || load.count() > so_far + CLIENTS,
    )
    .await;
    let asked = load.stop().await;
    assert!(
        asked
            .iter()
            .any(|asked| asked.result == Err(Failure::Refused))
    );
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(placed(&asked) <= shop.database.count("orders").await);
}

fn is_told_to_leave(asked: &Asked) -> bool {
    asked.result.as_ref().is_ok_and(Answer::closes)
}

fn placed(asked: &[Asked]) -> i64 {
    let placed = asked.iter().filter(|asked| {
        asked
            .result
            .as_ref()
            .is_ok_and(|answer| answer.status == 201)
    });
    i64::try_from(placed.count()).expect("few orders")
}
