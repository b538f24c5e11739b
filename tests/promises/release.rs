//! From an empty database to a paid order (item 2).

use std::time::Duration;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::gate::Gate;
use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::process::Launch;
use crate::harness::shop::{
    COMMAND_BOUND, Customer, NO_REDIS, PAYMENTS_KEY, Server, Shop, fresh_key,
};
use crate::harness::wait::until_true;

#[tokio::test]
async fn release_may_run_twice_in_a_row() {
    let shop = Shop::released().await;
    let products = shop.database.rows("products").await;
    assert!(
        !products.is_empty(),
        "the products come with the migrations"
    );
    shop.release().await.expect_code(0);
    assert_eq!(shop.database.rows("products").await, products);
}

#[tokio::test]
async fn release_may_run_in_several_places_at_once() {
    let shop = Shop::unreleased(Database::create().await);
    let (one, two, three) = tokio::join!(shop.release(), shop.release(), shop.release());
    for release in [one, two, three] {
        release.expect_code(0);
    }
    assert!(shop.database.count("products").await > 0);
}

#[tokio::test]
async fn release_with_a_plan_prints_sql_and_changes_nothing() {
    let shop = Shop::unreleased(Database::create().await);
    let plan = shop
        .launch(["release", "--plan"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0);
    let sql = plan.stdout.to_lowercase();
    assert!(sql.contains("create table"), "no SQL in the plan:\n{sql}");
    let tables =
        "information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')";
    assert_eq!(
        shop.database.count(tables).await,
        0,
        "the plan was carried out"
    );
}

#[tokio::test]
async fn each_process_type_starts_with_only_what_its_handlers_take() {
    let shop = Shop::released().await;
    let bare = |word| {
        Launch::new(binaries::shop())
            .args([word])
            .var("DATABASE_URL", &*shop.database.url)
    };

    let web = Server::start(bare("web").var("REDIS_URL", NO_REDIS), port::free()).await;
    ask(web.port, &Request::get("/products")).await.expect(200);

    let payments = Server::start(
        bare("payments").var("PAYMENTS_KEY", PAYMENTS_KEY),
        port::free(),
    )
    .await;
    let gate = Gate::before(payments.port).await;

    let order = Customer::sign_up(web.port)
        .await
        .buy(web.port, &fresh_key())
        .await;
    let _worker = bare("worker")
        .var("PAYMENTS_KEY", PAYMENTS_KEY)
        .var("PAYMENTS_URL", format!("http://127.0.0.1:{}", gate.port))
        .var("REDIS_URL", NO_REDIS)
        .var("REPORTS_TO", "reports@example.com")
        .spawn();
    until_true(
        "the order to be charged",
        Duration::from_secs(20),
        async || shop.charged_orders().await == [order.clone()],
    )
    .await;
}

#[tokio::test]
async fn an_order_becomes_paid() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;

    let placed = ask(web.port, &customer.order(&fresh_key()))
        .await
        .expect(201);
    let order = placed.json();
    let id = order["id"].as_str().expect("an id");
    assert_eq!(
        placed.header("location"),
        Some(format!("/orders/{id}").as_str())
    );
    assert_eq!(order["status"], "pending");
    assert!(
        order["total_cents"].as_u64().is_some_and(|cents| cents > 0),
        "{order}"
    );
    assert!(order["created_at"].is_string(), "{order}");
    assert!(
        order
            .get("charge_id")
            .is_none_or(serde_json::Value::is_null),
        "{order}"
    );

    let paid = customer
        .until_paid(web.port, id, Duration::from_secs(20))
        .await;
    assert!(paid["charge_id"].is_string(), "{paid}");
    assert_eq!(paid["total_cents"], order["total_cents"]);
    assert_eq!(paid["created_at"], order["created_at"]);
    assert_eq!(shop.charged_orders().await, [id]);
}

#[tokio::test]
async fn an_order_placed_while_no_worker_runs_waits_for_one() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    assert_eq!(customer.read(web.port, &order).await["status"], "pending");

    let provider = shop.payments(&[]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;
}

#[tokio::test]
async fn an_order_is_paid_once_the_provider_stops_failing() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    // Fails each call, half of them after it has stored the charge.
    let provider = shop.payments(&[("PAYMENTS_FAIL_RATE", "1")]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(customer.buy(web.port, &fresh_key()).await);
    }
    provider
        .gate
        .until_calls(3 * orders.len(), Duration::from_secs(30))
        .await;
    for order in &orders {
        assert_eq!(customer.read(web.port, order).await["status"], "pending");
    }

    let repaired = shop.payments(&[]).await;
    provider.gate.forward_to(repaired.server.port);
    for order in &orders {
        customer
            .until_paid(web.port, order, Duration::from_mins(1))
            .await;
    }
    let mut keys = provider.gate.keys();
    keys.sort();
    keys.dedup();
    assert_eq!(
        keys.len(),
        orders.len(),
        "all attempts at one order use one key"
    );
    let mut charged = shop.charged_orders().await;
    charged.sort();
    orders.sort();
    assert_eq!(charged, orders);
}

#[tokio::test]
async fn a_new_order_is_charged_at_once_and_not_at_the_next_poll() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let first = customer.buy(web.port, &fresh_key()).await;
    customer
        .until_paid(web.port, &first, Duration::from_secs(20))
        .await;

    // `enqueue_in` on twelve's own `Tx` wakes the worker at commit; a poll of
    // one second alone would take 500 ms for the middle one of nine.
    let mut waits = Vec::new();
    for turn in 1..=9 {
        let placed = std::time::Instant::now();
        customer.buy(web.port, &fresh_key()).await;
        provider
            .gate
            .until_calls(turn + 1, Duration::from_secs(5))
            .await;
        waits.push(placed.elapsed());
    }
    waits.sort();
    println!("order to charge: {waits:?}");
    assert!(waits[4] < Duration::from_millis(250), "{waits:?}");
}
