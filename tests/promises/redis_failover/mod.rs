//! The address of Redis leads to another server, and the old one stays up: `counters` writes again within two seconds.

mod counters;
mod load;
mod node;
mod relay;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::wait::until_true;
use counters::Counters;
use load::{Account, CLIENTS, Load};
use node::Node;
use relay::Relay;

const SOON: Duration = Duration::from_secs(20);

/// How soon after the address has moved everything works.
const PROMISED: Duration = Duration::from_secs(2);

/// How many connections to Redis one process of the app may have.
const POOL: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_follow_the_primary_and_nothing_acknowledged_is_lost() {
    let (old, new) = (Node::start().await, Node::start().await);
    new.follow(&old).await;
    let relay = Relay::to(&old).await;
    let counters = Counters::released(relay.url()).await;
    let web = counters.web().await;
    let _worker = counters.launch("worker").spawn();

    let load = Load::start(web.port, |client| post(&format!("/counters/{client}")));
    load.until_served(200).await;
    // Writes wait until the new primary has everything, and find a replica then.
    let target = ["TO", "127.0.0.1", &new.port.to_string()].map(str::to_owned);
    let () = old.ask("FAILOVER", &target).await;
    old.until("role:slave").await;
    let demoted = Instant::now();
    let connects = relay.accepted();
    for _ in 0..5 {
        ask(web.port, &post("/later/jobs")).await.expect(202);
    }
    let twice = ask(web.port, &post("/twice/other")).await;
    load.until_refused(200).await;
    let connects = relay.accepted() - connects;
    let stood = demoted.elapsed();

    relay.move_to(&new);
    let moved = Instant::now();
    load.until_after(moved + PROMISED + Duration::from_millis(500))
        .await;
    let asked = load.stop().await;
    let account = Account::of(&asked, moved);
    println!("{account}; {connects} connects in {stood:?} before the address moved");
    account.expect_promised();
    assert_eq!(twice.expect(503).header("retry-after"), Some("1"));
    // Two processes, and all connections of a pool four times a second, and twice for the beginning.
    let allowed = 2 * u128::from(POOL) * (stood.as_millis() / 250 + 2);
    assert!(u128::from(connects) <= allowed, "more than {allowed}");

    for client in 0..CLIENTS {
        let acknowledged = asked.iter().filter(|asked| asked.is(client, 200)).count();
        let counted: usize = new.ask("GET", &[client.to_string()]).await;
        assert_eq!(counted, acknowledged, "client {client}");
    }
    // Each had one attempt, and the refused ones were none.
    until_true("the jobs", SOON, async || {
        new.ask::<Option<u32>>("GET", &["jobs".to_owned()]).await == Some(5)
    })
    .await;
    ask(web.port, &post("/mistake/0")).await.expect(500);
}

/// The old one would take its time: it loads the new primary's data, or has lost it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_leave_a_replica_that_loads_and_one_that_has_lost_its_primary() {
    // Five thousand keys take 25 s to load, with a look at the clients after every kilobyte.
    let slow = [
        ("key-load-delay", "5000"),
        ("loading-process-events-interval-bytes", "1024"),
    ];
    // The new primary waits a minute for others that want its data too.
    let away = [
        ("replica-serve-stale-data", "no"),
        ("repl-diskless-sync-delay", "60"),
    ];
    for (settings, code) in [(slow, "LOADING"), (away, "MASTERDOWN")] {
        let (old, new) = (Node::start().await, Node::start().await);
        let values: Vec<_> = (0..5000)
            .flat_map(|number| [format!("key {number}"), "x".repeat(100)])
            .collect();
        let () = new.ask("MSET", &values).await;
        for (name, value) in settings {
            for node in [&old, &new] {
                let setting = ["SET", name, value].map(str::to_owned);
                let () = node.ask("CONFIG", &setting).await;
            }
        }
        let relay = Relay::to(&old).await;
        let counters = Counters::released(relay.url()).await;
        let web = counters.web().await;
        let load = Load::start(web.port, |client| {
            Request::get(&format!("/counters/{client}"))
        });
        load.until_served(100).await;

        let () = old.ask("REPLICAOF", &new.address()).await;
        until_true(code, SOON, async || {
            old.code_of_get().await.as_deref() == Some(code)
        })
        .await;
        load.until_refused(100).await;
        relay.move_to(&new);
        let moved = Instant::now();
        load.until_after(moved + PROMISED + Duration::from_millis(500))
            .await;
        assert_eq!(old.code_of_get().await.as_deref(), Some(code), "too short");
        let account = Account::of(&load.stop().await, moved);
        println!("{code}: {account}");
        account.expect_promised();
    }
}

/// What heals by waiting heals where it is, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_at_a_primary_that_was_a_replica_for_a_while() {
    let primary = Node::start().await;
    let relay = Relay::to(&primary).await;
    let counters = Counters::released(relay.url()).await;
    let web = counters.web().await;
    let load = Load::start(web.port, |client| post(&format!("/counters/{client}")));
    load.until_served(100).await;
    let nowhere = ["127.0.0.1".to_owned(), port::free().to_string()];
    let () = primary.ask("REPLICAOF", &nowhere).await;
    load.until_refused(100).await;
    let nobody = ["NO", "ONE"].map(str::to_owned);
    let () = primary.ask("REPLICAOF", &nobody).await;
    let promoted = Instant::now();
    load.until_after(promoted + PROMISED + Duration::from_millis(500))
        .await;
    let account = Account::of(&load.stop().await, promoted);
    println!("{account}");
    account.expect_promised();
}

/// Redis asks for a password when a connection is opened, and never again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_under_load_fails_no_request() {
    let node = Node::with_password("first").await;
    let relay = Relay::to(&node).await;
    let url = |password| format!("redis://:{password}@127.0.0.1:{}", relay.port);
    let counters = Counters::released(url("first")).await;
    let web = counters.web().await;
    ask(web.port, &post("/counters/0")).await.expect(200);
    let opened = relay.accepted();

    let setting = ["SET", "requirepass", "second"].map(str::to_owned);
    let () = node.ask("CONFIG", &setting).await;
    // Far more clients than there are connections that still work.
    let load = Load::start(web.port, |client| post(&format!("/counters/{client}")));
    load.until_served(500).await;
    let asked = load.stop().await;
    let failed = asked.iter().filter(|asked| asked.status != 200).count();
    println!("{} requests, {failed} failed", asked.len());
    assert_eq!(failed, 0);
    assert!(relay.accepted() > opened, "nobody needed a new connection");

    // A process that has no connection yet needs the new password.
    let stale = counters.web().await;
    ask(stale.port, &post("/counters/0")).await.expect(503);
    let counters = counters.with_redis(url("second"));
    let fresh = counters.web().await;
    ask(fresh.port, &post("/counters/0")).await.expect(200);
}

fn post(target: &str) -> Request {
    Request::post(target, &json!({}))
}
