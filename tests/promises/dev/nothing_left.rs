//! Whatever ends the supervisor, nothing stays behind.

use std::time::Duration;

use rustix::process::Signal;

use super::place::Place;
use crate::harness::database::Database;
use crate::harness::process::at_a_moment;
use crate::harness::shop::COMMAND_BOUND;
use crate::harness::shop::Customer;

/// The children look for their supervisor four times a second, and then have nothing to finish.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_brings_everything_up_from_nothing_and_ctrl_c_leaves_nothing() {
    let place = Place::new();
    let mut dev = place.dev(&[]);
    dev.until_ready().await;
    let customer = Customer::sign_up(dev.base).await;
    let order = customer.buy(dev.base, "first").await;
    // The sandbox is found by the variable that `dev` sets for each process type with a port.
    customer
        .until_paid(dev.base, &order, super::place::UP)
        .await;

    let listed = place.launch(["dev", "jobs", "list", "--json"]);
    let listed = listed.run(COMMAND_BOUND).await.expect_code(0).expect_json();
    assert!(!listed["jobs"].as_array().unwrap().is_empty());
    let second = place.launch(["dev"]).run(COMMAND_BOUND).await;
    second
        .expect_code(1)
        .expect_in_stderr("runs in this worktree already");

    dev.process.signal(Signal::INT);
    assert_eq!(dev.process.exit_within(SOON).await.code, Some(0));
    place.until_empty(SOON).await;

    // What it had stored is there again.
    let mut again = place.dev(&[]);
    again.until_ready().await;
    assert_eq!(customer.read(again.base, &order).await["status"], "paid");
    again.process.signal(Signal::KILL);
    again.process.exit_within(SOON).await;
    // The private servers linger for ten seconds, in case that somebody comes back.
    place.until_empty(Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_killed_supervisor_its_children_drain() {
    let place = Place::new();
    let database = Database::create().await;
    let dev = place.dev_on(&database, &[]).await;
    assert!(dev.serves(dev.base).await);
    dev.process.signal(Signal::KILL);
    place.until_empty(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_everything_at_once() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = place.dev_on(&database, &[]).await;
    dev.process.signal(Signal::INT);
    dev.until_said("draining", SOON).await;
    // Not together with the first, which would be the same signal.
    at_a_moment(Duration::from_millis(150)).await;
    dev.process.signal(Signal::INT);
    assert_eq!(dev.process.exit_within(SOON).await.code, Some(130));
    place.until_empty(SOON).await;
}
