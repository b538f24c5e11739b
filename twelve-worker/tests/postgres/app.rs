//! An app with one handler, and workers that run in the test's own runtime.

use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, PgConnection};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinHandle};
use twelve_core::{Context, Environment, Exit, Failure, Handler, Identity, Lifecycle, Result, Tx};
use twelve_worker::{
    Admin, Attempt, IntoOutcome, Job, JobArguments, JobDetails, JobId, Jobs, Keep, Policy, Queues,
    Registry, State, store::conformance::until, worker,
};

use crate::database::fresh_database;

/// An app with a database of its own, and maybe a worker that runs.
pub(crate) struct App {
    pub(crate) context: Context,
    pub(crate) registry: Arc<Registry>,
    pub(crate) jobs: Jobs,
    pub(crate) admin: Admin,
    pub(crate) stage: Stage,
}

/// A worker in this runtime.
pub(crate) struct Worker {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) main: JoinHandle<Result<Exit, Failure>>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) struct Work(pub(crate) u32);

impl Job for Work {
    const KIND: &'static str = "work";

    fn policy() -> Policy {
        Policy::new()
            .attempts(2)
            .backoff(Duration::from_millis(1))
            .keep(Keep::Everything)
    }
}

impl App {
    pub(crate) async fn new<A, H>(handler: H) -> Self
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let database = fresh_database().await;
        let environment =
            Environment::default().with("DATABASE_URL", database.to_url_lossy().as_str());
        let mut registry = Registry::default();
        registry.job(handler);
        let stage = Stage::default();
        let context = context(environment, &stage);
        Self {
            stage,
            jobs: Jobs::of(&context).unwrap(),
            admin: Admin::of(&context).unwrap(),
            registry: Arc::new(registry),
            context,
        }
    }

    /// With a handler for another kind.
    pub(crate) fn and<A, H>(mut self, handler: H) -> Self
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let registry = Arc::get_mut(&mut self.registry);
        registry.expect("no worker has it yet").job(handler);
        self
    }

    /// With a variable that its producer and its workers read.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let environment = self.context.environment().clone().with(name, value);
        let context = context(environment, &self.stage);
        Self {
            jobs: Jobs::of(&context).unwrap(),
            admin: Admin::of(&context).unwrap(),
            context,
            ..self
        }
    }

    /// Starts a worker with a lifecycle of its own.
    pub(crate) fn start(&self) -> Worker {
        let context = context(self.context.environment().clone(), &self.stage);
        let lifecycle = context.lifecycle().clone();
        let worker = worker("worker", Queues::all(), Arc::clone(&self.registry));
        Worker {
            lifecycle,
            main: tokio::spawn(worker.main(context)),
        }
    }

    pub(crate) async fn show(&self, job: JobId) -> JobDetails {
        self.admin.show(job).await.unwrap().unwrap()
    }

    pub(crate) async fn until_state(&self, job: JobId, state: State) -> JobDetails {
        until(state.name(), async || {
            let details = self.show(job).await;
            (details.summary.state == state).then_some(details)
        })
        .await
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        let db = self.context.db().unwrap();
        db.options().connect().await.unwrap()
    }

    /// A table of the app's own.
    pub(crate) async fn create_effects(&self) {
        self.execute("CREATE TABLE effects (job int, attempt int)")
            .await;
    }

    pub(crate) async fn effects(&self) -> i64 {
        self.count("SELECT count(*) FROM effects").await
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }
}

pub(crate) fn context(environment: Environment, stage: &Stage) -> Context {
    let mut registry = twelve_core::Registry::default();
    let stage = stage.clone();
    registry.resource(move || {
        let stage = stage.clone();
        async { Ok::<_, Failure>(stage) }
    });
    Context::new(
        Identity::new("t", "worker"),
        environment,
        Lifecycle::default(),
        registry,
    )
}

impl Worker {
    pub(crate) async fn stop(self) -> Exit {
        self.lifecycle.begin_drain();
        self.main.await.unwrap().unwrap()
    }
}

/// What a test and its handlers share.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    pub(crate) at_work: Arc<Notify>,
    pub(crate) go_on: Arc<Notify>,
    pub(crate) runs: Counter,
    pub(crate) most: Arc<AtomicU32>,
    pub(crate) seen: Arc<Mutex<Vec<u32>>>,
    pub(crate) begins: Arc<Mutex<Vec<Instant>>>,
    pub(crate) charges: Arc<Mutex<Vec<String>>>,
    pub(crate) kept: Arc<Mutex<Option<Tx>>>,
}

impl Stage {
    pub(crate) fn saw(&self, number: u32) {
        self.seen.lock().unwrap().push(number);
    }
}

/// Counts, and tells what was counted.
#[derive(Clone, Default)]
pub(crate) struct Counter(pub(crate) Arc<AtomicU32>);

impl Counter {
    /// The number of this call, from 1.
    pub(crate) fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn read(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) async fn write_effect(tx: &mut Tx, attempt: Attempt) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effects VALUES (0, $1)")
        .bind(i64::from(attempt.number()))
        .execute(tx)
        .await?;
    Ok(())
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Unknown;

impl Job for Unknown {
    const KIND: &'static str = "unknown";
}
