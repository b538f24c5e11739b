//! The fixture of all tests: a store with two workers.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};
use twelve_core::Db;

use crate::{
    job::{
        draft::{Draft, Due},
        id::{ClaimId, JobId, WorkerId},
        priority::Priority,
        queues::Queues,
        retention::Keep,
    },
    store::{
        Store,
        model::{Ack, Acked, Batch, Claim, Claimed, Done, Lane, Lease, Level, Profile, Retention},
        postgres::PostgresStore,
        state::State,
    },
};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many jobs one claim of a test takes.
const MOST: usize = 1000;

/// A store with nothing in it, and two workers.
#[derive(Debug)]
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The app's Postgres, on which `Tx` would be.
    pub db: Db,
    /// A registered worker.
    pub worker: WorkerId,
    /// Another one.
    pub other: WorkerId,
}

impl Fixture {
    /// A Postgres store on a fresh database with twelve's tables.
    pub async fn postgres(database: PgConnectOptions) -> Self {
        let db = Db::new(database, 5);
        Self::of(Arc::new(PostgresStore::new(db.clone())), db).await
    }

    /// A fixture for this store.
    pub async fn of(store: Arc<dyn Store>, db: Db) -> Self {
        let fixture = Self {
            store,
            db,
            worker: WorkerId::new(),
            other: WorkerId::new(),
        };
        fixture.register(fixture.worker).await;
        fixture.register(fixture.other).await;
        fixture
    }

    /// Registers a worker by its first heartbeat.
    ///
    /// # Panics
    ///
    /// The store fails, as in every method here.
    pub async fn register(&self, worker: WorkerId) {
        let profile = profile(worker);
        let mut heartbeat = self.store.heartbeat_writer();
        heartbeat.beat(&profile, false).await.unwrap();
    }

    /// A connection of the app's, for a transaction.
    pub async fn connect(&self) -> PgConnection {
        self.db.options().connect().await.unwrap()
    }

    /// Enqueues a job that is due.
    pub async fn enqueue(&self) -> JobId {
        self.enqueue_draft(draft()).await
    }

    /// Enqueues a job that is new.
    pub async fn enqueue_draft(&self, draft: Draft) -> JobId {
        let id = draft.id;
        let enqueued = self.store.enqueue(vec![draft]).await.unwrap();
        assert!(enqueued[0].is_new() && enqueued[0].id() == id);
        id
    }

    /// Everything that is due, suspects too, for the first worker.
    pub async fn claim(&self) -> Vec<Claimed> {
        self.claim_as(self.worker).await
    }

    /// Everything that is due, suspects too.
    pub async fn claim_as(&self, worker: WorkerId) -> Vec<Claimed> {
        let mut claimed = self.take(worker, &Queues::all(), MOST).await.jobs;
        while let Some(suspect) = self.claim_suspect_as(worker).await {
            claimed.push(suspect);
        }
        claimed
    }

    /// The first suspect.
    pub async fn claim_suspect_as(&self, worker: WorkerId) -> Option<Claimed> {
        let mut plan = self.plan(worker, &Queues::all(), 1).await;
        plan.lanes = self.lanes(&Queues::all()).await;
        plan.lanes.retain(|lane| lane.level == Level::Suspect);
        self.store.claim(&plan).await.unwrap().jobs.pop()
    }

    /// The one job that is due.
    pub async fn claim_one(&self) -> Claimed {
        self.claim_one_as(self.worker).await
    }

    /// The one job that is due.
    pub async fn claim_one_as(&self, worker: WorkerId) -> Claimed {
        let mut claimed = self.claim_as(worker).await;
        assert_eq!(claimed.len(), 1, "one job is due: {claimed:?}");
        claimed.remove(0)
    }

    /// What a worker takes at once: no suspects.
    pub async fn take(&self, worker: WorkerId, queues: &Queues, limit: usize) -> Batch {
        let plan = self.plan(worker, queues, limit).await;
        self.store.claim(&plan).await.unwrap()
    }

    /// A claim as a worker makes it: promote, survey, claim.
    pub async fn plan(&self, worker: WorkerId, queues: &Queues, limit: usize) -> Claim {
        self.store.promote(MOST).await.unwrap();
        let survey = self.store.survey(queues).await.unwrap();
        let mut lanes = survey.lanes;
        lanes.retain(|lane| lane.level != Level::Suspect);
        lanes.sort_by_key(|lane| lane.level);
        Claim {
            id: ClaimId::new(),
            worker,
            lanes,
            limit,
            paused_kinds: survey.paused_kinds,
        }
    }

    /// The lanes of these queues.
    pub async fn lanes(&self, queues: &Queues) -> Vec<Lane> {
        self.store.survey(queues).await.unwrap().lanes
    }

    /// The lanes in which something waits.
    pub async fn busy_lanes(&self) -> Vec<(String, Level)> {
        let mut lanes = self.lanes(&Queues::all()).await;
        lanes.retain(|lane| lane.oldest.is_some());
        lanes.sort_by_key(|lane| lane.level);
        let lanes = lanes.into_iter();
        lanes.map(|lane| (lane.queue, lane.level)).collect()
    }

    /// Acks for the first worker; the ack is accepted.
    pub async fn ack(&self, job: &Claimed, ack: Ack) {
        let acked = self.store.ack(self.worker, job.lease, &ack).await.unwrap();
        assert_eq!(acked, Acked::Accepted, "{ack:?}");
    }

    /// Acks for the first worker; the ack is refused.
    pub async fn refuse(&self, job: &Claimed, ack: Ack) {
        let acked = self.store.ack(self.worker, job.lease, &ack).await.unwrap();
        assert_eq!(acked, Acked::Refused, "{ack:?}");
    }

    /// Acks a group of jobs as done; tells what was refused.
    pub async fn done(&self, done: &[Done]) -> Vec<Lease> {
        self.store.done(self.worker, done, &[]).await.unwrap()
    }

    /// The state of a job.
    pub async fn state(&self, job: JobId) -> State {
        self.store.show(job).await.unwrap().unwrap().summary.state
    }

    /// Is anything known of this job?
    pub async fn knows(&self, job: JobId) -> bool {
        self.store.show(job).await.unwrap().is_some()
    }

    /// Declares a worker dead; tells how many jobs were taken back.
    pub async fn kill(&self, worker: WorkerId) -> usize {
        let beat = self.beat_of(worker).await;
        self.store.rescue(worker, beat).await.unwrap().len()
    }

    /// A worker's last beat.
    pub async fn beat_of(&self, worker: WorkerId) -> i64 {
        let seen = self.store.observe().await.unwrap().beats;
        let found = seen.into_iter().find(|(id, _)| *id == worker);
        found.unwrap().1
    }
}

/// The profile of a test's worker.
#[must_use]
pub fn profile(worker: WorkerId) -> Profile {
    Profile {
        id: worker,
        process_type: "worker".into(),
        host: "test".into(),
        pid: 1,
        release: None,
        concurrency: 8,
        queues: Queues::all(),
        kinds: vec!["charge".into()],
    }
}

/// A job that is due at once, with three attempts.
#[must_use]
pub fn draft() -> Draft {
    Draft {
        id: JobId::new(),
        kind: "charge".into(),
        queue: "default".into(),
        payload: r#"{"order":1}"#.into(),
        max_attempts: 3,
        due: Due::Now,
        priority: Priority::Normal,
        tags: Vec::new(),
        metadata: None,
        unique: None,
    }
}

/// Retention for an hour.
#[must_use]
pub fn retention(keep: Keep) -> Retention {
    Retention {
        keep,
        span: Duration::from_hours(1),
        is_bare: false,
    }
}

/// The end of a job of which a summary is kept.
pub(super) fn done() -> Ack {
    Ack::Done(retention(Keep::Summary))
}

/// Waits until something is there, but not for ever.
///
/// # Panics
///
/// It does not come within ten seconds.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}
