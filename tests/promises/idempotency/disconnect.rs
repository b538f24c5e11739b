//! A client that leaves loses nothing (I8).

use std::time::Duration;

use crate::harness::http::{Connection, ask};
use crate::harness::process::at_a_moment;
use crate::harness::seed;
use crate::harness::shop::{Customer, Shop, fresh_key, id_of};
use crate::harness::wait::{until, until_true};

#[tokio::test]
async fn a_client_that_leaves_at_once_finds_its_order_when_it_comes_back() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let mut random = seed::random("the moment at which the client leaves");

    for round in 1..=10 {
        let request = customer.order(&fresh_key());
        let mut connection = Connection::open(web.port).await.expect("connect");
        connection.write(&request.bytes()).await.expect("send");
        if round > 1 {
            at_a_moment(Duration::from_micros(random.u64(0..15_000))).await;
        }
        drop(connection);

        // The whole request had been sent: it counts, without a second try.
        until_true(
            "the order of the client that left",
            Duration::from_secs(5),
            async || shop.database.count("orders").await == round,
        )
        .await;
        let replay = until("the key to be free", Duration::from_secs(5), async || {
            let answer = ask(web.port, &request).await;
            (answer.status != 409).then_some(answer)
        })
        .await
        .expect(201);
        assert!(replay.is_replay(), "round {round}: {replay}");
        assert!(!id_of(&replay).is_empty());
        assert_eq!(shop.database.count("orders").await, round);
    }
}

#[tokio::test]
async fn a_client_that_leaves_inside_its_body_has_ordered_nothing() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let request = customer.order(&fresh_key());
    let (begin, _never) = request.split_in_body();
    let mut connection = Connection::open(web.port).await.expect("connect");
    connection.write(&begin).await.expect("send");
    drop(connection);

    // The key is free, and no half of a request ever was an order.
    let answer = ask(web.port, &request).await.expect(201);
    assert!(!answer.is_replay(), "{answer}");
    assert_eq!(shop.database.count("orders").await, 1);
}
