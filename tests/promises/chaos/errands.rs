//! The app `errands`, whose jobs leave marks.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::pgbouncer::Pooler;
use crate::harness::postgres::Postgres;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, StateDirectory};

/// States in which a job is not done.
const OPEN: [&str; 6] = [
    "waiting",
    "scheduled",
    "running",
    "failed",
    "discarded",
    "cancelled",
];

/// The errands that a worker holds, claimed or running, by the store's account: the one question here that only tables answer.
const HELD: &str = "
SELECT (payload->>'number')::int
FROM twelve.workers
JOIN twelve.claims ON claims.worker = workers.id
CROSS JOIN LATERAL unnest(claims.jobs, claims.epochs) AS lease (job, epoch)
JOIN twelve.jobs ON jobs.id = lease.job AND jobs.epoch = lease.epoch
WHERE workers.pid = $1";

/// Ends some of the connections to this database, whoever has them.
const CUT: &str = "
SELECT count(pg_terminate_backend(pid)) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY random() LIMIT $1
) AS some";

/// The app, released on a server of its own that may be hurt.
#[derive(Debug)]
pub(super) struct Errands {
    pub(super) postgres: Postgres,
    pub(super) database: Database,
    pooler: Option<Pooler>,
    state: StateDirectory,
    average_ms: u64,
}

impl Errands {
    /// Released, with so many errands enqueued, each of which takes so long on average.
    pub(super) async fn enqueued(
        postgres: Postgres,
        pooler: Option<Pooler>,
        count: usize,
        average_ms: u64,
    ) -> Self {
        let errands = Self::unreleased(postgres, pooler, average_ms).await;
        errands.release().await;
        errands.enqueue(count).await;
        errands
    }

    pub(super) async fn unreleased(
        postgres: Postgres,
        pooler: Option<Pooler>,
        average_ms: u64,
    ) -> Self {
        Self {
            database: Database::create_on(&postgres).await,
            postgres,
            pooler,
            state: StateDirectory::new(),
            average_ms,
        }
    }

    pub(super) async fn release(&self) {
        let release = self.launch(["release"]).run(COMMAND_BOUND);
        release.await.expect_code(0);
    }

    pub(super) async fn enqueue(&self, count: usize) {
        let count = count.to_string();
        let words = ["run", "enqueue", "--", "--count", &count];
        let enqueued = self.launch(words).run(COMMAND_BOUND).await;
        enqueued.expect_code(0);
    }

    fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        let direct = &*self.database.url;
        let launch = Launch::new(&binaries::example("errands"))
            .args(arguments)
            .var("TWELVE_STATE_DIR", self.state.path())
            .var("ERRAND_MS", self.average_ms.to_string())
            // Eight errands hold a transaction each and want another connection for a moment.
            .var("TWELVE_DATABASE_POOL", "16");
        match &self.pooler {
            None => launch.var("DATABASE_URL", direct),
            Some(pooler) => launch
                .var("DATABASE_URL", pooler.url_of(direct))
                .var("TWELVE_DATABASE_DIRECT_URL", direct),
        }
    }

    pub(super) fn worker(&self) -> Process {
        self.launch(["worker"]).spawn()
    }

    /// One whose errands leave their marks outside of the transaction.
    pub(super) fn careless_worker(&self) -> Process {
        self.launch(["worker"])
            .var("ERRAND_CARELESS", "true")
            .spawn()
    }

    /// What the worker with this process id holds.
    pub(super) async fn held_by(&self, pid: u32) -> Vec<i32> {
        let mut connection = self.connect().await.expect("connect");
        let held = sqlx::query_scalar(HELD)
            .bind(i64::from(pid))
            .fetch_all(&mut connection)
            .await;
        held.expect("ask for what a worker holds")
    }

    /// Ends some connections, as an operator would or a firewall; nothing while Postgres is away.
    pub(super) async fn cut(&self, most: i64) {
        if let Ok(mut connection) = self.connect().await {
            let _ = sqlx::query(CUT).bind(most).execute(&mut connection).await;
        }
    }

    /// How many errands have left a mark; nothing while Postgres is away.
    pub(super) async fn marked(&self) -> Option<usize> {
        let mut connection = self.connect().await.ok()?;
        let count: i64 = sqlx::query_scalar("SELECT count(DISTINCT number) FROM marks")
            .fetch_one(&mut connection)
            .await
            .ok()?;
        usize::try_from(count).ok()
    }

    /// The jobs that are not done, as the command line lists them.
    pub(super) async fn open(&self) -> Vec<Value> {
        let mut open = Vec::new();
        for state in OPEN {
            let words = ["jobs", "list", "--state", state, "--json"];
            let listed = self.launch(words).run(COMMAND_BOUND).await;
            let listed = listed.expect_code(0).expect_json();
            open.extend(listed["jobs"].as_array().expect("a list").iter().cloned());
        }
        open
    }

    /// Waits until each errand has left a mark and no job is open.
    pub(super) async fn until_done(&self, count: usize, bound: Duration) {
        let waiting = async {
            let mut look = tokio::time::interval(Duration::from_millis(200));
            while self.marked().await != Some(count) || !self.open().await.is_empty() {
                look.tick().await;
            }
        };
        if tokio::time::timeout(bound, waiting).await.is_err() {
            let marked = self.marked().await;
            let open = self.open().await;
            panic!("{marked:?} of {count} errands left marks in {bound:?}; open jobs: {open:#?}");
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.database.url).await
    }
}
