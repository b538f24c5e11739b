//! The engine, run against a real Postgres that `DATABASE_URL` names.

use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, PgConnection};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use twelve_core::{Context, Environment, Exit, Failure, Handler, Identity, Lifecycle, Result, Tx};
use twelve_worker::{
    Admin, Attempt, IntoOutcome, Job, JobArguments, JobDetails, JobId, Jobs, Outcome, Policy,
    Queues, Registry, State, StepKey, Steps, drain,
    store::conformance::{fresh_database, until},
    worker,
};

/// An app with a database of its own, and maybe a worker that runs.
struct App {
    context: Context,
    registry: Arc<Registry>,
    jobs: Jobs,
    admin: Admin,
}

/// A worker in this runtime.
struct Worker {
    lifecycle: Lifecycle,
    main: JoinHandle<Result<Exit, Failure>>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct Work(u32);

impl Job for Work {
    const KIND: &'static str = "work";

    fn policy() -> Policy {
        Policy::new()
            .attempts(2)
            .timeout(Duration::from_secs(5))
            .backoff(Duration::from_millis(1))
    }
}

impl App {
    async fn new<A, H>(handler: H) -> Self
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
        let context = context(environment);
        Self {
            jobs: Jobs::of(&context).unwrap(),
            admin: Admin::of(&context).unwrap(),
            registry: Arc::new(registry),
            context,
        }
    }

    /// Starts a worker with a lifecycle of its own.
    fn start(&self) -> Worker {
        let context = context(self.context.environment().clone());
        let lifecycle = context.lifecycle().clone();
        let worker = worker("worker", Queues::all(), Arc::clone(&self.registry));
        Worker {
            lifecycle,
            main: tokio::spawn(worker.main(context)),
        }
    }

    async fn show(&self, job: JobId) -> JobDetails {
        self.admin.show(job).await.unwrap().unwrap()
    }

    async fn until_state(&self, job: JobId, state: State) -> JobDetails {
        until(state.name(), async || {
            let details = self.show(job).await;
            (details.summary.state == state).then_some(details)
        })
        .await
    }

    async fn connect(&self) -> PgConnection {
        let db = self.context.db().unwrap();
        db.options().connect().await.unwrap()
    }

    /// A table of the app's own.
    async fn create_effects(&self) {
        sqlx::query("CREATE TABLE effects (job int, attempt int)")
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }
}

fn context(environment: Environment) -> Context {
    Context::new(
        Identity::new("t", "worker"),
        environment,
        Lifecycle::default(),
        twelve_core::Registry::default(),
    )
}

impl Worker {
    async fn stop(self) -> Exit {
        self.lifecycle.begin_drain();
        self.main.await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_enqueued_job_is_done() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let app = App::new({
        let seen = Arc::clone(&seen);
        move |Work(number): Work| {
            seen.lock().unwrap().push(number);
            async {}
        }
    })
    .await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(7)).await.unwrap();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(*seen.lock().unwrap(), [7]);
    assert_eq!(details.summary.attempts, 1);
    assert_eq!(worker.stop().await, Exit::Done);
}
