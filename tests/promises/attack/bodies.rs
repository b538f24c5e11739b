//! Bodies: more than memory has room for, and slower than anybody waits.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ground::{Ground, Honest};
use super::http2::Http2;
use crate::harness::http::Connection;
use crate::harness::process::at_a_moment;
use crate::harness::wait::until_true;

/// `TWELVE_BODY_BUDGET`, and what a process may take beside it, in MiB.
const BUDGET: u64 = 64;
const BESIDE: u64 = 60;

/// What an HTTP/2 connection may have open at once.
const STREAMS: usize = 200;

/// As large as a body may be.
const SIZE: usize = 2 << 20;

/// How long the clients flood the process before anybody else comes.
const FLOOD: Duration = Duration::from_secs(2);

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_one_gigabyte_take_no_more_than_their_budget() {
    flood(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: half a minute"]
async fn bodies_take_no_more_than_their_budget_for_as_long_as_they_come() {
    let (during, without) = flood(8_000).await;
    during.expect_unharmed(&without);
}

/// Three connections with two hundred bodies each, beside so many honest requests.
async fn flood(requests: usize) -> (Honest, Honest) {
    let mut ground = Ground::web(&[]).await;
    let without = ground.honest(requests).await.expect_served();
    let mut floods = JoinSet::new();
    for _ in 0..3 {
        let port = ground.port();
        floods.spawn(async move {
            while send_bodies(port).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    at_a_moment(FLOOD).await;
    let during = ground.honest(requests).await.expect_served();
    println!(
        "3 x {STREAMS} bodies of {SIZE}: p99 {:?}, without {:?}; {} MiB at most, {} now",
        during.p99(),
        without.p99(),
        ground.peak_mib(),
        ground.memory_mib()
    );
    let peak = ground.peak_mib();
    assert!(peak < BUDGET + BESIDE, "{peak} MiB");
    ground.expect_pools(1);
    let took = ground.expect_drained().await;
    println!("drained in {took:?}");
    (during, without)
}

/// Keeps so many bodies on their way, of which each lacks its last byte, until the server closes.
async fn send_bodies(port: u16) -> io::Result<()> {
    let mut connection = Http2::connect(port).await?;
    let size = SIZE.to_string();
    let head = [
        ("content-type", "application/json"),
        ("content-length", &*size),
    ];
    let piece = vec![b' '; 16 << 10];
    let mut bodies: Vec<(u32, usize)> = Vec::new();
    loop {
        bodies.retain(|(stream, _)| !connection.answers.contains_key(stream));
        while bodies.len() < STREAMS && !connection.is_going_away {
            let stream = connection.begin("POST", "/customers", &head).await?;
            bodies.push((stream, 0));
        }
        let mut is_blocked = true;
        for (stream, sent) in &mut bodies {
            let room = usize::try_from(connection.room(*stream)).unwrap_or_default();
            let count = room.min(piece.len()).min(SIZE - 1 - *sent);
            if count > 0 {
                connection.send_data(*stream, &piece[..count]).await?;
                *sent += count;
                is_blocked = false;
            }
        }
        let patience = Duration::from_millis(if is_blocked { 100 } else { 0 });
        while let Ok(heard) = timeout(patience, connection.heard()).await {
            heard?;
            connection.read().await?;
            if is_blocked {
                break;
            }
        }
    }
}

/// Some have stopped, the others send a byte every half a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_bodies_do_not_hold_the_drain_to_its_end() {
    let mut ground = Ground::web(&[]).await;
    let head = "POST /customers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{";
    let mut slow = JoinSet::new();
    for turn in 0..200 {
        let mut client = Connection::open(ground.port()).await.expect("connect");
        client.write(head.as_bytes()).await.expect("send");
        slow.spawn(async move {
            if turn % 2 == 0 {
                return drop(client.answer().await);
            }
            while client.write(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
    }
    // The last one that was let in is not refused.
    ground.honest(8).await.expect_served();
    let took = ground.expect_drained().await;
    println!("drained in {took:?}");
    until_true("all clients to have been told", SOON, async || {
        while slow.try_join_next().is_some() {}
        slow.is_empty()
    })
    .await;
}
