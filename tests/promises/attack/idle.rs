//! Connections that are opened and left alone, more than the process takes.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ground::{Ground, MEMORY};
use super::http2::Http2;
use crate::harness::http::{Request, ask};
use crate::harness::process::at_a_moment;

/// A connection is spared for a second before it leaves for another.
const SPARED: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_of_http_2_shut_nobody_out() {
    attack(100, 110, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: half a minute"]
async fn ten_thousand_idle_connections_of_http_2_shut_nobody_out() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("raise the limit to the hard one");
    let ground = attack(10_000, 10_100, 4_000).await;
    ground.expect_unharmed();
}

/// What the honest clients saw.
struct Seen {
    without: super::ground::Honest,
    during: super::ground::Honest,
}

impl Seen {
    fn expect_unharmed(&self) {
        self.during.expect_unharmed(&self.without);
    }
}

/// So many connections at a limit, beside so many honest requests.
async fn attack(limit: usize, idle: usize, requests: usize) -> Seen {
    let limit = limit.to_string();
    let mut ground = Ground::web(&[("TWELVE_MAX_CONNECTIONS", &limit)]).await;
    let without = ground.honest(requests).await.expect_served();
    let mut connections = Vec::new();
    for _ in 0..idle {
        connections.push(Http2::connect(ground.port()).await.expect("connect"));
    }
    at_a_moment(SPARED).await;
    ask(ground.port(), &Request::get("/ready"))
        .await
        .expect(200);
    let during = ground.honest(requests).await.expect_served();
    println!(
        "{idle} idle connections: p99 {:?}, without {:?}; {} MiB, {} descriptors",
        during.p99(),
        without.p99(),
        ground.peak_mib(),
        ground.descriptors()
    );
    assert!(ground.peak_mib() < MEMORY, "{} MiB", ground.peak_mib());
    ground.expect_pools(1);
    ground.expect_drained().await;
    Seen { without, during }
}
