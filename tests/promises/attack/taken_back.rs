//! Orders with a key that are taken back as soon as they are sent: what goes on without its client has a bound.

use std::io;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinHandle;

use super::ground::{Ground, MEMORY};
use super::http2::{ACK, DATA, END_STREAM, Http2, PING};
use crate::harness::http::ask;
use crate::harness::shop::{fresh_key, tea};
use crate::harness::wait::until_true;

/// Two connections had 18,812 handlers running at once.
const CONNECTIONS: usize = 2;

/// How many orders are open at once on each.
const BURST: usize = 100;

const SOON: Duration = Duration::from_secs(30);

/// Orders are inserted into it, so those that have a connection wait.
const HOLD: &str = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";

/// Sends and resets orders on one connection for as long as the server takes them.
struct Attacker {
    resets: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Attacker {
    fn start(port: u16, token: &str) -> Self {
        let resets = Arc::<AtomicUsize>::default();
        let (counted, bearer) = (Arc::clone(&resets), format!("Bearer {token}"));
        let task = tokio::spawn(async move {
            // The server closes a connection that it has had enough of.
            while let Ok(mut connection) = Http2::connect(port).await {
                let _ = go_on(&mut connection, &bearer, &counted).await;
            }
        });
        Self { resets, task }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn go_on(connection: &mut Http2, bearer: &str, resets: &AtomicUsize) -> io::Result<()> {
    let body = tea(1).to_string();
    loop {
        let mut streams = Vec::new();
        for _ in 0..BURST {
            let key = fresh_key();
            let headers = [
                ("authorization", bearer),
                ("idempotency-key", &key),
                ("content-type", "application/json"),
            ];
            let stream = connection.begin("POST", "/orders", &headers).await?;
            connection
                .write(DATA, END_STREAM, stream, body.as_bytes())
                .await?;
            streams.push(stream);
        }
        // Frames are handled in their order: with the answer to this all have begun.
        connection.write(PING, 0, 0, b"have you").await?;
        loop {
            let frame = connection.read().await?;
            if frame.kind == PING && frame.flags == ACK {
                break;
            }
        }
        for stream in streams {
            connection.reset(stream).await?;
            resets.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn expect_bounded(resets: usize) {
    let mut ground = Ground::web(&[]).await;
    let before = ground.memory_mib();
    let mut lock = PgConnection::connect(&ground.shop.database.url)
        .await
        .expect("connect");
    lock.execute(HOLD).await.expect("lock");
    let begun = Instant::now();
    let attackers: Vec<_> = (0..CONNECTIONS)
        .map(|_| Attacker::start(ground.port(), &ground.customer.token))
        .collect();
    until_true("orders to be taken back", SOON * 4, async || {
        let taken_back = attackers.iter().map(|attacker| &attacker.resets);
        let taken_back: usize = taken_back.map(|count| count.load(Ordering::Relaxed)).sum();
        taken_back >= resets
    })
    .await;
    let (took, peak) = (begun.elapsed(), ground.peak_mib());
    println!("{resets} orders taken back within {took:?}: {before} MiB before, at most {peak}");
    assert!(peak < MEMORY, "{peak} MiB");

    // In the middle of the attack somebody orders, and the process ends.
    lock.close().await.expect("unlock");
    let order = ground.customer.order(&fresh_key());
    until_true("an order to be taken", SOON, async || {
        ask(ground.port(), &order).await.status == 201
    })
    .await;
    ground.expect_pools(1);
    ground.expect_drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_taken_back_leave_a_bounded_number_running() {
    expect_bounded(2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: 20,000 orders are taken back"]
async fn twenty_thousand_orders_are_taken_back() {
    expect_bounded(20_000).await;
}
