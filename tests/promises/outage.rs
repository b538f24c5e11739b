//! Bad configuration ends a start, a missing service does not (item 6).

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::postgres::Postgres;
use crate::harness::process::Launch;
use crate::harness::shop::{COMMAND_BOUND, Customer, NO_REDIS, Server, Shop, fresh_key};
use crate::harness::wait::{until, until_true};

#[tokio::test]
async fn bad_variables_end_the_start_within_two_seconds_all_named_at_once() {
    let shop = Launch::new(binaries::shop()).args(["web"]);
    let faulty = shop.var("DATABASE_URL", "nonsense").var("PORT", "abc");
    let ended = faulty.run(COMMAND_BOUND).await.expect_code(78);
    assert!(ended.took < Duration::from_secs(2), "{:?}", ended.took);
    for name in ["DATABASE_URL", "PORT"] {
        assert!(
            ended.stderr.contains(name),
            "{name} is not named:\n{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_missing_variable_ends_the_start_and_is_named() {
    let ended = Launch::new(binaries::shop())
        .args(["payments"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(78);
    for name in ["DATABASE_URL", "PAYMENTS_KEY"] {
        assert!(
            ended.stderr.contains(name),
            "{name} is not named:\n{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_taken_port_ends_the_start_and_is_named() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let taken = web.port.to_string();
    let second = shop
        .launch(["web"])
        .var("PORT", &*taken)
        .run(COMMAND_BOUND)
        .await;
    assert!(!second.is_success());
    assert!(second.printed().contains(&taken), "{}", second.printed());
    assert!(second.took < Duration::from_secs(2), "{:?}", second.took);
}

#[tokio::test]
async fn web_starts_without_postgres_and_serves_two_seconds_after_its_return() {
    let postgres = Postgres::private().await;
    let shop = Shop::released_on(Database::create_on(&postgres).await).await;
    postgres.stop().await;

    let web = shop.web(&[]).await;
    ask(web.port, &Request::get("/health")).await.expect(200);
    expect_unavailable(&web).await;
    // Nor does an order run unprotected.
    let order = Request::post("/orders", &crate::harness::shop::tea(1))
        .bearer("token")
        .key(fresh_key());
    ask(web.port, &order).await.expect(503);

    postgres.start_again().await;
    let returned = Instant::now();
    until_served(&web).await;
    println!("served {:?} after Postgres' return", returned.elapsed());
    ask(web.port, &Request::get("/ready")).await.expect(200);
}

#[tokio::test]
async fn a_running_shop_outlives_a_restart_of_postgres() {
    let postgres = Postgres::private().await;
    let shop = Shop::released_on(Database::create_on(&postgres).await).await;
    let mut web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let mut worker = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;

    postgres.stop().await;
    expect_unavailable(&web).await;
    ask(web.port, &Request::get("/health")).await.expect(200);
    ask(web.port, &Request::get("/ready")).await.expect(200);

    postgres.start_again().await;
    until_served(&web).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;
    web.process.expect_running();
    worker.expect_running();
}

#[tokio::test]
async fn a_worker_starts_without_postgres_and_works_after_its_return() {
    let postgres = Postgres::private().await;
    let shop = Shop::released_on(Database::create_on(&postgres).await).await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    // By SIGKILL: an acknowledged order survives that too (P3).
    postgres.kill().await;

    let mut worker = shop.worker(&provider.gate, &[]);
    until_true(
        "the worker to miss Postgres",
        Duration::from_secs(10),
        async || {
            worker.expect_running();
            worker.log().to_lowercase().contains("postgres")
        },
    )
    .await;
    postgres.start_again().await;
    // The connection that died with the server costs one 503.
    until_true(
        "the order to be served again",
        Duration::from_secs(2),
        async || {
            ask(web.port, &customer.get(&format!("/orders/{order}")))
                .await
                .status
                == 200
        },
    )
    .await;
    customer
        .until_paid(web.port, &order, Duration::from_secs(15))
        .await;
    worker.expect_running();
}

/// A server that accepts and says nothing is worse than none: only a timeout
/// helps.
#[tokio::test]
async fn a_silent_postgres_is_503_within_three_seconds_for_a_hundred_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = silent.local_addr().expect("an address");
    let url = format!("postgres://postgres@{address}/shop");
    let launch = Launch::new(binaries::shop())
        .args(["web"])
        .var("DATABASE_URL", url)
        .var("REDIS_URL", NO_REDIS);
    let web = Server::start(launch, port::free()).await;

    let began = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let port = web.port;
        asking.spawn(async move { ask(port, &Request::get("/products")).await });
    }
    for answer in asking.join_all().await {
        let answer = answer.expect(503);
        assert!(answer.header("retry-after").is_some(), "{answer}");
    }
    println!("a hundred times 503 after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    ask(web.port, &Request::get("/ready")).await.expect(200);
}

#[tokio::test]
async fn cut_connections_cost_at_most_a_moment() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    for _ in 0..5 {
        until_served(&web).await;
        shop.database.cut_connections().await;
    }
    until_served(&web).await;
}

#[tokio::test]
async fn no_connection_is_opened_before_its_first_use() {
    let shop = Shop::released().await;
    until_true("release to leave", Duration::from_secs(5), async || {
        shop.database.connections().await == 0
    })
    .await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    ask(web.port, &Request::get("/health")).await.expect(200);
    ask(provider.server.port, &Request::get("/health"))
        .await
        .expect(200);
    ask(web.port, &Request::get("/no-such-page"))
        .await
        .expect(404);
    assert_eq!(shop.database.connections().await, 0);

    // The control: this does count connections.
    ask(web.port, &Request::get("/products")).await.expect(200);
    assert!(shop.database.connections().await >= 1);
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_503_within_three_seconds() {
    let web = web_with(&format!(
        "postgres://postgres@127.0.0.1:{}/shop",
        port::free()
    ))
    .await;
    for _ in 0..3 {
        expect_unavailable(&web).await;
    }
}

async fn web_with(database_url: &str) -> Server {
    let launch = Launch::new(binaries::shop())
        .args(["web"])
        .var("DATABASE_URL", database_url)
        .var("REDIS_URL", NO_REDIS);
    Server::start(launch, port::free()).await
}

async fn expect_unavailable(web: &Server) {
    let began = Instant::now();
    let answer = ask(web.port, &Request::get("/products")).await.expect(503);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    let after = answer
        .header("retry-after")
        .and_then(|after| after.parse::<u64>().ok());
    assert!(after.is_some(), "no Retry-After in seconds: {answer}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer}"
    );
}

async fn until_served(web: &Server) {
    until(
        "GET /products to be served",
        Duration::from_secs(2),
        async || {
            let answer = ask(web.port, &Request::get("/products")).await;
            match answer.status {
                200 => Some(()),
                503 => None,
                _ => panic!("neither 200 nor 503: {answer}"),
            }
        },
    )
    .await;
}
