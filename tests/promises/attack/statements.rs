//! Requests that are taken back, or time out, while Postgres works on them: it never runs more for a process than its pool has places, and is not asked for new connections.

use std::collections::VecDeque;
use std::io;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::ground::{Ground, Honest, MEMORY, POOL};
use super::http2::{DATA, END_STREAM, Http2};
use crate::harness::http::{Request, ask, send};
use crate::harness::wait::until_true;

/// How long a statement may take in a process that is attacked beside a lock.
const TIMEOUT: [(&str, &str); 1] = [("TWELVE_DATABASE_TIMEOUT", "1s")];

const SOON: Duration = Duration::from_secs(30);

const HOLD: &str = "BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE";

/// How many connections to its database Postgres has ever accepted.
const ACCEPTED: &str = "(SELECT sessions FROM pg_stat_database WHERE datname = current_database()) AS one, generate_series(1, one.sessions)";

/// What an attacker does.
#[derive(Clone, Copy)]
struct Attack {
    per_second: u32,
    /// How many requests are open at once; the oldest is reset for each that is new.
    open: usize,
    asks: Asks,
}

#[derive(Clone, Copy)]
enum Asks {
    /// One statement outside of a transaction.
    Products,
    /// In turn with a transaction of its own.
    ProductsAndSignUps,
}

/// An attack under way, which ends when this is dropped.
struct Attacking {
    resets: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Attack {
    fn on(self, port: u16) -> Attacking {
        let resets = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&resets);
        let task = tokio::spawn(async move {
            // The server closes a connection that it has had enough of.
            while let Ok(mut connection) = Http2::connect(port).await {
                let _ = self.go_on(&mut connection, &counted).await;
            }
        });
        Attacking { resets, task }
    }

    async fn go_on(self, connection: &mut Http2, resets: &AtomicUsize) -> io::Result<()> {
        let mut open = VecDeque::new();
        let mut next = Instant::now();
        loop {
            let number = resets.load(Ordering::Relaxed);
            open.push_back(self.ask(connection, number).await?);
            if open.len() > self.open {
                connection
                    .reset(open.pop_front().expect("not empty"))
                    .await?;
                resets.fetch_add(1, Ordering::Relaxed);
            }
            next += Duration::from_secs(1) / self.per_second;
            while let Ok(frame) = timeout_at(next, connection.read()).await {
                frame?;
            }
        }
    }

    async fn ask(self, connection: &mut Http2, number: usize) -> io::Result<u32> {
        if matches!(self.asks, Asks::Products) || number.is_multiple_of(2) {
            return connection.send("GET", "/products", &[]).await;
        }
        let json = [("content-type", "application/json")];
        let body = format!(r#"{{"email":"{:016x}@example.com"}}"#, fastrand::u64(..));
        let stream = connection.begin("POST", "/customers", &json).await?;
        connection.send_data(stream, body.as_bytes()).await?;
        connection.write(DATA, END_STREAM, stream, &[]).await?;
        Ok(stream)
    }
}

impl Attacking {
    /// Waits until so many requests have been reset.
    async fn until(&self, resets: usize) {
        until_true("the attack to go on", Duration::from_mins(2), async || {
            assert!(!self.task.is_finished(), "nobody attacks any more");
            self.resets.load(Ordering::Relaxed) >= resets
        })
        .await;
    }
}

impl Drop for Attacking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Clients that wait for their answers, and ask again.
fn patient(clients: usize, port: u16) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for _ in 0..clients {
        asking.spawn(async move { while send(port, &Request::get("/products")).await.is_ok() {} });
    }
    asking
}

async fn hold_products(ground: &Ground) -> PgConnection {
    let connection = PgConnection::connect(&ground.shop.database.url).await;
    let mut connection = connection.expect("connect");
    connection.execute(HOLD).await.expect("hold the products");
    connection
}

/// Beside a lock, every statement takes as long as it may.
async fn attack_beside_a_lock(resets: usize, clients: usize) {
    let mut ground = Ground::web(&TIMEOUT).await;
    let attack = Attack {
        per_second: 90,
        open: 20,
        asks: Asks::Products,
    };
    let holder = hold_products(&ground).await;
    let attacking = attack.on(ground.port());
    let patient = patient(clients, ground.port());
    attacking.until(resets).await;
    ground.expect_pools(1);
    ask(ground.port(), &Request::get("/health"))
        .await
        .expect(200);

    // Without the lock, the process serves at once, in the middle of the attack.
    drop(patient);
    holder.close().await.expect("let the products go");
    until_true("products to be served", SOON, async || {
        let answer = ask(ground.port(), &Request::get("/products")).await;
        answer.status == 200
    })
    .await;
    let honest = ground.honest(40).await.expect_served();
    println!(
        "p99 beside the resets, without the lock: {:?}",
        honest.p99()
    );

    let _holder = hold_products(&ground).await;
    attacking
        .until(attacking.resets.load(Ordering::Relaxed) + 90)
        .await;
    let took = ground.expect_drained().await;
    println!("drained in {took:?}");
    ground.expect_pools(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_beside_a_lock_stay_within_the_pool_whether_their_requests_are_reset_or_not() {
    attack_beside_a_lock(700, 20).await;
}

/// Answers the p99 of honest clients without the attack and beside it.
async fn storm(attack: Attack, requests: usize) -> [Honest; 2] {
    let mut ground = Ground::web(&[]).await;
    // The pool has what it needs from now on.
    let calm = ground.honest(requests).await.expect_served();
    let before = ground.shop.database.count(ACCEPTED).await;
    let attacking = attack.on(ground.port());
    attacking.until(attack.open).await;
    let harmed = ground.honest(requests).await.expect_served();
    attacking.until(3_000).await;
    let resets = attacking.resets.load(Ordering::Relaxed);
    println!(
        "p99 {:?}, beside {resets} resets {:?}",
        calm.p99(),
        harmed.p99()
    );
    let peak = ground.peak_mib();
    assert!(peak < MEMORY, "{peak} MiB");
    ground.expect_pools(1);
    ground.expect_drained().await;
    // Postgres counts when a session reports, which it does at its end at the latest.
    until_true("the sessions to end", SOON, async || {
        ground.shop.database.connections().await <= 1
    })
    .await;
    let opened = ground.shop.database.count(ACCEPTED).await - before;
    println!("{opened} connections were opened meanwhile");
    assert!(
        opened <= 2 * POOL,
        "{opened} connections for {resets} resets"
    );
    [calm, harmed]
}

/// So many are in the middle of a transaction, or of its BEGIN, when they are reset.
const STORM: Attack = Attack {
    per_second: 800,
    open: 3,
    asks: Asks::ProductsAndSignUps,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_open_no_connections() {
    storm(STORM, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: a minute of resets beside a lock, with a release build"]
async fn a_minute_of_resets_beside_a_lock() {
    attack_beside_a_lock(5_400, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: honest clients beside a storm of resets, with a release build"]
async fn honest_clients_hardly_notice_a_storm_of_resets() {
    let [calm, harmed] = storm(STORM, 4_000).await;
    harmed.expect_unharmed(&calm);
}
