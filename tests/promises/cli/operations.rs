//! Looking and acting, with a database and without.

use std::time::Duration;

use rustix::process::Signal;

use super::run;
use crate::harness::database::Database;
use crate::harness::http::{Request, ask};
use crate::harness::postgres::Postgres;
use crate::harness::shop::{COMMAND_BOUND, Customer, Shop, fresh_key};
use crate::harness::wait::until_true;

#[tokio::test]
async fn add_customer_prints_a_token_alone() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let task = shop.launch(["run", "add-customer", "--", "ada@example.com"]);
    let printed = task.run(COMMAND_BOUND).await.expect_code(0).stdout;
    let token = printed.strip_suffix('\n').expect("one line").to_owned();
    assert!(
        !token.is_empty() && !token.contains(char::is_whitespace),
        "{printed:?}"
    );
    Customer { token }.buy(web.port, &fresh_key()).await;
}

#[tokio::test]
async fn a_task_that_fails_says_why_and_prints_no_token() {
    let shop = Shop::released().await;
    let task = |email| {
        shop.launch(["run", "add-customer", "--", email])
            .run(COMMAND_BOUND)
    };
    let failed = task("no email at all").await.expect_code(1);
    assert!(failed.stdout.is_empty(), "{}", failed.stdout);
    assert!(!failed.stderr.is_empty());

    task("ada@example.com").await.expect_code(0);
    let again = task("ada@example.com").await.expect_code(1);
    assert!(again.stdout.is_empty(), "{}", again.stdout);
    assert_eq!(shop.database.count("customers").await, 1);
}

#[tokio::test]
async fn a_command_that_needs_postgres_says_69_when_it_is_down() {
    run(["release"]).await.expect_code(69);
    run(["jobs", "list"]).await.expect_code(69);
    run(["run", "add-customer", "--", "ada@example.com"])
        .await
        .expect_code(69);
}

#[tokio::test]
async fn waiting_jobs_are_listed_and_shown() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;

    let listed = shop
        .launch(["jobs", "list", "--json"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0)
        .expect_json();
    let jobs = listed
        .as_array()
        .or_else(|| listed["jobs"].as_array())
        .expect("a list of jobs");
    assert_eq!(jobs.len(), 1, "{listed}");
    assert_eq!(jobs[0]["kind"], "charge_order", "{listed}");
    assert_eq!(jobs[0]["queue"], "default", "{listed}");

    let id = match &jobs[0]["id"] {
        serde_json::Value::String(id) => id.clone(),
        id => id.to_string(),
    };
    let shown = shop
        .launch(["jobs", "show", &id, "--json"])
        .run(COMMAND_BOUND)
        .await;
    let shown = shown.expect_code(0).expect_json();
    assert!(
        shown.to_string().contains(&order),
        "the payload is missing: {shown}"
    );

    // Discarded, it is done with: the next worker does not charge.
    shop.launch(["jobs", "discard", &id])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0);
    let provider = shop.payments(&[]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    let second = customer.buy(web.port, &fresh_key()).await;
    customer
        .until_paid(web.port, &second, Duration::from_secs(20))
        .await;
    assert_eq!(customer.read(web.port, &order).await["status"], "pending");
    assert_eq!(shop.charged_orders().await, [second]);

    // And retried, it is not.
    shop.launch(["jobs", "retry", &id])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0);
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;
}

#[tokio::test]
async fn a_worker_answers_through_health() {
    let shop = Shop::released().await;
    let provider = shop.payments(&[]).await;
    let probe = async |what| {
        let asked = shop
            .launch(["health", what, "--type", "worker"])
            .run(COMMAND_BOUND)
            .await;
        asked.is_success()
    };
    assert!(!probe("ready").await, "no worker is a ready worker");

    let mut worker = shop.worker(&provider.gate, &[]);
    until_true(
        "the worker to be ready",
        Duration::from_secs(20),
        async || {
            worker.expect_running();
            probe("ready").await
        },
    )
    .await;
    assert!(probe("live").await);
    let all = shop
        .launch(["health", "--json"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0);
    let all = all.expect_json().to_string();
    assert!(
        all.contains("worker") && all.contains("payments") && all.contains("postgres"),
        "{all}"
    );

    // One that is there and says nothing is not live.
    worker.signal(Signal::STOP);
    assert!(!probe("live").await, "a stopped worker is live");
    worker.signal(Signal::CONT);
    assert!(probe("live").await);
}

/// A missing service restarts nobody, and is told.
#[tokio::test]
async fn health_tells_of_a_missing_postgres_and_blames_no_process() {
    let postgres = Postgres::private().await;
    let shop = Shop::released_on(Database::create_on(&postgres).await).await;
    let _web = shop.web(&[]).await;
    let up = shop
        .launch(["health"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0)
        .stdout;
    let postgres_is_down = |listing: &str| {
        let line = listing.lines().find(|line| line.starts_with("postgres"));
        line.is_some_and(|line| line.contains("DOWN"))
    };
    assert!(!postgres_is_down(&up), "{up}");

    postgres.stop().await;
    let down = shop
        .launch(["health"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0)
        .stdout;
    assert!(down.contains("web") && postgres_is_down(&down), "{down}");
}

#[tokio::test]
async fn web_on_a_database_without_the_schema_says_so() {
    let shop = Shop::unreleased(Database::create().await);
    let web = shop.web(&[]).await;
    let answer = ask(web.port, &Request::get("/products")).await;
    assert!(answer.status >= 500, "{answer}");
    // The client learns nothing of the schema; the log does.
    assert!(
        !String::from_utf8_lossy(&answer.body).contains("relation"),
        "{answer}"
    );
    assert!(
        web.process.log().contains("products"),
        "the cause is not in the log"
    );
}
