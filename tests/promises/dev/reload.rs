//! A new build under load.

use std::time::Duration;

use super::place::Place;
use crate::harness::database::Database;
use crate::harness::load::Load;
use crate::harness::shop::Customer;
use crate::harness::wait::until_true;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_binary_takes_over_without_a_lost_request() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    let before = dev.pid_of(&place, "web").await;
    let customer = Customer::sign_up(dev.base).await;
    let load = Load::start(dev.base, &customer, 8);
    until_true("load", Duration::from_secs(20), async || {
        load.count() >= 100
    })
    .await;
    place.put_binary();
    dev.until_said("every process runs the new binary", Duration::from_secs(30))
        .await;
    // The old one drains while the new one serves.
    let mut after = before;
    until_true(
        "the old process to be gone",
        Duration::from_secs(10),
        async || {
            after = dev.pid_of(&place, "web").await;
            after != before
        },
    )
    .await;
    let so_far = load.count();
    until_true("load on the new one", Duration::from_secs(20), async || {
        load.count() >= so_far + 100
    })
    .await;
    let asked = load.stop().await;
    let lost: Vec<_> = asked.iter().filter(|asked| !asked.is_served()).collect();
    println!("{} requests, {} of them lost", asked.len(), lost.len());
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_binary_that_does_not_start_leaves_the_old_processes_serving() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    let before = dev.pid_of(&place, "web").await;
    place.put_script("#!/bin/sh\n[ $1 = release ] || exit 3\n");
    dev.until_said(
        "the new web.1: it ended with exit code 3; the old processes go on",
        Duration::from_secs(20),
    )
    .await;
    assert!(dev.serves(dev.base).await);
    assert_eq!(dev.pid_of(&place, "web").await, before);
}
