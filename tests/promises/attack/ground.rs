//! The process under attack, and what is measured of it.

#![allow(dead_code, reason = "each attack uses some of it")]

use std::fs;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sqlx::{Connection as _, PgConnection};
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::http::{Connection, Failure, Request};
use crate::harness::port;
use crate::harness::redis::Redis;
use crate::harness::shop::{Customer, Server, Shop, fresh_key};

/// How much memory a process under attack may take, in MiB.
pub(super) const MEMORY: u64 = 150;

/// The connections to Postgres that the handlers of one process may open, unless a variable says otherwise.
pub(super) const POOL: i64 = 10;

/// A short announcement: what is left of the budget, 25 s, is for the drain.
const BUDGET: [(&str, &str); 1] = [("TWELVE_ANNOUNCE", "500ms")];

/// Longer than the whole budget.
const EXIT_BOUND: Duration = Duration::from_secs(30);

/// How many honest clients there are, each on a connection of its own.
const CLIENTS: usize = 4;

/// The connections of processes; those of the tests themselves have no name.
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> ''";

/// Quicker answers than this are not told apart: they are the machine's noise.
const NOISE: Duration = Duration::from_millis(10);

/// A process of the shop under attack, beside which honest clients are served.
pub(super) struct Ground {
    pub(super) shop: Shop,
    /// The process.
    pub(super) server: Server,
    /// Somebody honest, who has signed up at `web`.
    pub(super) customer: Customer,
    connections: Connections,
    _redis: Redis,
    /// Where customers sign up, when it is not the process itself.
    web: Option<Server>,
}

impl Ground {
    /// The shop's `web`.
    pub(super) async fn web(variables: &[(&str, &str)]) -> Self {
        Self::of("web", variables).await
    }

    /// The shop's `live`, with a `web` beside it.
    pub(super) async fn live(variables: &[(&str, &str)]) -> Self {
        Self::of("live", variables).await
    }

    /// The shop's `web`, with a hard limit of so many open files.
    pub(super) async fn web_with(descriptors: u32) -> Self {
        Self::limited("web", &[], Some(descriptors)).await
    }

    async fn of(process_type: &str, variables: &[(&str, &str)]) -> Self {
        Self::limited(process_type, variables, None).await
    }

    async fn limited(
        process_type: &str,
        variables: &[(&str, &str)],
        descriptors: Option<u32>,
    ) -> Self {
        let redis = Redis::shared().await;
        let shop = Shop::released().await;
        let start = async |process_type| {
            let launch = shop.launch([process_type]).vars(&BUDGET).vars(variables);
            let launch = match descriptors {
                Some(count) => launch.within_shell(&format!("ulimit -n {count}")),
                None => launch,
            };
            Server::start(launch.var("REDIS_URL", &*redis.url), port::free()).await
        };
        let server = start(process_type).await;
        let web = match process_type {
            "web" => None,
            _ => Some(start("web").await),
        };
        let customer = Customer::sign_up(web.as_ref().unwrap_or(&server).port).await;
        let connections = Connections::watch(&shop);
        Self {
            shop,
            server,
            customer,
            connections,
            _redis: redis,
            web,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.server.port
    }

    /// Where orders are placed.
    pub(super) fn web_port(&self) -> u16 {
        self.web.as_ref().unwrap_or(&self.server).port
    }

    /// The most memory that the process has had, in MiB: `VmHWM` of proc(5).
    pub(super) fn peak_mib(&self) -> u64 {
        self.status_kib("VmHWM") / 1024
    }

    /// The memory that it has now, in MiB: `VmRSS` of proc(5).
    pub(super) fn memory_mib(&self) -> u64 {
        self.status_kib("VmRSS") / 1024
    }

    fn status_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.server.process.id());
        let status = fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value.expect("in kB").parse().expect("a number")
    }

    /// The descriptors that the process has open.
    pub(super) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.server.process.id());
        fs::read_dir(path).expect("the process runs").count()
    }

    /// Has honest clients ask `web` so many times: each fourth request is an order, the others list products.
    pub(super) async fn honest(&self, requests: usize) -> Honest {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(
                self.port(),
                self.customer.clone(),
                requests / CLIENTS,
            ));
        }
        let mut honest = Honest::default();
        while let Some(client) = clients.join_next().await {
            let client = client.expect("a client does not panic");
            honest.took.extend(client.took);
            honest.failed.extend(client.failed);
        }
        honest.took.sort();
        honest
    }

    /// Panics unless Postgres never saw more connections than the process's pool may have.
    ///
    /// For an attack on `live`, whose neighbour has a pool of its own, `pools` is 2.
    pub(super) fn expect_pools(&self, pools: i64) {
        assert!(!self.connections.watching.is_finished(), "nobody watched");
        let most = self.connections.most.load(Ordering::Relaxed);
        assert!(most <= pools * POOL, "{most} connections to Postgres");
    }

    /// Ends the process in the middle of the attack, which must end with 0.
    pub(super) async fn expect_drained(&mut self) -> Duration {
        self.server.process.signal(Signal::TERM);
        let exit = self.server.process.exit_within(EXIT_BOUND).await;
        let log = self.server.process.log();
        assert_eq!(exit.code, Some(0), "{exit:?}\n{log}");
        exit.took
    }
}

/// What became of the requests of honest clients.
#[derive(Debug, Default)]
pub(super) struct Honest {
    /// How long each answer took, the shortest first.
    took: Vec<Duration>,
    /// What came in place of a 200 or 201.
    failed: Vec<String>,
}

impl Honest {
    pub(super) fn p99(&self) -> Duration {
        self.took[(self.took.len() * 99).div_ceil(100) - 1]
    }

    pub(super) fn expect_served(self) -> Self {
        let Self { took, failed } = &self;
        let all = took.len() + failed.len();
        assert!(
            failed.is_empty(),
            "{} of {all} failed: {}",
            failed.len(),
            failed[0]
        );
        self
    }

    /// Panics when they waited for more than twice as long as without the attack.
    pub(super) fn expect_unharmed(&self, without: &Self) {
        let (p99, calm) = (self.p99(), without.p99());
        assert!(
            p99 <= calm.max(NOISE) * 2,
            "p99 {p99:?}, without the attack {calm:?}"
        );
    }
}

async fn client(port: u16, customer: Customer, requests: usize) -> Honest {
    let mut honest = Honest::default();
    let mut kept = None;
    for turn in 0..requests {
        let request = if turn % 4 == 0 {
            customer.order(&fresh_key())
        } else {
            Request::get("/products")
        };
        let at = Instant::now();
        let asking = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(port).await?,
            };
            let answer = connection.ask(&request).await?;
            if !answer.closes() {
                kept = Some(connection);
            }
            Ok::<_, Failure>(answer)
        };
        match asking.await {
            Ok(answer) if matches!(answer.status, 200 | 201) => honest.took.push(at.elapsed()),
            Ok(answer) => honest.failed.push(answer.to_string()),
            Err(failure) => honest.failed.push(format!("{failure:?}")),
        }
    }
    honest
}

/// Looks at how many connections Postgres has, for as long as the attack goes on.
struct Connections {
    most: Arc<AtomicI64>,
    watching: JoinHandle<()>,
}

impl Connections {
    fn watch(shop: &Shop) -> Self {
        let most = Arc::<AtomicI64>::default();
        let (seen, url) = (Arc::clone(&most), shop.database.url.clone());
        let watching = tokio::spawn(async move {
            let mut postgres = PgConnection::connect(&url).await.expect("connect");
            // Until the database is dropped, at the end of the test.
            while let Ok(count) = sqlx::query_scalar(CONNECTIONS)
                .fetch_one(&mut postgres)
                .await
            {
                seen.fetch_max(count, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { most, watching }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
