//! Many at once with one key.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::http::{Answer, Connection, Request, ask};
use crate::harness::shop::{Customer, Shop, fresh_key, id_of, tea};

const CLIENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_with_one_key_make_one_order_and_one_charge() {
    let shop = Shop::released().await;
    let (one, two) = tokio::join!(shop.web(&[]), shop.web(&[]));
    let customer = Customer::sign_up(one.port).await;
    let request = customer.order(&fresh_key());

    let crowd = (0..CLIENTS).map(|client| ([one.port, two.port][client % 2], request.clone()));
    let answers = at_once(crowd).await;

    let (mut first, mut replays, mut in_flight) = (0, 0, 0);
    let mut orders = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            201 => {
                orders.insert(id_of(answer));
                if answer.is_replay() {
                    replays += 1;
                } else {
                    first += 1;
                }
            }
            409 => {
                assert!(answer.header("retry-after").is_some(), "{answer}");
                in_flight += 1;
            }
            _ => panic!("neither 201 nor 409: {answer}"),
        }
    }
    println!("{CLIENTS} at once: {first} first, {replays} replays, {in_flight} in flight");
    assert_eq!(first, 1, "one request placed the order, the others saw it");
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(shop.database.count("orders").await, 1);

    let provider = shop.payments(&[]).await;
    let _worker = shop.worker(&provider.gate, &[]);
    let order = orders.first().expect("one order");
    customer
        .until_paid(two.port, order, Duration::from_secs(20))
        .await;
    assert_eq!(shop.charged_orders().await, std::slice::from_ref(order));
}

/// The control: what makes the crowd one order is the key and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_as_many_keys_make_as_many_orders() {
    let shop = Shop::released().await;
    let (one, two) = tokio::join!(shop.web(&[]), shop.web(&[]));
    let customer = Customer::sign_up(one.port).await;

    let crowd = (0..20).map(|client| {
        (
            [one.port, two.port][client % 2],
            customer.order(&fresh_key()),
        )
    });
    for answer in at_once(crowd).await {
        assert!(!answer.expect(201).is_replay());
    }
    assert_eq!(shop.database.count("orders").await, 20);
}

#[tokio::test]
async fn two_customers_may_use_the_same_key() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let (ada, bob) = (
        Customer::sign_up(web.port).await,
        Customer::sign_up(web.port).await,
    );
    let key = fresh_key();

    let adas = ask(web.port, &ada.order(&key)).await.expect(201);
    let bobs = ask(web.port, &bob.order(&key)).await.expect(201);
    assert!(!bobs.is_replay(), "{bobs}");
    assert_ne!(id_of(&adas), id_of(&bobs));

    // Not even with another body, which would be 422 for Ada.
    let other = Request::post("/orders", &tea(5)).bearer(&Customer::sign_up(web.port).await.token);
    ask(web.port, &other.key(&key)).await.expect(201);
    assert_eq!(shop.database.count("orders").await, 3);
}

/// Opens all connections first and then sends on all of them, so that the
/// requests meet.
async fn at_once(crowd: impl Iterator<Item = (u16, Request)>) -> Vec<Answer> {
    let mut clients = Vec::new();
    for (port, request) in crowd {
        clients.push((Connection::open(port).await.expect("connect"), request));
    }
    let mut asking = JoinSet::new();
    for (mut connection, request) in clients {
        asking.spawn(async move { connection.ask(&request).await.expect("an answer") });
    }
    asking.join_all().await
}
