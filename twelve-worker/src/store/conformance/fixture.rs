//! What every test of a store starts with.

use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};
use twelve_core::Db;

use crate::{
    JobId, Priority, Queues, WorkerId,
    store::{Ack, Acked, Claimed, Draft, Due, Profile, State, Store, postgres::PostgresStore},
};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

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

    pub(super) async fn register(&self, worker: WorkerId) {
        let profile = profile(worker);
        self.store.pulse().beat(&profile).await.unwrap();
    }

    pub(super) async fn connect(&self) -> PgConnection {
        self.db.options().connect().await.unwrap()
    }

    /// Enqueues a job that is due.
    pub(super) async fn enqueue(&self) -> JobId {
        self.enqueue_draft(draft()).await
    }

    pub(super) async fn enqueue_draft(&self, draft: Draft) -> JobId {
        let id = draft.id;
        self.store.enqueue(vec![draft]).await.unwrap();
        id
    }

    /// Everything that is due, suspects too, for the first worker.
    pub(super) async fn claim(&self) -> Vec<Claimed> {
        self.claim_as(self.worker).await
    }

    pub(super) async fn claim_as(&self, worker: WorkerId) -> Vec<Claimed> {
        let queues = Queues::all();
        let mut claimed = self.store.claim(worker, &queues, 100).await.unwrap();
        while let Some(suspect) = self.claim_suspect_as(worker).await {
            claimed.push(suspect);
        }
        claimed
    }

    pub(super) async fn claim_suspect_as(&self, worker: WorkerId) -> Option<Claimed> {
        let queues = Queues::all();
        self.store.claim_suspect(worker, &queues).await.unwrap()
    }

    /// The one job that is due.
    pub(super) async fn claim_one(&self) -> Claimed {
        self.claim_one_as(self.worker).await
    }

    pub(super) async fn claim_one_as(&self, worker: WorkerId) -> Claimed {
        let mut claimed = self.claim_as(worker).await;
        assert_eq!(claimed.len(), 1, "one job is due: {claimed:?}");
        claimed.remove(0)
    }

    pub(super) async fn ack(&self, job: &Claimed, ack: Ack) {
        let acked = self.store.ack(job.lease, &ack).await.unwrap();
        assert_eq!(acked, Acked::Accepted, "{ack:?}");
    }

    pub(super) async fn refuse(&self, job: &Claimed, ack: Ack) {
        let acked = self.store.ack(job.lease, &ack).await.unwrap();
        assert_eq!(acked, Acked::Refused, "{ack:?}");
    }

    /// Where a job stands.
    pub(super) async fn state(&self, job: JobId) -> State {
        self.store.show(job).await.unwrap().unwrap().summary.state
    }

    /// Declares a worker dead.
    pub(super) async fn kill(&self, worker: WorkerId) -> usize {
        let beat = self.beat_of(worker).await;
        self.store.rescue(worker, beat).await.unwrap().len()
    }

    pub(super) async fn beat_of(&self, worker: WorkerId) -> i64 {
        let seen = self.store.observe().await.unwrap().beats;
        let found = seen.into_iter().find(|(id, _)| *id == worker);
        found.unwrap().1
    }
}

pub(super) fn profile(worker: WorkerId) -> Profile {
    Profile {
        id: worker,
        process_type: "worker".into(),
        host: "test".into(),
        pid: 1,
        queues: "all".into(),
    }
}

/// A job that is due at once, with three attempts.
pub(super) fn draft() -> Draft {
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
