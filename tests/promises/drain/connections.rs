//! What becomes of each kind of connection.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ROOMY, ROOMY_BOUND};
use crate::harness::http::{Connection, Request, ask};
use crate::harness::shop::{Customer, Shop, fresh_key};

#[tokio::test]
async fn ready_is_503_at_once_while_everything_else_is_still_served() {
    let shop = Shop::released().await;
    let mut web = shop.web(&ROOMY).await;
    let customer = Customer::sign_up(web.port).await;
    ask(web.port, &Request::get("/ready")).await.expect(200);

    let signalled = Instant::now();
    web.process.signal(Signal::TERM);
    web.until_announced().await;
    let noticed = signalled.elapsed();
    println!("/ready said 503 after {noticed:?}");
    // The announcement takes a second: this is within it.
    assert!(noticed < Duration::from_secs(1), "{noticed:?}");

    // Each on a new connection, as a balancer that has not noticed yet does.
    ask(web.port, &Request::get("/health")).await.expect(200);
    ask(web.port, &Request::get("/products")).await.expect(200);
    ask(web.port, &customer.order(&fresh_key()))
        .await
        .expect(201);
    ask(web.port, &Request::get("/ready")).await.expect(503);

    let exit = web.process.exit_within(ROOMY_BOUND).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let after = signalled.elapsed();
    assert!(
        after >= Duration::from_secs(1),
        "the announcement was cut short: {after:?}"
    );
}

#[tokio::test]
async fn a_request_whose_body_is_still_arriving_finishes_with_201() {
    let shop = Shop::released().await;
    let mut web = shop.web(&ROOMY).await;
    let customer = Customer::sign_up(web.port).await;
    let (begin, rest) = customer.order(&fresh_key()).split_in_body();
    let mut connection = Connection::open(web.port).await.expect("connect");
    connection.write(&begin).await.expect("send the first half");

    web.process.signal(Signal::TERM);
    web.until_refusing(Duration::from_secs(3)).await;
    connection.write(&rest).await.expect("send the second half");
    let answer = connection.answer().await.expect("an answer").expect(201);
    assert!(answer.closes(), "{answer}");

    let exit = web.process.exit_within(ROOMY_BOUND).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(shop.database.count("orders").await, 1);
}

#[tokio::test]
async fn idle_keep_alive_connections_are_served_once_more_and_delay_nothing() {
    let shop = Shop::released().await;
    let mut web = shop.web(&ROOMY).await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(web.port).await.expect("connect");
        let answer = connection
            .ask(&Request::get("/health"))
            .await
            .expect("an answer")
            .expect(200);
        assert!(!answer.closes(), "{answer}");
        connections.push(connection);
    }

    let signalled = Instant::now();
    web.process.signal(Signal::TERM);
    web.until_announced().await;
    // One of them wakes up, in the middle of the announcement.
    let mut waking = connections.swap_remove(50);
    let answer = waking
        .ask(&Request::get("/products"))
        .await
        .expect("an answer")
        .expect(200);
    assert!(answer.closes(), "{answer}");
    let closed = connections
        .iter_mut()
        .filter_map(|idle| idle.is_closed().then_some(()))
        .count();
    assert_eq!(
        closed, 0,
        "idle connections were closed during the announcement"
    );

    let exit = web.process.exit_within(ROOMY_BOUND).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let after = signalled.elapsed();
    assert!(
        after < Duration::from_secs(2),
        "announce is 1 s, and nothing is left to do: {after:?}"
    );
}

#[tokio::test]
async fn the_default_announcement_is_five_seconds_long() {
    let shop = Shop::released().await;
    let mut web = shop.web(&[]).await;
    let signalled = Instant::now();
    web.process.signal(Signal::TERM);
    web.until_refusing(Duration::from_secs(8)).await;
    let announced = signalled.elapsed();
    assert!(announced > Duration::from_millis(4_900), "{announced:?}");
    assert!(announced < Duration::from_secs(6), "{announced:?}");
    let exit = web.process.exit_within(Duration::from_secs(2)).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}
