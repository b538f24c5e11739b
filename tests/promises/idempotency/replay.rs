//! What a repeated request is answered (I6, I9).

use std::time::Duration;

use crate::harness::http::{Request, ask};
use crate::harness::shop::{Customer, PAYMENTS_KEY, Shop, fresh_key, id_of};

#[tokio::test]
async fn a_replay_is_the_first_answer_marked_as_such() {
    let shop = Shop::released().await;
    let (one, two) = tokio::join!(shop.web(&[]), shop.web(&[]));
    let customer = Customer::sign_up(one.port).await;
    let request = customer.order(&fresh_key());

    let first = ask(one.port, &request).await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    for port in [one.port, two.port] {
        let replay = ask(port, &request).await.expect(201);
        assert_eq!(replay.header("idempotent-replayed"), Some("true"));
        assert_eq!(replay.body, first.body, "{replay}");
        for name in ["location", "content-type"] {
            assert!(first.header(name).is_some(), "{first}");
            assert_eq!(replay.header(name), first.header(name), "{name}");
        }
    }
    assert_eq!(shop.database.count("orders").await, 1);
}

#[tokio::test]
async fn a_replay_survives_a_restart() {
    let shop = Shop::released().await;
    let mut web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let request = customer.order(&fresh_key());
    let first = ask(web.port, &request).await.expect(201);

    web.process.kill();
    let web = shop.web(&[]).await;
    let replay = ask(web.port, &request).await.expect(201);
    assert!(replay.is_replay());
    assert_eq!(replay.body, first.body);
}

#[tokio::test]
async fn the_key_means_nothing_to_a_get() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let key = fresh_key();
    let order = customer.buy(web.port, &key).await;

    let reading = customer.get("/orders").key(&key);
    for _ in 0..2 {
        let answer = ask(web.port, &reading).await.expect(200);
        assert!(!answer.is_replay(), "{answer}");
    }
    let second = ask(web.port, &customer.order(&fresh_key()))
        .await
        .expect(201);
    assert_ne!(id_of(&second), order);
    let listed = ask(web.port, &reading).await.expect(200).json();
    assert_eq!(
        listed["orders"].as_array().expect("a list").len(),
        2,
        "a GET was frozen: {listed}"
    );
}

#[tokio::test]
async fn the_payment_provider_keeps_the_same_promises() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let port = provider.server.port;
    let _worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;

    let [call] = &provider.gate.calls()[..] else {
        panic!("one call was made")
    };
    assert!(ask(port, call).await.expect(201).is_replay());
    ask(port, &call.clone().with_longer_body())
        .await
        .expect(422);
    ask(port, &call.clone().bearer("wrong")).await.expect(401);
    assert_eq!(shop.charged_orders().await, std::slice::from_ref(&order));

    let listing = Request::get(&format!("/charges?order={order}")).bearer(PAYMENTS_KEY);
    let listed = ask(port, &listing).await.expect(200).json();
    assert_eq!(listed.to_string().matches(&order).count(), 1, "{listed}");
}
