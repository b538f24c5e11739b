//! Orders, and the job that charges them.

use serde_json::{Value, json};
use shop::orders::ChargeOrder;
use std::time::Duration;
use twelve::test::{Signal, TestApp};

use super::{LIMIT, SHOP, buy, configured, sign_up, two_teas};

#[twelve::test(shop::app)]
async fn an_order_and_its_job_are_one_commit(app: TestApp) {
    let token = sign_up(&app).await;
    let order = app
        .post("/orders")
        .bearer(&token)
        .key("k1")
        .json(&two_teas())
        .await
        .assert_status(201)
        .json::<Value>();
    assert_eq!(order["total_cents"], 1380);
    app.assert_enqueued::<ChargeOrder>(1).await;

    app.post("/orders")
        .bearer(&token)
        .key("k2")
        .json(&json!({"items": [{"sku": "gold", "quantity": 1}]}))
        .await
        .assert_problem(422, "unknown-product");
    app.assert_enqueued::<ChargeOrder>(1).await;
}

#[twelve::test(shop::app)]
async fn a_customer_sees_only_their_own_orders(app: TestApp) {
    let (mine, yours) = (sign_up(&app).await, sign_up(&app).await);
    let placed = app.post("/orders").bearer(&mine).key("k").json(&two_teas());
    let placed = placed.await.assert_status(201);
    let location = placed.header("location").unwrap();
    app.get(location).bearer(&mine).await.assert_status(200);
    app.get(location)
        .bearer(&yours)
        .await
        .assert_problem(404, "not-found");
    app.get(location).await.assert_problem(401, "unauthorized");
}

#[twelve::test(shop::app)]
async fn the_same_order_twice_is_one_order(app: TestApp) {
    let token = sign_up(&app).await;
    let place = || {
        app.post("/orders")
            .bearer(&token)
            .key("k")
            .json(&two_teas())
    };
    let first = place().await.assert_status(201);
    let again = place().await.assert_status(201);
    assert_eq!(again.text(), first.text());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    app.assert_enqueued::<ChargeOrder>(1).await;
}

#[twelve::test(shop::app)]
async fn an_order_is_charged_by_a_worker_that_is_told_to_stop_meanwhile(app: TestApp) {
    let app = configured(app).with_var("PAYMENTS_LATENCY_MS", "300");
    let mut payments = app.spawn(SHOP, &["payments"]).unwrap();
    let app = app.with_var("PAYMENTS_URL", payments.url());
    let token = sign_up(&app).await;
    let placed = app
        .post("/orders")
        .bearer(&token)
        .key("k")
        .json(&two_teas());
    let location = placed.await.header("location").unwrap().to_owned();

    payments.ready(LIMIT).await;
    let mut worker = app.spawn(SHOP, &["worker"]).unwrap();
    worker.ready(LIMIT).await;
    worker.running(1, LIMIT).await;
    worker.signal(Signal::Term);
    assert_eq!(worker.exit_code(LIMIT).await, 0);

    let order: Value = app.get(&location).bearer(&token).await.json();
    assert_eq!(order["status"], "paid");
}

#[twelve::test(shop::app)]
async fn without_the_provider_an_order_waits_for_the_next_attempt(app: TestApp) {
    let app = configured(app).with_var("PAYMENTS_URL", "http://127.0.0.1:1");
    let token = sign_up(&app).await;
    let placed = app
        .post("/orders")
        .bearer(&token)
        .key("k")
        .json(&two_teas());
    placed.await.assert_status(201);
    let drained = app.drain_jobs().await;
    assert_eq!(drained.retried, 1);
    app.assert_enqueued::<ChargeOrder>(1).await;

    assert_eq!(app.drain_jobs().await.attempts(), 0, "it is not due yet");
    app.advance(Duration::from_mins(1)).await;
    assert_eq!(app.drain_jobs().await.retried, 1);
}

#[twelve::test(shop::app)]
async fn an_expired_order_is_charged_only_if_it_was_already(app: TestApp) {
    let app = configured(app);
    let mut payments = app.spawn(SHOP, &["payments"]).unwrap();
    payments.ready(LIMIT).await;
    let app = app.with_var("PAYMENTS_URL", payments.url());
    let token = sign_up(&app).await;
    let (never, already) = (buy(&app, &token).await, buy(&app, &token).await);
    // What an attempt leaves behind that was killed between the charge and its record.
    sqlx::query(
        "INSERT INTO payments.charges (id, order_id, amount_cents)
         SELECT gen_random_uuid(), id, total_cents FROM orders WHERE id = $1::uuid",
    )
    .bind(already["id"].as_str())
    .execute(&app.db())
    .await
    .unwrap();
    sqlx::query("UPDATE orders SET status = 'expired'")
        .execute(&app.db())
        .await
        .unwrap();

    let drained = app.drain_jobs().await;
    assert_eq!((drained.done, drained.discarded), (1, 1));
    for (order, status) in [(never, "expired"), (already, "paid")] {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let order: Value = app.get(&path).bearer(&token).await.json();
        assert_eq!(order["status"], status);
    }
    let charges: i64 = sqlx::query_scalar("SELECT count(*) FROM payments.charges")
        .fetch_one(&app.db())
        .await
        .unwrap();
    assert_eq!(charges, 1);
}
